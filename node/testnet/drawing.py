"""Curves and bars out of block characters; plain ones where a terminal has no others."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
PLAIN_BLOCKS: Final = " .:-=+*#@"
LOGARITHMIC_FROM: Final = 30.0
"""Values that span more than this ratio are drawn on a logarithmic scale, or their end would be a flat line."""


def plot(values: Sequence[float], width: int, height: int, *, is_plain: bool = False) -> list[str]:
    """The curve as ``height`` lines of at most ``width`` characters, the highest values on top."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1 or height < 1:
        return []
    columns = thinned(finite, width)
    if is_logarithmic(columns):
        columns = [math.log(value) for value in columns]
    low, high = min(columns), max(columns)
    blocks = PLAIN_BLOCKS if is_plain else BLOCKS
    steps = height * (len(blocks) - 1)
    span = high - low
    # the lowest value still shows: a curve that ends at its minimum must not seem to end early
    levels = [1 + round((column - low) / span * (steps - 1)) if span > 0 else steps // 2 for column in columns]
    lines = []
    for row in reversed(range(height)):
        floor = row * (len(blocks) - 1)
        lines.append("".join(blocks[min(max(level - floor, 0), len(blocks) - 1)] for level in levels))
    return lines


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether ``plot`` draws these values on a logarithmic scale."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOGARITHMIC_FROM


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many values: means of neighbours."""
    if len(values) <= most:
        return list(values)
    edges = [index * len(values) // most for index in range(most + 1)]
    return [math.fsum(values[start:end]) / (end - start) for start, end in pairwise(edges)]


def bar(share: float, width: int, *, is_plain: bool = False) -> str:
    """A bar that is full for that share of its width."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return ("#" if is_plain else "━") * filled + ("." if is_plain else "─") * (width - filled)
