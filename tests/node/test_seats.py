"""Seats: how many are wanted, which of them leave, and that their stakes come back by themselves."""

from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.account_events import (
    AccountEvent,
    AuditsFunded,
    Deposited,
    SeatLeaving,
    SeatReleased,
    SeatsStaked,
    Withdrawn,
)
from morphware.node.journal import Journal
from morphware.node.seats import PERIOD_S, fetch_stakes, leaving_seats, seats_wanted, want_seats
from morphware.node.treasury import Treasury
from morphware.protocol import calls
from morphware.protocol.events import Moment
from morphware.protocol.units import Address, Timestamp, Wei
from tests.node.testnet.test_accounting import TIMING, Market, market, open_a_job  # noqa: F401

ME = Address(b"\1" * 20)


def test_the_newest_word_says_how_many_seats_are_wanted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    assert seats_wanted(journal, 4) == 4
    want_seats(journal, 4, 2)
    assert seats_wanted(journal, 4) == 2
    assert seats_wanted(journal, 5) == 5, "who edits the configuration after that means the configuration"
    journal.close()


def test_a_seat_leaves_until_its_stake_is_back_or_its_number_is_staked_again() -> None:
    events: list[AccountEvent] = [
        Deposited(ME, Wei(5)), SeatsStaked(ME, (1, 2, 3)), SeatLeaving(ME, 1, Timestamp(50)),
        SeatLeaving(ME, 2, Timestamp(60)), SeatLeaving(ME, 3, Timestamp(70)), SeatReleased(ME, 1),
        SeatsStaked(ME, (2,)),
    ]  # fmt: skip
    assert leaving_seats(events) == {3: 70}
    assert leaving_seats([]) == {}


def test_of_an_accounts_own_events_those_about_seats_are_read_alone_and_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    told: list[AccountEvent] = [
        SeatsStaked(ME, (1, 2)), Deposited(ME, Wei(5)), SeatLeaving(ME, 1, Timestamp(50)), Withdrawn(ME, Wei(1)),
        AuditsFunded(ME, Wei(1)), SeatReleased(ME, 1),
    ]  # fmt: skip
    with journal.transaction():
        for event in told:
            journal.add_account_event(event, Moment(Timestamp(1), 1), None)
    assert journal.seat_events() == [told[0], told[2], told[5]]
    journal.close()


@pytest.mark.adapter
async def test_the_stake_of_a_seat_that_left_comes_back_by_itself_once_it_is_free(
    market: Market,  # noqa: F811
    tmp_path: Path,
) -> None:
    await open_a_job(market)
    who = "validator-1"
    account, chain = market.accounts[who], market.chains[who]
    await market.do(who, calls.RequestUnstake(3))
    journal, now = Journal(tmp_path / "journal.sqlite"), Moment(Timestamp(1), 1)
    free_at = await chain.pending_timestamp() + TIMING.unbonding_s
    with journal.transaction():
        journal.add_account_event(SeatLeaving(account, 3, Timestamp(free_at)), now, None)
    times = [now.timestamp]
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch_stakes, journal, Treasury(chain), lambda: times[-1])
            await trio.sleep(PERIOD_S)
            assert len(await chain.seats(account)) == 16, "too early"
            await market.rpc.ask("evm_increaseTime", hex(TIMING.unbonding_s + 1), answer=Any)
            await market.rpc.ask("anvil_mine", hex(1), answer=Any)
            times.append(Timestamp(await chain.pending_timestamp()))
            while len(await chain.seats(account)) > 15:  # noqa: ASYNC110
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
    assert 3 not in await chain.seats(account)
    journal.close()
