"""Looks at the machine every few seconds, and says when it becomes its owner's or free again.

What the node and its jobs do themselves is no sign of use: their processes are told by their descent from this one.
The processor's load by others is what the whole machine did, less what this tree of processes did (with the children
that it has buried, whose time their parents inherit).  A GPU's load by others is what ``nvidia-smi pmon`` says of their
processes; where it says nothing of processes, the whole GPU's.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import psutil
import structlog
import trio

from morphware.node.idleness import Availability, Observation, Rules, decide

log = structlog.get_logger()

PERIOD_S: Final = 3.0
GPU_ANSWER_S: Final = 10.0
"""A driver that hangs must not keep the watcher from looking at everything else."""
PROCESSES: Final = ("nvidia-smi", "pmon", "-c", "1", "-s", "u")
WHOLE: Final = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


class Owner(Protocol):
    """Whose rules count, and who is told."""

    @property
    def rules(self) -> Rules: ...

    @property
    def availability(self) -> Availability: ...

    def note_availability(self, availability: Availability) -> None: ...


async def watch_machine(owner: Owner, look: Callable[[Rules], Observation] | None = None) -> None:
    """Look, decide and tell, until cancelled. Rules that are changed count from the next look on."""
    look = look or Eyes().look
    while True:
        rules = owner.rules
        if rules.are_any:
            try:
                seen = await trio.to_thread.run_sync(look, rules, abandon_on_cancel=True)
            except (psutil.Error, OSError) as error:  # the answer stays what it was
                log.warning("machine_not_seen", reason=str(error))
            else:
                owner.note_availability(decide(rules, seen, owner.availability))
        else:
            owner.note_availability(Availability())
        await trio.sleep(PERIOD_S)


@dataclass(slots=True)
class Eyes:
    """Looks at this machine; a load is measured since the look before. ``root`` is the first of our own processes."""

    root: int = field(default_factory=os.getpid)
    _machine_s: tuple[float, float] | None = None
    _ours_s: float = 0.0

    def look(self, rules: Rules) -> Observation:
        """What the rules need to know of this instant; may block, as the machine is looked at here."""
        local = time.localtime()
        needs_tree = bool(rules.programs or rules.other_load_percent or rules.gpu_load_percent)
        ours = own_processes(self.root) if needs_tree else {}
        return Observation(
            at_s=time.monotonic(),
            minute=local.tm_hour * 60 + local.tm_min,
            programs=programs_of_others(ours.keys()) if rules.programs else frozenset(),
            load_percent=self._other_load(ours.values()) if rules.other_load_percent else None,
            gpu_percent=gpu_load(ours.keys()) if rules.gpu_load_percent else None,
        )

    def _other_load(self, ours: Iterable[psutil.Process]) -> float | None:
        """Percent of all processors that others took since the last look; None at the first."""
        machine_s, ours_s = _machine_seconds(), sum(_seconds(process) for process in ours)
        before, self._machine_s = self._machine_s, machine_s
        ours_before, self._ours_s = self._ours_s, ours_s
        if before is None or machine_s[1] <= before[1]:
            return None
        others_s = machine_s[0] - before[0] - max(0.0, ours_s - ours_before)
        return max(0.0, 100 * others_s / (machine_s[1] - before[1]))


def own_processes(root: int) -> dict[int, psutil.Process]:
    """The node, its sandboxes, and all that runs in them."""
    try:
        first = psutil.Process(root)
        return {process.pid: process for process in (first, *first.children(recursive=True))}
    except psutil.Error:
        return {}


def programs_of_others(ours: Iterable[int]) -> frozenset[str]:
    """Names, in lower case, of every program that runs on this machine and is not ours."""
    known = set(ours)
    names: set[str] = set()
    psutil.process_iter.cache_clear()  # it keeps names by number, and a number may be another program's by now
    for process in psutil.process_iter():
        if process.pid not in known:
            names.update(program_names(process))
    return frozenset(names)


def program_names(process: psutil.Process) -> Iterator[str]:
    """What a program may be called: as it calls itself, and its file, be it one of Windows under Wine.

    What has no command line is a part of the kernel, or has ended.
    """
    try:
        name, command = process.name(), process.cmdline()
    except (psutil.Error, OSError):
        return
    if command:
        yield name.lower()
        yield command[0].replace("\\", "/").rpartition("/")[2].lower()


def _machine_seconds() -> tuple[float, float]:
    """(busy, all) seconds of all processors since the machine started."""
    times: Any = psutil.cpu_times()
    # a guest's time is counted in the user's as well
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _seconds(process: psutil.Process) -> float:
    """What a process and the children that it has buried took of the processors."""
    try:
        times: Any = process.cpu_times()
    except (psutil.Error, OSError):
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


# --- GPU ------------------------------------------------------------------------------------------------------------


def gpu_load(ours: Iterable[int]) -> float | None:
    """Percent of the busiest NVIDIA GPU that others take; None where there is none, or its driver does not answer."""
    if (text := _answer(PROCESSES)) is not None and (load := load_by_processes(text, ours)) is not None:
        return load
    return None if (text := _answer(WHOLE)) is None else whole_load(text)


def load_by_processes(text: str, ours: Iterable[int]) -> float | None:
    """The load by others in what ``nvidia-smi pmon`` prints; None if it is no such table.

    Columns are told by their heading: ``# gpu  pid  type  sm  mem ...``, where a dash is nothing to tell.
    """
    known = set(ours)
    columns: list[str] = []
    loads: dict[str, float] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["#", "gpu"]:
            columns = words[1:]
        elif words and not words[0].startswith("#") and {"gpu", "pid", "sm"} <= set(columns):
            row = dict(zip(columns, words, strict=False))
            loads.setdefault(row["gpu"], 0.0)
            if row.get("pid", "-").isdigit() and int(row["pid"]) not in known:
                loads[row["gpu"]] += float(row["sm"]) if row.get("sm", "-").isdigit() else 0.0
    return max(loads.values(), default=None)


def whole_load(text: str) -> float | None:
    """The busiest GPU's load, of one number a line."""
    return max((float(line) for line in text.split("\n") if line.strip().isdigit()), default=None)


def _answer(command: tuple[str, ...]) -> str | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=GPU_ANSWER_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
