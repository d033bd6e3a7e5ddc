"""Why the market says no: one frozen class for each error of the contract, with the same name and the same values.

A refusal is a returned value and not an exception: refusing is what the rules do to most of what is asked of them.
A refused call changes nothing.
"""

from dataclasses import dataclass

from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei


@dataclass(frozen=True, slots=True)
class WrongState:
    """The job's state has no such call; an unknown job is in state NONE."""

    job_id: JobId
    actual: State


@dataclass(frozen=True, slots=True)
class TooLate:
    """An action is valid only before the deadline."""

    job_id: JobId
    deadline: Timestamp
    timestamp: Timestamp


@dataclass(frozen=True, slots=True)
class TooEarly:
    """A poke is valid only from the deadline on."""

    job_id: JobId
    deadline: Timestamp
    timestamp: Timestamp


@dataclass(frozen=True, slots=True)
class WrongCaller:
    """Another party has to make this call."""

    caller: Address
    wanted: Address


@dataclass(frozen=True, slots=True)
class InsufficientBalance:
    """The caller's free balance does not cover what the call would lock."""

    account: Address
    balance_wei: Wei
    needed_wei: Wei


@dataclass(frozen=True, slots=True)
class WrongPreimage:
    """What was revealed is not what was committed to."""

    wanted: bytes
    actual: bytes


@dataclass(frozen=True, slots=True)
class JobExists:
    """The end user has already posted a job with this seed commitment."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class BadTerms:
    """A field of the job's terms breaks a rule."""

    field: str


@dataclass(frozen=True, slots=True)
class NotEnoughSeats:
    """The registry has fewer free seats than a job needs, or fewer than an appeal could ever have."""

    available: int
    needed: int


@dataclass(frozen=True, slots=True)
class UserMayNotBid:
    """The end user may not bid on the own job."""

    user: Address


@dataclass(frozen=True, slots=True)
class CommitmentExists:
    """A bidder makes a commitment at most once in a job; another's copy of it is the copier's own."""

    commitment: bytes


@dataclass(frozen=True, slots=True)
class UnknownCommitment:
    """A batch opened nothing: nobody committed to its first element, or it is open already."""

    commitment: bytes


@dataclass(frozen=True, slots=True)
class AlreadyBid:
    """A job with bids can no longer be taken back."""

    commitments: int


@dataclass(frozen=True, slots=True)
class NotOnCommittee:
    """The account holds no drawn seat."""

    account: Address


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """The account has made this call already, and once is all it gets."""

    job_id: JobId
    account: Address


@dataclass(frozen=True, slots=True)
class WrongBoxCount:
    """There is one sealed box for each drawn seat."""

    actual: int
    wanted: int


@dataclass(frozen=True, slots=True)
class BoxTooLarge:
    """Bytes that everybody has to store are bounded."""

    actual_bytes: int
    most_bytes: int


@dataclass(frozen=True, slots=True)
class SeedBlockPending:
    """The committee is drawn only after the block whose hash goes into the seed."""

    seed_block: int
    current: int


@dataclass(frozen=True, slots=True)
class AlreadyDisclosed:
    """What the complaint is about is public."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class WrongAccused:
    """The complaint was about the other side's keys."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class NoAppealLeft:
    """The job had all its appeals, or the next committee would be too large."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class NothingTaken:
    """Not one element of a relayed batch could be taken."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class SeatNotYours:
    """Only its owner can let a seat leave; the zero address owns what does not exist."""

    seat: int
    owner: Address


@dataclass(frozen=True, slots=True)
class SeatBusy:
    """The seat sits on a committee."""

    seat: int


@dataclass(frozen=True, slots=True)
class SeatBonding:
    """The seat is leaving, and its unbonding time is not over."""

    seat: int
    free_at: Timestamp


@dataclass(frozen=True, slots=True)
class SeatNotLeaving:
    """The seat's leaving was not announced."""

    seat: int


Refusal = (
    WrongState
    | TooLate
    | TooEarly
    | WrongCaller
    | InsufficientBalance
    | WrongPreimage
    | JobExists
    | BadTerms
    | NotEnoughSeats
    | UserMayNotBid
    | CommitmentExists
    | UnknownCommitment
    | AlreadyBid
    | NotOnCommittee
    | AlreadyDone
    | WrongBoxCount
    | BoxTooLarge
    | SeedBlockPending
    | AlreadyDisclosed
    | WrongAccused
    | NoAppealLeft
    | NothingTaken
    | SeatNotYours
    | SeatBusy
    | SeatBonding
    | SeatNotLeaving
)
