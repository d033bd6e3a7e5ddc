"""The owner's powers on the in-memory world: a pause, a changed price, a machine that is in use; and all of it kept."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.amounts import format_tokens
from morphware.node.brake import LAG_S
from morphware.node.config import Config, IdleSection, WorkerSection
from morphware.node.errors import BadInput
from morphware.node.idleness import Availability
from morphware.node.machines import WORKER
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId
from morphware.protocol.worker import WorkerBrain
from tests.node.fuse import Killed
from tests.node.test_engine import all_ended, assert_nothing_was_sent_twice, assert_paid
from tests.node.world import BLOCK_S, Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")

BUSY = Availability(is_free=False, reason="busy: the program eldenring.exe runs")


def lonely_market(folder: Path, *, cost: int = 30, capacity: int = 1) -> World:
    """One worker, so that its bids are all there are."""
    world = World(folder)
    Node(world, "user", "user").enrol()
    Node(world, "worker0", "worker", cost=cost, capacity=capacity).enrol()
    for index in range(5):
        Node(world, f"validator{index}", "validator").enrol(seats=4)
    return world


async def start_all(world: World, nursery: trio.Nursery) -> Node:
    nursery.start_soon(world.tick)
    for node in world.nodes.values():
        await node.start(nursery)
    return world.nodes["worker0"]


def bids_of(node: Node, job_id: JobId) -> int:
    """Bids that the node's worker has drawn up, whoever brings them on chain in the end."""
    machine = node.engine.machines.get((job_id, WORKER))
    if machine is None:
        return 0
    assert isinstance(machine.brain, WorkerBrain)
    return len(machine.brain.bids)


async def blocks(count: int) -> None:
    await trio.sleep(count * BLOCK_S)


# --- pausing --------------------------------------------------------------------------------------------------------


async def test_a_paused_worker_does_not_bid_and_one_that_goes_on_bids_on_what_is_still_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        assert worker.operating.pause().is_paused
        job_id = await world.nodes["user"].submit(bidding_s=60)
        await world.until(lambda: world.state(job_id) is State.BIDDING)
        await blocks(20)
        assert world.calls_of("worker0") == []
        [left] = (await worker.operating.doing()).worker.left_alone  # type: ignore[union-attr]
        assert (left.job_id, left.reason) == (job_id, "this worker takes no new jobs now")
        assert not worker.operating.resume().is_paused
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    assert [notice["kind"] for notice in worker.notices if notice["kind"] in ("paused", "resumed")] == [
        "paused",
        "resumed",
    ]


