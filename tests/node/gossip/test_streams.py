"""Direct streams: requests and their answers, frames in order, and every way in which they fail."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from morphware.node.gossip.addresses import library_id_of, public_key_of
from morphware.node.gossip.errors import PeerUnreachable
from morphware.node.gossip.settings import GossipSettings

PATIENCE_S = 60
MIB = 1 << 20
pytestmark = pytest.mark.adapter


async def reverse(_peer_key: bytes, request: bytes) -> bytes:
    return request[::-1]


async def name_peer(peer_key: bytes, _request: bytes) -> bytes:
    return peer_key


async def fail(_peer_key: bytes, _request: bytes) -> bytes:
    raise RuntimeError("a handler with a defect")


async def hang(_peer_key: bytes, _request: bytes) -> bytes:
    await trio.sleep_forever()
    return b""


async def answer_too_long(_peer_key: bytes, _request: bytes) -> bytes:
    return bytes(MIB + 1)


REQUESTS = {"reverse": reverse, "name": name_peer, "fail": fail, "hang": hang, "long": answer_too_long}


async def acquainted(start: Any, **options: Any) -> tuple[Any, Any]:
    client, server = await start(1), await start(2, **options)
    await client.gossip.connect(server.gossip.addresses)
    return client, server


async def test_a_request_is_answered_to_the_peer_that_asked(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, requests=REQUESTS)
        assert await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S) == b"cba"
        assert await client.gossip.request(server.key, "/morphware/1/name", b"", timeout_s=PATIENCE_S) == client.key
        assert await client.gossip.request(server.key, "reverse", b"", timeout_s=PATIENCE_S) == b""


async def test_a_request_and_an_answer_have_a_mebibyte_and_not_a_byte_more(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, requests=REQUESTS)
        data = bytes(range(256)) * (MIB // 256)
        assert await client.gossip.request(server.key, "reverse", data, timeout_s=PATIENCE_S) == data[::-1]
        with pytest.raises(ValueError, match="1048577"):
            await client.gossip.request(server.key, "reverse", bytes(MIB + 1))
        with pytest.raises(PeerUnreachable):
            await client.gossip.request(server.key, "long", b"", timeout_s=PATIENCE_S)


async def test_a_longer_frame_than_allowed_resets_the_stream_before_it_is_read(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, requests=REQUESTS)
        await client.gossip.until_connected(server.key)
        host = client.gossip._running.host
        stream = await host.new_stream(library_id_of(server.key), ["/morphware/1/reverse"])
        await stream.write((MIB + 1).to_bytes(4, "big"))
        await server.until_counted("stream_failed")
        assert await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S) == b"cba"


@pytest.mark.parametrize("protocol", ["fail", "unheard-of"])
async def test_a_failing_handler_or_none_costs_that_request_alone(start: Any, protocol: str) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, requests=REQUESTS)
        with pytest.raises(PeerUnreachable):
            await client.gossip.request(server.key, protocol, b"", timeout_s=PATIENCE_S)
        assert await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S) == b"cba"
        assert "rebuilt" not in server.gossip.counters


async def test_a_request_without_an_answer_ends_in_time_on_both_sides(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, requests=REQUESTS, settings=GossipSettings(answer_timeout_s=2))
        await client.gossip.until_connected(server.key)
        with pytest.raises(PeerUnreachable, match="within 1 s"):
            await client.gossip.request(server.key, "hang", b"", timeout_s=1)
        await server.until_counted("stream_failed")


async def test_a_stranger_cannot_be_asked(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client = await start(1)
        with pytest.raises(PeerUnreachable, match="cannot be dialled"):
            await client.gossip.request(public_key_of(bytes([9]) * 32), "reverse", b"")


async def test_a_peer_asks_no_faster_than_its_rate(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        settings = GossipSettings(requests_per_s=0.01, requests_burst=3)
        client, server = await acquainted(start, requests=REQUESTS, settings=settings)
        for _ in range(3):
            await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S)
        with pytest.raises(PeerUnreachable):
            await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S)
        assert server.gossip.counters["stream_refused"] == 1


class Collector:
    """Takes one stream of frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ended = trio.Event()
        self.error: PeerUnreachable | None = None
        self.peer_key: bytes | None = None

    async def __call__(self, peer_key: bytes, frames: AsyncIterator[bytes]) -> None:
        self.peer_key = peer_key
        try:
            async for frame in frames:
                self.frames.append(frame)
        except PeerUnreachable as error:
            self.error = error
        self.ended.set()


async def test_frames_arrive_in_order_and_end_when_the_sender_ends(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        collector = Collector()
        client, server = await acquainted(start, streams={"progress": collector})
        sent = [b"step %d" % number for number in range(150)] + [bytes(64 << 10), b""]
        async with client.gossip.stream_to(server.key, "progress") as stream:
            for frame in sent:
                await stream.send(frame)
        await collector.ended.wait()
        assert (collector.frames, collector.peer_key, collector.error) == (sent, client.key, None)


async def test_a_fast_sender_is_slowed_down_and_not_blamed(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        collector = Collector()
        settings = GossipSettings(frames_per_s=50, frames_burst=10)
        client, server = await acquainted(start, streams={"progress": collector}, settings=settings)
        started_s = trio.current_time()
        async with client.gossip.stream_to(server.key, "progress") as stream:
            for _ in range(60):
                await stream.send(b"x")
        await collector.ended.wait()
        assert len(collector.frames) == 60
        assert trio.current_time() - started_s >= 0.9


async def test_a_frame_too_long_is_not_sent(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        collector = Collector()
        client, server = await acquainted(start, streams={"progress": collector})
        async with client.gossip.stream_to(server.key, "progress") as stream:
            with pytest.raises(ValueError, match="65537"):
                await stream.send(bytes((64 << 10) + 1))


async def test_a_sender_that_breaks_off_is_told_apart_from_one_that_ends(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        collector = Collector()
        client, server = await acquainted(start, streams={"progress": collector})
        with pytest.raises(KeyError):  # noqa: PT012
            async with client.gossip.stream_to(server.key, "progress") as stream:
                await stream.send(b"one")
                await server.until(lambda: bool(collector.frames))
                raise KeyError("the job died")
        await collector.ended.wait()
        assert collector.frames == [b"one"]
        assert isinstance(collector.error, PeerUnreachable)


async def test_a_receiver_that_vanishes_is_noticed_by_the_sender(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        client, server = await acquainted(start, streams={"progress": Collector()})
        with pytest.raises(PeerUnreachable):  # noqa: PT012
            async with client.gossip.stream_to(server.key, "progress") as stream:
                await stream.send(b"one")
                await server.stop()
                while True:
                    await stream.send(b"more")
                    await trio.sleep(0.02)


async def test_a_handler_of_frames_that_fails_costs_that_stream_alone(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):

        async def fail_at_once(_peer_key: bytes, _frames: AsyncIterator[bytes]) -> None:
            raise RuntimeError("a handler with a defect")

        client, server = await acquainted(start, streams={"progress": fail_at_once}, requests=REQUESTS)
        with pytest.raises(PeerUnreachable):  # noqa: PT012
            async with client.gossip.stream_to(server.key, "progress") as stream:
                while True:
                    await stream.send(b"one")
                    await trio.sleep(0.02)
        assert await client.gossip.request(server.key, "reverse", b"abc", timeout_s=PATIENCE_S) == b"cba"
