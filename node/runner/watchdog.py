"""Limits that no namespace enforces: memory of a whole tree, disk, hidden files, wall time, and the host's own floors.

``du`` misses files that were deleted while open, and resident size misses memory files that nobody maps; both are
found under ``/proc/PID/fd``.  Everything here reads ``/proc`` and ``lstat``; nothing is opened that a job made.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from morphware.node.brake import Brake
from morphware.node.ports import Limits
from morphware.node.runner.errors import SandboxFailed
from morphware.node.runner.freezing import freeze, thaw
from morphware.node.runner.process import SandboxProcess
from morphware.node.runner.process_tree import process_tree
from morphware.node.runner.system_use import Sampler, cpu_seconds

LEAST_OFFER_BYTES: Final = 128 << 20
"""With less, not even an interpreter starts, which says nothing about the job."""
IN_MEMORY_FILES: Final = 3 / 2
"""The two memory file systems inside may each hold a quarter of a job's memory on top of it."""
FAIR_SHARE: Final = 4
"""A machine that offers a quarter of its memory has been fair, whatever the specification of a stranger promised."""
LEAST_DISK_BYTES: Final = 16 << 20
FAIR_DISK_BYTES: Final = 1 << 30
"""Twice what an answer may have."""
PERIOD_S: Final = 0.1
DISK_EVERY: Final = 5
"""Folders are walked every fifth time."""


@dataclass(frozen=True, slots=True)
class Floors:
    """What the host keeps for itself whatever a job's limits say, and how many files a job may leave."""

    memory_bytes: int = 384 << 20
    disk_bytes: int = 512 << 20
    files: int = 20_000


@dataclass(frozen=True, slots=True)
class Offer:
    """How much a job may use of something here and now. ``is_fair``: a job that needs more has failed by itself."""

    size_bytes: int
    is_fair: bool = True

    def blames(self, used_bytes: int) -> bool:
        """Whether it is the job's own failure that it took too much, or that the machine ran dry while it ran.

        Silence costs an honest validator its stake, so a greedy job must fail: one that took more than a fair offer,
        or held more than half of it at the end (other jobs of its maker may have helped).  Any other shortage is this
        machine's, and the job is tried again.
        """
        return self.is_fair and used_bytes > self.size_bytes // 2


