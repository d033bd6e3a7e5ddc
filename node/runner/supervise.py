"""One phase of one job from start to empty namespace: limits watched, output and metrics read at a bounded rate."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import structlog
import trio

from morphware.node.brake import Brake
from morphware.node.output import shown
from morphware.node.ports import Limits, MetricPoint, RunResult, UsageSample
from morphware.node.runner.errors import SandboxFailed
from morphware.node.runner.metrics import MetricFeed, Source, Started, parse_output, parse_row
from morphware.node.runner.process import SandboxProcess
from morphware.node.runner.sandbox import View, bubblewrap_arguments
from morphware.node.runner.system_use import Gpu, Sampler
from morphware.node.runner.tensorboard import EventFolder
from morphware.node.runner.watchdog import Floors, Offers, Usage, watch

log = structlog.get_logger()

READ_BYTES: Final = 16_384
READ_PAUSE_S: Final = 0.01
"""At most 16 KiB each 10 ms from each pipe of a job: a flood costs the node a bounded share of one core."""
LINE_CHARACTERS: Final = 2_000
TAIL_BYTES: Final = 8_192
DRAIN_S: Final = 2.0
"""How long the pipes may still speak after the first process has ended."""
METRIC_FLAG: Final = "@METRICS@"
OPEN_FILES: Final = 4_096

Phase = Literal["train", "predict", "test"]


@dataclass(frozen=True, slots=True)
class LogBounds:
    """How much output is passed on at once and for ever after, and at how much the job is killed."""

    forward_bytes: int = 8 << 20
    forward_bytes_per_s: int = 64 << 10
    kill_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and what it may see. ``writable`` are the host folders behind the writable bindings."""

    phase: Phase
    entry: str
    view: View
    writable: Sequence[Path]
    limits: Limits
    offers: Offers
    uid: int | None
    events: Path | None = None
    floors: Floors = field(default_factory=Floors)
    log_bounds: LogBounds = field(default_factory=LogBounds)


@dataclass(frozen=True, slots=True)
class Hearers:
    """Who hears what a run says and takes; nobody by default."""

    on_metric: Callable[[MetricPoint], None] | None = None
    on_log: Callable[[str], None] | None = None
    on_usage: Callable[[UsageSample], None] | None = None


async def supervise(program: Path, python: Path, plan: Plan, hearers: Hearers, brake: Brake | None = None) -> RunResult:
    """Run the plan; cancelling kills the whole tree before this returns.

    Raises:
        SandboxFailed: the sandbox did not come up, or this machine ran short of memory or disk.
    """
    run = _Run(plan, hearers)
    gpu = Gpu.find() if plan.view.has_gpu and hearers.on_usage is not None else None
    sampler = Sampler(hearers.on_usage, gpu) if hearers.on_usage is not None else None
    started = trio.current_time()
    launch = {"phase": plan.phase, "entry": plan.entry, "uid": plan.uid, "limits": _resource_limits(plan.limits)}
    words = json.dumps(launch)[:-1] + f', "metrics": {METRIC_FLAG}}}'
    process = SandboxProcess.start(
        program,
        bubblewrap_arguments(plan.view, python),
        [str(python), "-I", "-B", "/morphware/launch.py", words],
        METRIC_FLAG,
    )
    try:
        async with trio.open_nursery() as watching:
            watching.start_soon(
                watch, process, plan.writable, plan.limits, plan.offers, plan.floors, run.usage, brake, sampler
            )
            if gpu is not None:
                watching.start_soon(gpu.follow)
            async with trio.open_nursery() as reading:
                reading.start_soon(process.meet_first)
                reading.start_soon(run.read_output, process)
                reading.start_soon(run.read_metrics, process)
                reading.start_soon(run.read_events)
                status = await process.wait()
                reading.cancel_scope.deadline = trio.current_time() + DRAIN_S
                run.has_ended.set()
            watching.cancel_scope.cancel()
    finally:
        await process.aclose()
        run.close()
    run.usage.raise_for_host()
    if not run.has_started and not run.usage.verdict:
        raise SandboxFailed(f"The sandbox did not come up: {run.last_line() or f'bwrap ended with status {status}'}.")
    return RunResult(
        exit_status=status,
        reason=run.usage.verdict or ("" if status == 0 else run.complaint(status)),
        seconds=trio.current_time() - started,
        peak_memory_bytes=run.usage.peak_memory_bytes,
        log_tail=run.tail(),
    )


def _resource_limits(limits: Limits) -> dict[str, int]:
    """Limits that the kernel keeps by itself, by their names after ``RLIMIT_``."""
    return {
        "CORE": 0,
        "NPROC": limits.processes,
        "FSIZE": limits.disk_bytes,
        "NOFILE": OPEN_FILES,
        "CPU": int(limits.wall_s * (os.cpu_count() or 1)) + 10,
    }


