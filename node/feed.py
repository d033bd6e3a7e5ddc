"""What happens in the node, for whoever watches: a broadcast that never waits for a slow listener."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

BACKLOG: Final = 5_000
"""Notices kept for a listener that is behind; older ones are dropped, and it is told how many."""


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
        self._send, self._receive = trio.open_memory_channel[dict[str, Any]](BACKLOG)
        self._dropped = 0

    def take(self, notice: dict[str, Any]) -> None:
        try:
            if self._dropped:
                self._send.send_nowait({"kind": "dropped", "time_s": notice["time_s"], "count": self._dropped})
                self._dropped = 0
            self._send.send_nowait(notice)
        except trio.WouldBlock:
            self._dropped += 1

    def notices(self) -> AsyncIterator[dict[str, Any]]:
        return self._receive
