"""What a node's roles are doing now: the effects that are being carried out, since when, and what they wait for.

A record for people to look at; nothing is decided by it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from morphware.protocol.effects import Effect
from morphware.protocol.units import JobId


@dataclass(slots=True)
class Running:
    """An effect that is being carried out; ``waits_because`` says what the world refused the last time, if it did."""

    job_id: JobId
    role: str
    effect: Effect
    since_s: float
    waits_because: str = ""


@dataclass(slots=True)
class Activity:
    """All effects of one node that are being carried out."""

    clock: Callable[[], float] = time.time
    _running: dict[tuple[JobId, str, str], Running] = field(default_factory=dict)

    @contextmanager
    def of(self, job_id: JobId, role: str, effect: Effect) -> Iterator[Running]:
        """One effect, for as long as the block lasts."""
        key = (job_id, role, effect.id)
        running = self._running[key] = Running(job_id, role, effect, self.clock())
        try:
            yield running
        finally:
            self._running.pop(key, None)

    def by(self, job_id: JobId, role: str) -> list[Running]:
        """What one role of one job carries out, oldest first."""
        return [each for each in self._running.values() if (each.job_id, each.role) == (job_id, role)]
