"""The metrics that every validator can compute by itself from predictions and labels.

On chain a metric is an integer in millionths and higher is better; a loss-like metric is negated on its way there, and
so is its threshold.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from morphware.protocol.units import BAD_MODEL, INT64_MAX, METRIC_SCALE

PERFECT_E6: Final = METRIC_SCALE
NO_LOSS_E6: Final = 0


class Direction(Enum):
    """Which end of a metric's scale is the good one, in its natural units."""

    HIGHER_IS_BETTER = 1
    LOWER_IS_BETTER = -1


class Task(Enum):
    """What kind of labels a metric is about."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric by name."""

    name: str
    direction: Direction
    task: Task
    description: str
    best_e6: int
    """What no model exceeds, as it goes on chain: a threshold above it cannot be met."""


_DEFINITIONS: Final = (
    MetricDefinition("accuracy", Direction.HIGHER_IS_BETTER, Task.CLASSIFICATION, "share of right labels", PERFECT_E6),
    MetricDefinition(
        "f1", Direction.HIGHER_IS_BETTER, Task.CLASSIFICATION, "F1, averaged over classes (macro)", PERFECT_E6
    ),
    MetricDefinition(
        "log_loss", Direction.LOWER_IS_BETTER, Task.CLASSIFICATION, "mean cross-entropy in nats", NO_LOSS_E6
    ),
    MetricDefinition("r2", Direction.HIGHER_IS_BETTER, Task.REGRESSION, "coefficient of determination", PERFECT_E6),
    MetricDefinition("rmse", Direction.LOWER_IS_BETTER, Task.REGRESSION, "root of the mean squared error", NO_LOSS_E6),
    MetricDefinition("mae", Direction.LOWER_IS_BETTER, Task.REGRESSION, "mean absolute error", NO_LOSS_E6),
)
KNOWN_METRICS: Final[dict[str, MetricDefinition]] = {definition.name: definition for definition in _DEFINITIONS}
"""By name. Any other name is one that the job's own ``test()`` reports, and higher is better."""


def metric_to_e6(name: str, value: float) -> int:
    """A value in natural units as it goes on chain, rounded half to even.

    Raises:
        ValueError: not a number, or outside of what a report can carry.
    """
    known = KNOWN_METRICS.get(name)
    sign = known.direction.value if known is not None else Direction.HIGHER_IS_BETTER.value
    if not -float(INT64_MAX) < value * METRIC_SCALE < float(INT64_MAX):  # NaN fails too
        raise ValueError(f"{name} = {value} does not fit a report")
    result = sign * round(value * METRIC_SCALE)
    if not BAD_MODEL < result <= INT64_MAX:
        raise ValueError(f"{name} = {value} does not fit a report")
    return result


def metric_from_e6(name: str, metric_e6: int) -> float:
    """A metric from the chain in natural units, for people."""
    known = KNOWN_METRICS.get(name)
    sign = known.direction.value if known is not None else Direction.HIGHER_IS_BETTER.value
    return sign * metric_e6 / METRIC_SCALE
