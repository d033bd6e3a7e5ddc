"""The RPC client against endpoints that misbehave: real sockets, real HTTP, hostile answers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from morphware.node.chain.errors import AnswerTooLarge, ChainFailure, ChainUnreachable, MalformedAnswer, RpcRefusal
from morphware.node.chain.rpc import Data, Header, Quantity, Rpc

Reply = Callable[[int], bytes]
"""HTTP response to the n-th request."""


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
async def serve(nursery: trio.Nursery) -> Callable[[Reply], Any]:
    """Starts an endpoint that answers as told; returns its URL."""

    async def start(reply: Reply) -> str:
        count = 0

        async def handle(stream: trio.SocketStream) -> None:
            nonlocal count
            try:
                await stream.receive_some(65536)
                count += 1
                await stream.send_all(reply(count - 1))
            except trio.BrokenResourceError:
                pass
            finally:
                await trio.aclose_forcefully(stream)

        [listener] = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        return f"http://127.0.0.1:{listener.socket.getsockname()[1]}/KEY"

    return start


async def test_a_busy_endpoint_is_asked_again(serve: Any) -> None:
    answers = [
        http(b"slow down", "429 Too Many Requests"),
        b"",  # hangs up
        http(b'{"error":{"code":-32005,"message":"limit exceeded"}}'),
        http(b'{"result":"0x10"}'),
    ]
    async with Rpc(await serve(answers.__getitem__), patience_s=30) as rpc:
        assert await rpc.block_number() == 16


async def test_patience_ends(serve: Any) -> None:
    async with Rpc(await serve(lambda _: http(b"", "503 Service Unavailable")), patience_s=0.5) as rpc:
        with pytest.raises(ChainUnreachable, match="503"):
            await rpc.block_number()


async def test_a_deaf_endpoint_is_given_up(serve: Any, nursery: trio.Nursery) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with Rpc(f"http://127.0.0.1:{port}/KEY", patience_s=0.5, timeout_s=0.2) as rpc:
        with trio.fail_after(30), pytest.raises(ChainUnreachable):
            await rpc.block_number()
    await listeners[0].aclose()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"5",
        b"{",
        b'{"result":17}',
        b'{"result":"17"}',
        b'{"result":"0xzz"}',
        b'{"result":null}',
        b'{"result":{"a":1}}',
        b'{"error":"text"}',
        b"[" * 100_000,
    ],
)
async def test_nonsense_is_refused_with_a_sentence(serve: Any, body: bytes) -> None:
    async with Rpc(await serve(lambda _: http(body)), patience_s=5) as rpc:
        with pytest.raises(MalformedAnswer, match="makes no sense: check"):
            await rpc.block_number()


async def test_a_header_with_missing_fields_is_refused(serve: Any) -> None:
    async with Rpc(await serve(lambda _: http(b'{"result":{"number":"0x1","hash":"0x01"}}')), patience_s=5) as rpc:
        with pytest.raises(MalformedAnswer):
            await rpc.header(1)


async def test_a_header_is_decoded(serve: Any) -> None:
    body = b'{"result":{"number":"0x1","hash":"0x01","parentHash":"0x02","timestamp":"0x64","miner":"0x"}}'
    async with Rpc(await serve(lambda _: http(body))) as rpc:
        assert await rpc.header(1) == Header(
            number=Quantity(1), hash=Data(b"\1"), parent_hash=Data(b"\2"), timestamp=Quantity(100)
        )


async def test_an_endless_answer_is_cut_off(serve: Any) -> None:
    async with Rpc(await serve(lambda _: http(b"x" * 200_000)), answer_limit_bytes=100_000) as rpc:
        with pytest.raises(AnswerTooLarge, match="100000 bytes"):
            await rpc.block_number()


async def test_a_compressed_answer_is_not_unpacked(serve: Any) -> None:
    import gzip

    body = gzip.compress(b'{"result":"0x1"}' + b" " * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with Rpc(await serve(lambda _: head + body)) as rpc:
        with pytest.raises(MalformedAnswer):
            await rpc.block_number()


async def test_an_endpoints_error_is_not_tried_again(serve: Any) -> None:
    requests = []

    def reply(count: int) -> bytes:
        requests.append(count)
        return http(b'{"error":{"code":3,"message":"' + b"m" * 2000 + b'","data":"0x1234"}}')

    async with Rpc(await serve(reply)) as rpc:
        with pytest.raises(RpcRefusal) as caught:
            await rpc.block_number()
    assert len(requests) == 1
    assert caught.value.data == "0x1234"
    assert len(caught.value.message) == 500


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/KEY", "nonsense", "ftp://host/KEY", "http://[::1/KEY", ""])
async def test_no_address_shows_its_key(url: str) -> None:
    async with Rpc(url, patience_s=0) as rpc:
        assert "KEY" not in repr(rpc)
        with pytest.raises(ChainUnreachable) as caught:
            await rpc.block_number()
    assert "KEY" not in str(caught.value)


def test_every_failure_says_what_to_do() -> None:
    def every(kind: type[ChainFailure]) -> list[type[ChainFailure]]:
        return [kind] + [each for child in kind.__subclasses__() for each in every(child)]

    for kind in every(ChainFailure):
        sentence = " ".join((kind.__doc__ or "").split())
        assert ": " in sentence, kind
        assert sentence.endswith("."), kind
