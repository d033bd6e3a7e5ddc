"""A job's series for the page: a million points are thinned here, so that a browser draws what the eye can see.

Each series lies in arrays that grow with the journal: what came since the last question is read, and the rest is
there.  A picture wants each x once and in order, and a job promises neither: a training that was started again goes
back, and some jobs log a step twice.  So points are put in the order of x, and of several with the same x the one that
came last is shown: what the newest training said.

All work is done in threads, on connections of their own that can only read: neither the event loop nor whoever writes
the journal waits for it.
"""

import csv
import io
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeVar

import numpy as np
import trio
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

from morphware.node.journal import Journal
from morphware.node.journal_points import last_values, read_packed, read_points
from morphware.protocol.units import JobId

Axis = Literal["step", "time"]
Answer = TypeVar("Answer")
BYTES_MOST: Final = 256 << 20
"""Of arrays that are kept for the next question; the series that were not asked for longest go first."""
BUCKETS_LEAST: Final = 3
BUCKETS_MOST: Final = 20_000
CSV_POINTS: Final = 5_000
"""In a piece of the file: some hundred kilobytes."""
CSV_HEAD: Final = "step,seconds,series,value\r\n"
FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would compute a name that begins so: it gets an apostrophe, which the spreadsheet takes as "text"."""

LARGEST: Final = 1e150
"""The areas of triangles with larger sides are infinite, and nothing could be chosen by them."""

_PACKED: Final = np.dtype([("number", "<i8"), ("step", "<i8"), ("time_s", "<f8"), ("value", "<f8")])


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One series as a list shows it: how many points are kept of it, and the newest value that is a number."""

    name: str
    count: int
    last_value: float


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a series, ready to be drawn: ``x`` ascends strictly, no value is infinite or none.

    ``count`` says how many points lie in the window; there are fewer in ``x`` and ``values`` if it was thinned.
    """

    x: NDArray[np.int64] | NDArray[np.float64]
    values: NDArray[np.float64]
    count: int


class Series:
    """The series of all jobs of one journal."""

    def __init__(self, journal: Journal, *, bytes_most: int = BYTES_MOST) -> None:
        self._journal = journal
        self._bytes_most = bytes_most
        self._kept: OrderedDict[tuple[JobId, str], _Growing] = OrderedDict()
        self._lock = trio.Lock()

    async def names(self, job_id: JobId) -> list[SeriesFacts]:
        """Every series of a job with what a list shows of it, the oldest series first; an unknown job has none."""
        return await trio.to_thread.run_sync(self._names, job_id)

    async def window(
        self,
        job_id: JobId,
        names: Iterable[str],
        first: float | None = None,
        last: float | None = None,
        *,
        axis: Axis = "step",
        buckets: int = 1_000,
        has_neighbours: bool = False,
    ) -> dict[str, Window]:
        """The part of some series between two places on an axis, both included, thinned to at most so many points.

        Args:
            names: series that the job does not have are left out of the answer.
            first, last: steps, or seconds since the training began; None stands for the end on that side.
            buckets: the most points of each series; the first and the last of the window are always among them.
            has_neighbours: also the nearest point on either side, for a line that runs on to the picture's edge.

        Raises:
            ValueError: ``buckets`` is out of bounds, or ``axis`` is unknown.
        """
        if not BUCKETS_LEAST <= buckets <= BUCKETS_MOST:
            raise ValueError(f"buckets: {BUCKETS_LEAST} to {BUCKETS_MOST:,}, not {buckets}")
        if axis not in ("step", "time"):
            raise ValueError(f"axis: step or time, not {axis}")
        wanted = list(dict.fromkeys(names))
        return await self._in_thread(
            partial(self._window, job_id, wanted, first, last, axis, buckets, has_neighbours=has_neighbours)
        )

    async def csv(self, job_id: JobId) -> AsyncGenerator[bytes, None]:
        """All points of a job in the order in which they came, as pieces of a CSV file, for as long as it is read."""
        yield CSV_HEAD.encode()
        after = 0
        while True:
            piece, count = await trio.to_thread.run_sync(self._csv, job_id, after)
            if not count:
                return
            after += count
            yield piece

    # --- in threads -------------------------------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        async with self._lock:  # the arrays are one thread's at a time
            return await trio.to_thread.run_sync(work)

    def _connect(self) -> closing[sqlite3.Connection]:
        return closing(self._journal.reader().connection)

    def _grown(self, connection: sqlite3.Connection, job_id: JobId, names: Iterable[str]) -> dict[str, "_Growing"]:
        """The series as the journal has them now."""
        rows = connection.execute("SELECT name, id FROM series WHERE job_id = ?", (job_id,))
        numbers: dict[str, int] = dict(rows.fetchall())
        grown = {}
        for name in names:
            if name in numbers:
                growing = self._kept.pop((job_id, name), None) or _Growing()
                growing.extend(read_packed(connection, numbers[name], growing.last))
                self._kept[job_id, name] = grown[name] = growing
        self._forget(len(grown))
        return grown

    def _forget(self, needed: int) -> None:
        """Let go of what was not asked for longest; what is needed now stays."""
        size = sum(growing.size_bytes for growing in self._kept.values())
        while size > self._bytes_most and len(self._kept) > needed:
            _, gone = self._kept.popitem(last=False)
            size -= gone.size_bytes

    def _names(self, job_id: JobId) -> list[SeriesFacts]:
        with self._connect() as connection:
            return [SeriesFacts(name, *known) for name, known in last_values(connection, job_id).items()]

    def _window(
        self,
        job_id: JobId,
        names: list[str],
        first: float | None,
        last: float | None,
        axis: Axis,
        buckets: int,
        *,
        has_neighbours: bool,
    ) -> dict[str, Window]:
        with self._connect() as connection:
            grown = self._grown(connection, job_id, names)
        cut = {}
        for name, growing in grown.items():
            x, values = growing.ordered(axis)
            begin = 0 if first is None else int(np.searchsorted(x, first, side="left"))
            end = len(x) if last is None else int(np.searchsorted(x, last, side="right"))
            if has_neighbours:
                begin, end = max(0, begin - 1), min(len(x), end + 1)
            cut[name] = thinned(x[begin:end], values[begin:end], buckets)
        return cut

    def _csv(self, job_id: JobId, after: int) -> tuple[bytes, int]:
        with self._connect() as connection:
            points = read_points(connection, job_id, after, CSV_POINTS)
        text = io.StringIO(newline="")
        rows = ((step, repr(time_s), _cell(name), repr(value)) for step, time_s, name, value in points)
        csv.writer(text).writerows(rows)
        return text.getvalue().encode(), len(points)


def thinned(x: NDArray[np.int64] | NDArray[np.float64], values: NDArray[np.float64], buckets: int) -> Window:
    """At most so many of the points, the first and last among them; the arrays are as long as each other, x ascends.

    Source: MinMaxLTTB, Van Der Donckt et al., 2023: of each bucket first the extremes, then what spans the largest
    triangle, so that no peak is lost.
    """
    count = len(x)
    if count > buckets:
        sampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
        chosen = sampler.downsample(x, np.clip(values, -LARGEST, LARGEST), n_out=buckets)
        x, values = x[chosen], values[chosen]
    return Window(x.copy(), values.copy(), count)


class _Growing:
    """One series' points in the order in which they came, and in the order of each axis as far as it was asked for."""

    def __init__(self) -> None:
        self.last = 0
        self.count = 0
        self._points: NDArray[np.void] = np.empty(0, _PACKED)
        self._ordered: dict[Axis, tuple[NDArray[np.int64] | NDArray[np.float64], NDArray[np.float64]]] = {}

    @property
    def size_bytes(self) -> int:
        ordered = sum(x.nbytes + values.nbytes for x, values in self._ordered.values())
        return self._points.nbytes + ordered

    def extend(self, packed: bytes) -> None:
        """Append what the journal has, from its row on in which ``last`` lies."""
        found = np.frombuffer(packed, _PACKED)
        found = found[np.searchsorted(found["number"], self.last, side="right") :]
        if not len(found):
            return
        self.last = int(found["number"][-1])
        found = found[np.isfinite(found["time_s"]) & np.isfinite(found["value"])]
        if self.count + len(found) > len(self._points):
            room = np.empty(1_000 + (self.count + len(found)) * 9 // 8, _PACKED)
            room[: self.count] = self._points[: self.count]
            self._points = room
        self._points[self.count : self.count + len(found)] = found
        self.count += len(found)
        self._ordered.clear()

    def ordered(self, axis: Axis) -> tuple[NDArray[np.int64] | NDArray[np.float64], NDArray[np.float64]]:
        """x and values, each x once: the point that came last."""
        if axis not in self._ordered:
            points = self._points[: self.count]
            x = np.ascontiguousarray(points["step" if axis == "step" else "time_s"])
            values = np.ascontiguousarray(points["value"])
            if not np.all(x[1:] > x[:-1]):
                order = np.argsort(x, kind="stable")
                x, values = x[order], values[order]
                is_newest = np.append(x[1:] != x[:-1], np.ones(min(1, len(x)), bool))
                x, values = x[is_newest], values[is_newest]
            self._ordered[axis] = x, values
        return self._ordered[axis]


def _cell(name: str) -> str:
    return "'" + name if name.startswith(FORMULA_BEGINS) else name
