"""Whether the machine is free for jobs, or its owner's: one decision from rules, the clock and what runs.

| sign | busy | free again |
|---|---|---|
| work hours | at the end of one | at the beginning of the next |
| a program of the list runs | at once | after ``quiet_s`` without it |
| others load processor or GPU | after ``busy_after_s`` above their limit | after ``quiet_s`` below three quarters |

Between the limit and three quarters of it nothing changes, so that a load at the limit does not make the answer flap.
The reason holds no numbers of the moment: it changes only when the answer does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from morphware.node.errors import BadInput

DAY_MINUTES: Final = 24 * 60
CALM_SHARE: Final = 0.75
"""Only below this share of its limit is a load taken for over."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes of the local day, from ``start`` on and before ``end``; over midnight if the end is not after it."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies within."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def parse_hours(texts: Iterable[str]) -> tuple[Hours, ...]:
    """Hours like ``22:00-08:00``.

    Raises:
        BadInput: a text says no time of a day, or no time between two of them.
    """
    return tuple(_hours(text) for text in texts)


def _hours(text: str) -> Hours:
    start, _, end = text.partition("-")
    minutes = [_minute(start), _minute(end)]
    if None in minutes or minutes[0] == DAY_MINUTES:
        raise BadInput(f"{text!r} names no two times of a day: write them like 22:00-08:00.")
    if minutes[0] == minutes[1]:
        raise BadInput(f"{text!r} begins when it ends: leave the list empty for jobs at any time.")
    return Hours(minutes[0] or 0, minutes[1] or 0)


def _minute(text: str) -> int | None:
    """Minutes since midnight; 24:00 is the end of the day."""
    hours, _, minutes = text.partition(":")
    if not (hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()):
        return None
    total = int(hours) * 60 + int(minutes)
    return total if int(minutes) < 60 and total <= DAY_MINUTES else None


def clock_text(minute: int) -> str:
    """A minute of the day as clocks show it."""
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the owner said. Programs are in lower case; a limit of 0 does not matter."""

    work_hours: tuple[Hours, ...] = ()
    programs: tuple[str, ...] = ()
    other_load_percent: float = 0.0
    gpu_load_percent: float = 0.0
    busy_after_s: float = 15.0
    quiet_s: float = 60.0

    @property
    def are_any(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.work_hours or self.programs or self.other_load_percent or self.gpu_load_percent)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen at one instant of a steady clock; programs in lower case, None where nothing could be measured."""

    at_s: float
    minute: int
    programs: frozenset[str] = frozenset()
    load_percent: float | None = None
    gpu_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of use, and since when the machine has looked otherwise. ``what`` is the program that gave it."""

    is_busy: bool = False
    otherwise_since_s: float | None = None
    what: str = ""


@dataclass(frozen=True, slots=True)
class Availability:
    """The answer, its reason in one sentence (empty when free), and what the next answer needs to know of this one."""

    is_free: bool = True
    reason: str = ""
    program: Sign = field(default=Sign(), repr=False)
    load: Sign = field(default=Sign(), repr=False)
    gpu: Sign = field(default=Sign(), repr=False)


FREE: Final = Availability()
UNSEEN: Final = Availability(is_free=False, reason="the machine is being looked at")
"""Before the first look, where there are rules."""


def decide(rules: Rules, seen: Observation, before: Availability = FREE) -> Availability:
    """Whether jobs may run now, given what was the answer before."""
    program = _program(rules, seen, before.program)
    load = _load(rules.other_load_percent, seen.load_percent, rules, seen.at_s, before.load)
    gpu = _load(rules.gpu_load_percent, seen.gpu_percent, rules, seen.at_s, before.gpu)
    reason = (
        _closed(rules.work_hours, seen.minute)
        or (_program_sentence(program) if program.is_busy else "")
        or (f"busy: other programs take more than {rules.other_load_percent:g} % of the processor" * load.is_busy)
        or (f"busy: other programs take more than {rules.gpu_load_percent:g} % of a GPU" * gpu.is_busy)
    )
    return Availability(not reason, reason, program, load, gpu)


def _closed(work_hours: Sequence[Hours], minute: int) -> str:
    if not work_hours or any(hours.holds(minute) for hours in work_hours):
        return ""
    soonest = min((hours.start for hours in work_hours), key=lambda start: (start - minute) % DAY_MINUTES)
    return f"until {clock_text(soonest)} by your hours"


def _program_sentence(sign: Sign) -> str:
    if sign.otherwise_since_s is None:
        return f"busy: the program {sign.what} runs"
    return f"busy: the program {sign.what} ran until just now"


def _program(rules: Rules, seen: Observation, before: Sign) -> Sign:
    running = next((name for name in rules.programs if name in seen.programs), None)
    if running is not None:
        return Sign(is_busy=True, what=running)
    if not before.is_busy or before.what not in rules.programs:
        return Sign()
    return _turned(before, seen.at_s, rules.quiet_s)


def _load(limit: float, percent: float | None, rules: Rules, at_s: float, before: Sign) -> Sign:
    if limit <= 0:
        return Sign()
    if percent is None:
        return before  # nothing was measured, which says nothing
    is_otherwise = percent <= CALM_SHARE * limit if before.is_busy else percent > limit
    if not is_otherwise:
        return Sign(before.is_busy)
    return _turned(before, at_s, rules.quiet_s if before.is_busy else rules.busy_after_s)


def _turned(before: Sign, at_s: float, after_s: float) -> Sign:
    """A sign that is contradicted: it turns once it has been for long enough."""
    since_s = at_s if before.otherwise_since_s is None else before.otherwise_since_s
    if at_s - since_s >= after_s:
        return Sign(not before.is_busy)
    return Sign(before.is_busy, since_s, before.what)
