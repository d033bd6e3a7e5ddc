"""Everything that the contracts say, one frozen class an event, named and ordered as there.

The pure market (``job.py``) emits the same classes, so a brain cannot tell which of the two it is listening to.
"""

from dataclasses import dataclass

from morphware.protocol.calls import Terms
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei


@dataclass(frozen=True, slots=True)
class NodePublished:
    """An account put its keys and addresses on chain."""

    account: Address
    encryption_key: bytes
    peer_key: bytes
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobPosted:
    """A job is open for bids; ``spec`` is the encoded specification with the magnet links."""

    job_id: JobId
    user: Address
    terms: Terms
    spec: bytes


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The job entered a state (or the same state anew) with a deadline; CLOSED has deadline 0."""

    job_id: JobId
    state: State
    deadline: Timestamp


@dataclass(frozen=True, slots=True)
class BidCommitted:
    """A sealed bid is on chain, ``sequence`` counting from 0."""

    job_id: JobId
    bidder: Address
    commitment: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class BidOpened:
    """A bid was opened."""

    job_id: JobId
    bidder: Address
    commitment: bytes
    price_wei: Wei
    is_authentic: bool
    estimated_s: int


@dataclass(frozen=True, slots=True)
class JobAwarded:
    """The auction is over: the winner, what it bid, what it will be paid, how many bids stayed shut."""

    job_id: JobId
    winner: Address
    bid_wei: Wei
    price_wei: Wei
    unopened: int


@dataclass(frozen=True, slots=True)
class SplitDrawn:
    """The seed is there that picks a split job's testing chunks."""

    job_id: JobId
    seed: bytes


@dataclass(frozen=True, slots=True)
class KeysPosted:
    """The winner's sealed box with the training and code keys."""

    job_id: JobId
    box: bytes


@dataclass(frozen=True, slots=True)
class KeyDisclosed:
    """The training key and the code key, in clear: the winner had complained."""

    job_id: JobId
    keys: bytes


@dataclass(frozen=True, slots=True)
class ModelSubmitted:
    """The winner committed to a model; ``seed_block`` is the block whose hash goes into the committee's seed."""

    job_id: JobId
    model_hash: bytes
    x_hash: bytes
    y_hash: bytes
    worker_seed: bytes
    seed_block: int
    model: bytes


@dataclass(frozen=True, slots=True)
class CommitteeDrawn:
    """The validators of a round, in seat order."""

    job_id: JobId
    round: int
    seed: bytes
    validators: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class XDisclosed:
    """The end user's half of the model's key, in clear: the end user had complained."""

    job_id: JobId
    x: bytes


@dataclass(frozen=True, slots=True)
class TestKeysPosted:
    """The committee's sealed boxes with the testing and code keys, in seat order."""

    __test__ = False  # not a test class, whatever its name says to pytest

    job_id: JobId
    boxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ModelKeysPosted:
    """The committee's sealed boxes with the model's key halves, in seat order."""

    job_id: JobId
    boxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeysComplained:
    """A validator could not open the keys of the end user, or else of the winner, who now has to publish them."""

    job_id: JobId
    validator: Address
    against_user: bool


@dataclass(frozen=True, slots=True)
class TestKeysDisclosed:
    """The testing key and the code key, in clear."""

    __test__ = False  # not a test class, whatever its name says to pytest

    job_id: JobId
    keys: bytes


@dataclass(frozen=True, slots=True)
class ModelKeysDisclosed:
    """Both halves of the model's key, in clear; y counts as claimed only once it is claimed."""

    job_id: JobId
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True)
class ReportCommitted:
    """A validator committed to its report."""

    job_id: JobId
    round: int
    validator: Address
    commitment: bytes


@dataclass(frozen=True, slots=True)
class ReportRevealed:
    """A validator's report is open."""

    job_id: JobId
    round: int
    validator: Address
    metric_e6: int
    fingerprint_e9: int
    prediction_root: bytes


@dataclass(frozen=True, slots=True)
class RoundTallied:
    """A round's own finding, NONE where it found nothing, with its lower medians (0 where it is not about a metric)."""

    job_id: JobId
    round: int
    verdict: Verdict
    metric_e6: int
    fingerprint_e9: int


@dataclass(frozen=True, slots=True)
class Appealed:
    """Somebody doubts the finding, and pays for a committee of ``seats``."""

    job_id: JobId
    appellant: Address
    seats: int
    bond_wei: Wei


@dataclass(frozen=True, slots=True)
class AppealUnheard:
    """No committee could be drawn for the last appeal, which is undone: of its bond the audit pool has kept a part.

    The market's own doubt has no appellant: the zero address stands for a random audit, whose whole bond the pool got.
    """

    job_id: JobId
    appellant: Address
    bond_wei: Wei
    kept_wei: Wei


@dataclass(frozen=True, slots=True)
class Audited:
    """The market itself doubts the finding, at random: its audit pool pays for a committee of ``seats``."""

    job_id: JobId
    seats: int
    bond_wei: Wei


@dataclass(frozen=True, slots=True)
class Claimed:
    """y is public: the end user can open the model."""

    job_id: JobId
    y: bytes


@dataclass(frozen=True, slots=True)
class SeatSettled:
    """A validator's seat was released with its fee and its slash."""

    job_id: JobId
    validator: Address
    fee_wei: Wei
    slash_wei: Wei


@dataclass(frozen=True, slots=True)
class PokeRewarded:
    """Whoever moved the silent job got a small part of what would have burned."""

    job_id: JobId
    poker: Address
    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class JobClosed:
    """The job ended; ``burned_wei`` is everything that it burned, ``price_wei`` what the winner was paid."""

    job_id: JobId
    outcome: Outcome
    winner: Address
    price_wei: Wei
    burned_wei: Wei


JobEvent = (
    JobPosted
    | StateChanged
    | BidCommitted
    | BidOpened
    | JobAwarded
    | SplitDrawn
    | KeysPosted
    | KeyDisclosed
    | ModelSubmitted
    | CommitteeDrawn
    | XDisclosed
    | TestKeysPosted
    | ModelKeysPosted
    | KeysComplained
    | TestKeysDisclosed
    | ModelKeysDisclosed
    | ReportCommitted
    | ReportRevealed
    | RoundTallied
    | Appealed
    | AppealUnheard
    | Audited
    | Claimed
    | SeatSettled
    | PokeRewarded
    | JobClosed
)
ChainEvent = NodePublished | JobEvent
