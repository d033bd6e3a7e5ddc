"""Direct streams between two peers: one request and its answer, or frames in one direction.

On the wire a frame is its length in four bytes, big-endian, and its content. A request is one frame each way. A stream
is frames until an end mark, for libp2p cannot tell a stream that was closed from one that broke; the receiver's pace is
the sender's pace. Whatever goes wrong resets that stream, and
nothing else.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
import trio

from morphware.node.gossip.addresses import key_of_library_id, peer_id_of
from morphware.node.gossip.errors import PeerUnreachable
from morphware.node.gossip.library import StreamEOF
from morphware.node.gossip.reputation import Reputation, TokenBucket
from morphware.node.gossip.settings import GossipSettings
from morphware.node.ports import Handler

log = structlog.get_logger()

StreamHandler = Callable[[bytes, AsyncIterator[bytes]], Awaitable[None]]
"""Takes a peer's frames: (peer's Ed25519 key, frames). The iterator raises ``PeerUnreachable`` if the peer breaks."""

PROTOCOL_PREFIX = "/morphware/1/"
LENGTH_BYTES = 4
END_MARK = b"\xff" * LENGTH_BYTES
"""In place of a length: the sender ended the stream, and nothing is missing."""
READ_MAX_BYTES = 64 << 10


class FrameError(Exception):
    """A peer's frame is cut off, or longer than allowed."""


async def read_frame(stream: Any, max_bytes: int) -> bytes | None:
    """Read one frame; None at the end mark. Raises ``FrameError``."""
    header = await _read_exactly(stream, LENGTH_BYTES)
    size = int.from_bytes(header, "big")
    if header == END_MARK:
        return None
    if size > max_bytes:
        raise FrameError(f"frame of {size} bytes, more than {max_bytes}")
    return await _read_exactly(stream, size)


async def write_frame(stream: Any, content: bytes) -> None:
    """Write one frame, at the pace of the peer's flow control."""
    await stream.write(len(content).to_bytes(LENGTH_BYTES, "big") + content)


class IncomingFrames:
    """The frames of one incoming stream, bounded in size, rate and silence."""

    def __init__(self, stream: Any, settings: GossipSettings) -> None:
        self._stream = stream
        self._settings = settings
        self._bucket = TokenBucket(settings.frames_per_s, settings.frames_burst)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._bucket.take(trio.current_time()):
            await trio.sleep(self._bucket.wait_s())
            self._bucket.take(trio.current_time())
        try:
            with trio.fail_after(self._settings.stream_idle_s):
                frame = await read_frame(self._stream, self._settings.frame_max_bytes)
        except trio.TooSlowError as error:
            raise PeerUnreachable(f"no frame for {self._settings.stream_idle_s:g} s") from error
        except Exception as error:  # libp2p's stream errors are many, and here they all mean that the peer is gone
            raise PeerUnreachable(f"stream broke: {error!r}") from error
        if frame is None:
            raise StopAsyncIteration
        return frame


class OutgoingStream:
    """Frames to one peer. ``send`` waits while the peer does not read, at most ``frame_timeout_s``."""

    def __init__(self, stream: Any, settings: GossipSettings) -> None:
        self._stream = stream
        self._settings = settings
        self._lock = trio.Lock()

    async def send(self, frame: bytes) -> None:
        """Send one frame. Raises ``PeerUnreachable`` when the peer is gone or does not read; ``ValueError`` by size."""
        if len(frame) > self._settings.frame_max_bytes:
            raise ValueError(f"a frame has at most {self._settings.frame_max_bytes} bytes, not {len(frame)}")
        await self._write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)

    async def end(self) -> None:
        """Tell the peer that nothing is missing. Raises ``PeerUnreachable``."""
        await self._write(END_MARK)

    async def _write(self, data: bytes) -> None:
        try:
            async with self._lock:
                with trio.fail_after(self._settings.frame_timeout_s):
                    await self._stream.write(data)
        except Exception as error:  # libp2p's stream errors are many, and here they all mean that the peer is gone
            raise PeerUnreachable(f"stream broke: {error!r}") from error


async def ask(stream: Any, request: bytes, settings: GossipSettings) -> bytes:
    """Send a request on a fresh stream and read its answer. Raises ``PeerUnreachable``."""
    try:
        await write_frame(stream, request)
        await stream.close_write()
        answer = await read_frame(stream, settings.request_max_bytes)
    except Exception as error:  # libp2p's stream errors are many, and here they all mean that there is no answer
        raise PeerUnreachable(f"the peer broke off: {error!r}") from error
    if answer is None:
        raise PeerUnreachable("the peer has no answer")
    return answer


class StreamServer:
    """Serves direct streams within bounds: per peer in number and rate, and all together in number."""

    def __init__(self, settings: GossipSettings, reputation: Reputation) -> None:
        self._settings = settings
        self._reputation = reputation
        self._open: Counter[bytes] = Counter()

    def request_server(self, protocol: str, handler: Handler) -> Callable[[Any], Awaitable[None]]:
        """What libp2p calls for each incoming request of this protocol."""

        async def serve(stream: Any, peer_key: bytes) -> None:
            settings = self._settings
            with trio.fail_after(settings.frame_timeout_s):
                request = await read_frame(stream, settings.request_max_bytes)
            if request is None:
                return
            with trio.fail_after(settings.answer_timeout_s):
                answer = await handler(peer_key, request)
            if len(answer) > settings.request_max_bytes:
                raise FrameError(f"our answer has {len(answer)} bytes")
            with trio.fail_after(settings.frame_timeout_s):
                await write_frame(stream, answer)
                await stream.close()

        return lambda stream: self._serve(stream, protocol, serve)

    def frames_server(self, protocol: str, handler: StreamHandler) -> Callable[[Any], Awaitable[None]]:
        """What libp2p calls for each incoming one-way stream of this protocol."""

        async def serve(stream: Any, peer_key: bytes) -> None:
            await handler(peer_key, IncomingFrames(stream, self._settings))
            await stream.close()

        return lambda stream: self._serve(stream, protocol, serve)

    async def _serve(self, stream: Any, protocol: str, serve: Callable[[Any, bytes], Awaitable[None]]) -> None:
        peer_key = key_of_library_id(stream.muxed_conn.peer_id)
        if peer_key is None or not self._may_open(peer_key):
            self._reputation.counters["stream_refused"] += 1
            await stream.reset()
            return
        self._open[peer_key] += 1
        is_served = False
        try:
            await serve(stream, peer_key)
            is_served = True
        except Exception as error:  # noqa: BLE001  a handler, or libp2p beneath it: one stream's failure is that stream's alone
            self._reputation.counters["stream_failed"] += 1
            log.info("gossip_stream_broken", protocol=protocol, peer=peer_id_of(peer_key), error=repr(error))
        finally:
            self._open[peer_key] -= 1
            if not self._open[peer_key]:
                del self._open[peer_key]
            if not is_served:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await stream.reset()

    def _may_open(self, peer_key: bytes) -> bool:
        settings = self._settings
        return (
            self._reputation.may_request(peer_key, trio.current_time())
            and self._open[peer_key] < settings.streams_per_peer_max
            and self._open.total() < settings.streams_max
        )


async def _read_exactly(stream: Any, size: int) -> bytes:
    """Read ``size`` bytes. Raises ``FrameError`` when the peer ends before."""
    received = bytearray()
    while len(received) < size:
        try:
            chunk = await stream.read(min(size - len(received), READ_MAX_BYTES))
        except StreamEOF:
            chunk = b""
        if not chunk:
            raise FrameError(f"ended after {len(received)} bytes of {size}")
        received += chunk
    return bytes(received)
