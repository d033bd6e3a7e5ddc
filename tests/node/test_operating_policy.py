"""What a worker asks and offers, changed while it runs; and all of it kept."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.amounts import format_tokens
from morphware.node.config import Config, WorkerSection
from morphware.node.errors import BadInput
from morphware.node.machines import WORKER
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId
from tests.node.engine_runs import all_ended, assert_nothing_was_sent_twice, assert_paid
from tests.node.fuse import Killed
from tests.node.operating_world import bids_of, blocks, lonely_market, start_all, working
from tests.node.world import Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


async def test_a_changed_price_is_in_the_next_bid(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    async with working(world) as worker:
        worker.operating.change_policy({"worker.minimum_price": format_tokens(45)})
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: all_ended(world))
    job = world.market.jobs[job_id]
    assert (job.winner, job.price_wei) == (world.nodes["worker1"].account, 45), "the cheapest now, at the next price"


async def test_a_change_after_the_bid_leaves_the_bid_as_it_is(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: worker.engine.machines.get((job_id, "worker")) is not None)
        await world.until(lambda: bids_of(worker, job_id) == 1)
        worker.operating.change_policy(
            {"worker.minimum_price": format_tokens(99), "worker.memory_gib": 0.25, "worker.wall_limit_s": 1}
        )
        machine = worker.engine.machines[job_id, "worker"]
        assert worker.engine.limits(machine).memory_bytes == 8 << 30
        assert worker.engine.limits(machine).wall_s == 86_400
        await worker.kill()
        await worker.start(nursery)
        assert worker.engine.limits(worker.engine.machines[job_id, "worker"]).memory_bytes == 8 << 30
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


async def test_a_job_that_was_left_alone_for_its_price_is_bid_on_once_the_price_falls(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """And the node that is started again knows what it bid: each look is replayed with the offer that it went by."""
    world = lonely_market(tmp_path, cost=1_000)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        job_id = await world.nodes["user"].submit(bidding_s=60)
        await world.until(lambda: worker.engine.machines.get((job_id, "worker")) is not None)
        await world.until(lambda: worker.engine.machines[job_id, "worker"].is_started)
        [left] = (await worker.operating.doing()).worker.left_alone  # type: ignore[union-attr]
        assert left.reason == "the reserve is below this worker's cost"
        worker.operating.change_policy({"worker.capacity": 2})
        await blocks(3)
        assert worker.engine.machines[job_id, "worker"].starts == 1, "nothing that kept it from bidding has changed"
        worker.operating.change_policy({"worker.minimum_price": format_tokens(60), "worker.decoy_probability": 1})
        await world.until(lambda: bids_of(worker, job_id) > 1)
        before = worker.engine.machines[job_id, "worker"].brain.bids  # type: ignore[attr-defined]
        worker.operating.change_policy({"worker.minimum_price": format_tokens(70)})
        await worker.kill()
        await worker.start(nursery)
        assert worker.engine.machines[job_id, "worker"].brain.bids == before  # type: ignore[attr-defined]
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    assert [bid.price_wei for bid in _opened(world, job_id) if bid.is_authentic] == [60]


@pytest.mark.parametrize("part", range(2))
async def test_a_worker_that_dies_at_any_instant_of_a_change_bids_what_it_bid(
    part: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A bid that a restarted node could not draw up again could not be opened, and its bond would burn."""
    reference = await _changed_market(tmp_path / "reference", None)
    instants = len(reference.nodes["worker0"].fuse.places)
    step = max(1, instants // 12)
    for kill_at in range(1 + part * step, instants, 2 * step):
        world = await _changed_market(tmp_path / str(kill_at), kill_at)
        assert world.nodes["worker0"].starts == 2 or kill_at > instants - 3


async def _changed_market(folder: Path, kill_at: int | None) -> World:
    """A job that is too cheap for its one worker, until the worker's owner asks for less."""
    world = lonely_market(folder, cost=1_000)
    worker, user = world.nodes["worker0"], world.nodes["user"]
    worker.fuse.kill_at = kill_at
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            nursery.start_soon(node.run_on, nursery)
        await world.until(lambda: all(node.is_live for node in world.nodes.values()))
        job_id = await user.submit(bidding_s=60)
        await world.until(lambda: worker.is_live and (job_id, WORKER) in worker.engine.machines)
        await blocks(5)
        await _insist(world, worker)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    assert [bid.price_wei for bid in _opened(world, job_id) if bid.is_authentic] == [60]
    assert_nothing_was_sent_twice(world)
    return world


async def _insist(world: World, worker: Node) -> None:
    """Ask for the change through a node that may die meanwhile, as its owner would."""
    wishes = {"worker.minimum_price": format_tokens(60), "worker.decoy_probability": 1}
    while True:
        await world.until(lambda: worker.is_live)
        if any(setting.changed_s is not None for setting in worker.operating.policy()):
            return
        try:
            worker.operating.change_policy(wishes)
        except Killed:
            await worker.kill()


def _opened(world: World, job_id: JobId) -> list:  # type: ignore[type-arg]
    view = world.nodes["user"].engine.views[job_id]
    return list(view.opened.values())


async def test_more_capacity_takes_the_job_that_waited(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = lonely_market(tmp_path)
    Node(world, "user2", "user").enrol()
    for index in range(5, 11):
        Node(world, f"validator{index}", "validator").enrol(seats=3)
    async with working(world) as worker:
        jobs = [await world.nodes[name].submit(bidding_s=40) for name in ("user", "user2")]
        await world.until(lambda: all(world.state(job_id) is State.BIDDING for job_id in jobs))
        await blocks(5)
        assert sorted(bids_of(worker, job_id) for job_id in jobs) == [0, 1]
        worker.operating.change_policy({"worker.capacity": 2})
        await world.until(lambda: [bids_of(worker, job_id) for job_id in jobs] == [1, 1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "No change was named"),
        ({"worker.capacity": 0}, "worker.capacity is not usable: it must be a whole number >= 1."),
        ({"worker.capacity": "many"}, "worker.capacity is not usable: it must be a whole number"),
        ({"worker.capacity": True}, "worker.capacity is not usable: it must be a whole number"),
        ({"worker.price_per_hour": "-1"}, "worker.price_per_hour is not usable: '-1' is not an amount of tokens"),
        ({"worker.price_per_hour": 12.5}, "worker.price_per_hour is not usable: it must be text, not a number."),
        ({"worker.memory_gib": float("nan")}, "worker.memory_gib is not usable"),
        ({"worker.memory_gib": "inf"}, "worker.memory_gib is not usable"),
        ({"worker.memory_gib": 1e300}, "worker.memory_gib is not usable"),
        ({"worker.wall_limit_s": 1e9}, "worker.wall_limit_s is not usable: it must be a number <= 2592000"),
        ({"worker.decoy_probability": 2}, "worker.decoy_probability is not usable: it must be a number <= 1.0"),
        ({"worker.capacty": 1}, "worker.capacty cannot be changed while the node runs: did you mean worker.capacity?"),
        ({"chain.rpc_url": "http://x"}, "chain.rpc_url cannot be changed while the node runs"),
        ({"idle.on_busy": "panic"}, "idle.on_busy is not usable: 'panic' is none of no new jobs, freeze."),
        ({"idle.work_hours": ["25:00-26:00"]}, "idle.work_hours is not usable: '25:00-26:00' names no two times"),
        ({"idle.work_hours": "22:00"}, "idle.work_hours is not usable"),
        ({"idle.programs": ["a/b"]}, "idle.programs is not usable"),
        ({"worker.capacity": 2, "worker.threads": -1}, "worker.threads is not usable"),
    ],
)
async def test_a_change_out_of_bounds_is_one_sentence_that_begins_with_its_name(
    changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    journal = node._open()
    before = node.operating.policy()
    with pytest.raises(BadInput) as caught:
        node.operating.change_policy(changes)
    assert caught.value.sentence.startswith(sentence)
    assert node.operating.policy() == before
    assert node.engine.roles.capacity == 1
    journal.close()


async def test_each_value_says_where_it_comes_from_and_can_go_back(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    journal = node._open()
    operating = node.operating
    operating.clock = lambda: 1_800_000_000.5
    operating.change_policy({"worker.capacity": "3", "idle.programs": "Elden.exe, blender", "idle.on_busy": "freeze"})
    found = {setting.name: setting for setting in operating.policy()}
    capacity, hours, programs = (found[name] for name in ("worker.capacity", "idle.work_hours", "idle.programs"))
    assert (capacity.value, capacity.changed_s) == (3, 1_800_000_000.5)
    assert capacity.description == "Jobs at the same time."
    assert (hours.value, hours.changed_s) == ([], None)
    assert (programs.value, operating.rules.programs) == (["Elden.exe", "blender"], ("elden.exe", "blender"))
    assert node.engine.roles.capacity == 3
    assert (capacity.origin, hours.origin) == ("a change that was made here", "the configuration")
    assert (found["worker.memory_gib"].unit, found["idle.quiet_s"].unit, capacity.unit) == ("GiB", "s", "")
    back = operating.change_policy({"worker.capacity": None, "idle.programs": None})
    values = {setting.name: (setting.value, setting.changed_s) for setting in back}
    assert values["worker.capacity"] == (1, None)
    assert values["idle.on_busy"] == ("freeze", 1_800_000_000.5)
    assert node.engine.roles.capacity == 1
    with pytest.raises(BadInput, match=r"did you mean worker\.capacity"):
        operating.change_policy({"worker.capacit": None})
    journal.close()


async def test_every_value_can_be_given_back_as_the_text_that_is_shown(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    journal = node._open()
    shown = node.operating.policy()
    again = node.operating.change_policy({setting.name: setting.text for setting in shown})
    assert [(setting.name, setting.value) for setting in again] == [(each.name, each.value) for each in shown]
    assert all(setting.changed_s is not None for setting in again)
    assert {setting.name: setting.choices for setting in again if setting.choices} == {
        "worker.gpu": ("true", "false"),
        "idle.on_busy": ("no new jobs", "freeze"),
    }
    for text, is_lent in (("false", False), ("true", True)):
        node.operating.change_policy({"worker.gpu": text})
        assert node.engine.roles.offer.limits.has_gpu is is_lent
    back = node.operating.change_policy({"worker.capacity": None, "worker.threads": 2})
    found = {setting.name: (setting.value, setting.changed_s is None) for setting in back}
    assert (found["worker.capacity"], found["worker.threads"]) == ((1, True), (2, False))
    journal.close()


async def test_the_newest_word_counts_be_it_a_change_or_the_configuration(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    node._open().close()
    node._open()
    node.operating.change_policy({"worker.capacity": 3, "worker.threads": 2})
    node.journal.close()
    node._open()
    assert (node.engine.roles.capacity, node.engine.roles.offer.threads) == (3, 2), "a change outlives the node"
    node.journal.close()
    node.config = Config(worker=WorkerSection(capacity=5))
    node._open()
    assert (node.engine.roles.capacity, node.engine.roles.offer.threads) == (5, 2), "the file was edited after it"
    node.journal.close()


async def test_a_kept_change_that_this_version_does_not_know_is_let_go(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    journal = node._open()
    kept = '{"worker.gone": {"value": 1, "changed_s": 1, "configured": 1}, '
    kept += '"worker.capacity": {"value": 1000, "changed_s": 1, "configured": 1}}'
    journal.put("operator policy", kept)
    journal.close()
    node._open()
    assert all(setting.changed_s is None for setting in node.operating.policy())
    node.journal.close()