class _Run:
    """What one run has said so far."""

    def __init__(self, plan: Plan, hearers: Hearers) -> None:
        self._plan = plan
        self._on_log = hearers.on_log
        self._feed = MetricFeed(hearers.on_metric) if hearers.on_metric is not None else None
        self._events = EventFolder(plan.events) if plan.events is not None and self._feed is not None else None
        self._started_s = trio.current_time()
        self._job_clock_s: float | None = None
        self._tail = b""
        self.usage = Usage()
        self.has_started = False
        self.has_ended = trio.Event()

    async def read_output(self, process: SandboxProcess) -> None:
        bounds = self._plan.log_bounds
        total = left_out = 0
        rest = b""
        room, filled_s = float(bounds.forward_bytes), self._now()
        while chunk := await _receive(process.output):
            total += len(chunk)
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            if total > bounds.kill_bytes:
                self.usage.verdict = self.usage.verdict or f"log: over {bounds.kill_bytes} bytes"
                process.kill()
                return
            now = self._now()
            room, filled_s = min(bounds.forward_bytes, room + (now - filled_s) * bounds.forward_bytes_per_s), now
            if room < len(chunk):
                left_out += len(rest) + len(chunk)
                rest = b""
            else:
                room -= len(chunk)
                if left_out:
                    self._tell(f"… {left_out:,} bytes left out …")
                    left_out = 0
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take_line(line)
                if len(rest) > LINE_CHARACTERS:
                    self._take_line(rest)
                    rest = b""
        if left_out:
            self._tell(f"… {left_out:,} bytes left out …")
        if rest:
            self._take_line(rest)

    def _tell(self, text: str) -> None:
        if self._on_log is not None and text:
            self._on_log(text)

    def _take_line(self, line: bytes) -> None:
        text = plain(line[:LINE_CHARACTERS])
        self._tell(text)
        if self._feed is not None:
            step, values = parse_output(text)
            now = self._now()
            self._feed.offer(Source.OUTPUT, step, now, now, values)

    async def read_metrics(self, process: SandboxProcess) -> None:
        rest = b""
        while chunk := await _receive(process.metrics):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > READ_BYTES * 4:
                rest = b""
            for line in lines:
                try:
                    row = parse_row(line)
                except ValueError:  # garbage in a forgeable display: dropped
                    continue
                if isinstance(row, Started):
                    self.has_started = True
                elif self._feed is not None:
                    source, step, at_s, values = row
                    self._feed.offer(source, step, self._elapsed(at_s), self._now(), values)

    async def read_events(self) -> None:
        if self._events is None or self._feed is None:
            return
        while True:
            is_last = self.has_ended.is_set()
            for scalar in await trio.to_thread.run_sync(self._events.poll):
                at_s = self._elapsed(scalar.wall_time_s)
                self._feed.offer(Source.TENSORBOARD, scalar.step, at_s, self._now(), {scalar.tag: scalar.value})
            if is_last:
                return
            with trio.move_on_after(0.5):
                await self.has_ended.wait()

    def _now(self) -> float:
        return trio.current_time() - self._started_s

    def _elapsed(self, job_clock_s: float) -> float:
        """The job's wall clock, as seconds into the run: its first word is taken to be about now."""
        if self._job_clock_s is None:
            self._job_clock_s = job_clock_s - self._now()
        return job_clock_s - self._job_clock_s

    def tail(self) -> str:
        return "\n".join(filter(None, (plain(line) for line in self._tail.split(b"\n"))))

    def last_line(self) -> str:
        return self.tail().rsplit("\n", 1)[-1][:300]

    def complaint(self, status: int) -> str:
        how = f"killed by signal {status - 128}" if status > 128 else f"exit status {status}"
        return f"{how}: {self.last_line()}" if self.last_line() else how

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
        if self._feed is not None and self._feed.dropped:
            log.info("metric_points_dropped", dropped=self._feed.dropped)


async def _receive(stream: trio.lowlevel.FdStream) -> bytes:
    """The next bytes, after a pause when there is a flood; empty at the end."""
    chunk = await stream.receive_some(READ_BYTES)
    if len(chunk) == READ_BYTES:
        await trio.sleep(READ_PAUSE_S)
    return bytes(chunk)


def plain(line: bytes) -> str:
    """A line of a job's output without anything that a terminal would obey."""
    return shown(line.decode("utf-8", "replace").rstrip("\r\n").rsplit("\r", 1)[-1]).rstrip()
