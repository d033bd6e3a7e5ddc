"""The follower against a real local chain: every final block once, in order, and no lie about reorganisations."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.chain.errors import DeepReorganisation
from morphware.node.chain.follower import CATCH_UP_BLOCKS, Follower, RawBlock
from morphware.node.chain.signing import Transaction

pytestmark = pytest.mark.adapter

LOGS_ITS_CALLDATA = "365f5f37365fa000"


async def take(blocks: AsyncIterator[RawBlock], count: int) -> list[RawBlock]:
    taken: list[RawBlock] = []
    async for block in blocks:
        taken.append(block)
        if len(taken) == count:
            break
    return taken


async def take_to(blocks: AsyncIterator[RawBlock], number: int) -> list[RawBlock]:
    taken: list[RawBlock] = []
    async for block in blocks:
        taken.append(block)
        if block.number >= number:
            break
    return taken


async def test_blocks_come_once_and_in_order_with_their_logs_and_timestamps(start_chain: Any) -> None:
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    contract = await chain.create(sender, LOGS_ITS_CALLDATA)
    other = await chain.create(sender, LOGS_ITS_CALLDATA + "00")
    start = await chain.rpc.block_number()
    for number in range(3):
        await sender.send(Transaction(contract, bytes([number])), effect_id=f"log {number}", kind="log")
        await sender.send(Transaction(other, bytes([number])), effect_id=f"other {number}", kind="log")
    async with aclosing(Follower(chain.rpc, contract, poll_s=0.05).follow(start)) as blocks:
        taken = await take(blocks, 6)
    assert [block.number for block in taken] == list(range(start + 1, start + 7))
    assert [[bytes(log.data) for log in block.logs] for block in taken] == [[b"\0"], [], [b"\1"], [], [b"\2"], []]
    for block in taken:
        header = await chain.rpc.header(block.number)
        assert header is not None
        assert (block.hash, block.timestamp) == (header.hash, header.timestamp)


async def test_only_blocks_with_enough_upon_them_are_handed_out(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    await chain.mine(10)
    async with aclosing(Follower(chain.rpc, b"\1" * 20, finality_blocks=4, poll_s=0.02).follow(0)) as blocks:
        assert [block.number for block in await take(blocks, 6)] == [1, 2, 3, 4, 5, 6]
        with trio.move_on_after(0.5):
            raise AssertionError(await anext(blocks))


async def test_a_shallow_reorganisation_is_never_seen(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    await chain.mine(10)
    async with aclosing(Follower(chain.rpc, b"\1" * 20, finality_blocks=4, poll_s=0.02).follow(0)) as blocks:
        taken = await take(blocks, 6)
        await chain.rpc.ask("anvil_reorg", 3, [], answer=Any)
        await chain.mine(4)
        taken += await take(blocks, 4)
    assert [block.number for block in taken] == list(range(1, 11))
    for block in taken:
        header = await chain.rpc.header(block.number)
        assert header is not None
        assert header.hash == block.hash


@pytest.mark.parametrize(
    ("finality_blocks", "mined_after"),
    [(0, 0), (0, 1), (0, CATCH_UP_BLOCKS * 2), (2, 1), (2, CATCH_UP_BLOCKS * 2)],
)
async def test_a_reorganisation_of_final_blocks_stops_the_node(
    start_chain: Any, finality_blocks: int, mined_after: int
) -> None:
    chain = await start_chain(is_mining=False)
    await chain.mine(10)
    follower = Follower(chain.rpc, b"\1" * 20, finality_blocks=finality_blocks, poll_s=0.02)
    async with aclosing(follower.follow(0)) as blocks:
        await take(blocks, 10 - finality_blocks)
        await chain.rpc.ask("anvil_reorg", finality_blocks + 2, [], answer=Any)
        if mined_after:
            await chain.mine(mined_after)
        with pytest.raises(DeepReorganisation, match="finality_blocks"):
            await anext(blocks)


async def test_a_reorganisation_during_absence_shows_by_the_last_handled_hash(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    await chain.mine(10)
    handled = await chain.rpc.header(10)
    assert handled is not None
    await chain.rpc.ask("anvil_reorg", 2, [], answer=Any)
    await chain.mine(1)
    blocks = Follower(chain.rpc, b"\1" * 20, poll_s=0.02).follow(10, after_hash=handled.hash)
    async with aclosing(blocks):
        with pytest.raises(DeepReorganisation):
            await anext(blocks)


async def test_a_chain_that_was_set_back_is_noticed(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    snapshot = await chain.rpc.ask("evm_snapshot", answer=str)
    await chain.mine(10)
    async with aclosing(Follower(chain.rpc, b"\1" * 20, poll_s=0.02).follow(0)) as blocks:
        await take(blocks, 10)
        await chain.rpc.ask("evm_revert", snapshot, answer=Any)
        with pytest.raises(DeepReorganisation):
            await anext(blocks)


@pytest.mark.parametrize("range_blocks", [1, 7, 2000])
async def test_far_behind_no_event_is_missed_and_empty_blocks_are_skipped(
    start_chain: Any, range_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morphware.node.chain.follower.RANGE_BLOCKS", range_blocks)
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    contract = await chain.create(sender, LOGS_ITS_CALLDATA)
    expected = []
    for number in range(4):
        await sender.send(Transaction(contract, bytes([number])), effect_id=f"log {number}", kind="log")
        expected.append(await chain.rpc.block_number())
        await chain.mine(40)
    head = await chain.rpc.block_number()
    async with aclosing(Follower(chain.rpc, contract, poll_s=0.02).follow(0)) as blocks:
        taken = await take_to(blocks, head)
    numbers = [block.number for block in taken]
    assert numbers == sorted(set(numbers))
    assert [block.number for block in taken if block.logs] == expected
    assert [bytes(block.logs[0].data) for block in taken if block.logs] == [b"\0", b"\1", b"\2", b"\3"]
    assert numbers[-1] == head
    if range_blocks == 2000:
        assert len(taken) < 20
    for block in taken:
        header = await chain.rpc.header(block.number)
        assert header is not None
        assert (block.hash, block.timestamp) == (header.hash, header.timestamp)


async def test_a_follower_outlives_an_endpoint_that_goes_away_and_comes_back(start_chain: Any, tmp_path: Path) -> None:
    chain = await start_chain(block_time_s=1)
    from functools import partial

    from morphware.node.chain.rpc import Rpc
    from morphware.node.testnet.anvil import serve_anvil

    async with trio.open_nursery() as first_life:
        anvil = await first_life.start(partial(serve_anvil, tmp_path / "mortal", block_time_s=1))
        rpc = Rpc(anvil.url, patience_s=0.2)
        blocks = Follower(rpc, b"\1" * 20, poll_s=0.05).follow(0)
        taken = await take(blocks, 2)
        await trio.sleep(1.5)  # the state is saved every second
        first_life.cancel_scope.cancel()
    async with trio.open_nursery() as second_life:
        await second_life.start(partial(serve_anvil, tmp_path / "mortal", port=anvil.port, block_time_s=1))
        taken += await take(blocks, 3)
        second_life.cancel_scope.cancel()
    await blocks.aclose()
    await rpc.aclose()
    assert [block.number for block in taken] == [1, 2, 3, 4, 5]
    assert chain.anvil.port != anvil.port