def offer_memory(
    promised_bytes: int, floors: Floors, *, free_bytes: int | None = None, total_bytes: int | None = None
) -> Offer:
    """What was promised, or what this machine has above its floor: then a greedy job meets its own limit first.

    Raises:
        SandboxFailed: there is too little for any job.
    """
    free = host_memory_bytes() if free_bytes is None else free_bytes
    total = _kilobytes("/proc/meminfo", (b"MemTotal:",)) << 10 if total_bytes is None else total_bytes
    size = min(promised_bytes, int((free - floors.memory_bytes) / IN_MEMORY_FILES))
    if size < min(promised_bytes, LEAST_OFFER_BYTES):
        raise SandboxFailed("This machine has too little free memory to start the job: free some.")
    return Offer(size, size == promised_bytes or size >= total // FAIR_SHARE)


def offer_disk(promised_bytes: int, floors: Floors, free_bytes: int) -> Offer:
    """The same for disk.

    Raises:
        SandboxFailed: there is too little for any job.
    """
    size = min(promised_bytes, free_bytes - floors.disk_bytes)
    if size < min(promised_bytes, LEAST_DISK_BYTES):
        raise SandboxFailed("This machine has too little free disk to start the job: free some.")
    return Offer(size, size == promised_bytes or size >= FAIR_DISK_BYTES)


@dataclass(frozen=True, slots=True)
class Offers:
    """All that a job is offered."""

    memory: Offer
    disk: Offer

    def blameless(self) -> "Offers":
        """The same for a job that cannot be to blame."""
        return Offers(replace(self.memory, is_fair=False), replace(self.disk, is_fair=False))


@dataclass(slots=True)
class Usage:
    """What was seen so far. ``verdict`` is why the job was killed; ``host_verdict`` why this machine gave up."""

    peak_memory_bytes: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    cpu_s: float = 0.0
    verdict: str = ""
    host_verdict: str = ""

    def judge_memory(self, used_bytes: int, offered: Offer, host_free_bytes: int, floors: Floors) -> None:
        """End the job if it, or others, took too much memory."""
        self.memory_bytes = used_bytes
        self.peak_memory_bytes = max(self.peak_memory_bytes, used_bytes)
        self._judge("memory", used_bytes, offered, has_room=host_free_bytes >= floors.memory_bytes)

    def judge_disk(self, used_bytes: int, offered: Offer, host_free_bytes: int, floors: Floors) -> None:
        """End the job if it, or others, took too much disk."""
        self.disk_bytes = used_bytes
        self._judge("disk", used_bytes, offered, has_room=host_free_bytes >= floors.disk_bytes)

    def _judge(self, what: str, used_bytes: int, offered: Offer, *, has_room: bool) -> None:
        is_over = used_bytes > offered.size_bytes
        if not is_over and has_room:
            return
        if offered.blames(used_bytes):
            bound = f"{offered.size_bytes >> 20} MiB allowed" if is_over else "and the machine had no more"
            self.verdict = f"{what}: {used_bytes >> 20} MiB used, {bound}"
        else:
            self.host_verdict = f"This machine has too little free {what} left to go on with the job: free some."

    def raise_for_host(self) -> None:
        """Raises ``SandboxFailed`` when the machine, not the job, was short of something."""
        if self.host_verdict:
            raise SandboxFailed(self.host_verdict)


async def watch(
    process: SandboxProcess,
    folders: Sequence[Path],
    limits: Limits,
    offers: Offers,
    floors: Floors,
    usage: Usage,
    brake: Brake | None = None,
    sampler: Sampler | None = None,
) -> None:
    """Kill the job at the first limit that it breaks, and let it stand still while its brake holds; sample what it
    takes; until cancelled."""
    brake = brake or Brake(0.0, lambda: False)
    started = looked = trio.current_time()
    turn = 0
    while True:
        now, was_held = trio.current_time(), brake.is_on
        left_s = limits.deadline_s - (now - started)
        is_held = brake.holds(now - looked, left_s)
        looked = now
        if is_held or was_held:
            await trio.to_thread.run_sync(freeze if is_held else thaw, process.pid)
        with_disk = turn % DISK_EVERY == 0
        # A job that stands still takes nothing: what runs short meanwhile was taken by others.
        offered = offers.blameless() if is_held else offers
        with_cpu = sampler is not None and sampler.is_due(now - started)
        await trio.to_thread.run_sync(_look, process.pid, folders, offered, floors, usage, with_disk, with_cpu)
        if sampler is not None and with_cpu:
            sampler.take(trio.current_time() - started, usage.cpu_s, usage.memory_bytes, usage.disk_bytes)
        if brake.ran_s > limits.wall_s:
            usage.verdict = usage.verdict or f"wall time: over {limits.wall_s:g} s"
        if left_s < 0:
            usage.verdict = usage.verdict or f"wall time: over {limits.deadline_s:g} s, some of which it stood still"
        if usage.verdict or usage.host_verdict:
            process.kill()
            return
        turn += 1
        await trio.sleep(PERIOD_S)


def _look(
    pid: int,
    folders: Sequence[Path],
    offers: Offers,
    floors: Floors,
    usage: Usage,
    with_disk: bool,
    with_cpu: bool,
) -> None:
    pids = process_tree(pid)
    hidden_disk, hidden_memory = hidden_bytes(pids)
    memory = resident_bytes(pids) + hidden_memory
    host_free = host_memory_bytes()
    if memory > offers.memory.size_bytes or host_free < floors.memory_bytes:
        # forked workers share pages that the quick sum counts once each
        memory = proportional_bytes(pids) + hidden_memory
    usage.judge_memory(memory, offers.memory, host_free, floors)
    if with_disk:
        count = 0
        disk = hidden_disk
        for folder in folders:
            try:
                size, entries = folder_bytes(folder, floors.files)
            except PermissionError:
                usage.verdict = "disk: the job closed a folder, so that its size cannot be seen"
                return
            disk += size
            count += entries
        usage.judge_disk(disk, offers.disk, min(shutil.disk_usage(folder).free for folder in folders), floors)
        if count >= floors.files:
            usage.verdict = f"disk: more than {floors.files} files"
    if with_cpu:
        usage.cpu_s = cpu_seconds(pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """Anonymous and shared resident memory; shared pages count once for each process."""
    return sum(_kilobytes(f"/proc/{pid}/status", (b"RssAnon:", b"RssShmem:")) for pid in pids) << 10


def proportional_bytes(pids: Iterable[int]) -> int:
    """The same with each shared page divided among its users; slower."""
    names = (b"Pss_Anon:", b"Pss_Shmem:")
    return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", names) for pid in pids) << 10


def _kilobytes(path: str, names: tuple[bytes, ...]) -> int:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return sum(int(line.split()[1]) for line in file if line.startswith(names))
    except (OSError, ValueError, IndexError):
        return 0


def hidden_bytes(pids: Iterable[int]) -> tuple[int, int]:
    """(disk, memory) in files that have no name any more: deleted but open, and memory files."""
    disk: dict[tuple[int, int], int] = {}
    memory: dict[tuple[int, int], int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            for name in os.listdir(folder):  # noqa: PTH208
                target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
                if target.endswith(" (deleted)"):
                    status = os.stat(f"{folder}/{name}")  # noqa: PTH116
                    kind = memory if target.startswith(("/memfd:", "/dev/shm/")) else disk  # noqa: S108
                    kind[status.st_dev, status.st_ino] = status.st_blocks * 512
        except OSError:
            continue
    return sum(disk.values()), sum(memory.values())


def folder_bytes(folder: Path, max_entries: int) -> tuple[int, int]:
    """(allocated bytes, entries), stopping at ``max_entries``; no link is followed.

    Raises:
        PermissionError: a folder can be written but not listed, which is a way to hide what is in it.
    """
    size = entries = 0
    pending = [os.fspath(folder)]
    while pending and entries < max_entries:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entries >= max_entries:
                        break
        except PermissionError:
            raise
        except OSError:
            continue  # it vanished while we looked
    return size, entries


def host_memory_bytes() -> int:
    """What the kernel says is available."""
    return _kilobytes("/proc/meminfo", (b"MemAvailable:",)) << 10
