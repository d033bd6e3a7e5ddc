"""The account's money: what is needed moves, once, and what is missing is said."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.errors import BadInput
from morphware.node.treasury import NotEnoughTokens, Treasury
from morphware.protocol.calls import Approve, Deposit, Stake
from morphware.protocol.units import Wei
from tests.node.world import SEAT_STAKE_WEI, Node, World


class Setting:
    """One account with its treasury, on a chain that makes a block a second."""

    def __init__(self, folder: Path, *, free_wei: int = 0, wallet_wei: int = 0) -> None:
        self.world = World(folder)
        self.node = Node(self.world, "account", "validator").enrol(free_wei=free_wei, wallet_wei=wallet_wei)
        self.treasury = Treasury(self.node.chain)

    @property
    def sent(self) -> list[object]:
        return [transaction.call for transaction in self.world.sent]

    @property
    def deposits(self) -> list[int]:
        return [call.amount_wei for call in self.sent if isinstance(call, Deposit)]

    @property
    def free_wei(self) -> int:
        return self.world.market.ledger.free(self.node.account)


async def test_what_is_free_already_moves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    setting = Setting(tmp_path, free_wei=100)
    await setting.treasury.ensure_free(Wei(100), "This")
    assert setting.sent == []


async def test_only_what_is_missing_moves(tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    setting = Setting(tmp_path, free_wei=30, wallet_wei=100)
    nursery.start_soon(setting.world.tick)
    await setting.treasury.ensure_free(Wei(100), "This")
    assert (setting.deposits, setting.free_wei) == ([70], 100)


async def test_wishes_at_the_same_time_count_no_token_twice(
    tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    setting = Setting(tmp_path, wallet_wei=1000)
    nursery.start_soon(setting.world.tick)
    async with trio.open_nursery() as wishes:
        for amount in (300, 100, 200, 300):
            wishes.start_soon(setting.treasury.ensure_free, Wei(amount), "This")
    assert setting.free_wei == 300
    assert sum(setting.deposits) == 300


async def test_an_approval_that_covers_it_is_not_given_again(
    tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    setting = Setting(tmp_path, wallet_wei=1000)
    nursery.start_soon(setting.world.tick)
    await setting.treasury.ensure_free(Wei(10), "This")
    await Treasury(setting.node.chain).ensure_free(Wei(20), "This")  # as after a restart
    assert sum(isinstance(call, Approve) for call in setting.sent) == 1
    setting.world.allowances[setting.node.account] = 5
    await setting.treasury.ensure_free(Wei(25), "This")
    assert sum(isinstance(call, Approve) for call in setting.sent) == 1
    await setting.treasury.ensure_free(Wei(50), "This")
    assert sum(isinstance(call, Approve) for call in setting.sent) == 2


async def test_too_few_tokens_are_said_with_what_there_is(tmp_path: Path, autojump_clock: MockClock) -> None:
    setting = Setting(tmp_path, free_wei=10**18, wallet_wei=10**18)
    with pytest.raises(NotEnoughTokens, match=r"Posting this job needs 3 tokens, and this account has 2"):
        await setting.treasury.ensure_free(Wei(3 * 10**18), "Posting this job")
    assert setting.sent == []


async def test_a_refused_deposit_is_a_sentence(
    tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    setting = Setting(tmp_path, wallet_wei=100)
    nursery.start_soon(setting.world.tick)

    async def spend() -> None:  # by another program, between the look and the deposit
        await setting.world.until(lambda: bool(setting.sent))
        setting.world.wallets[setting.node.account] = 0

    nursery.start_soon(spend)
    with pytest.raises(BadInput, match="The token refuses to move so much"):
        await setting.treasury.ensure_free(Wei(100), "This")
    setting.world.wallets[setting.node.account] = 100
    await setting.treasury.ensure_free(Wei(100), "This")
    assert setting.free_wei == 100


@pytest.mark.parametrize(
    ("free", "wallet", "promised", "expected"),
    [(0, 1000, 0, 200), (500, 0, 0, 500), (0, 120, 0, 100), (30, 30, 0, 50), (0, 40, 0, 0), (0, 1000, 70, 270),
     (60, 20, 70, 60), (100, 20, 70, 120), (0, 0, 0, 0)],
)  # fmt: skip
async def test_bonds_are_funded_as_far_as_the_tokens_go(
    free: int,
    wallet: int,
    promised: int,
    expected: int,
    tmp_path: Path,
    autojump_clock: MockClock,
    nursery: trio.Nursery,
) -> None:
    setting = Setting(tmp_path, free_wei=free, wallet_wei=wallet)
    nursery.start_soon(setting.world.tick)
    assert await setting.treasury.fund_bonds(Wei(50), most=4, besides=promised) == expected
    assert setting.free_wei == expected


async def test_a_validator_stakes_only_the_seats_that_are_missing(
    tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    setting = Setting(tmp_path, wallet_wei=10 * SEAT_STAKE_WEI)
    nursery.start_soon(setting.world.tick)
    await setting.treasury.ensure_seats(1, 3, SEAT_STAKE_WEI)
    assert setting.deposits == [2 * SEAT_STAKE_WEI]
    await setting.treasury.ensure_seats(3, 3, SEAT_STAKE_WEI)
    await setting.treasury.ensure_seats(5, 3, SEAT_STAKE_WEI)
    assert [call for call in setting.sent if isinstance(call, Stake)] == [Stake(2)]
