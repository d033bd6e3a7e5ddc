"""Everything that an account can ask of the contracts, one frozen class a function, named and ordered as there.

What a job committed to stands on chain as two hashes: its own name, made of the three hashes in its terms
(``job_id_of``), and the root of the winner's model (``model_root``).  Whoever shows one preimage brings the hashes
beside it.
"""

from dataclasses import dataclass
from enum import IntFlag

from morphware.protocol.units import Address, JobId, Wei


class Option(IntFlag):
    """What a job may be besides ordinary."""

    PUBLIC = 1
    """The end user's keys are public from the start, so nobody can complain about them."""
    LINEAR = 2
    """A model between baseline and threshold is paid its share of the price."""
    SPLIT = 4
    """Chunks of the data that are drawn after the award test the model (``split.py``); not with PUBLIC."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job promises on chain.

    ``threshold_e6`` and ``tolerance_e6`` are millionths of the metric; ``fingerprint_tolerance_e9`` is a share of the
    reference fingerprint in billionths.  ``train_key_hash`` commits to the 64 bytes (training key, code key) that the
    winner gets, ``test_key_hash`` to the 64 bytes (testing key, code key) that the committee gets, ``seed_hash`` to
    the end user's 32-byte share of the committee's seed.  A split job's first two are others (``split.py``).
    ``options`` are bits of ``Option``; ``baseline_e6`` is what a LINEAR job pays nothing for, and 0 in every other job.
    """

    reserve_wei: Wei
    fee_wei: Wei
    seats: int
    threshold_e6: int
    tolerance_e6: int
    fingerprint_tolerance_e9: int
    bidding_s: int
    training_s: int
    testing_s: int
    estimated_s: int
    train_key_hash: bytes
    test_key_hash: bytes
    seed_hash: bytes
    options: int = 0
    baseline_e6: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """The preimage of a bid's commitment. ``salt`` is itself the hash of the bidder's share of the committee's seed."""

    bidder: Address
    price_wei: Wei
    is_authentic: bool
    estimated_s: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """The preimage of a validator's commitment."""

    validator: Address
    metric_e6: int
    fingerprint_e9: int
    prediction_root: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class SignedBid:
    """A sealed bid that somebody else may bring on chain; the signature is EIP-712's ``Commit``."""

    bidder: Address
    commitment: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A sealed report that somebody else may bring on chain; the signature is EIP-712's ``CommitReport``."""

    validator: Address
    commitment: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ModelRoot:
    """The four words of a submitted model, whose hash stands on chain."""

    model_hash: bytes
    x_hash: bytes
    y_hash: bytes
    worker_seed: bytes


@dataclass(frozen=True, slots=True)
class Approve:
    """Let the market draw ``amount_wei`` tokens from the caller's wallet (a call to the token)."""

    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class Deposit:
    """Move tokens from the caller's wallet into its free balance in the market."""

    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Move tokens from the caller's free balance to its wallet."""

    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class Stake:
    """Turn free balance into ``count`` validator seats."""

    count: int


@dataclass(frozen=True, slots=True)
class RequestUnstake:
    """Announce that a seat leaves: it is not drawn any more, and its stake is free after the unbonding time."""

    seat: int


@dataclass(frozen=True, slots=True)
class Unstake:
    """Take a leaving seat's stake back, once the unbonding time is over."""

    seat: int


@dataclass(frozen=True, slots=True)
class FundAudits:
    """Give free balance to the pool that random audits are paid from; it never comes back."""

    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class PublishNode:
    """Put the caller's public keys and addresses on chain, for those who missed its node record."""

    encryption_key: bytes
    peer_key: bytes
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """Post a job with its encoded specification and escrow reserve, fees and the user's bond."""

    terms: Terms
    spec: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a job back while nobody has bid."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class Commit:
    """Bid, sealed: lock the uniform bond behind a commitment."""

    job_id: JobId
    commitment: bytes


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """Bring others' signed bids on chain; each bidder's own balance is locked."""

    job_id: JobId
    bids: tuple[SignedBid, ...]


@dataclass(frozen=True, slots=True)
class RevealBids:
    """Open bids; anybody may open anybody's."""

    job_id: JobId
    openings: tuple[Opening, ...]


