"""An ASGI application on listening sockets: hypercorn's HTTP under our own limits, served until cancelled.

Hypercorn's own ``serve`` shields what it sends from cancellation, and has no bound on connections or on a reader that
stops reading: one sleeping browser tab would keep a node from ending.  Here a connection that takes less than
``SLICE_BYTES`` in ``SEND_PATIENCE_S`` is closed, there are at most ``CONNECTIONS_MOST`` of them, and cancelling ends
all of it.
"""

import socket
from functools import partial
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

CONNECTIONS_MOST: Final = 200
SEND_PATIENCE_S: Final = 10.0
SLICE_BYTES: Final = 16 << 10
"""So much has to be taken within the patience: a tunnel at a snail's pace is slow, and no sleeper."""
HEADER_BYTES_MOST: Final = 32 << 10
IDLE_S: Final = 5.0


async def serve_http(
    application: Any,
    listener: trio.SocketListener,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP/1.1 on a listening socket until cancelled; the socket is closed at the end."""
    config = Config()
    config.errorlog = config.accesslog = None  # the door says what went wrong, in the node's own log
    config.h11_max_incomplete_size = HEADER_BYTES_MOST
    config.keep_alive_timeout = IDLE_S
    config.include_server_header = False
    wrapped = wrap_app(application, 0, "asgi")
    context = WorkerContext(None)
    places = trio.CapacityLimiter(CONNECTIONS_MOST)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            places.acquire_nowait()
        except trio.WouldBlock:
            await stream.aclose()
            return
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_hang_up_when_cancelled, stream)
                await _Connection(wrapped, config, context, ConnectionState({}), _Impatient(stream))  # type: ignore[arg-type]
                nursery.cancel_scope.cancel()
        finally:
            places.release()
            await trio.aclose_forcefully(stream)  # hypercorn says goodbye first, which cancelling keeps it from

    async with listener:
        await trio.serve_listeners(serve, [listener], task_status=_Started(task_status))


async def _hang_up_when_cancelled(stream: trio.SocketStream) -> None:
    """Hypercorn shields what it sends: a reader that is slow would keep the node from ending as long as it likes."""
    try:
        await trio.sleep_forever()
    finally:
        stream.socket.close()


class _Connection(TCPServer):
    """Hypercorn's own waits for the next request until it is idle for too long, even when nobody is there any more."""

    _is_gone = False

    async def protocol_send(self, event: Event) -> None:
        if not (self._is_gone and isinstance(event, Updated)):  # which would begin to wait, after the last answer
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        await super()._read_data()
        self._is_gone = True
        await self.idle_task.stop()


class _Impatient:
    """A socket's stream whose reader has to read: whoever takes nothing for long has hung up."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self._stream = stream
        if self.socket.family == socket.AF_UNIX:  # one that is full takes nothing until most of it was read
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SLICE_BYTES)

    async def send_all(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_BYTES):
            with trio.move_on_after(SEND_PATIENCE_S) as patience:
                await self._stream.send_all(memoryview(data)[start : start + SLICE_BYTES])
            if patience.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the reader does not read")

    async def receive_some(self, most_bytes: int | None = None) -> bytes:
        return bytes(await self._stream.receive_some(most_bytes))

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Started:
    """Whoever starts the service needs to know that it listens, and nothing else."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self.started = partial(self._tell, task_status)

    @staticmethod
    def _tell(task_status: trio.TaskStatus[None], _: object = None) -> None:
        task_status.started()
