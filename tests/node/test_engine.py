"""The engine on the in-memory world: whole jobs, through crashes at any instant, and what one job may do to another."""

from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.node.artifacts.errors import ArtifactUnavailable
from morphware.node.engine import Engine
from morphware.node.machines import Machine
from morphware.node.runner.errors import SandboxFailed
from morphware.protocol.effects import Effect, Evaluate, FetchBundle, Train
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId
from tests.node.engine_runs import all_ended, assert_paid, run_to_end
from tests.node.world import BLOCK_S, Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


async def test_a_job_goes_from_its_submission_to_its_payment(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path)
    job_id = await run_to_end(world)
    assert_paid(world, job_id)
    user = world.nodes["user"]
    assert len(user.seen("points")) > 0
    assert user.journal_points(job_id) == world.nodes["worker0"].journal_points(job_id)


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("name", ["user", "worker0", "validator0"])
async def test_a_node_that_dies_at_any_instant_ends_the_job_the_same(
    name: str, part: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    reference = market_of(tmp_path / "reference", validators=5)
    await run_to_end(reference)
    instants = reference.nodes[name].fuse.places
    step = max(1, len(instants) // 12)
    for kill_at in range(1 + part * step, len(instants), 2 * step):
        world = market_of(tmp_path / str(kill_at), validators=5)
        world.nodes[name].fuse.kill_at = kill_at
        job_id = await run_to_end(world)
        assert_died(world.nodes[name], kill_at, instants)
        assert_paid(world, job_id)


@pytest.mark.parametrize("name", ["user", "worker0", "validator0"])
async def test_a_node_that_dies_at_any_instant_of_a_split_job_ends_it_the_same(
    name: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    reference = market_of(tmp_path / "reference", validators=5)
    assert_split_in_two(reference, await run_to_end(reference, chunks=4, test_chunks=1))
    instants = reference.nodes[name].fuse.places
    step = max(1, len(instants) // 4)
    for kill_at in range(1, len(instants), step):
        world = market_of(tmp_path / str(kill_at), validators=5)
        world.nodes[name].fuse.kill_at = kill_at
        job_id = await run_to_end(world, chunks=4, test_chunks=1)
        assert_died(world.nodes[name], kill_at, instants)
        assert_paid(world, job_id)
        assert_split_in_two(world, job_id)


def assert_died(node: Node, kill_at: int, instants: list[str]) -> None:
    """It died at that instant, unless that was one of the last two and this life has not so many.

    The answer to the call that ends the job comes with the block that says so.  Which of the two is seen first is
    chance, and after the end an answer is not stored any more: that is two statements less.
    """
    is_over_before = len(instants) - 2 <= len(node.fuse.places) < kill_at
    assert node.starts == 2 or is_over_before, instants[kill_at - 1]


def assert_split_in_two(world: World, job_id: JobId) -> None:
    """The winner trained on three quarters of the rows, each validator tests on the rest."""
    trained = _rows(world.nodes["worker0"], job_id, "worker", "train")
    tested = {tuple(_rows(world.nodes[f"validator{n}"], job_id, "validator", "test")) for n in range(5)}
    [tested_by_all] = tested
    assert (len(trained), len(tested_by_all)) == (9, 3)
    assert sorted([*trained, *tested_by_all], key=int) == [str(row) for row in range(12)]


def _rows(node: Node, job_id: JobId, role: str, name: str) -> list[str]:
    return (node.folder / "jobs" / job_id.hex() / role / name / "inputs.csv").read_text().split()


async def test_nodes_that_all_die_after_every_block_end_the_job_the_same(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit()
        secrets: dict[tuple[str, JobId, str], bytes] = {}
        with trio.fail_after(400):
            while not all_ended(world):
                await trio.sleep(BLOCK_S * 0.999)
                for node in world.nodes.values():
                    for stored in node.journal.machines():
                        key = (node.name, stored.job_id, stored.role)
                        assert secrets.setdefault(key, stored.seed) == stored.seed
                    await node.kill()
                    await node.start(nursery)
        nursery.cancel_scope.cancel()
    assert world.nodes["user"].starts > 20
    assert_paid(world, job_id)


# --- catching up ----------------------------------------------------------------------------------------------------


async def test_a_node_that_was_down_folds_what_it_missed_and_then_acts_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    worker = world.nodes["worker0"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit(training_s=60)
        await world.until(lambda: world.state(job_id) is State.KEYED)
        await worker.kill()
        sent_before = len(world.calls_of("worker0"))
        await trio.sleep(5 * BLOCK_S)
        assert len(world.calls_of("worker0")) == sent_before
        await worker.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)
    assert worker.runner.trainings == 1


async def test_effects_of_the_newest_known_block_are_performed_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The block at which catching up ends may start something itself, which then must not be started again."""
    world = market_of(tmp_path, validators=5)
    worker = world.nodes["worker0"]
    worker.runner.train_s = 6.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit(training_s=60)
        await world.until(lambda: "Acknowledge" in world.calls_of("worker0"))
        await worker.kill()
        while world.state(job_id) is not State.TRAINING:
            await world.mined.wait()
        await worker.start(nursery)  # TRAINING began in the newest block
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert worker.runner.most_running == worker.runner.trainings == 1
    assert_paid(world, job_id)


async def test_a_newcomer_does_nothing_for_jobs_of_the_past(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, validators=5)
    await run_to_end(world)
    await run_to_end_with(world, Node(world, "late", "worker", "validator").enrol(free_wei=0, wallet_wei=1_000))
    late = world.nodes["late"]
    assert late.engine.machines
    assert all(machine.is_finished for machine in late.engine.machines.values())
    assert world.calls_of("late") == []


async def run_to_end_with(world: World, node: Node) -> None:
    async with trio.open_nursery() as nursery:
        await node.start(nursery)
        await trio.sleep(BLOCK_S)
        nursery.start_soon(world.tick)
        await trio.sleep(20 * BLOCK_S)
        nursery.cancel_scope.cancel()


async def test_what_peers_say_while_a_node_catches_up_starts_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Bids heard in the middle of the past are kept for later: what they mean now, the chain has yet to say."""
    world = market_of(tmp_path, validators=5)
    user = world.nodes["user"]
    user.does_relay = False  # else one block ends the bidding and the auction
    was_live: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await user.submit()
        await world.until(lambda: world.state(job_id) is State.REVEALING)
        await user.kill()
        await trio.sleep(2 * BLOCK_S)

        def tell_early(engine: Engine) -> None:
            nursery.start_soon(hear_early, engine)

        async def hear_early(engine: Engine) -> None:
            while job_id not in engine.views:
                await trio.lowlevel.checkpoint()
            was_live.append(user.is_live)

        user.before_run = tell_early
        await user.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert was_live == [False]
    assert_paid(world, job_id)


# --- supervision ----------------------------------------------------------------------------------------------------


async def test_a_bug_in_one_role_of_one_job_stops_nothing_else_and_is_tried_again_after_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    broken = world.nodes["validator0"]

    def bug(machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Evaluate) and broken.starts == 1:
            raise ZeroDivisionError("a bug of ours")

    broken.bug = bug
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit(testing_s=60)
        await world.until(lambda: bool(broken.seen("failed")))
        assert broken.is_up
        assert "rests until the node is started again" in broken.engine.machines[job_id, "validator"].problem
        await trio.sleep(3 * BLOCK_S)
        await broken.kill()
        await broken.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)
    assert broken.account in world.market.jobs[job_id].rounds[0].reports


async def test_a_brain_that_fails_rests_alone_and_catches_up_on_all_it_missed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """What the chain said while the role was at rest led to wishes that were never stored: the next start has them."""
    world = market_of(tmp_path, validators=5)
    user, worker = world.nodes["user"], world.nodes["worker0"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await user.submit(training_s=60)
        await world.until(lambda: (job_id, "worker") in worker.engine.machines)
        brain = worker.engine.machines[job_id, "worker"].brain
        await world.until(lambda: world.state(job_id) is State.AWARDED)

        def plan() -> None:
            raise KeyError("a bug of ours")

        brain.plan = plan  # type: ignore[method-assign]
        await world.until(lambda: world.state(job_id) is State.KEYED)
        await world.until(lambda: bool(worker.seen("failed")))  # the worker may see the chain a block later
        assert worker.is_up
        await worker.kill()
        await worker.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


async def test_an_answer_that_a_brain_fails_at_comes_again_after_the_next_start(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    user, worker = world.nodes["user"], world.nodes["worker0"]

    def break_brain(machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Train) and worker.starts == 1:

            def learn(_: object) -> None:
                raise KeyError("a bug of ours")

            machine.brain.learn = learn  # type: ignore[method-assign, assignment]

    worker.bug = break_brain
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await user.submit(training_s=60)
        await world.until(lambda: bool(worker.seen("failed")))
        await worker.kill()
        await worker.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)


@pytest.mark.parametrize("error", [ArtifactUnavailable("nobody has it"), OSError(28, "No space left on device")])
async def test_what_the_world_refuses_is_tried_again_more_and_more_slowly(
    error: Exception, tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    worker = world.nodes["worker0"]
    times: list[float] = []

    def fail(machine: Machine, effect: Effect) -> None:
        if isinstance(effect, FetchBundle) and effect.name == "train" and len(times) < 3:
            times.append(trio.current_time())
            raise error

    worker.bug = fail
    job_id = await run_to_end(world)
    assert_paid(world, job_id)
    assert [round(later - earlier) for earlier, later in pairwise(times)] == [1, 2]
    assert {notice["effect"] for notice in worker.seen("waits")} == {"fetch|train"}


async def test_what_waits_is_cancelled_once_the_job_is_over(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A worker whose training never gets going loses its bond, and nothing of it lives on."""
    world = market_of(tmp_path, validators=5)
    worker = world.nodes["worker0"]
    worker.runner.failures = [SandboxFailed("no memory")] * 1000
    worker.runner.train_s = 1e9

    def fail(machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Train):
            raise ArtifactUnavailable("never")

    worker.bug = fail
    job_id = await run_to_end(world)
    assert world.outcome(job_id) is Outcome.WORKER_FAULT
    assert not worker.engine._queues
