"""Disputes and appeals by whole nodes, through crashes in the middle of them, and paid for from the right purse."""

from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.ports import Receipt
from morphware.protocol.calls import Deposit, Poke, Withdraw
from morphware.protocol.commitments import keccak
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId, Wei
from tests.node.engine_runs import all_ended, run_to_end
from tests.node.world import World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


def with_lost_keys(world: World, *names: str) -> World:
    """Nodes that cannot open what is sealed for them: others know an older key of theirs."""
    for name in names:
        world.nodes[name].encryption_secret = keccak(b"another key of " + name.encode())
    return world


def assert_settled(world: World, job_id: JobId) -> None:
    """Paid, with the model at home; a call may have come too late for its state, but none was carried out twice."""
    assert world.outcome(job_id) is Outcome.PAID
    model = world.nodes["user"].folder / "jobs" / job_id.hex() / "user" / "model" / "model.txt"
    assert model.read_text() == "a model"
    done = [sent for sent in world.sent if isinstance(world.receipts.get((sent.account, sent.effect_id)), Receipt)]
    meanings = Counter((sent.account, sent.call) for sent in done if not isinstance(sent.call, Poke))
    assert [call for call, count in meanings.items() if count > 1] == []


DISPUTES = ("ComplainKey", "DiscloseKey", "ComplainX", "DiscloseX", "ComplainKeys", "DiscloseTest", "DiscloseModel")


async def test_nodes_whose_boxes_do_not_open_demand_the_keys_and_the_job_is_paid(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = with_lost_keys(market_of(tmp_path, validators=5), "user", "worker0", "validator0")
    job_id = await run_to_end(world)
    assert_settled(world, job_id)
    made = {type(sent.call).__name__ for sent in world.sent}
    assert set(DISPUTES) <= made


@pytest.mark.parametrize("name", ["user", "worker0", "validator0"])
async def test_a_node_that_dies_in_the_middle_of_any_dispute_settles_it(
    name: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    everybody = ("user", "worker0", "validator0")
    reference = with_lost_keys(market_of(tmp_path / "reference", validators=5), *everybody)
    await run_to_end(reference)
    places = reference.nodes[name].fuse.places
    words = ("complain", "disclose")
    instants = [index + 1 for index, place in enumerate(places) if any(word in place for word in words)]
    assert len(instants) >= 2
    for kill_at in instants:
        world = with_lost_keys(market_of(tmp_path / str(kill_at), validators=5), *everybody)
        world.nodes[name].fuse.kill_at = kill_at
        job_id = await run_to_end(world)
        assert world.nodes[name].starts == 2, places[kill_at - 1]
        assert_settled(world, job_id)


async def test_a_captured_committee_is_appealed_by_a_node_from_its_wallet(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Three of five lie; the others have nothing free in the market, and bring the appeal's bond from outside."""
    world = market_of(tmp_path, validators=18)
    for name, node in world.nodes.items():
        if name.startswith("validator"):
            world.market.execute(node.account, Withdraw(Wei(world.market.ledger.free(node.account))), world.now, 1)
            world.wallets[node.account] = 100
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: world.state(job_id) is State.KEYING)
        drawn = world.market.jobs[job_id].rounds[0].validators
        for node in world.nodes.values():
            node.runner.metric_e6 = 950_000 if node.account in drawn[:3] else 100_000
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.REJECTED
    [appellant] = world.market.jobs[job_id].appellants
    assert appellant.account in drawn[3:]
    brought = [sent.call.amount_wei for sent in world.sent
               if sent.account == appellant.account and isinstance(sent.call, Deposit)]  # fmt: skip
    assert brought == [22]
