"""The loss as it falls, and what the job writes: batched at the worker, streamed to the end user, kept by both.

A curve is a display and never a proof, so losing some of it harms nobody: the stream never makes the training wait,
and a worker that cannot reach the end user trains on.  What arrives is hostile: bounded, finite, only from the job's
winner while the job lives, and no faster than the journal takes it.
"""

import math
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
import structlog
import trio

from morphware.node.directory import Directory
from morphware.node.feed import Feed
from morphware.node.journal import Journal
from morphware.node.output import SYSTEM_SERIES, OutputBuffer, own_name, shown
from morphware.node.ports import Gossip, MetricPoint, UsageSample
from morphware.protocol.units import Address, JobId
from morphware.protocol.view import JobView

log = structlog.get_logger()

PROTOCOL: Final = "progress"
FLUSH_S: Final = 0.4
POINTS_PER_FRAME: Final = 400
POINTS_MOST: Final = 2_000_000
SYSTEM_POINTS_MOST: Final = 1_000_000
"""Counted apart: a job that logs all that it may is still watched."""
SERIES_MOST: Final = 200
"""Of a job's own; more are no help to anybody."""
MIB: Final = 1 << 20
OUTPUT_CHARACTERS_MOST: Final = 16_384
"""In one frame; we send a quarter of it, as a character may need four bytes."""
STEP_MOST: Final = 2**53
WAITING_FRAMES_MOST: Final = 1_000
"""Frames kept for an end user that is slow or away; older ones are dropped."""
FRAMES_BURST: Final = 100
FRAMES_PER_S: Final = 25.0
"""Every frame is a write that reaches the disk: a faster sender waits."""
RETRY_S: Final = 3.0

Step = Annotated[int, msgspec.Meta(ge=0, le=STEP_MOST)]
Series = Annotated[str, msgspec.Meta(max_length=64)]


class ProgressFrame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What crosses the stream: points (step, seconds since the training began, series, value), a piece of output."""

    job: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    points: Annotated[list[tuple[Step, float, Series, float]], msgspec.Meta(max_length=POINTS_PER_FRAME)]
    output: Annotated[str, msgspec.Meta(max_length=OUTPUT_CHARACTERS_MOST)]


class Curve:
    """Takes points and output from a running job, and every so often hands them on."""

    def __init__(self, journal: Journal, feed: Feed, job_id: JobId) -> None:
        self._journal = journal
        self._feed = feed
        self._job_id = job_id
        self._points: list[tuple[int, float, str, float]] = []
        self._output = OutputBuffer()
        self._room = Room(journal, job_id)
        self._waiting: deque[bytes] = deque(maxlen=WAITING_FRAMES_MOST)

    def take_point(self, point: MetricPoint) -> None:
        """A job logged scalars for one step; what is not a finite number is not shown."""
        if not 0 <= point.step <= STEP_MOST or not math.isfinite(point.time_s):
            return
        for name, value in point.values.items():
            self._take(point.step, point.time_s, own_name(name), value)

    def take_usage(self, sample: UsageSample) -> None:
        """What the job takes of this machine, as series beside its own: a step is a whole second of the training."""
        gpu_memory = sample.gpu_memory_bytes
        values = (
            sample.cpu_percent,
            sample.memory_bytes / MIB,
            sample.disk_bytes / MIB,
            sample.gpu_percent,
            None if gpu_memory is None else gpu_memory / MIB,
        )
        for name, value in zip(SYSTEM_SERIES, values, strict=True):
            if value is not None:
                self._take(int(sample.time_s), sample.time_s, name, value)

    def _take(self, step: int, time_s: float, name: str, value: float) -> None:
        if self._room.admits(name, time_s, value):
            self._points.append((step, time_s, name, value))

    def take_output(self, line: str) -> None:
        """A job wrote a line to its standard output or error."""
        self._output.take(line)

    def flush(self) -> list[bytes]:
        """Keep and announce what came since the last time, and return it as frames for the stream."""
        points, self._points = self._points, []
        pieces = self._output.drain()
        keep(self._journal, self._feed, self._job_id, points, pieces)
        frames = [
            ProgressFrame(self._job_id, points[start : start + POINTS_PER_FRAME], "")
            for start in range(0, len(points), POINTS_PER_FRAME)
        ]
        frames += [ProgressFrame(self._job_id, [], piece) for piece in pieces]
        return [msgspec.msgpack.encode(frame) for frame in frames]

    async def stream(self, gossip: Gossip, peer_key: bytes | None) -> None:
        """Hand on until cancelled; an end user that cannot be reached is tried again, and the training goes on."""
        async with trio.open_nursery() as nursery:
            if peer_key is not None:
                nursery.start_soon(self._send, gossip, peer_key)
            while True:
                self._waiting.extend(self.flush())
                await trio.sleep(FLUSH_S)

    async def _send(self, gossip: Gossip, peer_key: bytes) -> None:
        while True:
            try:
                async with gossip.stream_to(peer_key, PROTOCOL) as stream:
                    while True:
                        while self._waiting:
                            await stream.send(self._waiting.popleft())
                        await trio.sleep(FLUSH_S / 4)
            except Exception as error:  # noqa: BLE001 - whatever befalls a display, the training beside it goes on
                log.info("progress_not_streamed", job_id=self._job_id.hex(), reason=repr(error))
                await trio.sleep(RETRY_S)


class Room:
    """How many more points are kept of a job, and of which series: its own, and what its worker's node measures."""

    def __init__(self, journal: Journal, job_id: JobId) -> None:
        counts = journal.count_points(job_id)
        system = sum(count for name, count in counts.items() if name in SYSTEM_SERIES)
        self._own = {name for name in counts if name not in SYSTEM_SERIES}
        self._left = {False: POINTS_MOST - sum(counts.values()) + system, True: SYSTEM_POINTS_MOST - system}

    def admits(self, name: str, time_s: float, value: float) -> bool:
        """Whether a point is one, and is still kept; then it counts."""
        is_system = name in SYSTEM_SERIES
        if not (math.isfinite(time_s) and math.isfinite(value)) or self._left[is_system] <= 0:
            return False
        if not is_system:
            if name not in self._own and len(self._own) >= SERIES_MOST:
                return False
            self._own.add(name)
        self._left[is_system] -= 1
        return True


