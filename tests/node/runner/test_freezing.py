"""A training whose owner wants the machine stands still as a whole, and goes on as if nothing had been."""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from morphware.node.brake import LAG_S, Brake
from morphware.node.ports import RunResult
from morphware.node.runner.freezing import is_stopped, job_processes
from morphware.node.runner.process_tree import children, process_tree
from morphware.node.runner.runner import SandboxRunner
from morphware.protocol.events import TrainingEnded
from morphware.protocol.units import Timestamp
from tests.node.runner.stranger import LIMITS, Stranger
from tests.node.test_performer import JOB, TRAIN, Bench

pytestmark = pytest.mark.adapter

COUNTING = """
import os, sys, time
count = 0
while not os.path.exists('/job/model/enough'):
    count += 1
    print(count)
    time.sleep(0.02)
    if count == {most}:
        open(os.environ['MORPHWARE_MODEL_DIR'] + '/enough', 'w').write('x')
"""
FORKING = """
import os, signal, time
for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        break
while True:
    if os.fork() == 0:
        for pid in os.listdir('/proc'):
            if pid.isdigit() and int(pid) > 2:
                try:
                    os.kill(int(pid), signal.SIGCONT)
                except OSError:
                    pass
        os._exit(0)
    try:
        os.waitpid(-1, 0)
    except OSError:
        pass
"""


class Owner:
    """Who plays, and when."""

    def __init__(self) -> None:
        self.plays = False

    def brake(self, estimated_s: float = 1.0) -> Brake:
        return Brake(estimated_s, lambda: self.plays)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(120):
        while not condition():  # noqa: ASYNC110 - files of /proc and lines that threads bring
            await trio.sleep(0.02)


async def running(stranger: Stranger, source: str, brake: Brake, results: list[RunResult], wall_s: float = 300) -> None:
    limits = replace(LIMITS, wall_s=wall_s, deadline_s=wall_s + 600)
    results.append(await stranger.train(source, limits, brake))


def sandbox(node: int | None = None) -> int | None:
    """The outer process of the one sandbox that runs below a node, which is this process if nobody else is named."""
    return next((pid for pid in children(node or os.getpid()) if job_processes(pid)), None)


def all_stopped(node: int | None = None) -> bool:
    outer = sandbox(node)
    return outer is not None and all(is_stopped(pid) for pid in job_processes(outer))


async def test_a_job_that_counts_stops_counting_and_goes_on_after(stranger: Stranger) -> None:
    owner, results = Owner(), list[RunResult]()
    brake = owner.brake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running, stranger, COUNTING.format(most=300), brake, results)
        await until(lambda: len(stranger.told.lines) > 10)
        owner.plays = True
        await until(lambda: brake.is_on and all_stopped())
        await trio.sleep(0.2)  # what was in the pipe arrives
        counted = len(stranger.told.lines)
        await trio.sleep(1.0)
        assert len(stranger.told.lines) == counted < 300
        owner.plays = False
        await until(lambda: bool(results))
    assert results[0].reason == ""
    assert stranger.told.lines[:300] == [str(number) for number in range(1, 301)]
    assert brake.frozen_s >= 1.0
    assert (stranger.model / "enough").read_text() == "x"


async def test_time_that_a_job_stood_still_is_not_counted_as_its_running_time(stranger: Stranger) -> None:
    owner, results = Owner(), list[RunResult]()
    brake = owner.brake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(running, stranger, COUNTING.format(most=10**9), brake, results, wall_s=3))
        await until(lambda: bool(stranger.told.lines))
        owner.plays = True
        await until(lambda: brake.frozen_s > 5)
        assert not results
        owner.plays = False
        await until(lambda: bool(results))
    assert results[0].reason == "wall time: over 3 s"


async def test_a_job_goes_on_by_itself_when_just_enough_time_is_left(stranger: Stranger) -> None:
    owner, results = Owner(), list[RunResult]()
    owner.plays = True
    brake = Brake(1.0, lambda: owner.plays)
    limits = replace(LIMITS, wall_s=60, deadline_s=1.5 + LAG_S + 3)
    with trio.fail_after(120):
        results.append(await stranger.train(COUNTING.format(most=20), limits, brake))
    assert results[0].reason == ""
    assert brake.must_run
    assert brake.frozen_s > 2
    assert owner.plays, "it went on although its owner still plays"


