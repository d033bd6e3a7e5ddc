"""Liars on the wire: corrupt pieces, lying metadata, stalls. A fetch yields the announced file or a clear refusal."""

import hashlib
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
import trio

from morphware.node.artifacts.errors import ArtifactCorrupt, ArtifactUnavailable
from morphware.node.artifacts.fetch import FetchPatience
from morphware.node.artifacts.metainfo import describe_file, info_dictionary, magnet_link
from morphware.node.artifacts.torrents import LibtorrentArtifacts
from morphware.node.ports import PeerAddress
from morphware.protocol.artifacts import SealedFile

pytestmark = pytest.mark.adapter

StartNode = Callable[..., Awaitable[LibtorrentArtifacts]]
KIB, MIB = 1 << 10, 1 << 20
PATIENCE_S = 90
METADATA_BLOCK_BYTES = 16 * KIB


def encoded(value: Any) -> bytes:
    """The stubs of libtorrent describe bencoding too narrowly."""
    return lt.bencode(value)


def decoded(data: bytes) -> Any:
    return lt.bdecode(data)


class HostilePeer:
    """Speaks enough BitTorrent to serve any metadata and any bytes, and counts what it got to serve."""

    def __init__(
        self,
        info: bytes,
        content: bytes,
        *,
        piece_bytes: int = 64 * KIB,
        is_corrupt: Callable[[int], bool] = lambda _: False,
        is_silent: bool = False,
        metadata_bytes: int | None = None,
        sends_instead: bytes | None = None,
        stops_after_bytes: int | None = None,
    ) -> None:
        self.info, self.content, self.piece_bytes = info, content, piece_bytes
        self.is_corrupt, self.is_silent = is_corrupt, is_silent
        self.metadata_bytes = len(info) if metadata_bytes is None else metadata_bytes
        self.sends_instead = info if sends_instead is None else sends_instead
        self.infohash = hashlib.sha1(info).digest()
        self.stops_after_bytes = stops_after_bytes
        self.served_bytes = self.connections = 0

    async def serve(self, host: str, *, task_status: trio.TaskStatus[PeerAddress]) -> None:
        listeners = await trio.open_tcp_listeners(0, host=host)
        task_status.started((host, listeners[0].socket.getsockname()[1]))
        await trio.serve_listeners(self._serve_peer, listeners)

    async def _serve_peer(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            async with stream:
                await self._talk(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
            pass

    async def _talk(self, stream: trio.SocketStream) -> None:
        buffer = bytearray()

        async def take(size: int) -> bytes:
            while len(buffer) < size:
                received = await stream.receive_some(65536)
                if not received:
                    raise EOFError
                buffer.extend(received)
            taken = bytes(buffer[:size])
            del buffer[:size]
            return taken

        def message(kind: int, body: bytes = b"") -> bytes:
            return struct.pack(">IB", 1 + len(body), kind) + body

        if (await take(68))[28:48] != self.infohash:
            return
        reserved = bytes([0, 0, 0, 0, 0, 0x10, 0, 0])
        await stream.send_all(b"\x13BitTorrent protocol" + reserved + self.infohash + b"-EV0001-" + os.urandom(12))
        extended = encoded({b"m": {b"ut_metadata": 3}, b"metadata_size": self.metadata_bytes})
        await stream.send_all(message(20, b"\0" + extended))
        pieces = -(-len(self.content) // self.piece_bytes)
        field = ((1 << pieces) - 1) << (-pieces % 8)
        await stream.send_all(message(5, field.to_bytes((pieces + 7) // 8, "big")))
        metadata_kind = 0
        while True:
            size = int.from_bytes(await take(4), "big")
            if not size:
                continue
            body = await take(size)
            if body[0] == 20 and body[1] == 0:
                metadata_kind = decoded(body[2:])[b"m"].get(b"ut_metadata", 0)
            elif body[0] == 20 and body[1] == 3 and not self.is_silent:
                index = decoded(body[2:])[b"piece"]
                answer = encoded({b"msg_type": 1, b"piece": index, b"total_size": self.metadata_bytes})
                block = self.sends_instead[index * METADATA_BLOCK_BYTES : (index + 1) * METADATA_BLOCK_BYTES]
                await stream.send_all(message(20, bytes([metadata_kind]) + answer + block))
            elif body[0] == 2:
                await stream.send_all(message(1))
            elif body[0] == 6:
                piece, start, length = struct.unpack(">III", body[1:13])
                offset = piece * self.piece_bytes + start
                data = self.content[offset : offset + length]
                if self.is_corrupt(start):
                    data = bytes([data[0] ^ 1]) + data[1:]
                if self.stops_after_bytes is not None and self.served_bytes >= self.stops_after_bytes:
                    continue
                self.served_bytes += length
                await stream.send_all(message(7, struct.pack(">II", piece, start) + data))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def announced(content: bytes, infohash: bytes, *peers: PeerAddress) -> SealedFile:
    return SealedFile(magnet_link(infohash, peers), len(content), hashlib.sha256(content).digest())


@pytest.fixture
def content() -> bytes:
    return hashlib.shake_128(b"content").digest(4 * MIB)


@pytest.fixture
def info(content: bytes, tmp_path: Path) -> bytes:
    (tmp_path / "source").write_bytes(content)
    return describe_file(tmp_path / "source").info


async def test_the_hostile_peer_is_a_good_seeder_when_it_does_not_lie(
    start_node: StartNode, nursery: trio.Nursery, content: bytes, info: bytes, tmp_path: Path
) -> None:
    peer = HostilePeer(info, content)
    address = await nursery.start(peer.serve, "127.0.0.1")
    node = await start_node()
    with trio.fail_after(PATIENCE_S):
        arrived = await node.fetch(announced(content, peer.infohash, address), tmp_path / "in")
    assert arrived.read_bytes() == content


@pytest.mark.parametrize("corrupt", ["first blocks", "last blocks", "everything"])
async def test_a_liar_beside_an_honest_seeder_only_delays(
    corrupt: str, start_node: StartNode, nursery: trio.Nursery, content: bytes, info: bytes, tmp_path: Path
) -> None:
    is_corrupt = {
        "first blocks": lambda start: start == 0,
        "last blocks": lambda start: start == 48 * KIB,
        "everything": lambda start: True,
    }[corrupt]
    liar, honest = HostilePeer(info, content, is_corrupt=is_corrupt), HostilePeer(info, content)
    addresses = [await nursery.start(liar.serve, "127.0.0.2"), await nursery.start(honest.serve, "127.0.0.3")]
    node = await start_node(patience=FetchPatience(stall_s=1))
    with trio.fail_after(PATIENCE_S):
        arrived = await node.fetch(announced(content, liar.infohash, *addresses), tmp_path / "in")
    assert arrived.read_bytes() == content
    assert [path.name for path in arrived.parent.iterdir()] == [arrived.name]


async def test_a_restart_keeps_the_pieces_that_proved_right(
    start_node: StartNode,
    nursery: trio.Nursery,
    content: bytes,
    info: bytes,
    tmp_path: Path,
    logged: list[dict[str, Any]],
) -> None:
    lazy, honest = HostilePeer(info, content, stops_after_bytes=2 * MIB), HostilePeer(info, content)
    lazy_address, honest_address = [await nursery.start(peer.serve, "127.0.0.1") for peer in (lazy, honest)]
    node = await start_node(patience=FetchPatience(stall_s=1))
    file = announced(content, lazy.infohash, lazy_address)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            callers.start_soon(lambda: node.fetch(file, tmp_path / "in"))
            while not any(entry["event"] == "artifact_fetch_restarted" for entry in logged):  # noqa: ASYNC110
                await trio.sleep(0.01)
            node.add_peers(file, [honest_address])
    assert next(entry["pieces"] for entry in logged if "pieces" in entry) > 8
    assert honest.served_bytes < 3.5 * MIB
    assert (tmp_path / "in" / f"{file.sha256.hex()}.sealed").read_bytes() == content


async def test_only_a_liar_never_yields_a_file(
    start_node: StartNode,
    nursery: trio.Nursery,
    content: bytes,
    info: bytes,
    tmp_path: Path,
    impatient: FetchPatience,
) -> None:
    liar = HostilePeer(info, content, is_corrupt=lambda start: True)
    address = await nursery.start(liar.serve, "127.0.0.1")
    node = await start_node(patience=impatient)
    with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactUnavailable):
        await node.fetch(announced(content, liar.infohash, address), tmp_path / "in")
    assert liar.served_bytes
    assert list((tmp_path / "in").iterdir()) == []


async def test_another_files_torrent_is_refused(
    start_node: StartNode, nursery: trio.Nursery, content: bytes, tmp_path: Path
) -> None:
    """The metadata claims the announced hash, and its pieces match its own bytes; only the SHA-256 tells."""
    other = hashlib.shake_128(b"other").digest(len(content))
    pieces = b"".join(hashlib.sha1(other[at : at + 64 * KIB]).digest() for at in range(0, len(other), 64 * KIB))
    peer = HostilePeer(info_dictionary(hashlib.sha256(content).digest(), len(content), pieces), other)
    address = await nursery.start(peer.serve, "127.0.0.1")
    node = await start_node()
    with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactCorrupt, match="SHA-256"):
        await node.fetch(announced(content, peer.infohash, address), tmp_path / "in")
    assert list((tmp_path / "in").iterdir()) == []


def hostile_infos(content: bytes, outside: Path) -> dict[str, bytes]:
    size = len(content)
    pieces = b"".join(hashlib.sha1(content[at : at + 64 * KIB]).digest() for at in range(0, size, 64 * KIB))
    plain = {b"length": size, b"name": b"x", b"piece length": 64 * KIB, b"pieces": pieces}
    folder = {key: value for key, value in plain.items() if key != b"length"}
    file = {b"length": size, b"path": [b"a"]}
    link = {b"length": 0, b"attr": b"l", b"path": [b"l"], b"symlink path": [b"..", b"..", b"etc"]}
    bomb = {b"name": b"b", b"piece length": 1 << 24, b"pieces": b"x" * 20 * 1024, b"length": (1 << 24) * 1024}
    forms: dict[str, dict[bytes, object]] = {
        "another name": plain,
        "a parent path as name": {**plain, b"name": b"../../escaped"},
        "an absolute path as name": {**plain, b"name": os.fsencode(outside / "escaped")},
        "a parent path in a folder": {**folder, b"files": [{b"length": size, b"path": [b"..", b"..", b"escaped"]}]},
        "a bomb": bomb,
        "thousands of files": {**folder, b"files": [file, *({b"length": 0, b"path": [b"%d" % n]} for n in range(900))]},
        "a link": {**folder, b"files": [file, link]},
    }
    return {form: encoded(value) for form, value in forms.items()}


async def test_hostile_metadata_is_refused_before_anything_is_written(
    start_node: StartNode, nursery: trio.Nursery, tmp_path: Path
) -> None:
    content = hashlib.shake_128(b"x").digest(160 * KIB)
    node = await start_node()
    for form, info in hostile_infos(content, tmp_path).items():
        peer = HostilePeer(info, content)
        address = await nursery.start(peer.serve, "127.0.0.1")
        with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactCorrupt, match="metadata"):
            await node.fetch(announced(content, peer.infohash, address), tmp_path / "in")
        assert names_in(tmp_path / "in") == set(), form
        assert names_in(tmp_path) == {"in"}, form
    assert not list(tmp_path.parent.glob("escaped*"))


async def test_metadata_that_never_comes_or_is_garbage_or_endless_is_given_up(
    start_node: StartNode,
    nursery: trio.Nursery,
    content: bytes,
    info: bytes,
    tmp_path: Path,
    impatient: FetchPatience,
) -> None:
    node = await start_node(patience=impatient)
    for peer in (
        HostilePeer(info, content, is_silent=True),
        HostilePeer(info, content, sends_instead=os.urandom(len(info))),
        HostilePeer(info, content, metadata_bytes=1 << 30, sends_instead=bytes(MIB)),
        HostilePeer(info, content, metadata_bytes=-1),
        HostilePeer(b"de", content),
        HostilePeer(b"i1e", content),
    ):
        address = await nursery.start(peer.serve, "127.0.0.1")
        with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactUnavailable):
            await node.fetch(announced(content, peer.infohash, address), tmp_path / "in")
        assert peer.connections
        assert list((tmp_path / "in").iterdir()) == []


async def test_a_wrong_magnet_for_a_right_hash_does_not_spoil_the_right_one(
    start_node: StartNode, content: bytes, tmp_path: Path
) -> None:
    source, sink = await start_node(), await start_node()
    (tmp_path / "source").write_bytes(content)
    file = await source.seed(tmp_path / "source")
    wrong = announced(content, b"\1" * 20)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            callers.start_soon(lambda: sink.fetch(wrong, tmp_path / "in"))
            arrived = await sink.fetch(file, tmp_path / "in")
            assert arrived.read_bytes() == content
            callers.cancel_scope.cancel()
    assert [path.name for path in arrived.parent.iterdir()] == [arrived.name]


async def test_garbage_on_the_port_stops_nobody(start_node: StartNode, content: bytes, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    (tmp_path / "source").write_bytes(content)
    file = await source.seed(tmp_path / "source")
    streams = [await trio.open_tcp_stream(*source.address) for _ in range(20)]
    for number, stream in enumerate(streams):
        await stream.send_all(os.urandom(100) if number % 2 else b"\x13BitTorrent protocol")
    with trio.fail_after(PATIENCE_S):
        await sink.fetch(file, tmp_path / "in")
    for stream in streams:
        await stream.aclose()