async def test_a_pause_breaks_no_promise(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Paused right after its bid is on chain, the worker opens it, trains, and is paid."""
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: (view := worker.engine.views.get(job_id)) is not None and len(view.bids) == 2)
        pause = worker.operating.pause()
        [at_stake] = pause.running
        assert (at_stake.job_id, at_stake.activity, at_stake.bond_wei) == (job_id, "bidding", 50)
        assert at_stake.rejected_wei == 15
        assert pause.sentence.endswith("At stake are 0.00000000000000005 tokens in bonds.")
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


async def test_a_pause_outlives_the_node(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        since_s = worker.operating.pause(freeze=True).since_s
        await worker.kill()
        await worker.start(nursery)
        state = worker.operating.pause_state()
        assert (state.is_paused, state.is_freezing, state.since_s) == (True, True, since_s)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: world.outcome(job_id) is Outcome.NO_BIDS)
        worker.operating.resume()
        await worker.kill()
        await worker.start(nursery)
        assert not worker.operating.is_paused
        nursery.cancel_scope.cancel()
    assert world.calls_of("worker0") == []


async def test_pausing_again_changes_only_whether_trainings_stand_still(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "both", "worker", "validator")
    journal = node._open()
    first = node.operating.pause()
    again = node.operating.pause(freeze=True)
    assert (first.is_freezing, again.is_freezing, again.since_s) == (False, True, first.since_s)
    assert any("by themselves" in note for note in again.notes)
    assert any("give up seats" in note for note in again.notes)
    assert again.sentence.startswith("This node takes no new jobs. Bids that were made are kept")
    assert node.operating.standing == "Paused: no new jobs are taken until you resume."
    assert node.operating.resume().notes == ()
    assert node.operating.standing == "New jobs are taken as they come."
    node.operating.note_availability(BUSY)
    assert node.operating.standing == "No new jobs are taken: busy: the program eldenring.exe runs."
    assert node.operating.resume().is_paused is False
    journal.close()


async def test_an_end_users_node_has_nothing_to_pause(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "user", "user")
    journal = node._open()
    with pytest.raises(BadInput, match="nothing to pause"):
        node.operating.pause()
    journal.close()


async def test_a_validator_that_is_paused_does_its_duties(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        await start_all(world, nursery)
        for index in range(5):
            assert any("duties go on" in note for note in world.nodes[f"validator{index}"].operating.pause().notes)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


# --- freezing -------------------------------------------------------------------------------------------------------


async def test_a_training_stands_still_while_its_owner_wants_it_and_then_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        worker.runner.train_s = 20.0
        job_id = await world.nodes["user"].submit(training_s=500)
        await world.until(lambda: worker.runner.running == 1)
        await blocks(5)
        worker.operating.pause(freeze=True)
        await blocks(1)
        [at_stake] = worker.operating.pause_state().running
        assert (at_stake.activity, at_stake.is_frozen, at_stake.bond_wei) == ("frozen", True, 50)
        assert at_stake.frozen_until_s is not None
        await blocks(100)
        assert worker.runner.running == 1
        [doing] = (await worker.operating.doing()).jobs
        assert doing.progress is not None
        assert 4 < doing.progress.ran_s < 8
        assert doing.progress.frozen_s > 90
        assert (doing.progress.estimated_s, doing.progress.is_frozen) == (10, True)
        worker.operating.resume()
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    assert [notice["kind"] for notice in worker.notices if notice["kind"] in ("frozen", "thawed")] == [
        "frozen",
        "thawed",
    ]


async def test_a_training_that_nobody_lets_go_on_goes_on_by_itself_in_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The owner has forgotten the pause: the job is paid for, and no bond is lost."""
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        worker.runner.train_s = 10.0
        job_id = await world.nodes["user"].submit(training_s=300)
        await world.until(lambda: worker.runner.running == 1)
        worker.operating.pause(freeze=True)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    frozen, thawed = (worker.seen(kind)[0] for kind in ("frozen", "thawed"))
    assert frozen["job_id"] == thawed["job_id"] == job_id.hex()
    assert worker.operating.is_paused


async def test_with_no_time_to_spare_a_training_does_not_stand_still(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        job_id = await world.nodes["user"].submit(training_s=int(LAG_S))
        await world.until(lambda: world.state(job_id) is State.AWARDED)
        worker.operating.pause(freeze=True)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert world.outcome(job_id) is Outcome.PAID
    assert worker.seen("frozen") == []


# --- the policy -----------------------------------------------------------------------------------------------------


async def test_a_changed_price_is_in_the_next_bid(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        worker.operating.change_policy({"worker.minimum_price": format_tokens(45)})
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
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
        if any(setting.changed_s is not None for setting in worker.operating.policy().settings):
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
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        jobs = [await world.nodes[name].submit(bidding_s=40) for name in ("user", "user2")]
        await world.until(lambda: all(world.state(job_id) is State.BIDDING for job_id in jobs))
        await blocks(5)
        assert sorted(bids_of(worker, job_id) for job_id in jobs) == [0, 1]
        worker.operating.change_policy({"worker.capacity": 2})
        await world.until(lambda: [bids_of(worker, job_id) for job_id in jobs] == [1, 1])
        nursery.cancel_scope.cancel()


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
    found = {setting.name: setting for setting in operating.policy().settings}
    capacity, hours, programs = (found[name] for name in ("worker.capacity", "idle.work_hours", "idle.programs"))
    assert (capacity.value, capacity.configured, capacity.changed_s) == (3, 1, 1_800_000_000.5)
    assert capacity.description == "Jobs at the same time."
    assert (hours.value, hours.changed_s) == ([], None)
    assert (programs.value, operating.rules.programs) == (["Elden.exe", "blender"], ("elden.exe", "blender"))
    assert node.engine.roles.capacity == 3
    assert (capacity.origin, hours.origin) == ("a change that was made here", "the configuration")
    assert (found["worker.memory_gib"].unit, found["idle.quiet_s"].unit, capacity.unit) == ("GiB", "s", "")
    back = operating.reset_policy(["worker.capacity", "idle.programs"])
    values = {setting.name: (setting.value, setting.changed_s) for setting in back.settings}
    assert values["worker.capacity"] == (1, None)
    assert values["idle.on_busy"] == ("freeze", 1_800_000_000.5)
    assert node.engine.roles.capacity == 1
    with pytest.raises(BadInput, match="No setting was named"):
        operating.reset_policy([])
    with pytest.raises(BadInput, match=r"did you mean worker\.capacity"):
        operating.reset_policy(["worker.capacit"])
    journal.close()


async def test_every_value_can_be_given_back_as_the_text_that_is_shown(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    journal = node._open()
    shown = node.operating.policy().settings
    again = node.operating.change_policy({setting.name: setting.text for setting in shown}).settings
    assert [(setting.name, setting.value) for setting in again] == [(each.name, each.value) for each in shown]
    assert all(setting.changed_s is not None for setting in again)
    back = node.operating.change_policy({"worker.capacity": None, "worker.threads": 2}).settings
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
    assert all(setting.changed_s is None for setting in node.operating.policy().settings)
    node.journal.close()


# --- a machine that is in use ---------------------------------------------------------------------------------------


async def test_a_busy_machine_takes_no_job_and_a_free_one_takes_what_is_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        worker.operating.note_availability(BUSY)
        job_id = await world.nodes["user"].submit(bidding_s=60)
        await world.until(lambda: world.state(job_id) is State.BIDDING)
        await blocks(10)
        assert world.calls_of("worker0") == []
        doing = (await worker.operating.doing()).worker
        assert doing is not None
        assert (doing.is_taking, doing.availability.reason) == (False, BUSY.reason)
        worker.operating.note_availability(BUSY)
        worker.operating.note_availability(Availability())
        await world.until(lambda: bids_of(worker, job_id) == 1)
        nursery.cancel_scope.cancel()
    assert [(notice["is_free"], notice["reason"]) for notice in worker.seen("availability")] == [
        (False, BUSY.reason),
        (True, ""),
    ]


async def test_a_free_machine_does_not_end_a_pause(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    node._open()
    node.operating.pause()
    node.operating.note_availability(BUSY)
    node.operating.note_availability(Availability())
    assert not node.engine.roles.is_taking
    node.journal.close()


@pytest.mark.parametrize(("on_busy", "stands_still"), [("no new jobs", False), ("freeze", True)])
async def test_what_runs_stands_still_on_a_busy_machine_only_if_its_owner_says_so(
    on_busy: str, stands_still: bool, tmp_path: Path
) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    node._open()
    node.operating.change_policy({"idle.on_busy": on_busy})
    node.operating.note_availability(BUSY)
    assert node.operating.brakes.is_wished is stands_still
    node.operating.note_availability(Availability())
    assert node.operating.brakes.is_wished is False
    node.journal.close()


async def test_a_worker_with_rules_takes_nothing_before_it_has_looked_at_the_machine(tmp_path: Path) -> None:
    node = Node(World(tmp_path), "worker", "worker")
    node.config = Config(idle=IdleSection(programs=("game",)))
    node._open()
    assert not node.engine.roles.is_taking
    node.operating.note_availability(Availability())
    assert node.engine.roles.is_taking
    node.journal.close()


# --- what it is doing -----------------------------------------------------------------------------------------------


async def test_every_step_of_a_job_is_seen_while_it_is_done(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    seen: dict[str, set[str]] = {"user": set(), "worker0": set(), "worker1": set(), "validator0": set()}
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        worker.runner.train_s = 3.0

        async def look(condition: Callable[[], bool]) -> None:
            while not condition():
                for name, activities in seen.items():
                    for job in (await world.nodes[name].operating.doing()).jobs:
                        assert job.sentence
                        assert (job.name == "digits") is (job.state is not State.NONE)
                        activities.add(job.activity)
                await trio.sleep(0.05)

        await world.nodes["user"].submit()
        with trio.fail_after(500):
            await look(lambda: all_ended(world))
        last = await worker.operating.doing()
        nursery.cancel_scope.cancel()
    assert {"bidding", "fetching", "training", "sending", "waiting"} <= seen["worker0"]
    assert "training" not in seen["worker1"]
    assert {"testing", "fetching", "waiting"} <= seen["validator0"]
    assert {"waiting", "sending"} <= seen["user"]
    assert last.jobs == ()
    assert last.worker is not None
    assert (last.worker.occupied, last.worker.capacity, last.validator) == (0, 1, None)


async def test_seats_are_counted_and_the_chain_is_asked_for_them_now_and_then(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        await start_all(world, nursery)
        validator = world.nodes["validator0"]
        asked: list[float] = []

        async def read() -> int:
            asked.append(trio.current_time())
            return 4

        validator.operating.read_seats = read
        await world.nodes["user"].submit()
        most_busy = 0
        with trio.fail_after(500):
            while not all_ended(world):
                doing = (await validator.operating.doing()).validator
                assert doing is not None
                assert doing.seats_held == 4
                most_busy = max(most_busy, doing.seats_busy)
                await trio.sleep(1)
        doing = (await validator.operating.doing()).validator
        assert doing is not None
        nursery.cancel_scope.cancel()
    assert most_busy == 1, "nobody sits twice on a committee of five accounts"
    assert doing.seats_busy == 0
    assert all(later - earlier > 30 for earlier, later in pairwise(asked))


async def test_what_the_world_refuses_is_said_beside_what_waits_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        await world.nodes["user"].submit()
        await world.until(lambda: bool(worker.engine.views))
        world.is_chain_down = True

        async def waits() -> None:
            while not any(job.waits_because for job in (await worker.operating.doing()).jobs):  # noqa: ASYNC110
                await trio.sleep(0.1)

        with trio.fail_after(60):
            await waits()
        world.is_chain_down = False
        nursery.cancel_scope.cancel()
