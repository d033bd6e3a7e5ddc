"""The node itself: who it is, whom it knows, what it has, what it does."""

from typing import Annotated, Literal

from msgspec import Meta, field

from morphware.node.api.answers.jobs import Role
from morphware.node.api.answers.plain import (
    AddressText,
    AmountText,
    Asked,
    HashText,
    JobIdText,
    Page,
    RequestId,
    Shape,
    WeiText,
)

Seats = Annotated[int, Meta(ge=1, le=1024)]


class Health(Shape, frozen=True):
    """The node answers; how many accounts' keys and addresses it knows. Asks the chain for nothing."""

    known_nodes: int
    block: int


class Status(Shape, frozen=True):
    """Who and where the node is, what it has, whom it knows."""

    name: str
    account: AddressText
    roles: list[Role]
    addresses: list[str]
    artifacts: str
    free_wei: WeiText
    wallet_wei: WeiText
    seats: int
    block: int
    peers: int
    known_nodes: int
    version: str


class Wallet(Shape, frozen=True):
    """Where this account's money is."""

    account: AddressText
    coin_wei: WeiText
    """The chain's coin, for gas."""
    wallet_wei: WeiText
    """Tokens outside of the market."""
    free_wei: WeiText
    """Tokens in the market that nothing binds."""
    promised_wei: WeiText
    """Free tokens that this node's jobs are about to lock."""
    escrow_wei: WeiText
    """Locked in open jobs as escrow and as bonds."""
    staked_wei: WeiText
    seats: int
    busy_seats: int
    leaving_seats: int
    """Given up: their stakes come back after the unbonding time, and after their jobs."""
    seat_stake_wei: WeiText
    unbonding_s: int
    is_validator: bool
    """Whether this node works for its seats; one that does not takes no more of them."""


class HistoryAsked(Asked, frozen=True):
    """Which page of the account's history, newest first."""

    page: Page = 1
    size: Annotated[int, Meta(ge=1, le=500)] = 100


class HistoryEntry(Shape, frozen=True):
    """Something that moved this account's money; the amount is what its free balance gained or lost."""

    time_s: int
    block: int
    kind: str
    sentence: str
    amount_wei: WeiText
    net_wei: WeiText = "0"
    """What the account gained or lost by it: what it only locks, or has back, is neither."""
    role: str | None = None
    """What the account did it as: a role, appellant, poker, or account where it is no job's."""
    job_id: JobIdText | None = None
    transaction: HashText | None = None
    link: str | None = None


class History(Shape, frozen=True):
    """One page of the history."""

    entries: list[HistoryEntry]
    total: int
    page: int
    size: int


class MoveAsked(Asked, frozen=True):
    """How many tokens to move between wallet and market."""

    amount_wei: AmountText
    request_id: RequestId | None = None


class StakeAsked(Asked, frozen=True):
    """How many seats to take, or to give up."""

    seats: Seats
    request_id: RequestId | None = None


class Peer(Shape, frozen=True):
    """A connected peer."""

    peer_id: str
    addresses: list[str]
    connected_since_s: float
    account: AddressText | None = None


class Topic(Shape, frozen=True):
    """A topic of gossip, and how many of the connected peers listen to it."""

    name: str
    peers: int


class Transfer(Shape, frozen=True):
    """A file that is being fetched or served."""

    name: str
    """Like train, model: what it is to its job; empty if the node does not know."""
    job_id: JobIdText | None
    doing: Literal["fetching", "seeding"]
    done_bytes: int
    total_bytes: int
    down_bytes_s: float
    up_bytes_s: float
    peers: int


class ChainHead(Shape, frozen=True):
    """The chain as this node sees it."""

    chain_id: int
    market: AddressText
    rpc: str
    """Scheme, host and port only: the rest of such an address may hold a secret."""
    block: int
    """The newest block that this node has acted on: those that may still change are left alone."""
    block_time_s: int
    behind_s: float
    """How long ago that block was, by this machine's clock."""


class NetworkView(Shape, frozen=True):
    """Peers, topics, transfers and chain."""

    addresses: list[str]
    peers: list[Peer]
    topics: list[Topic]
    heard: dict[str, int]
    """Messages since the start: published, delivered, ignored, rejected, duplicate, dropped, banned and failures."""
    transfers: list[Transfer]
    chain: ChainHead


class Link(Shape, frozen=True):
    """An address that lets one browser in, once and within a minute."""

    url: str


class Duty(Shape, frozen=True):
    """What one role does in one job now."""

    job_id: JobIdText
    name: str
    role: Role
    doing: str
    deadline: int | None
    since_s: float | None = None
    estimated_s: int | None = None


class Unwanted(Shape, frozen=True):
    """A job that takes bids and gets none of this worker's, and why."""

    job_id: JobIdText
    name: str
    sentence: str


class Offer(Shape, frozen=True):
    """One value of the worker's policy, and where it comes from; ``choices`` are all values where they are a few."""

    name: str
    value: str
    origin: str
    sentence: str
    unit: str = ""
    choices: tuple[str, ...] = ()


class Slash(Shape, frozen=True):
    """A penalty, with its reason."""

    time_s: int
    job_id: JobIdText
    amount_wei: WeiText
    sentence: str


class EarningsDay(Shape, frozen=True):
    """What one role earned on one day (UTC), as a date like 2026-11-23; penalties are negative."""

    day: str
    role: str
    amount_wei: WeiText


class Operator(Shape, frozen=True):
    """What this worker or validator is doing, offers, and has earned."""

    roles: list[Role]
    is_paused: bool
    is_frozen: bool
    availability: str
    """Whether it takes new jobs now, and if not, why."""
    is_available: bool
    capacity: int
    occupied: int
    seats: int
    busy_seats: int
    duties: list[Duty]
    offers: list[Offer]
    """What a worker asks for and when it works; nothing of a node that is none."""
    left_alone: list[Unwanted] = field(default_factory=list)
    earnings: list[EarningsDay] = field(default_factory=list)
    slashes: list[Slash] = field(default_factory=list)


class PauseAsked(Asked, frozen=True):
    """Take no new jobs; with ``freeze``, stop the training that runs, too, while its deadline goes on."""

    freeze: bool = False


class OffersAsked(Asked, frozen=True):
    """New values of the worker's policy by name, as text; null goes back to the configuration's value."""

    offers: dict[str, Annotated[str, Meta(max_length=1000)] | None]
