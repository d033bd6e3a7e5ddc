"""Whether a training stands still for a while: its owner wishes it, and there is time enough left to finish after it.

The chain's deadline does not wait for a training that stands still.  So the wish counts only while more time is left
than the rest of the work needs; from then on the training runs, whatever is wished, and is not stopped again: an owner
who forgets to go on loses time, and no bond.  How long the work takes is the end user's estimate, which may be wrong;
hence the margins.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol.units import JobId

CAUTION: Final = 1.5
"""The rest of the work is taken to last so many times what the estimate leaves of it."""
LEAST_SHARE: Final = 4
"""A training that has run for longer than its estimate is taken to need a quarter of it still."""
LAG_S: Final = 30.0
"""What a node knows of the chain's time is so much behind at most, and the model has to be sealed and handed in."""


@dataclass(slots=True)
class Brake:
    """One training's brake. The owner wishes, the supervisor asks ``holds`` ten times a second and obeys."""

    estimated_s: float
    is_wished: Callable[[], bool]
    on_change: Callable[[bool], None] = lambda _: None
    is_on: bool = False
    """It stands still now."""
    must_run: bool = False
    """Its time was up once: from then on it runs."""
    ran_s: float = 0.0
    frozen_s: float = 0.0
    left_s: float = math.inf
    """Until the training's end, whether it runs or stands still."""

    @property
    def needed_s(self) -> float:
        """The time that the rest of the work is given."""
        rest_s = max(self.estimated_s - self.ran_s, self.estimated_s / LEAST_SHARE)
        return CAUTION * rest_s + LAG_S

    @property
    def spare_s(self) -> float:
        """For how much longer it may stand still."""
        return 0.0 if self.must_run else max(0.0, self.left_s - self.needed_s)

    def holds(self, passed_s: float, left_s: float) -> bool:
        """Count what has passed since the last time, and say whether the training stands still from now on."""
        if self.is_on:
            self.frozen_s += passed_s
        else:
            self.ran_s += passed_s
        self.left_s = left_s
        is_wished = self.is_wished()
        if is_wished and left_s <= self.needed_s:
            self.must_run = True
        is_held = is_wished and not self.must_run
        if is_held is not self.is_on:
            self.is_on = is_held
            self.on_change(is_held)
        return self.is_on


@dataclass(slots=True)
class Brakes:
    """The brakes of all trainings that run here, under one wish."""

    is_wished: bool = False
    running: dict[JobId, Brake] = field(default_factory=dict)

    @contextmanager
    def of(self, job_id: JobId, estimated_s: float, on_change: Callable[[bool], None]) -> Iterator[Brake]:
        """One training's brake, for as long as it runs."""
        brake = Brake(estimated_s, lambda: self.is_wished, on_change)
        self.running[job_id] = brake
        try:
            yield brake
        finally:
            del self.running[job_id]
