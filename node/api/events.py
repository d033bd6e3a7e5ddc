"""Live notices as server-sent events: what the node's feed says, for one job or for all."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

import trio

from morphware.node.api.answers.plain import Asked, JobIdText
from morphware.node.api.problems import encoded
from morphware.node.api.routes import Call, Route
from morphware.node.api.streams import Streamed
from morphware.node.feed import Feed

BEAT_S: Final = 15.0
"""A comment at least so often tells a browser that the node is still there, and us that the browser is."""


class EventsAsked(Asked, frozen=True):
    """Notices of one job only, and of the chain's head; without it: all."""

    job: JobIdText | None = None


@dataclass(frozen=True, slots=True)
class EventRequests:
    """Streams of notices."""

    feed: Feed

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/events", "watch", "Notices from now on, as server-sent events with JSON data.",
                  self.watch, "text/event-stream", query=EventsAsked),
        ]  # fmt: skip

    async def watch(self, call: Call) -> Streamed:
        """The first event says that it listens: what happens afterwards is told."""
        return Streamed(self._events(call.query.job), "text/event-stream")

    async def _events(self, job_id: str | None) -> AsyncGenerator[bytes, None]:
        with self.feed.listen() as notices:
            yield b'event: watching\ndata: {"kind":"watching"}\n\n'
            while True:
                notice: dict[str, Any] | None = None
                with trio.move_on_after(BEAT_S):
                    notice = await anext(notices)
                if notice is None:
                    yield b": still here\n\n"
                elif job_id is None or _concerns(notice, job_id):
                    yield b"event: %s\ndata: %s\n\n" % (notice["kind"].encode(), encoded(notice))


def _concerns(notice: dict[str, Any], job_id: str) -> bool:
    """Whether whoever watches one job wants it: about the job, or about no job."""
    said = notice.get("job_id") or (notice.get("event") or {}).get("job_id")
    if isinstance(said, dict):  # an event of the chain is told as the journal writes it
        said = said.get("hex")
    return said is None or said == job_id
