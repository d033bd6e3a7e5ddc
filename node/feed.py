"""What happens in the node, for whoever watches: a broadcast that never waits for a slow listener."""

import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

BACKLOG: Final = 5_000
"""Notices kept for a listener that is behind; what comes after is dropped, and it is told how much."""
POINTS_A_NOTICE: Final = 40
"""A notice with many points counts as many: what a slow listener may hold is bounded by memory, not by number."""


class Feed:
    """Notices are plain dictionaries with a ``kind`` and a ``time_s``, ready to become JSON lines."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []

    def say(self, kind: str, **values: Any) -> None:
        """Tell every listener."""
        if self._listeners:
            notice = {"kind": kind, "time_s": round(time.time(), 3)} | values
            for listener in self._listeners:
                listener.take(notice)

    @contextmanager
    def listen(self) -> Iterator[AsyncIterator[dict[str, Any]]]:
        """Notices from now on, for as long as the block lasts."""
        listener = _Listener()
        self._listeners.append(listener)
        try:
            yield listener.notices()
        finally:
            self._listeners.remove(listener)


class _Listener:
    def __init__(self) -> None:
        self._notices: deque[dict[str, Any]] = deque()
        self._weight = 0
        self._dropped = 0
        self._last_dropped_s = 0.0
        self._arrived = trio.Event()

    def take(self, notice: dict[str, Any]) -> None:
        weight = _weight(notice)
        if self._dropped or self._weight + weight > BACKLOG:
            self._dropped += 1  # until it has caught up: a gap is one gap
            self._last_dropped_s = notice["time_s"]
        else:
            self._notices.append(notice)
            self._weight += weight
        self._arrived.set()

    def notices(self) -> AsyncIterator[dict[str, Any]]:
        return self

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        while not self._notices and not self._dropped:
            self._arrived = trio.Event()
            await self._arrived.wait()
        if self._notices:
            notice = self._notices.popleft()
            self._weight -= _weight(notice)
            return notice
        count, self._dropped = self._dropped, 0
        return {"kind": "dropped", "time_s": self._last_dropped_s, "count": count}


def _weight(notice: dict[str, Any]) -> int:
    return 1 + len(notice.get("points", ())) // POINTS_A_NOTICE
