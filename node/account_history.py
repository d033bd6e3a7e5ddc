"""Where an account's money came from and went to: every movement inside the market, each with its transaction.

The changes of ``free_wei``, added up, are the account's free balance on the chain; those of ``locked_wei`` are its
seats' stakes and what its open jobs hold of it.  Gas is no part of it: it is paid in another coin (``Journal.costs``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from morphware.node.account_events import (
    AccountEvent,
    AuditsFunded,
    Deposited,
    SeatLeaving,
    SeatReleased,
    SeatsStaked,
    Withdrawn,
)
from morphware.node.job_money import ACCOUNT, Entry, Kind, job_entries
from morphware.node.journal import Journal
from morphware.node.machines import VALIDATOR
from morphware.protocol.events import Moment
from morphware.protocol.units import Address, Timestamp, Wei

DAY_S: Final = 24 * 3600
NO_EARNINGS: Final = (Kind.DEPOSITED, Kind.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Earning:
    """What an account gained and lost as one role on one day (UTC); ``day`` is the day's first second.

    What is locked, or comes back, is neither; gains and losses are both positive.
    """

    day: Timestamp
    role: str
    gained_wei: Wei
    lost_wei: Wei

    @property
    def net_wei(self) -> int:
        """Gains less losses."""
        return self.gained_wei - self.lost_wei


def account_history(journal: Journal, account: Address, seat_stake_wei: Wei) -> list[Entry]:
    """Every movement of the account's money, the oldest first.

    It reads much: give it ``journal.reader()`` and a thread.

    Args:
        seat_stake_wei: what the market wants for each seat.
    """
    entries = [
        entry
        for event, now, known in journal.account_events()
        if (entry := _account_entry(event, now, known, seat_stake_wei)) is not None
    ]
    for job_id in journal.jobs_naming(account):
        entries += job_entries(journal.timeline(job_id), account)
    return sorted(entries, key=lambda entry: entry.block)  # stable: within a block, seats before jobs


def earnings(entries: Iterable[Entry]) -> list[Earning]:
    """Gains and losses by day and role, the oldest day first; days and roles without any are left out."""
    gained: dict[tuple[int, str], int] = {}
    lost: dict[tuple[int, str], int] = {}
    for entry in entries:
        if entry.net_wei and entry.kind not in NO_EARNINGS:
            key = (entry.time // DAY_S * DAY_S, entry.role)
            gained[key] = gained.get(key, 0) + max(0, entry.net_wei)
            lost[key] = lost.get(key, 0) + max(0, -entry.net_wei)
    return [Earning(Timestamp(key[0]), key[1], Wei(gained[key]), Wei(lost[key])) for key in sorted(gained)]


def _account_entry(event: AccountEvent, now: Moment, known: bytes | None, seat_stake_wei: Wei) -> Entry | None:
    def entry(kind: Kind, role: str, free_wei: int, locked_wei: int, reason: str) -> Entry:
        return Entry(kind, role, free_wei, locked_wei, reason, now.timestamp, now.block, known)

    match event:
        case Deposited(amount_wei=amount_wei):
            return entry(Kind.DEPOSITED, ACCOUNT, amount_wei, 0, "from the wallet into the market")
        case Withdrawn(amount_wei=amount_wei):
            return entry(Kind.WITHDRAWN, ACCOUNT, -amount_wei, 0, "from the market into the wallet")
        case AuditsFunded(amount_wei=amount_wei):
            return entry(Kind.AUDITS_FUNDED, ACCOUNT, -amount_wei, 0, "given for random audits")
        case SeatsStaked(seats=seats):
            stake_wei = len(seats) * seat_stake_wei
            return entry(Kind.STAKED, VALIDATOR, -stake_wei, stake_wei, f"the stake of {len(seats)} seats")
        case SeatReleased(seat=seat):
            return entry(Kind.UNSTAKED, VALIDATOR, seat_stake_wei, -seat_stake_wei, f"seat {seat} is no more")
        case SeatLeaving():
            return None
