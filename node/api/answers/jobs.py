"""Jobs: in a list, and one with everything that the node knows of it."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from morphware.node.api.answers.plain import AddressText, Asked, HashText, JobIdText, Page, Shape, WeiText

Role = Literal["user", "worker", "validator"]
Sequence = Annotated[int, Meta(ge=0, le=2**53)]
Metric = float | str
"""A metric's value, or a code's name: NO_MODEL, NO_TEST."""


class JobsAsked(Asked, frozen=True):
    """Which jobs to list, newest first."""

    role: (
        Annotated[
            Literal["user", "worker", "validator", "any"],
            Meta(description="Jobs in which this node has this part (any: whatever part)."),
        ]
        | None
    ) = None
    state: (
        Annotated[
            Literal["open", "ended", "paid", "failed"],
            Meta(description="open: not ended; ended: paid or failed; failed: ended and not paid."),
        ]
        | None
    ) = None
    q: Annotated[
        str, Meta(max_length=200, description="Words of the job's name, its metric, state, or the beginning of its id.")
    ] = ""
    page: Page = 1
    size: Annotated[int, Meta(ge=1, le=200, description="Jobs on a page.")] = 50


class JobRow(Shape, frozen=True):
    """A job as a line of a list."""

    job_id: JobIdText
    name: str
    is_mine: bool
    roles: list[Role]
    """This node's parts in it."""
    state: str
    outcome: str
    """NONE while it is open; NOT_POSTED for a job of ours that never came on chain."""
    deadline: int | None
    """Seconds since the epoch (of the chain) at which the state ends by itself."""
    reason: str
    """Why it waits, or why it ended so."""
    next: str
    """What happens, and who pays what, if nobody does anything until the deadline."""
    problem: str
    """What hinders this node at it; empty if nothing does."""
    posted_at: int | None
    metric: str
    threshold: float | None
    metric_value: Metric | None
    reserve_wei: WeiText | None
    price_wei: WeiText | None


class JobPage(Shape, frozen=True):
    """One page of jobs; ``total`` counts those on all pages."""

    jobs: list[JobRow]
    total: int
    page: int
    size: int


class AllJobs(Shape, frozen=True):
    """Every job that the node knows, oldest first."""

    jobs: list[JobRow]


class Bid(Shape, frozen=True):
    """A sealed bid, opened or not; a decoy is an opened one that is not authentic."""

    bidder: AddressText
    sequence: int
    is_opened: bool
    price_wei: WeiText | None
    is_authentic: bool | None


class Winner(Shape, frozen=True):
    """Who won, and what it had asked for; it is paid the second lowest price."""

    account: AddressText
    bid_wei: WeiText


class Report(Shape, frozen=True):
    """One validator's part in one round."""

    round: int
    validator: AddressText
    is_committed: bool
    metric: Metric | None
    fingerprint_e9: int | None
    fee_wei: WeiText | None
    slash_wei: WeiText | None


class Appeal(Shape, frozen=True):
    """Somebody paid for a larger committee."""

    appellant: AddressText
    seats: int
    bond_wei: WeiText


class Unheard(Shape, frozen=True):
    """An appeal (or, without an appellant, an audit) for which no committee could be drawn."""

    appellant: AddressText | None
    bond_wei: WeiText
    kept_wei: WeiText


class Audit(Shape, frozen=True):
    """A random audit."""

    seats: int
    bond_wei: WeiText


class Split(Shape, frozen=True):
    """Which chunks of the data test the model, as far as it is drawn."""

    chunks: int
    test_chunks: int
    seed: str | None
    tested: list[int]


class Job(JobRow, frozen=True):
    """Everything that can be said of a job; ``committee`` is the newest, ``reports`` are those of every round."""

    user: AddressText | None = None
    fee_wei: WeiText | None = None
    baseline: float | None = None
    split: Split | None = None
    estimated_s: int | None = None
    paid_wei: WeiText | None = None
    winner: Winner | None = None
    bids: list[Bid] = field(default_factory=list)
    committee: list[AddressText] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    verdict: str = "NONE"
    appeals: list[Appeal] = field(default_factory=list)
    unheard: list[Unheard] = field(default_factory=list)
    audit: Audit | None = None
    burned_wei: WeiText | None = None
    model_path: str | None = None
    """Where the model lies on the node's machine, once it is paid and fetched."""

    def row(self) -> JobRow:
        """The job as a line of a list."""
        return JobRow(**{name: getattr(self, name) for name in JobRow.__struct_fields__})


