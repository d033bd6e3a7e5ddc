"""The account's money moves once for each request's name, through crashes at every instant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from morphware.node.api.answers.node import MoveAsked, StakeAsked
from morphware.node.api.answers.plain import Done
from morphware.node.api.once import Named
from morphware.node.api.problems import BAD_INPUT, CONFLICT, Refusal
from morphware.node.api.routes import Call
from morphware.node.api.wallet import WalletRequests
from morphware.node.chain.market_reader import MarketParameters
from morphware.node.config import Config, NodeSection, Role, ValidatorSection
from morphware.node.journal import Journal
from morphware.node.seats import leaving_seats, seats_wanted, take_seats
from morphware.node.treasury import NotEnoughTokens, Treasury
from morphware.protocol import calls
from morphware.protocol.units import Address, Wei
from tests.node.fuse import FusedConnection, Killed
from tests.node.memory_ports import MemoryChain
from tests.node.world import BLOCK_S, SEAT_STAKE_WEI, TIMING, Node, World

CONFIGURED = 3
FREE_WEI, WALLET_WEI = 100, 500
STAKE_2 = [calls.Deposit(Wei(2 * SEAT_STAKE_WEI - FREE_WEI)), calls.Stake(2)]
ONCE: dict[str, tuple[int, list[object]]] = {
    "deposit": (400, [calls.Deposit(Wei(400))]),
    "withdraw": (80, [calls.Withdraw(Wei(80))]),
    "stake": (2, STAKE_2),
    "unstake": (2, [calls.RequestUnstake(2), calls.RequestUnstake(1)]),
}
"""What is asked for, and the calls that carry it out, approvals aside."""


class _SeatedChain(MemoryChain):
    """The chain with what is asked of an account's seats."""

    async def staying_seats(self, account: Address) -> tuple[int, ...]:
        await trio.lowlevel.checkpoint()
        seats = self.world.market.registry.seats
        return tuple(number for number, seat in seats.items() if seat.owner == account and not seat.free_at)


