"""A job on its way to the market: looked at, tried out, reviewed, posted."""

from typing import Annotated, Literal

from msgspec import Meta, field

from morphware.node.api.answers.plain import AmountText, Asked, JobIdText, RequestId, Shape, WeiText
from morphware.protocol.market import WINDOW_MOST_S

DraftId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
_Path = Annotated[str, Meta(max_length=4096, pattern=r"^/[^\x00]*$")]
_Window = Annotated[int, Meta(ge=1, le=WINDOW_MOST_S)]
_Size = Annotated[int, Meta(ge=1 << 20, le=1 << 50)]


class UploadAsked(Asked, frozen=True):
    """What an upload leaves as it is in an earlier draft, so that a mended program comes alone."""

    base: DraftId | None = None
    keep: Annotated[
        str,
        Meta(
            pattern=r"^((program|train|test|data)(,(program|train|test|data)){0,3})?$",
            description="Fields of the earlier draft that stay, with commas; what comes for them goes before.",
        ),
    ] = ""


class Terms(Asked, frozen=True):
    """What a job offers; null leaves the choice to the job's own file, or to what is usual."""

    metric: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    threshold: float | None = None
    baseline: float | None = None
    reserve_wei: AmountText | None = None
    fee_wei: AmountText | None = None
    name: Annotated[str, Meta(max_length=1000)] = ""
    estimated_s: _Window | None = None
    training_s: _Window | None = None
    testing_s: _Window | None = None
    bidding_s: _Window | None = None
    seats: Annotated[int, Meta(ge=1, le=1000)] = 5
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: _Size | None = None
    disk_bytes: _Size | None = None
    chunks: Annotated[int, Meta(ge=0, le=1000)] = 0
    test_chunks: Annotated[int, Meta(ge=0, le=1000)] = 0


class PostAsked(Terms, frozen=True, kw_only=True):
    """The terms that were reviewed; the same request twice, also after a restart, posts one job."""

    request_id: RequestId


class WishAsked(Asked, frozen=True):
    """A job whose files lie on the node's machine, named by absolute paths; every choice is made."""

    program: _Path
    train: _Path | None
    test: _Path | None
    metric: Annotated[str, Meta(min_length=1, max_length=40)]
    threshold: float
    reserve_wei: AmountText
    baseline: float | None = None
    name: Annotated[str, Meta(max_length=1000)] = ""
    estimated_s: _Window = 600
    training_s: _Window | None = None
    testing_s: _Window | None = None
    bidding_s: _Window | None = None
    seats: Annotated[int, Meta(ge=1, le=1000)] = 5
    fee_wei: AmountText | None = None
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: _Size = 4 << 30
    disk_bytes: _Size = 4 << 30
    data: _Path | None = None
    chunks: Annotated[int, Meta(ge=0, le=1000)] = 0
    test_chunks: Annotated[int, Meta(ge=0, le=1000)] = 0


class Posted(Shape, frozen=True):
    """The job was handed to the end user's brain, which seals and posts it."""

    job_id: JobIdText


class FieldProblem(Shape, frozen=True):
    """What is wrong with one field of the form."""

    field: str
    """program, train, test, data, or a field of the terms; empty: with the node or its account."""
    sentence: str


class Upload(Shape, frozen=True):
    """What was uploaded into one field."""

    files: int
    size_bytes: int
    names: list[str]
    """The first few."""


class Suggested(Shape, frozen=True):
    """What the job itself says, to begin the form with."""

    name: str
    metric: str | None
    threshold: float | None
    reserve_wei: WeiText | None
    estimated_s: int
    memory_bytes: int


class Draft(Shape, frozen=True):
    """An uploaded job that is not posted: what the node read in it, and what is wrong with it."""

    draft_id: DraftId
    created_s: float
    entry: str | None
    kind: Literal["script", "notebook"] | None
    files: list[str]
    functions: list[str]
    """Which of train, predict, test and evaluate it defines."""
    logged: list[str]
    """Metrics that it logs."""
    requirements: list[str]
    metrics: list[str]
    """Metrics that validators know how to compute."""
    suggested: Suggested | None
    uploads: dict[str, Upload]
    problems: list[FieldProblem] = field(default_factory=list)


class Drafts(Shape, frozen=True):
    """Drafts that wait, newest first."""

    drafts: list[Draft]


class PriceQuery(Asked, frozen=True):
    """For which job to estimate the price."""

    estimated_s: _Window = 600
    seats: Annotated[int, Meta(ge=1, le=1000)] = 5


class RecentPrice(Shape, frozen=True):
    """What one closed auction paid."""

    job_id: JobIdText
    time_s: int
    metric: str
    estimated_s: int
    price_wei: WeiText
    reserve_wei: WeiText
    bids: int


class PriceEstimate(Shape, frozen=True):
    """What recent auctions paid, scaled to this estimate; the three amounts are null with fewer than three auctions."""

    auctions: int
    low_wei: WeiText | None
    middle_wei: WeiText | None
    high_wei: WeiText | None
    recent: list[RecentPrice]
    sentence: str
    least_reserve_wei: WeiText | None = None
    """The smallest reserve that the market takes with so many validators, whatever auctions paid."""
    most_reserve_wei: WeiText | None = None
    """The largest one that their stakes vouch for."""


class Escrowed(Shape, frozen=True):
    """One part of what is locked at posting, and when it comes back."""

    what: str
    amount_wei: WeiText
    sentence: str


class Review(Shape, frozen=True):
    """Exactly what posting locks, what can be lost, and when the rest comes back.

    With a problem in the program or the terms the amounts are null: there is nothing that could be posted.
    """

    name: str
    metric: str | None
    threshold: float | None
    seats: int
    escrow_wei: WeiText | None
    parts: list[Escrowed]
    losses: list[Escrowed]
    """What each way for the job to go costs at most, of the escrow and of bonds for appeals of one's own."""
    most_lost_wei: WeiText | None
    back_by: int | None
    """Seconds since the epoch by which everything that is not paid is back, if nobody appeals."""
    free_wei: WeiText
    wallet_wei: WeiText
    promised_wei: WeiText
    """What other jobs of this node are about to lock of it."""
    is_payable: bool
    """Whether the account has the escrow besides what is promised."""
    windows: list["Window"]
    problems: list[FieldProblem] = field(default_factory=list)


class Window(Shape, frozen=True):
    """How long one part of the job may take at most."""

    what: str
    seconds: int


class DryRunLine(Shape, frozen=True):
    """What a dry run says, one server-sent event (of the kind's name) each: output, points, at last the result.

    A result tells in ``text`` how it went; the fields after ``values`` are its own.
    """

    kind: Literal["output", "point", "result"]
    text: str = ""
    step: int | None = None
    values: dict[str, float] = field(default_factory=dict)
    """Of a point what was logged; of a result the metric that a tested model reached."""
    is_working: bool | None = None
    has_ended: bool | None = None
    """Whether the training came to its end within the time."""
    is_logging: bool | None = None
    seconds: float | None = None
    step_s: float | None = None
    """Seconds a step, from the logged steps; null if it logged fewer than two."""
    estimated_s: int | None = None
    """How long the training takes on this machine, if it ended."""
    peak_memory_bytes: int | None = None
    tail: str = ""
    """The last lines of what a job that failed wrote."""


class DryRunAsked(Asked, frozen=True):
    """How long to try, and which metric to test the model by (null: the job's own)."""

    seconds: Annotated[int, Meta(ge=1, le=120)] = 20
    metric: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