class Moment(Shape, frozen=True):
    """Something that the chain said of a job."""

    time_s: int
    block: int
    event: str
    sentence: str
    state: str
    """The job's state after it."""
    transaction: HashText | None = None
    link: str | None = None
    """The transaction's page, where the configuration names an explorer of the chain."""


class Timeline(Shape, frozen=True):
    """A job's history on the chain, oldest first."""

    moments: list[Moment]


class Past(Shape, frozen=True):
    """What the chain said of a job so far, as the notices that were told of it then (of the kind chain)."""

    notices: list[dict[str, Any]]


MoveKind = Literal["locked", "returned", "paid", "lost", "burned"]


class MoneyMove(Shape, frozen=True):
    """Money of a job that went from one to another; what was locked and came back stayed its own."""

    kind: MoveKind
    payer: str
    payee: str
    amount_wei: WeiText
    what: str


class Receipt(Shape, frozen=True):
    """Where a job's money is, or went; and what this node's transactions for it cost."""

    job_id: JobIdText
    is_final: bool
    moves: list[MoneyMove]
    costs: list["Cost"]


class SignedRecord(Shape, frozen=True):
    """A record of a job as JSON text, and its account's EIP-191 signature of that text."""

    account: AddressText
    record: str
    signature: str


class Cost(Shape, frozen=True):
    """What one transaction of this node cost; the fee is in wei of the chain's coin."""

    job_id: JobIdText
    role: Role
    call: str
    gas: int
    fee_wei: WeiText
    transaction: HashText | None = None


class Costs(Shape, frozen=True):
    """What this node's transactions for jobs cost, in the order in which they were done."""

    costs: list[Cost]


class PointsAsked(Asked, frozen=True):
    """Which points: those after so many."""

    after: Sequence = 0


class Points(Shape, frozen=True):
    """Logged scalars as they came, column by column; times in seconds since the training began."""

    steps: list[int]
    times_s: list[float]
    series: list[str]
    values: list[float]

    def rows(self) -> list[tuple[int, float, str, float]]:
        """(step, seconds since the training began, series, value) each."""
        return list(zip(self.steps, self.times_s, self.series, self.values, strict=True))


class SeriesAsked(Asked, frozen=True):
    """Which curves to draw, and how finely. Without names: all of them."""

    name: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=32)] = field(default_factory=list)
    axis: Literal["step", "time"] = "step"
    first: Annotated[float, Meta(ge=-(2**53), le=2**53, description="The window's left end on the axis.")] | None = None
    last: Annotated[float, Meta(ge=-(2**53), le=2**53, description="The window's right end.")] | None = None
    buckets: Annotated[int, Meta(ge=10, le=5000, description="Points of a curve at most.")] = 1000


class Curve(Shape, frozen=True):
    """One series, thinned out so that it looks the same; ``count`` points are kept of it."""

    name: str
    count: int
    last_value: float
    xs: list[float]
    """Steps, or seconds since the training began; they ascend."""
    values: list[float]


class Curves(Shape, frozen=True):
    """The curves that were asked for, and the names of all there are."""

    names: list[str]
    curves: list[Curve]


class OutputAsked(Asked, frozen=True):
    """Which output: what came after a number (-1: from the beginning of what is kept)."""

    after: Annotated[int, Meta(ge=-1, le=2**53)] = -1


class OutputPiece(Shape, frozen=True):
    """A piece of what the job wrote to standard output and error."""

    sequence: int
    time_s: float
    text: str


class Output(Shape, frozen=True):
    """Pieces in order; ask again after the last one's number until there are none."""

    pieces: list[OutputPiece]
    dropped_bytes: int
    """So much of the beginning is no longer kept."""