@dataclass(frozen=True, slots=True)
class DrawSplit:
    """Draw the seed that picks a split job's testing chunks; anybody may."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class PostKeys:
    """Hand the training and code keys to the winner, in a sealed box."""

    job_id: JobId
    box: bytes


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Accept the data: from now on its faults are the winner's."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class Decline:
    """Refuse the data: both sides burn the same small part of their bonds."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class ComplainKey:
    """The winner could not open its keys or the data: the end user has to publish the keys."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class DiscloseKey:
    """Answer the winner's complaint: publish the training key and the code key, 64 bytes.

    Of a split job they are a disclosure of its training chunks (``split.py``).
    """

    job_id: JobId
    keys: bytes
    seed_hash: bytes
    test_key_hash: bytes


@dataclass(frozen=True, slots=True)
class SubmitModel:
    """Commit to the trained model: hash, both key halves' hashes, the worker's seed share, the encoded manifest."""

    job_id: JobId
    model_hash: bytes
    x_hash: bytes
    y_hash: bytes
    worker_seed: bytes
    model: bytes


@dataclass(frozen=True, slots=True)
class RevealSeed:
    """Reveal the end user's seed share: the committee is drawn."""

    job_id: JobId
    user_seed: bytes
    train_key_hash: bytes
    test_key_hash: bytes
    model: ModelRoot


@dataclass(frozen=True, slots=True)
class ComplainX:
    """The end user could not open x, its half of the model's key: the winner has to publish it."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class DiscloseX:
    """Answer the end user's complaint: publish x."""

    job_id: JobId
    x: bytes
    model_hash: bytes
    y_hash: bytes
    worker_seed: bytes


@dataclass(frozen=True, slots=True)
class PostTestKeys:
    """Hand the testing and code keys to each drawn validator, in the committee's order."""

    job_id: JobId
    boxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PostModelKeys:
    """Hand both halves of the model's key to each drawn validator, in the committee's order."""

    job_id: JobId
    boxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CommitReport:
    """Commit to a report without showing it."""

    job_id: JobId
    commitment: bytes


@dataclass(frozen=True, slots=True)
class CommitReportBatch:
    """Bring others' signed report commitments on chain."""

    job_id: JobId
    reports: tuple[SignedReport, ...]


@dataclass(frozen=True, slots=True)
class ComplainKeys:
    """A drawn validator could not open its keys: the end user, or else the winner, has to publish them."""

    job_id: JobId
    against_user: bool


@dataclass(frozen=True, slots=True)
class DiscloseTest:
    """Answer a validator's complaint: publish the testing key and the code key, 64 bytes; anybody who has them may.

    Of a split job they are a disclosure of its testing chunks (``split.py``).
    """

    job_id: JobId
    keys: bytes
    seed_hash: bytes
    train_key_hash: bytes


@dataclass(frozen=True, slots=True)
class DiscloseModel:
    """Answer a validator's complaint: publish both halves of the model's key; anybody who has them may."""

    job_id: JobId
    x: bytes
    y: bytes
    model_hash: bytes
    worker_seed: bytes


@dataclass(frozen=True, slots=True)
class RevealReports:
    """Open reports; anybody may open anybody's."""

    job_id: JobId
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Publish y, the hash lock's preimage: the claim that pays the worker and completes the end user's key."""

    job_id: JobId
    y: bytes
    model_hash: bytes
    x_hash: bytes
    worker_seed: bytes


@dataclass(frozen=True, slots=True)
class Appeal:
    """Doubt a round's finding: a committee of twice the size tests again, and its fees are the appellant's bond."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class InspectAppeal:
    """The end user opened the model it is about to pay for, and found it wanting: one more round."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class Poke:
    """Move a job whose deadline has passed."""

    job_id: JobId


JobCall = (
    Post
    | Cancel
    | Commit
    | CommitBatch
    | RevealBids
    | DrawSplit
    | PostKeys
    | Acknowledge
    | Decline
    | ComplainKey
    | DiscloseKey
    | SubmitModel
    | RevealSeed
    | ComplainX
    | DiscloseX
    | PostTestKeys
    | PostModelKeys
    | CommitReport
    | CommitReportBatch
    | ComplainKeys
    | DiscloseTest
    | DiscloseModel
    | RevealReports
    | Claim
    | Appeal
    | InspectAppeal
    | Poke
)


@dataclass(frozen=True, slots=True)
class Multicall:
    """Several calls about one job in one transaction, in this order: all of them, or none."""

    job_id: JobId
    calls: tuple[JobCall, ...]


AccountCall = Approve | Deposit | Withdraw | Stake | RequestUnstake | Unstake | FundAudits | PublishNode
Call = JobCall | AccountCall