def keep(
    journal: Journal, feed: Feed, job_id: JobId, points: list[tuple[int, float, str, float]], pieces: list[str]
) -> None:
    """Store points and output in one transaction, and tell whoever watches of them."""
    sequences: list[int] = []
    if points or pieces:
        with journal.transaction():
            journal.add_points(job_id, points)
            sequences = [journal.add_output(job_id, time.time(), piece) for piece in pieces]
    for start in range(0, len(points), POINTS_PER_FRAME):
        feed.say("points", job_id=job_id.hex(), points=points[start : start + POINTS_PER_FRAME])
    for sequence, piece in zip(sequences, pieces, strict=True):
        feed.say("output", job_id=job_id.hex(), sequence=sequence, text=piece)


class ProgressReceiver:
    """The end user's side of the stream: only the winner of a job of ours may draw its curve."""

    def __init__(
        self, journal: Journal, feed: Feed, directory: Directory, views: dict[JobId, JobView], account: Address
    ) -> None:
        self._journal = journal
        self._feed = feed
        self._directory = directory
        self._views = views
        self._account = account
        self._rooms: dict[JobId, Room] = {}

    async def receive(self, peer_key: bytes, frames: AsyncIterator[bytes]) -> None:
        """Take in one stream; the first frame that is out of order ends it."""
        tokens, filled_at = float(FRAMES_BURST), trio.current_time()
        async for data in frames:
            now = trio.current_time()
            tokens, filled_at = min(float(FRAMES_BURST), tokens + (now - filled_at) * FRAMES_PER_S) - 1, now
            if tokens < 0:
                await trio.sleep(-tokens / FRAMES_PER_S)
            try:
                frame = msgspec.msgpack.decode(data, type=ProgressFrame)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("progress_refused", peer=peer_key.hex(), reason=str(error))
                return
            job_id = JobId(frame.job)
            view = self._views.get(job_id)
            is_ours = view is not None and view.user == self._account and not view.is_over
            # Not by looking up the account of the key: anybody may publish anybody's key as his own.
            winner = view.winner if view is not None else None
            if not is_ours or winner is None or self._directory.peer_keys.get(winner) != peer_key:
                log.warning("progress_refused", peer=peer_key.hex(), reason="not the winner of a living job of ours")
                return
            if job_id not in self._rooms:
                self._rooms[job_id] = Room(self._journal, job_id)
            room = self._rooms[job_id]
            points = []
            for step, time_s, series, value in frame.points:
                name = series if series in SYSTEM_SERIES else own_name(series)
                if room.admits(name, time_s, value):
                    points.append((step, time_s, name, value))
            output = shown(frame.output)
            keep(self._journal, self._feed, job_id, points, [output] if output else [])
