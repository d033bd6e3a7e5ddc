"""A job as it happens: the notices of several nodes, folded into one picture. No terminal, and no clock of its own.

Every node says every chain event, so an event counts once, when the first node says it; a node that is behind says
nothing new.  Scalars and output come from one node only (the ``viewer``, whose job it is): what is drawn is what
reached the end user.  Everything is bounded, since notices carry texts and numbers that strangers chose.
"""

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from morphware.node import narration
from morphware.node.describe import reason as reason_of
from morphware.node.output import SYSTEM
from morphware.node.plain import from_plain
from morphware.node.prospects import prospect
from morphware.node.wording import last_lines, short_account, shown
from morphware.protocol import chain_events as ce
from morphware.protocol.codec import Malformed, decode
from morphware.protocol.messages import JobSpec
from morphware.protocol.states import State
from morphware.protocol.units import Address
from morphware.protocol.view import JobView, view_of

BEFORE: Final = "PREPARING"
"""The phase before the job is on chain: looked at, copied, sealed, paid for, posted."""
EARLY_MOST: Final = 20_000
SERIES_MOST: Final = 12
VALUES_MOST: Final = 2_048
TROUBLES_MOST: Final = 50
LINES_MOST: Final = 5_000
OUTPUT_LINES: Final = 12
POINTS_LINE_EVERY_S: Final = 2.0

ENDING: Final[dict[type, str]] = {ce.JobAwarded: State.AWARDED.name, ce.JobClosed: State.CLOSED.name}
"""Events that belong to the state whose ``StateChanged`` comes right behind them."""


@dataclass(slots=True)
class Phase:
    """One state that the job was in."""

    name: str
    since_s: float
    until_s: float | None = None

    def seconds(self, now_s: float) -> float:
        """How long it lasted, or lasts already."""
        return max(0.0, (now_s if self.until_s is None else self.until_s) - self.since_s)


@dataclass(slots=True)
class Fetching:
    """One node's transfer of one bundle."""

    done_bytes: int = 0
    total_bytes: int = 0
    rate_bytes_s: float = 0.0
    peers: int = 0
    is_done: bool = False


