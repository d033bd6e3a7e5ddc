"""The account's history as the API tells it; it is read in a thread, anew for each block that somebody asks at."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import trio

from morphware.node.account_history import account_history, earnings
from morphware.node.api.answers.node import EarningsDay, History, HistoryAsked, HistoryEntry, Slash
from morphware.node.api.running import Running
from morphware.node.job_money import Entry, Kind

LOSSES = (Kind.SLASHED, Kind.BOND_LOST)


@dataclass(slots=True)
class LedgerBook:
    """Entries of the newest block that was asked at."""

    node: Running
    _block: int = -1
    _entries: list[Entry] = field(default_factory=list)
    _reading: trio.Lock = field(default_factory=trio.Lock)

    async def page(self, asked: HistoryAsked) -> History:
        """One page, newest first."""
        entries = (await self._read())[::-1]
        first = (asked.page - 1) * asked.size
        return History(
            entries=[self._told(entry) for entry in entries[first : first + asked.size]],
            total=len(entries),
            page=asked.page,
            size=asked.size,
        )

    async def earnings(self) -> list[EarningsDay]:
        """What each role gained, less what it lost, by day."""
        return [
            EarningsDay(
                day=datetime.fromtimestamp(earning.day, UTC).date().isoformat(),
                role=earning.role,
                amount_wei=str(int(earning.net_wei)),
            )
            for earning in earnings(await self._read())
        ]

    async def slashes(self) -> list[Slash]:
        """Penalties with their reasons, newest first."""
        return [
            Slash(
                time_s=entry.time,
                job_id=entry.job_id.hex(),
                amount_wei=str(-entry.net_wei),
                sentence=_sentence(entry.reason),
            )
            for entry in reversed(await self._read())
            if entry.kind in LOSSES and entry.job_id is not None
        ]

    async def _read(self) -> list[Entry]:
        async with self._reading:
            block = self.node.engine.now.block
            if block != self._block:
                account, stake_wei = self.node.account, self.node.parameters.seat_stake_wei
                self._entries = await self.node.read(lambda journal: account_history(journal, account, stake_wei))
                self._block = block
            return self._entries

    def _told(self, entry: Entry) -> HistoryEntry:
        transaction = None if entry.transaction_hash is None else "0x" + entry.transaction_hash.hex()
        return HistoryEntry(
            time_s=entry.time,
            block=entry.block,
            kind=entry.kind,
            sentence=_sentence(entry.reason),
            amount_wei=str(int(entry.free_wei)),
            net_wei=str(int(entry.net_wei)),
            role=entry.role,
            job_id=entry.job_id.hex() if entry.job_id else None,
            transaction=transaction,
            link=self.node.link_to(transaction),
        )


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + "."
