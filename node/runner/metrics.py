"""Loss curves from what a job writes: lines of its metric pipe, and patterns in its ordinary output.

All of it is hostile input: bounded in length, number and rate, decoded by type, and shown only; a job can forge its
loss curve.  Of several sources the best that has spoken wins: the helper, TensorBoard files, output, backward hook.
"""

import math
import re
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from morphware.node.ports import MetricPoint

MAX_LINE_BYTES: Final = 4_096
MAX_VALUES: Final = 32
MAX_NAME_CHARACTERS: Final = 64
MAX_STEP: Final = 2**53
POINTS_PER_S: Final = 100
POINTS_BURST: Final = 1_000
MAX_PATTERN_CHARACTERS: Final = 500


class Source(IntEnum):
    """Where a point came from, worst first."""

    BACKWARD = 0
    OUTPUT = 1
    TENSORBOARD = 2
    LOG = 3


class Started(msgspec.Struct, frozen=True):
    """The launcher's own first line: whatever ends later, ended in the job."""


_ROW: Final = msgspec.json.Decoder(tuple[int, float, dict[str, float], str])


def parse_row(line: bytes) -> tuple[Source, int, float, dict[str, float]] | Started:
    """One line of the metric pipe.

    Raises:
        ValueError: too long, not of the helper's form, or out of bounds.
    """
    if line == b'"started"':
        return Started()
    if len(line) > MAX_LINE_BYTES:
        raise ValueError("line too long")
    step, at_s, values, source = _ROW.decode(line)
    if not 0 <= step <= MAX_STEP or len(values) > MAX_VALUES or not math.isfinite(at_s):
        raise ValueError("out of bounds")
    return (Source.LOG if source == "log" else Source.BACKWARD), step, at_s, _named(values)


_NUMBER: Final = r"([-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?)"
_KEY: Final = re.compile(
    r"""(?ix)(?<![\w-])['"]?
    ((?:(?:train(?:ing)?|val(?:id(?:ation)?)?(?:_\d)?|test|eval)[ _/:-]?)?
     (?:loss|logloss|mlogloss|rmse|mae|l1|l2|auc|error|perplexity|ppl|acc(?:uracy)?|mse|f1|r2))
    ['"]?\s{0,3}[:=]?\s{0,3}['"]?"""
    + _NUMBER
    + r"(?!\w)"
)
_STEP: Final = re.compile(
    r"(?i)(?:^|\W)(?:step|iter(?:ation)?|epoch|batch|round)\s{0,3}[:=\[#]?\s{0,3}(\d{1,15})|^\[(\d{1,15})(?:/\d{1,15})?\]"
)


def parse_output(line: str) -> tuple[int | None, dict[str, float]]:
    """The step and the scalars that a line of ordinary output names; ``epoch 3 loss 0.1`` and its many cousins."""
    line = line[-MAX_PATTERN_CHARACTERS:].rsplit("\r", 1)[-1]
    values: dict[str, float] = {}
    for match in _KEY.finditer(line):
        values.setdefault(re.sub(r"[ /:-]+", "_", match[1].strip().lower()), float(match[2]))
    step = _STEP.search(line)
    return (int(step[1] or step[2]) if step else None), _named(values)


def _named(values: dict[str, float]) -> dict[str, float]:
    return {
        name[:MAX_NAME_CHARACTERS]: value
        for name, value in values.items()
        if math.isfinite(value) and name.isprintable()
    }


class MetricFeed:
    """Passes on the points of the best source so far, at a bounded rate; the rest is dropped and counted."""

    def __init__(self, forward: Callable[[MetricPoint], None]) -> None:
        self._forward = forward
        self._best = Source.BACKWARD
        self._tokens = float(POINTS_BURST)
        self._filled_s = 0.0
        self._line = 0
        self.dropped = 0

    def offer(self, source: Source, step: int | None, at_s: float, now_s: float, values: dict[str, float]) -> None:
        """A point, ``at_s`` seconds into the run by the job's word, which cannot lie outside ``0..now_s``."""
        if not values or source < self._best:
            return
        self._best = source
        self._tokens = min(POINTS_BURST, self._tokens + (now_s - self._filled_s) * POINTS_PER_S)
        self._filled_s = now_s
        if self._tokens < 1:
            self.dropped += 1
            return
        self._tokens -= 1
        if step is None:  # lines that name no step are counted
            step = self._line
        self._line = step + 1
        self._forward(MetricPoint(step=step, time_s=min(max(at_s, 0.0), now_s), values=values))
