"""Everything that can happen to a brain: what the chain says, what peers say, and how its own effects ended."""

from dataclasses import dataclass

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Report, SignedBid, SignedReport
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.units import Address, Timestamp, Wei


@dataclass(frozen=True, slots=True)
class Moment:
    """When an event is handled: the newest final block's time and number. A brain knows no other clock."""

    timestamp: Timestamp
    block: int


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A new block is final; nothing else happened."""


@dataclass(frozen=True, slots=True)
class Started:
    """The brain begins its job. ``free_wei`` is the account's free balance, ``is_busy`` whether it is at capacity."""

    free_wei: Wei
    is_busy: bool


@dataclass(frozen=True, slots=True)
class CallDone:
    """A call was carried out and is final."""

    effect_id: str


@dataclass(frozen=True, slots=True)
class CallRefused:
    """The contract refused a call; ``error`` is the error's name, ``sentence`` what a person should read."""

    effect_id: str
    error: str
    sentence: str


@dataclass(frozen=True, slots=True)
class BidHeard:
    """A peer gossiped a sealed bid."""

    bidder: Address
    commitment: bytes
    nonce: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BidKeyHeard:
    """A peer gossiped the key of its sealed bid."""

    bidder: Address
    commitment: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class SignedBidsHeard:
    """A worker gossiped its signed commitments, for the end user to bring on chain; they are of one bidder."""

    bids: tuple[SignedBid, ...]


@dataclass(frozen=True, slots=True)
class SignedReportHeard:
    """A validator gossiped its signed commitment in a round, for one of its fellows to bring on chain."""

    round: int
    restarts: int
    report: SignedReport


@dataclass(frozen=True, slots=True)
class ReportHeard:
    """A validator gossiped the opening of its report in a round."""

    round: int
    report: Report


@dataclass(frozen=True, slots=True)
class BundlesSealed:
    """The end user's three folders are sealed and served."""

    code: SealedFile
    train: SealedFile
    test: SealedFile


@dataclass(frozen=True, slots=True)
class ChunksSealed:
    """The end user's code and the chunks of its data are sealed and served."""

    code: SealedFile
    chunks: tuple[SealedFile, ...]


@dataclass(frozen=True, slots=True)
class BundleFetched:
    """A bundle is unpacked in the job's folder ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class BundleFailed:
    """A bundle cannot be had: its ciphertext, key and hash do not fit, whatever is tried."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The training ended; ``reason`` is empty iff it ended well."""

    reason: str


@dataclass(frozen=True, slots=True)
class ModelSealed:
    """The trained model is sealed and served."""

    file: SealedFile
    archive_sha256: bytes


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The model was tested: metric in millionths (higher is better), fingerprint in billionths."""

    metric_e6: int
    fingerprint_e9: int
    prediction_root: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Funded:
    """The account's free balance that is not promised to anything else, now that it was asked for."""

    effect_id: str
    free_wei: Wei


@dataclass(frozen=True, slots=True)
class Appraised:
    """The free balances that were asked for, in the order of the accounts."""

    effect_id: str
    free_wei: tuple[Wei, ...]


Said = BidHeard | BidKeyHeard | SignedBidsHeard | SignedReportHeard | ReportHeard
"""What peers say that one role in a job has a use for."""
LocalEvent = (
    TimePassed
    | Started
    | CallDone
    | CallRefused
    | BidHeard
    | BidKeyHeard
    | SignedBidsHeard
    | SignedReportHeard
    | ReportHeard
    | BundlesSealed
    | ChunksSealed
    | BundleFetched
    | BundleFailed
    | TrainingEnded
    | ModelSealed
    | Evaluated
    | Funded
    | Appraised
)
Event = ChainEvent | LocalEvent