@dataclass(slots=True)
class Series:
    """One scalar that the job logs, thinned evenly when there are too many values."""

    name: str
    values: list[float] = field(default_factory=list)
    last_step: int = 0
    last_value: float = math.nan
    count: int = 0
    _stride: int = 1

    def add(self, step: int, value: float) -> None:
        """Take a value in."""
        if self.count % self._stride == 0:
            self.values.append(value)
        self.count += 1
        self.last_step, self.last_value = step, value
        if len(self.values) >= VALUES_MOST:
            self.values = self.values[::2]
            self._stride *= 2

    def stand_for(self, count: int) -> None:
        """The values so far are what was left of so many: new ones are thinned as they were."""
        self._stride, self.count = max(1, count // max(1, len(self.values))), count


class JobProgress:
    """One job's picture. ``names`` are the accounts that have a name; ``viewer`` is the node of the job's end user."""

    def __init__(self, names: Mapping[Address, str], viewer: str = "user", job_id: str | None = None) -> None:
        self._names = names
        self.viewer = viewer
        self.job_id = job_id
        self.view: JobView | None = None
        self.spec: JobSpec | None = None
        self.started_s: float | None = None
        self.ended_s: float | None = None
        self.ended_outcome: str | None = None
        self.phases: list[Phase] = []
        self.fetching: dict[tuple[str, str], Fetching] = {}
        self.series: dict[str, Series] = {}
        self.output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self.doing: dict[str, str] = {}
        self.troubles: deque[str] = deque(maxlen=TROUBLES_MOST)
        self.block = 0
        self.revision = 0
        """Grows with every notice that changed something."""
        self.training_s: float | None = None
        self.training_since_s: float | None = None
        self.evaluation: tuple[float, float] | None = None
        self.gas = 0
        self._block_timestamp = 0
        self._block_said_s = 0.0
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=EARLY_MOST)
        self._seen: set[str] = set()
        self._lines: deque[str] = deque(maxlen=LINES_MOST)
        self._points_said_s = 0.0
        self._partial = ""

    # --- what is told ---------------------------------------------------------------------------------------------

    def begin(self, time_s: float) -> None:
        """The job is being submitted from this moment on (seconds since the epoch)."""
        if self.started_s is None:
            self.started_s = time_s
            self.phases.append(Phase(BEFORE, time_s))

    def follow(self, job_id: str) -> None:
        """This is the job, in hexadecimal; what was said of it before its id was known is taken in now."""
        if self.job_id == job_id:
            return
        self.job_id = job_id
        early, self._early = self._early, deque(maxlen=EARLY_MOST)
        for who, notice in early:
            self.note(who, notice)

    def take_up(self, job_id: str, notices: Sequence[Mapping[str, Any]]) -> None:
        """This is the job, and it has begun: what the viewer's node would have said of it so far, in order.

        What was heard live meanwhile comes after it; scalars and output that are in both count once.
        """
        early, self._early = self._early, deque(maxlen=EARLY_MOST)
        first = next((notice for notice in notices if notice.get("kind") == "chain"), None)
        if first is not None:
            self.phases.clear()
            self.started_s = float(first["time_s"])
        self.job_id = job_id
        last_sequence = -1
        for notice in notices:
            self.note(self.viewer, notice)
            last_sequence = max(last_sequence, int(notice.get("sequence", -1)))
            for name in {point[2] for point in notice.get("points", ())} & set(self.series):
                self.series[name].stand_for(int(notice["count"]))
        if self.view is not None and self.view.closed is None:
            self._say(self._block_said_s, f"{reason_of(self.view)}. {prospect(self.view)}")
        last_steps = {name: series.last_step for name, series in self.series.items()}
        for who, notice in early:
            if notice.get("kind") == "output" and int(notice.get("sequence", last_sequence + 1)) <= last_sequence:
                continue
            if notice.get("kind") == "points":
                new = [point for point in notice["points"] if point[0] > last_steps.get(point[2], -1)]
                self.note(who, notice | {"points": new})
            else:
                self.note(who, notice)

    def note(self, who: str, notice: Mapping[str, Any]) -> None:
        """A node said something; what is not understood, or of another job, changes nothing."""
        kind = notice.get("kind")
        if kind == "block":
            self._note_block(notice)
        elif self.job_id is None:
            self._early.append((who, dict(notice)))
        elif kind == "chain":
            self._note_chain(notice)
        elif notice.get("job_id") == self.job_id:
            self.revision += 1
            try:
                self._note_local(who, str(kind), notice, float(notice["time_s"]))
            except (KeyError, TypeError, ValueError):
                return  # a node of another version: its other notices still count

    def take_lines(self) -> list[str]:
        """Sentences since the last time, one for each meaningful change."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    # --- what is asked --------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """The end user's node is done with the job: closed, and the model fetched and opened if it was paid for."""
        return self.ended_outcome is not None

    @property
    def state(self) -> str:
        """The phase now."""
        return self.phases[-1].name if self.phases else BEFORE

    @property
    def metric(self) -> str:
        """The metric's name."""
        return shown(self.spec.metric, 40) if self.spec else "metric"

    def name(self, account: Address) -> str:
        """An account's name; without one its part in the job and its address."""
        named = self._names.get(account)
        if named is not None:
            return named
        part = ""
        if self.view is not None and account in self.view.validators:
            part = "validator "
        elif self.view is not None and any(bid.bidder == account for bid in self.view.bids):
            part = "worker "
        return part + short_account(account)

    def chain_now(self, now_s: float) -> float:
        """The chain's time: the last block's, and what has passed since."""
        return self._block_timestamp + max(0.0, now_s - self._block_said_s) if self._block_timestamp else 0.0

    def deadline_in_s(self, now_s: float) -> float | None:
        """Seconds of chain time until the phase's deadline."""
        view = self.view
        if view is None or view.is_over or not view.deadline or not self._block_timestamp:
            return None
        return float(view.deadline) - self.chain_now(now_s)

    def elapsed_s(self, now_s: float) -> float:
        """Since the submission; stands still once the job is over."""
        if self.started_s is None:
            return 0.0
        return max(0.0, (now_s if self.ended_s is None else self.ended_s) - self.started_s)

    def seconds_by_phase(self, now_s: float) -> dict[str, float]:
        """Seconds in each state; CLOSED is the time until the end user's node was done."""
        total: dict[str, float] = {}
        for phase in self.phases:
            total[phase.name] = total.get(phase.name, 0.0) + phase.seconds(now_s)
        return total

    def evaluation_s(self) -> float | None:
        """From the first validator's start to the last one's result: they work side by side."""
        return None if self.evaluation is None else self.evaluation[1] - self.evaluation[0]

    def main_series(self) -> Series | None:
        """What is drawn: the loss if the job logs one."""
        named = sorted(self.series.values(), key=lambda series: ("loss" not in series.name.lower(), len(series.name)))
        return named[0] if named else None

    # --- what is noted --------------------------------------------------------------------------------------------

    def _note_block(self, notice: Mapping[str, Any]) -> None:
        number, timestamp, said_s = notice.get("number"), notice.get("timestamp"), notice.get("time_s")
        if not (isinstance(number, int) and isinstance(timestamp, int) and isinstance(said_s, int | float)):
            return
        if number > self.block:
            self.revision += 1
            self.block, self._block_timestamp, self._block_said_s = number, timestamp, float(said_s)

    def _note_chain(self, notice: Mapping[str, Any]) -> None:
        plain = notice.get("event")
        try:
            event = from_plain(plain)
            said_s = float(notice["time_s"])
            if isinstance(event, ce.NodePublished) or event.job_id.hex() != self.job_id:
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            return
        key = json.dumps(plain, sort_keys=True)
        if key in self._seen:
            return
        self._seen.add(key)
        self.revision += 1
        if isinstance(event, ce.JobPosted):
            self.begin(said_s)
            self.view, self.spec = view_of(event), _spec(event.spec)
        if self.view is None:
            return
        self.view.apply(event)
        if isinstance(event, ce.StateChanged):
            self._enter(event.state, said_s)
        sentence = narration.sentence(event, self.view, self.spec, self.name)
        if sentence:
            self._say(said_s, sentence, ENDING.get(type(event)))

    def _enter(self, state: State, said_s: float) -> None:
        if self.phases:
            self.phases[-1].until_s = said_s
        self.phases.append(Phase(state.name, said_s))

    def _note_local(self, who: str, kind: str, notice: Mapping[str, Any], said_s: float) -> None:
        match kind:
            case "transfer" | "fetched":
                self._note_transfer(who, kind, notice, said_s)
            case "training":
                self.training_since_s = said_s
                self.doing[who] = "training"
                self._say(said_s, f"{who} trains")
            case "trained":
                self.training_s = float(notice["seconds"])
                self.doing[who] = "trained"
                reason = shown(notice["reason"] or "")
                self._say(said_s, f"{who} trained for {self.training_s:.1f} s" + (f": {reason}" if reason else ""))
            case "evaluating":
                if notice.get("role", "validator") == "validator":
                    self.evaluation = (self.evaluation or (said_s, said_s))[0], said_s
                self.doing[who] = "testing"
                self._say(said_s, f"{who} tests the model")
            case "signed":
                self._note_tested(who, said_s)
            case "sending" | "sent" | "refused":
                self._note_call(who, kind, notice, said_s)
            case "points" if who == self.viewer:
                self._note_points(notice["points"], said_s)
            case "output" if who == self.viewer:
                self._note_output(str(notice["text"]))
            case "waits" | "failed":
                self._trouble(said_s, f"{who} {kind}: {shown(notice['reason'])}")
            case "ended" if who == self.viewer and notice["role"] == "user":
                self._end(str(notice["outcome"]), said_s)
            case "sealed":
                self._say(said_s, f"{who} sealed {notice['name']} ({notice['size_bytes']:,} bytes)")
        if kind == "failed" and who == self.viewer and notice["role"] == "user":
            self._end("FAILED", said_s)

    def _note_transfer(self, who: str, kind: str, notice: Mapping[str, Any], said_s: float) -> None:
        bundle = shown(notice["name"], 12)
        is_new = (who, bundle) not in self.fetching
        fetching = self.fetching.setdefault((who, bundle), Fetching())
        if kind == "fetched":
            if not fetching.is_done:
                self._say(said_s, f"{who} has fetched and opened {bundle}")
            fetching.is_done, fetching.done_bytes, fetching.rate_bytes_s = True, fetching.total_bytes, 0.0
            return
        fetching.done_bytes, fetching.total_bytes = int(notice["done_bytes"]), int(notice["total_bytes"])
        fetching.rate_bytes_s, fetching.peers = float(notice["rate_bytes_s"]), int(notice["peers"])
        if is_new:
            self.doing[who] = f"fetching {bundle}"
            self._say(said_s, f"{who} fetches {bundle} ({fetching.total_bytes:,} bytes)")

    def _note_call(self, who: str, kind: str, notice: Mapping[str, Any], said_s: float) -> None:
        call = shown(notice["call"], 30)
        if kind == "sent":
            self.gas += int(notice["gas"])
        elif kind == "refused" and call != "Poke":  # anybody may poke, so most pokes come too late
            self._trouble(said_s, f"{who}'s {call} was refused: {shown(notice['reason'])}")
        elif kind == "sending" and call == "CommitReport":
            self._note_tested(who, said_s)

    def _note_tested(self, who: str, said_s: float) -> None:
        """A validator has tested: it commits to its report, or has signed it for others to bring on chain."""
        self.doing[who] = "tested"
        self.evaluation = (self.evaluation or (said_s, said_s))[0], said_s

    def _note_points(self, points: Any, said_s: float) -> None:
        for step, _, name, value in points:
            if str(name).startswith(SYSTEM) or (name not in self.series and len(self.series) >= SERIES_MOST):
                continue
            if isinstance(value, int | float) and math.isfinite(value):
                self.series.setdefault(name, Series(shown(name, 24))).add(int(step), float(value))
        main = self.main_series()
        if main is not None and said_s - self._points_said_s >= POINTS_LINE_EVERY_S:
            self._points_said_s = said_s
            self._say(said_s, f"{main.name} {main.last_value:.5g} at step {main.last_step}")

    def _note_output(self, text: str) -> None:
        whole, newline, rest = (self._partial + text).rpartition("\n")
        if newline:
            self.output.extend(last_lines(whole, OUTPUT_LINES))
        self._partial = rest[-2_000:]

    def _trouble(self, said_s: float, sentence: str) -> None:
        if sentence not in self.troubles:
            self.troubles.append(sentence)
            self._say(said_s, sentence)

    def _end(self, outcome: str, said_s: float) -> None:
        if self.ended_outcome is None:
            self.ended_outcome, self.ended_s = outcome, said_s
            if self.phases:
                self.phases[-1].until_s = said_s
            self._say(said_s, f"the job is over for {self.viewer}: {shown(outcome, 30)}")

    def _say(self, said_s: float, sentence: str, phase: str | None = None) -> None:
        elapsed_s = said_s - self.started_s if self.started_s is not None else 0.0
        self._lines.append(f"{max(0.0, elapsed_s):6.1f} s  {phase or self.state:<9}  {sentence}")


def _spec(encoded: bytes) -> JobSpec | None:
    try:
        return decode(encoded, JobSpec)
    except Malformed:
        return None
