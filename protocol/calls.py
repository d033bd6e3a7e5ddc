"""Everything that an account can ask of the contracts, one frozen class a function, named and ordered as there."""

from dataclasses import dataclass

from morphware.protocol.units import Address, JobId, Wei


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job promises on chain.

    ``threshold_e6`` and ``tolerance_e6`` are millionths of the metric; ``fingerprint_tolerance_e9`` is a share of the
    reference fingerprint in billionths.  ``train_key_hash`` commits to the 64 bytes (training key, code key) that the
    winner gets, ``test_key_hash`` to the 64 bytes (testing key, code key) that the committee gets, ``seed_hash`` to
    the end user's 32-byte share of the committee's seed.
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
class RevealBids:
    """Open bids; anybody may open anybody's."""

    job_id: JobId
    openings: tuple[Opening, ...]


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
class RevealReports:
    """Open reports; anybody may open anybody's."""

    job_id: JobId
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Publish y, the hash lock's preimage: the claim that pays the worker and completes the end user's key."""

    job_id: JobId
    y: bytes


@dataclass(frozen=True, slots=True)
class Poke:
    """Move a job whose deadline has passed."""

    job_id: JobId


JobCall = (
    Post
    | Cancel
    | Commit
    | RevealBids
    | PostKeys
    | Acknowledge
    | Decline
    | SubmitModel
    | RevealSeed
    | PostTestKeys
    | PostModelKeys
    | CommitReport
    | RevealReports
    | Claim
    | Poke
)
AccountCall = Approve | Deposit | Withdraw | Stake | PublishNode
Call = JobCall | AccountCall
