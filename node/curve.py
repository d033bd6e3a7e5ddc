"""The loss as it falls: batched at the worker, streamed to the end user, kept in both journals.

A curve is a display and never a proof, so losing some of it harms nobody: the stream never makes the training wait,
and a worker that cannot reach the end user trains on.  What arrives is hostile: bounded, finite, and only from the
job's winner.
"""

import math
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
import structlog
import trio

from morphware.node.directory import Directory
from morphware.node.errors import MorphwareError
from morphware.node.feed import Feed
from morphware.node.journal import Journal
from morphware.node.ports import Gossip, MetricPoint
from morphware.protocol.units import Address, JobId
from morphware.protocol.view import JobView

log = structlog.get_logger()

PROTOCOL: Final = "progress"
FLUSH_S: Final = 0.4
POINTS_PER_FRAME: Final = 400
POINTS_MOST: Final = 2_000_000
LOG_BYTES_MOST: Final = 16_384

Series = Annotated[str, msgspec.Meta(max_length=64)]


class ProgressFrame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What crosses the stream: points (step, seconds since the epoch, series, value) and the newest output lines."""

    job: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    points: Annotated[list[tuple[int, float, Series, float]], msgspec.Meta(max_length=POINTS_PER_FRAME)]
    output: Annotated[str, msgspec.Meta(max_length=LOG_BYTES_MOST)]


class Curve:
    """Takes points and output from a running job, and every so often hands them on."""

    def __init__(self, journal: Journal, feed: Feed, job_id: JobId) -> None:
        self._journal = journal
        self._feed = feed
        self._job_id = job_id
        self._points: list[tuple[int, float, str, float]] = []
        self._output = ""
        self._kept = journal.count_points(job_id)

    def take_point(self, point: MetricPoint) -> None:
        """A job logged scalars for one step; what is not a finite number is not shown."""
        for name, value in point.values.items():
            if math.isfinite(value) and self._kept < POINTS_MOST:
                self._points.append((point.step, point.time_s, name[:64], value))
                self._kept += 1

    def take_output(self, text: str) -> None:
        """A job wrote to its standard output or error; only the newest part is handed on."""
        self._output = (self._output + text)[-LOG_BYTES_MOST // 4 :]

    def flush(self) -> list[bytes]:
        """Keep and announce what came since the last time, and return it as frames for the stream."""
        points, self._points = self._points, []
        output, self._output = self._output, ""
        keep(self._journal, self._feed, self._job_id, points, output)
        frames = [
            ProgressFrame(self._job_id, points[start : start + POINTS_PER_FRAME], "")
            for start in range(0, len(points), POINTS_PER_FRAME)
        ]
        if output:
            frames.append(ProgressFrame(self._job_id, [], output))
        return [msgspec.msgpack.encode(frame) for frame in frames]

    async def stream(self, gossip: Gossip, peer_key: bytes | None) -> None:
        """Hand on until cancelled; an end user that cannot be reached is tried again, and the training goes on."""
        while True:
            try:
                if peer_key is None:
                    await self._drain()
                else:
                    async with gossip.stream_to(peer_key, PROTOCOL) as stream:
                        while True:
                            for frame in self.flush():
                                await stream.send(frame)
                            await trio.sleep(FLUSH_S)
            except (MorphwareError, trio.TooSlowError) as error:
                log.info("progress_not_streamed", job_id=self._job_id.hex(), reason=str(error))
                self.flush()
                await trio.sleep(3)

    async def _drain(self) -> None:
        while True:
            self.flush()
            await trio.sleep(FLUSH_S)


def keep(journal: Journal, feed: Feed, job_id: JobId, points: list[tuple[int, float, str, float]], output: str) -> None:
    """Store points, and tell whoever watches of points and output."""
    if points:
        with journal.transaction():
            journal.add_points(job_id, points)
        feed.say("points", job_id=job_id.hex(), points=points)
    if output:
        feed.say("output", job_id=job_id.hex(), text=output)


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
        self._counts: dict[JobId, int] = {}

    async def receive(self, peer_key: bytes, frames: AsyncIterator[bytes]) -> None:
        """Take in one stream; the first frame that is out of order ends it."""
        sender = self._directory.account_of(peer_key)
        async for data in frames:
            try:
                frame = msgspec.msgpack.decode(data, type=ProgressFrame)
            except msgspec.DecodeError as error:
                log.warning("progress_refused", peer=peer_key.hex(), reason=str(error))
                return
            job_id = JobId(frame.job)
            view = self._views.get(job_id)
            if view is None or view.user != self._account or view.winner is None or view.winner != sender:
                log.warning("progress_refused", peer=peer_key.hex(), reason="not the winner of a job of ours")
                return
            count = self._counts.setdefault(job_id, self._journal.count_points(job_id))
            points = [point for point in frame.points if all(map(math.isfinite, (point[1], point[3])))]
            points = points[: max(0, POINTS_MOST - count)]
            self._counts[job_id] = count + len(points)
            keep(self._journal, self._feed, job_id, points, frame.output)
