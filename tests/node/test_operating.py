"""The owner's powers on the in-memory world: a pause, trainings that stand still, a machine that is in use."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from morphware.node.api.answers.node import Operator
from morphware.node.api.ledger import LedgerBook
from morphware.node.api.operator import OperatorRequests
from morphware.node.api.running import Running
from morphware.node.brake import LAG_S
from morphware.node.chain.market_reader import MarketParameters
from morphware.node.config import Config, IdleSection
from morphware.node.errors import BadInput
from morphware.node.idleness import Availability
from morphware.protocol.states import Outcome, State
from tests.node.engine_runs import all_ended, assert_paid
from tests.node.operating_world import bids_of, blocks, lonely_market, start_all, working
from tests.node.world import SEAT_STAKE_WEI, TIMING, Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")

BUSY = Availability(is_free=False, reason="busy: the program eldenring.exe runs")


async def asked(node: Node) -> Operator:
    """What ``GET /operator`` answers."""
    absent: Any = None
    running = Running(
        node.config, node.account, deployment=absent, chain=absent, engine=node.engine, gossip=absent,
        artifacts=absent, parameters=MarketParameters(SEAT_STAKE_WEI, TIMING), feed=absent, operating=node.operating,
        series=absent, sign=absent,
    )  # fmt: skip
    return await OperatorRequests(running, LedgerBook(running)).operator(cast(Any, None))


# --- pausing --------------------------------------------------------------------------------------------------------


async def test_a_paused_worker_does_not_bid_and_one_that_goes_on_bids_on_what_is_still_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with working(world) as worker:
        assert worker.operating.pause().is_paused
        job_id = await world.nodes["user"].submit(bidding_s=60)
        await world.until(lambda: world.state(job_id) is State.BIDDING)
        await blocks(20)
        assert world.calls_of("worker0") == []
        [left] = (await worker.operating.doing()).worker.left_alone  # type: ignore[union-attr]
        assert (left.job_id, left.name, left.reason) == (job_id, "digits", "this worker takes no new jobs now")
        [told] = (await asked(worker)).left_alone
        assert (told.job_id, told.name) == (job_id.hex(), "digits")
        assert told.sentence == "No bid is made: this worker takes no new jobs now."
        assert not worker.operating.resume().is_paused
        await world.until(lambda: all_ended(world))
    assert world.outcome(job_id) is Outcome.PAID
    assert [notice["kind"] for notice in worker.notices if notice["kind"] in ("paused", "resumed")] == [
        "paused",
        "resumed",
    ]


async def test_a_pause_breaks_no_promise(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Paused right after its bid is on chain, the worker opens it, trains, and is paid."""
    world = market_of(tmp_path, validators=5)
    async with working(world) as worker:
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: (view := worker.engine.views.get(job_id)) is not None and len(view.bids) == 2)
        pause = worker.operating.pause()
        assert pause.bonds_wei == 50
        assert pause.sentence.endswith("At stake are 0.00000000000000005 tokens in bonds.")
        await world.until(lambda: all_ended(world))
    assert_paid(world, job_id)


async def test_a_pause_outlives_the_node(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = lonely_market(tmp_path)
    async with trio.open_nursery() as nursery:
        worker = await start_all(world, nursery)
        since_s = worker.operating.pause(freeze=True).since_s
        await worker.kill()
        await worker.start(nursery)
        assert (worker.operating.is_paused, worker.operating.is_freezing) == (True, True)
        assert worker.operating.pause(freeze=True).since_s == since_s
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
    async with working(world) as worker:
        worker.runner.train_s = 20.0
        job_id = await world.nodes["user"].submit(training_s=500)
        await world.until(lambda: worker.runner.running == 1)
        await blocks(5)
        worker.operating.pause(freeze=True)
        await blocks(1)
        assert worker.operating.pause(freeze=True).bonds_wei == 50
        await blocks(100)
        assert worker.runner.running == 1
        [doing] = (await worker.operating.doing()).jobs
        assert (doing.sentence, doing.estimated_s) == ("stands still, as its owner wishes", 10)
        brake = worker.operating.brakes.running[job_id]
        assert 4 < brake.ran_s < 8
        assert brake.frozen_s > 90
        worker.operating.resume()
        await world.until(lambda: all_ended(world))
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
    async with working(world) as worker:
        worker.runner.train_s = 10.0
        job_id = await world.nodes["user"].submit(training_s=300)
        await world.until(lambda: worker.runner.running == 1)
        worker.operating.pause(freeze=True)
        await world.until(lambda: all_ended(world))
    assert world.outcome(job_id) is Outcome.PAID
    frozen, thawed = (worker.seen(kind)[0] for kind in ("frozen", "thawed"))
    assert frozen["job_id"] == thawed["job_id"] == job_id.hex()
    assert worker.operating.is_paused


async def test_with_no_time_to_spare_a_training_does_not_stand_still(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = lonely_market(tmp_path)
    async with working(world) as worker:
        job_id = await world.nodes["user"].submit(training_s=int(LAG_S))
        await world.until(lambda: world.state(job_id) is State.AWARDED)
        worker.operating.pause(freeze=True)
        await world.until(lambda: all_ended(world))
    assert world.outcome(job_id) is Outcome.PAID
    assert worker.seen("frozen") == []


# --- a machine that is in use ---------------------------------------------------------------------------------------


async def test_a_busy_machine_takes_no_job_and_a_free_one_takes_what_is_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = lonely_market(tmp_path)
    async with working(world) as worker:
        worker.operating.note_availability(BUSY)
        job_id = await world.nodes["user"].submit(bidding_s=60)
        await world.until(lambda: world.state(job_id) is State.BIDDING)
        await blocks(10)
        assert world.calls_of("worker0") == []
        doing = (await worker.operating.doing()).worker
        assert doing is not None
        assert (doing.is_taking, worker.operating.availability.reason) == (False, BUSY.reason)
        worker.operating.note_availability(BUSY)
        worker.operating.note_availability(Availability())
        await world.until(lambda: bids_of(worker, job_id) == 1)
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
    async with working(world) as worker:
        worker.runner.train_s = 3.0

        async def look(condition: Callable[[], bool]) -> None:
            while not condition():
                for name, sentences in seen.items():
                    for job in (await world.nodes[name].operating.doing()).jobs:
                        assert (job.name == "digits") is (job.deadline is not None)
                        sentences.add(job.sentence.split()[0])
                await trio.sleep(0.05)

        await world.nodes["user"].submit()
        with trio.fail_after(500):
            await look(lambda: all_ended(world))
        last = await worker.operating.doing()
    assert {"has", "fetches", "trains", "sends", "waits:"} <= seen["worker0"]
    assert "trains" not in seen["worker1"]
    assert {"tests", "fetches", "waits:"} <= seen["validator0"]
    assert {"waits:", "sends"} <= seen["user"]
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
    async with working(world) as worker:
        await world.nodes["user"].submit()
        await world.until(lambda: bool(worker.engine.views))
        world.is_chain_down = True

        async def waits() -> None:
            while not any(job.waits_because for job in (await worker.operating.doing()).jobs):  # noqa: ASYNC110
                await trio.sleep(0.1)

        with trio.fail_after(60):
            await waits()
        world.is_chain_down = False
