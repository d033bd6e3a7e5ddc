"""How programs on the same machine talk to a running node: JSON lines over a socket that only its owner can open.

A request is one line ``{"do": name, ...}``; the answer is one line ``{"ok": ...}`` or ``{"error": sentence}``.  After
``watch`` the node sends notices, a line each, until the other side hangs up.  The socket lies in the data folder,
mode 0600: whoever can open it could read the keys, too.
"""

import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import trio

from morphware.node.errors import BadInput, MorphwareError
from morphware.node.feed import Feed

log = structlog.get_logger()

SOCKET_NAME: Final = "node.sock"
LINE_BYTES_MOST: Final = 4 << 20

Command = Callable[[dict[str, Any]], Awaitable[Any]]


class NodeNotRunning(MorphwareError):
    """No node is running on this data folder: start one with `morphware run`."""


class NotYourNode(MorphwareError):
    """The node on this data folder belongs to another user of this machine: ask as that user."""


class NodeRunning(MorphwareError):
    """A node is running on this data folder already: stop it first, or use another --data-folder."""


async def serve_control(
    folder: Path,
    commands: Mapping[str, Command],
    feed: Feed,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests until cancelled."""
    path = folder / SOCKET_NAME
    with _short_path(folder) as short:
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await listening.bind(str(Path(short).with_suffix(".new")))
        fresh.chmod(stat.S_IRUSR | stat.S_IWUSR)
        listening.listen(64)
        # Whoever sees it is heard. One that lies there is a killed node's: the folder's lock says that it is gone.
        fresh.rename(path)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await _serve_one(stream, commands, feed)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # whoever asked may go at any time; a watcher's two tasks may both notice

    listener = trio.SocketListener(listening)
    try:
        async with listener:
            task_status.started()
            await trio.serve_listeners(serve, [listener])
    finally:
        path.unlink(missing_ok=True)


async def _serve_one(stream: trio.SocketStream, commands: Mapping[str, Command], feed: Feed) -> None:
    incoming = lines(stream)
    async for line in incoming:
        request = _request(line)
        if request is None:
            await send_line(stream, {"error": 'A request is one JSON object with a text under the key "do".'})
        elif request["do"] == "watch":
            await _send_notices(stream, feed)
            return
        else:
            await send_line(stream, await _answer(request, commands))
    if incoming.is_too_long:
        await send_line(stream, {"error": f"A request has at most {LINE_BYTES_MOST} bytes."})


def _request(line: bytes) -> dict[str, Any] | None:
    """The request on a line; None if it is none, however it is broken."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_request = isinstance(request, dict) and isinstance(request.get("do"), str)
    return request if is_request else None


async def _answer(request: dict[str, Any], commands: Mapping[str, Command]) -> dict[str, Any]:
    name = request["do"][:100]
    command = commands.get(name)
    if command is None:
        return {"error": f"This node knows no request {name!r}; it knows {sorted(commands)}."}
    try:
        return {"ok": await command(request)}
    except BadInput as error:
        return {"error": error.sentence, "is_bad_input": True}
    except MorphwareError as error:
        return {"error": error.sentence}
    except OSError as error:
        return {"error": f"The node cannot do this now: {error}.", "is_bad_input": True}
    except Exception as error:
        log.error("request_failed", request=name, exc_info=error)
        return {"error": f"The node failed at the request {name!r} ({error!r}): please report it with the node's log."}


async def _send_notices(stream: trio.SocketStream, feed: Feed) -> None:
    """Send notices until the other side hangs up."""
    with feed.listen() as notices:
        await send_line(stream, {"ok": "watching"})
        async with trio.open_nursery() as nursery:

            async def until_gone() -> None:
                while await stream.receive_some(1024):
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_gone)
            async for notice in notices:
                await send_line(stream, notice)


async def connect(folder: Path) -> trio.SocketStream:
    """A connection to the node of this data folder. Raises ``NodeNotRunning``."""
    try:
        with _short_path(folder) as short:
            connecting = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                await connecting.connect(short)
            except BaseException:
                connecting.close()
                raise
    except PermissionError as error:
        msg = f"The node on the data folder {folder} belongs to another user of this machine: ask as that user."
        raise NotYourNode(msg) from error
    except OSError as error:
        msg = f"No node is running on the data folder {folder}: start one with `morphware run --data-folder {folder}`."
        raise NodeNotRunning(msg) from error
    return trio.SocketStream(connecting)


def lines(stream: trio.SocketStream, most_bytes: int = LINE_BYTES_MOST) -> "Lines":
    """The lines that arrive; one that is too long ends the conversation."""
    return Lines(stream, most_bytes)


class Lines:
    """No generator: whoever has its answer stops asking, and trio wants a generator that is left to be closed."""

    def __init__(self, stream: trio.SocketStream, most_bytes: int) -> None:
        self.is_too_long = False
        self._stream = stream
        self._most_bytes = most_bytes
        self._buffer = bytearray()

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self.is_too_long = searched > self._most_bytes
            chunk = b"" if self.is_too_long else await self._stream.receive_some()
            if not chunk:
                raise StopAsyncIteration
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


async def send_line(stream: trio.SocketStream, value: Any) -> None:
    """Send one JSON line."""
    await stream.send_all(json.dumps(value, separators=(",", ":")).encode() + b"\n")


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path to the socket that fits the 108 bytes of a socket address, however deep the folder lies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
