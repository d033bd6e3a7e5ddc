"""What a job takes of this machine, sample by sample: cores, memory, disk, and the GPU where the job has one.

The watchdog finds the job's processes anyway; a sample costs it one more look at each.  A GPU is asked through one
``nvidia-smi`` that stays and speaks every other second: to start it anew each time would cost more than the job's
first layers, and where it is slow, or silent, nobody waits for it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import structlog
import trio

from morphware.node.ports import UsageSample

FIRST_S: Final = 1.0
"""A short training has a first sample, too; and for as many seconds as a person watches it begin, one a second."""
CLOSE_LOOK_S: Final = 120.0
PERIOD_S: Final = 2.0
SAMPLES_MOST: Final = 20_000
"""Runs of days are sampled ever more slowly: a sample comes a twenty-thousandth of the run so far after the last."""
GPU_PROGRAM: Final = "nvidia-smi"
GPU_QUERY: Final = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits", "--loop=2")
GPU_STALE_S: Final = 15.0
GPU_LINE_BYTES: Final = 200
GPUS_MOST: Final = 64
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
MIB: Final = 1 << 20

log = structlog.get_logger()


class Sampler:
    """Turns the watchdog's looks into samples, and hands them on."""

    def __init__(self, on_usage: Callable[[UsageSample], None], gpu: "Gpu | None" = None) -> None:
        self._on_usage = on_usage
        self._gpu = gpu
        self._due_s = FIRST_S
        self._last_s = 0.0
        self._last_cpu_s = 0.0

    def is_due(self, elapsed_s: float) -> bool:
        """Whether it is time for a sample, so many seconds into the run."""
        return elapsed_s >= self._due_s

    def take(self, elapsed_s: float, cpu_s: float, memory_bytes: int, disk_bytes: int) -> None:
        """A sample; ``cpu_s`` counts all processor seconds of the job so far."""
        passed_s = max(elapsed_s - self._last_s, 0.001)
        used_s = max(0.0, cpu_s - self._last_cpu_s)  # a process that nobody waited for took its seconds with it
        gpu = self._gpu.now() if self._gpu is not None else None
        self._on_usage(
            UsageSample(
                time_s=elapsed_s,
                cpu_percent=100 * used_s / passed_s,
                memory_bytes=memory_bytes,
                disk_bytes=disk_bytes,
                gpu_percent=None if gpu is None else gpu[0],
                gpu_memory_bytes=None if gpu is None else gpu[1],
            )
        )
        self._last_s, self._last_cpu_s = elapsed_s, cpu_s
        self._due_s = elapsed_s + max(1.0 if elapsed_s < CLOSE_LOOK_S else PERIOD_S, elapsed_s / SAMPLES_MOST)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds of these processes and of the children that they have waited for."""
    return sum(map(_ticks, pids)) / TICKS_PER_S


def _ticks(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a thousand Paths per look would cost
            # the program's name stands in brackets, and may hold brackets and blanks itself
            return sum(map(int, file.read().rpartition(b")")[2].split()[11:15]))
    except (OSError, ValueError):
        return 0  # it ended while we looked


class Gpu:
    """This machine's GPUs together: mean use in percent, and the memory that is taken."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._seen: dict[int, tuple[float, float, int]] = {}

    @classmethod
    def find(cls) -> "Gpu | None":
        """The GPUs, if the program is there that knows about them."""
        program = shutil.which(GPU_PROGRAM)
        return None if program is None else cls(Path(program))

    def now(self) -> tuple[float, int] | None:
        """(percent, bytes), or None where nothing was heard lately."""
        fresh = [each for each in self._seen.values() if trio.current_time() - each[0] < GPU_STALE_S]
        if not fresh:
            return None
        return sum(percent for _, percent, _ in fresh) / len(fresh), sum(size for _, _, size in fresh)

    async def follow(self) -> None:
        """Listen until cancelled, or until the program has had enough; its failure is nobody's but its own."""
        try:
            process = await trio.lowlevel.open_process(
                [self._program, *GPU_QUERY],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            log.info("gpu_not_seen", reason=str(error))
            return
        try:
            rest = b""
            assert process.stdout is not None
            async with aclosing(process.stdout) as stream:
                async for chunk in stream:
                    *lines, rest = (rest + bytes(chunk)).split(b"\n")
                    rest = rest[-GPU_LINE_BYTES:]
                    for line in lines:
                        self._hear(line)
        finally:
            with trio.CancelScope(shield=True):
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _hear(self, line: bytes) -> None:
        """``0, 37, 8123``: what cannot be told is written [N/A] or so, and is no reading."""
        try:
            index, percent, size_mib = (float(word) for word in line[:GPU_LINE_BYTES].split(b","))
        except ValueError:
            return
        if 0 <= index < GPUS_MOST and 0 <= percent <= 100 and 0 <= size_mib < 1 << 30:
            self._seen[int(index)] = trio.current_time(), percent, int(size_mib) * MIB
