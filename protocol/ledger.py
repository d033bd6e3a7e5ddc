"""Money lives in buckets, and every transition of the market only moves it between them.

    wallet --deposit--> Free(account) --post--> Escrow(job, RESERVE | FEES | USER_BOND)
                             |  ^ |---commit--> Escrow(job, BID_BONDS)
                             |  | |---stake---> SeatStake(seat) --slash--> Escrow(job, POOL)
    wallet <--withdraw-------'  '---- settlement, from any bucket of the job, or Burned(job), or AuditPool

    Free(account) --fund_audits--> AuditPool --audit--> Escrow(job, POOL) --a changed verdict--> AuditPool

Conservation: the sum over all buckets equals deposits less withdrawals after every call.  No bucket is ever negative,
and a closed job's five escrow buckets are empty.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from morphware.protocol.units import Address, JobId, Wei


class Part(Enum):
    """What a job holds money for."""

    RESERVE = "reserve"
    FEES = "fees"
    USER_BOND = "user bond"
    BID_BONDS = "bid bonds"
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class Free:
    """An account's own money: it may be withdrawn at any time."""

    account: Address


@dataclass(frozen=True, slots=True)
class SeatStake:
    """What a validator's seat can lose."""

    seat: int


@dataclass(frozen=True, slots=True)
class Escrow:
    """One purpose's money in one job."""

    job_id: JobId
    part: Part


@dataclass(frozen=True, slots=True)
class Burned:
    """What a job took out of the world: money comes in and never leaves."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class AuditPool:
    """What random audits are paid from: it belongs to nobody, and leaves only for the fees of an audit's committee."""


Bucket = Free | SeatStake | Escrow | Burned | AuditPool


@dataclass(frozen=True, slots=True)
class Move:
    """An amount goes from one bucket to another; nothing else ever happens to money."""

    source: Bucket
    target: Bucket
    amount_wei: int


@dataclass(slots=True)
class Ledger:
    """All buckets, and what came in and went out."""

    buckets: dict[Bucket, int] = field(default_factory=dict)
    deposited_wei: int = 0
    withdrawn_wei: int = 0

    def balance(self, bucket: Bucket) -> Wei:
        """What lies in a bucket; one never used is empty."""
        return Wei(self.buckets.get(bucket, 0))

    def free(self, account: Address) -> Wei:
        """What an account may withdraw, bid or stake with."""
        return self.balance(Free(account))

    def held(self, job_id: JobId) -> Wei:
        """All that a job holds in escrow: nothing, once it is closed."""
        return Wei(sum(self.balance(Escrow(job_id, part)) for part in Part))

    def burned_by(self, job_id: JobId) -> Wei:
        """All that a job burned so far."""
        return self.balance(Burned(job_id))

    def burned(self) -> Wei:
        """All that was ever burned."""
        return Wei(sum(amount for bucket, amount in self.buckets.items() if isinstance(bucket, Burned)))

    def audit_pool(self) -> Wei:
        """All that there is for random audits."""
        return self.balance(AuditPool())

    def deposit(self, account: Address, amount_wei: int) -> None:
        """Money enters the market by this door only."""
        assert amount_wei >= 0
        self.buckets[Free(account)] = self.free(account) + amount_wei
        self.deposited_wei += amount_wei

    def withdraw(self, account: Address, amount_wei: int) -> None:
        """Money leaves the market by this door only."""
        assert 0 <= amount_wei <= self.free(account)
        self.buckets[Free(account)] = self.free(account) - amount_wei
        self.withdrawn_wei += amount_wei

    def apply(self, moves: Iterable[Move]) -> None:
        """Carry out moves in their order; a move that its source cannot cover is our bug."""
        for move in moves:
            assert 0 <= move.amount_wei <= self.balance(move.source), move
            self.buckets[move.source] = self.balance(move.source) - move.amount_wei
            self.buckets[move.target] = self.balance(move.target) + move.amount_wei

    def is_conserved(self) -> bool:
        """Nothing was made and nothing was lost."""
        return (
            sum(self.buckets.values()) == self.deposited_wei - self.withdrawn_wei
            and min(self.buckets.values(), default=0) >= 0
        )