async def test_children_that_are_born_meanwhile_and_wake_each_other_do_not_escape(stranger: Stranger) -> None:
    """Each of the processes makes children without end, which wake whatever was stopped."""
    owner, results = Owner(), list[RunResult]()
    brake = owner.brake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running, stranger, FORKING, brake, results)
        await until(lambda: (outer := sandbox()) is not None and len(job_processes(outer)) >= 6)
        owner.plays = True
        await until(lambda: brake.is_on and all_stopped())
        outer = sandbox()
        assert outer is not None
        before = _processor_times(outer)
        assert before
        await trio.sleep(1.0)
        assert _processor_times(outer) == before
        assert all_stopped()
        owner.plays = False
        await until(lambda: not all_stopped())
        owner.plays = True
        await until(lambda: brake.is_on and all_stopped())
        nursery.cancel_scope.cancel()  # what is stopped can be killed as well
    assert sandbox() is None


def _processor_times(outer: int) -> dict[int, int]:
    """Ticks of each stopped process of the job. The dead are left out: bubblewrap buries them while the rest stands."""
    times: dict[int, int] = {}
    for pid in job_processes(outer):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            state, *words = file.read().rpartition(b")")[2].split()
            if state == b"T":
                times[pid] = int(words[10]) + int(words[11])
    return times


async def test_a_nodes_own_training_stands_still_at_its_owners_wish(tmp_path: Path, runner: SandboxRunner) -> None:
    """Through all of it: the wish, the effect that is performed, the sandbox, and what the node says of it."""
    bench = Bench(tmp_path)
    object.__setattr__(bench.performer, "runner", runner)
    (bench.job / "worker" / "code" / "train.py").write_text(COUNTING.format(most=50))
    brakes, answers = bench.performer.brakes, list[object]()

    async def perform() -> None:
        answers.append(await bench.perform(replace(TRAIN, until=Timestamp(2_000))))

    with bench.node.feed.listen() as notices:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(perform)
            await until(lambda: bool(brakes.running))
            brakes.is_wished = True
            await until(lambda: brakes.running[JOB].is_on and all_stopped())
            assert answers == []
            brakes.is_wished = False
            await until(lambda: bool(answers))
        said = [str((await anext(notices))["kind"])]
        while said[-1] != "trained":
            said.append(str((await anext(notices))["kind"]))
    assert answers == [TrainingEnded("")]
    assert [kind for kind in said if kind in ("training", "frozen", "thawed", "trained")] == [
        "training",
        "frozen",
        "thawed",
        "trained",
    ]
    assert bench.model == {"enough": "x"}
    assert brakes.running == {}
    bench.node.journal.close()


NODE = """
import sys, trio
from pathlib import Path
from morphware.node.brake import Brake
from morphware.node.runner.runner import SandboxRunner
from tests.node.runner.stranger import LIMITS, Stranger
folder, heard = Path(sys.argv[1]), []
stranger = Stranger(SandboxRunner(folder / "scratch"), folder)
stranger.told.lines = heard
brake = Brake(1.0, lambda: bool(heard), lambda is_on: print("frozen", flush=True))
trio.run(stranger.train, "import time; print('here'); time.sleep(600)", LIMITS, brake)
"""


async def test_a_job_that_stands_still_dies_with_its_node(tmp_path: Path) -> None:
    """What is stopped hears no signal but one, and that one comes."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))},
    ) as node:
        assert node.stdout is not None
        lines = (line for line in node.stdout if line.strip() == "frozen")
        assert next(lines, None) is not None
        await until(lambda: all_stopped(node.pid))
        jobs = [os.pidfd_open(pid) for pid in process_tree(node.pid)[1:]]
        assert len(jobs) >= 3
        node.kill()
    for job in jobs:
        assert select.select([job], [], [], 30)[0]  # a pidfd is readable once its process has ended
        os.close(job)
