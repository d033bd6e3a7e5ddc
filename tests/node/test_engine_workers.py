"""Workers on the in-memory world: what they take, what they spend, and what journals tell of it."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.account_history import account_history
from morphware.node.journal import Journal
from morphware.node.runner.errors import SandboxFailed
from morphware.protocol.calls import Deposit
from morphware.protocol.states import Outcome
from tests.node.engine_runs import all_ended, assert_paid, run_to_end
from tests.node.world import BLOCK_S, SEAT_STAKE_WEI, Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


def market_of_two_users(folder: Path) -> World:
    """With one worker, and committees for both jobs."""
    world = market_of(folder, workers=(30,), validators=5)
    Node(world, "user2", "user").enrol()
    for index in range(5, 11):
        Node(world, f"validator{index}", "validator").enrol(seats=3)
    return world


async def test_of_two_jobs_in_one_block_a_worker_with_room_for_one_takes_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of_two_users(tmp_path)
    async with trio.open_nursery() as nursery:
        for node in world.nodes.values():
            await node.start(nursery)
        jobs = [await world.nodes[name].submit(bidding_s=10) for name in ("user", "user2")]
        await world.until_sent(2)
        nursery.start_soon(world.tick)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert sorted(world.outcome(job_id).name for job_id in jobs) == ["NO_BIDS", "PAID"]


async def test_a_worker_that_gets_free_in_time_takes_the_job_that_waited(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of_two_users(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        jobs = [await world.nodes["user"].submit(), await world.nodes["user2"].submit(bidding_s=200)]
        await world.until(lambda: all_ended(world), 600)
        nursery.cancel_scope.cancel()
    assert [world.outcome(job_id) for job_id in jobs] == [Outcome.PAID, Outcome.PAID]
    assert world.nodes["worker0"].runner.most_running == 1


async def test_bonds_that_are_promised_are_not_counted_twice(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Two jobs in one block, room for both, and tokens for one bond: the second is left alone, not bid for in vain."""
    world = World(tmp_path)
    for name in ("user", "user2"):
        Node(world, name, "user").enrol()
    Node(world, "worker0", "worker", capacity=2).enrol(free_wei=0, wallet_wei=60)
    for index in range(10):
        Node(world, f"validator{index}", "validator").enrol(seats=3)
    async with trio.open_nursery() as nursery:
        for node in world.nodes.values():
            await node.start(nursery)
        jobs = [await world.nodes[name].submit() for name in ("user", "user2")]
        await world.until_sent(2)
        nursery.start_soon(world.tick)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert sorted(world.outcome(job_id).name for job_id in jobs) == ["NO_BIDS", "PAID"]
    assert world.calls_of("worker0").count("Commit") == 1


async def test_a_worker_whose_chain_does_not_answer_asks_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    world.balance_reads_fail = 4  # of either worker
    job_id = await run_to_end(world)
    assert_paid(world, job_id)


async def test_a_chain_that_is_away_for_a_while_harms_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)

    async def go_away() -> None:
        while True:
            await trio.sleep(6 * BLOCK_S)
            world.is_chain_down = True
            await trio.sleep(1.5 * BLOCK_S)
            world.is_chain_down = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_away)
        job_id = await run_to_end(world)
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


async def test_a_worker_moves_only_the_tokens_that_its_bids_need(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = World(tmp_path)
    Node(world, "user", "user").enrol()
    Node(world, "worker0", "worker").enrol(free_wei=0, wallet_wei=10_000)
    for index in range(5):
        Node(world, f"validator{index}", "validator").enrol(seats=4)
    await run_to_end(world)
    deposits = [sent.call.amount_wei for sent in world.sent if isinstance(sent.call, Deposit)]
    assert deposits == [4 * 50]  # the bid and at most three decoys, each with a bond of half the reserve


async def test_every_call_of_a_job_is_told_in_the_costs(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    await run_to_end(world)
    asked = [sent for sent in world.sent if sent.account == world.nodes["user"].account]
    receipts = [world.receipts[sent.account, sent.effect_id] for sent in asked]
    assert all(isinstance(sent.effect_id, str) for sent in asked)
    assert len(world.nodes["user"].costs()) == sum(type(receipt).__name__ == "Receipt" for receipt in receipts)


async def test_every_step_of_the_timeline_names_its_transaction(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    job_id = await run_to_end(world)
    journal = Journal(world.nodes["user"].folder / "journal.sqlite")
    timeline = journal.timeline(job_id)
    costs = journal.costs()
    journal.close()
    caused = {(block.number, event): known for block in world.blocks for event, known in block.caused}
    told = {(stored.now.block, stored.event): stored.transaction_hash for stored in timeline}
    assert told == {key: known for key, known in caused.items() if getattr(key[1], "job_id", None) == job_id}
    assert len(timeline) > 20
    mine = {"0x" + known.hex() for known in told.values() if known is not None}
    assert mine >= {cost["transaction_hash"] for cost in costs} - {None}
    assert None not in {cost["transaction_hash"] for cost in costs}


async def test_the_history_in_each_nodes_journal_is_what_its_account_has(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    await run_to_end(world)
    for node in world.nodes.values():
        journal = Journal(node.folder / "journal.sqlite")
        history = account_history(journal, node.account, SEAT_STAKE_WEI)
        journal.close()
        assert sum(entry.free_wei for entry in history) == world.market.ledger.free(node.account)
        staked = sum(seat.owner == node.account for seat in world.market.registry.seats.values())
        assert sum(entry.locked_wei for entry in history) == staked * SEAT_STAKE_WEI
        gained = sum(entry.net_wei for entry in history if entry.job_id is not None)
        assert gained == {"user": -(40 + 10), "worker0": 40, "worker1": 0}.get(node.name, 2)


async def test_a_machine_that_fails_at_the_training_trains_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    worker = world.nodes["worker0"]
    worker.runner.failures = [SandboxFailed("no memory"), SandboxFailed("no memory")]
    job_id = await run_to_end(world)
    assert_paid(world, job_id)
    assert worker.seen("failed") == []
    assert len(worker.seen("waits")) == 2
