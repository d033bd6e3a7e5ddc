"""A validator's seats as their owner wants them: taken at the start, given up when told to, stakes fetched when free.

A seat that leaves binds its stake for the market's unbonding time, and longer while it sits in a job; then somebody has
to ask for it, and this node does.  How many seats are wanted is the newest word: the configuration's, until the owner
takes or gives up seats while the node runs, and the configuration's again when that is changed.
"""

import json
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog
import trio

from morphware.node.account_events import AccountEvent, SeatLeaving, SeatReleased, SeatsStaked
from morphware.node.errors import MorphwareError
from morphware.node.journal import Journal
from morphware.node.treasury import Treasury
from morphware.protocol.calls import Unstake
from morphware.protocol.units import Address, Timestamp, Wei

log = structlog.get_logger()

WANTED_KEY: Final = "seats wanted"
PERIOD_S: Final = 5.0
AGAIN_S: Final = 120.0
"""A stake that could not be had, as its seat sits in a job, is asked for again so much later."""


def seats_wanted(journal: Journal, configured: int) -> int:
    """How many seats this node should hold."""
    kept = json.loads(journal.get(WANTED_KEY) or "null")
    return int(kept["wanted"]) if kept is not None and kept["configured"] == configured else configured


def want_seats(journal: Journal, configured: int, wanted: int) -> None:
    """Keep what the owner said, until the configuration says something else than now."""
    with journal.transaction():
        journal.put(WANTED_KEY, json.dumps({"wanted": wanted, "configured": configured}))


class SeatReader(Protocol):
    """What is asked of the chain here."""

    @property
    def account(self) -> Address: ...

    async def staying_seats(self, account: Address) -> tuple[int, ...]: ...


async def take_seats(treasury: Treasury, chain: SeatReader, wanted: int, stake_wei: Wei) -> None:
    """Stake for the validator seats that are missing; one that leaves is not held any more."""
    held = await chain.staying_seats(chain.account)
    await treasury.ensure_seats(len(held), wanted, stake_wei)


def leaving_seats(events: Iterable[AccountEvent]) -> dict[int, Timestamp]:
    """Seats that have left, by number, with when their stakes are free."""
    leaving: dict[int, Timestamp] = {}
    for event in events:
        match event:
            case SeatLeaving(seat=seat, free_at=free_at):
                leaving[seat] = free_at
            case SeatReleased(seat=seat):
                leaving.pop(seat, None)
            case SeatsStaked(seats=seats):
                for seat in seats:
                    leaving.pop(seat, None)
    return leaving


async def fetch_stakes(journal: Journal, treasury: Treasury, chain_time: Callable[[], Timestamp]) -> None:
    """Ask for the stakes of seats that have left as soon as they are free, until cancelled."""
    asked_at: dict[int, float] = {}
    while True:
        for seat, free_at in leaving_seats(journal.seat_events()).items():
            is_new = trio.current_time() - asked_at.get(seat, -AGAIN_S) >= AGAIN_S
            if free_at <= chain_time() and is_new:
                asked_at[seat] = trio.current_time()
                try:
                    await treasury.do(Unstake(seat))
                except MorphwareError as error:
                    log.info("stake_waits", seat=seat, reason=error.sentence)
                else:
                    log.info("stake_returned", seat=seat)
        await trio.sleep(PERIOD_S)