class Holder:
    """A validator whose owner moves money; what survives its crashes are its folder and the chain."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.node = Node(self.world, "holder", "validator")
        self.node.enrol(
            free_wei=FREE_WEI + CONFIGURED * SEAT_STAKE_WEI, wallet_wei=WALLET_WEI, seats=CONFIGURED
        )  # fmt: skip
        self.chain = _SeatedChain(self.world, self.node.account, self.node.fuse)
        self.journal: Journal | None = None
        self.roles: tuple[Role, ...] = ("validator",)

    async def start(self) -> None:
        """Start (again): every validator takes the seats that it lacks first."""
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal(self.node.folder / "journal.sqlite")
        self.journal.connection = FusedConnection(self.journal.connection, self.node.fuse)  # type: ignore[assignment]
        treasury = Treasury(self.chain)
        await take_seats(treasury, self.chain, seats_wanted(self.journal, CONFIGURED), SEAT_STAKE_WEI)
        running = SimpleNamespace(
            engine=SimpleNamespace(journal=self.journal, treasury=treasury, promised_wei=lambda: Wei(0)),
            chain=self.chain,
            account=self.node.account,
            parameters=MarketParameters(SEAT_STAKE_WEI, TIMING),
            config=Config(node=NodeSection(roles=self.roles), validator=ValidatorSection(seats=CONFIGURED)),
        )
        self.requests = WalletRequests(cast(Any, running), cast(Any, None), Named(self.journal))

    async def ask(self, what: str, number: int, name: str | None = "monday") -> Done:
        """As `POST /wallet/deposit` and the others do."""
        is_of_seats = what in ("stake", "unstake")
        body = (
            StakeAsked(seats=number, request_id=name)
            if is_of_seats
            else MoveAsked(amount_wei=str(number), request_id=name)
        )
        done = await getattr(self.requests, what)(Call({}, None, body, cast(Any, None)))
        assert isinstance(done, Done)
        return done

    @property
    def carried_out(self) -> list[object]:
        return [sent.call for sent in self.world.sent if not isinstance(sent.call, calls.Approve)]

    @property
    def seats(self) -> tuple[list[int], list[int]]:
        """Those that stay, and those that leave."""
        seats = self.world.market.registry.seats
        return [k for k, seat in seats.items() if not seat.free_at], [k for k, seat in seats.items() if seat.free_at]


@asynccontextmanager
async def holding(folder: Path) -> AsyncIterator[Holder]:
    holder = Holder(folder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder.world.tick)
        await holder.start()
        yield holder
        nursery.cancel_scope.cancel()
    assert holder.journal is not None
    holder.journal.close()


@pytest.mark.parametrize("what", ONCE)
async def test_a_request_that_comes_again_is_answered_alike_and_moves_nothing(
    what: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    number, expected = ONCE[what]
    async with holding(tmp_path) as holder:
        first = await holder.ask(what, number)
        assert await holder.ask(what, number) == first
        await holder.start()
        assert await holder.ask(what, number) == first, "also after a restart"
        assert holder.carried_out == expected


async def test_a_node_that_does_not_validate_takes_no_seats_and_can_still_give_its_old_ones_up(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """As when the role was taken out of the configuration; a seat that nobody works for loses its stake."""
    async with holding(tmp_path) as holder:
        holder.roles = ("worker",)
        await holder.start()
        with pytest.raises(Refusal, match='lacks the role "validator"') as refused:
            await holder.ask("stake", 1)
        assert (refused.value.kind, refused.value.field) == (BAD_INPUT, "seats")
        await holder.ask("unstake", 1, "tuesday")
        assert holder.carried_out == [calls.RequestUnstake(2)]


@pytest.mark.parametrize("what", ONCE)
async def test_two_requests_by_one_name_at_the_same_time_are_one(
    what: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    number, expected = ONCE[what]
    async with holding(tmp_path) as holder:
        async with trio.open_nursery() as clicks:
            for _ in range(2):
                clicks.start_soon(holder.ask, what, number)
        assert holder.carried_out == expected


@pytest.mark.parametrize("down_s", [0.0, 3 * BLOCK_S])
@pytest.mark.parametrize("what", ONCE)
async def test_a_node_that_dies_at_any_instant_of_a_request_carries_it_out_once(
    what: str, down_s: float, tmp_path: Path, autojump_clock: MockClock
) -> None:
    number, expected = ONCE[what]
    for kill_at in count(1):
        async with holding(tmp_path / str(kill_at)) as holder:
            has_died = False
            holder.node.fuse.count, holder.node.fuse.kill_at = 0, kill_at
            try:
                await holder.ask(what, number)
            except Killed:
                has_died = True
                await trio.sleep(down_s)
                await holder.start()
            await holder.ask(what, number)
            await holder.start()
            assert holder.carried_out == expected, kill_at
        if not has_died:
            break
    assert kill_at > 2 * len(expected), "it died before and after every call"


@pytest.mark.parametrize(("what", "number"), [("deposit", 401), ("withdraw", 400), ("stake", 1)])
async def test_a_name_stands_for_one_request(what: str, number: int, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with holding(tmp_path) as holder:
        await holder.ask("deposit", 400)
        with pytest.raises(Refusal, match="give this one an id of its own") as refused:
            await holder.ask(what, number)
        assert (refused.value.kind, refused.value.field) == (CONFLICT, "request_id")
        await holder.ask("deposit", 40, name="tuesday")
        assert holder.carried_out == [calls.Deposit(Wei(400)), calls.Deposit(Wei(40))]


async def test_requests_without_a_name_are_carried_out_each(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with holding(tmp_path) as holder:
        for _ in range(2):
            await holder.ask("deposit", 40, name=None)
        assert holder.carried_out == 2 * [calls.Deposit(Wei(40))]


@pytest.mark.parametrize(
    ("what", "number"), [("deposit", WALLET_WEI + 1), ("withdraw", FREE_WEI + 1), ("stake", 9), ("unstake", 4)]
)
async def test_a_request_that_nothing_covers_is_refused_and_its_name_stays_free(
    what: str, number: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with holding(tmp_path) as holder:
        with pytest.raises((Refusal, NotEnoughTokens)):
            await holder.ask(what, number)
        assert holder.carried_out == []
        await holder.ask(what, 1)


async def test_a_request_that_the_contract_refuses_says_that_it_needs_another_name(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with holding(tmp_path) as holder:

        async def empty_the_wallet() -> None:
            await holder.world.until_sent(1)
            holder.world.wallets[holder.node.account] = 0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(empty_the_wallet)
            with pytest.raises(Refusal, match=r"give the request another request_id\.$") as refused:
                await holder.ask("deposit", 400)
        assert refused.value.kind == BAD_INPUT
        holder.world.wallets[holder.node.account] = WALLET_WEI
        with pytest.raises(Refusal, match=r"give the request another request_id\.$"):
            await holder.ask("deposit", 400)
        await holder.ask("deposit", 400, name="tuesday")


async def test_seats_that_leave_are_not_counted_when_others_are_staked(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with holding(tmp_path) as holder:
        await holder.ask("unstake", 1, name="monday")
        await holder.start()
        assert holder.seats == ([0, 1], [2]), "what was given up is not staked for again"
        await holder.ask("stake", 1, name="tuesday")
        await holder.start()
        assert holder.seats == ([0, 1, 3], [2]), "what was staked for is not staked for twice"
        await holder.ask("unstake", 3, name="wednesday")
        assert holder.seats == ([], [0, 1, 2, 3]), "what leaves already is not chosen again"
        assert holder.journal is not None
        holder.world.market.journal_of(holder.node.account, holder.journal)
        assert sorted(leaving_seats(holder.journal.seat_events())) == [0, 1, 2, 3]
