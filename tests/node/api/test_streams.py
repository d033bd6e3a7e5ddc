"""Answers in pieces, readers that are slow, and connections that break: what failed is in the log, and nothing else."""

import zipfile
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import aclosing, asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
import trio
import trio.testing

from morphware.node.api.http import SEND_PATIENCE_S, SLICE_BYTES, _Impatient
from morphware.node.api.zips import zipped
from morphware.node.data_folder import short_path
from morphware.node.feed import Feed
from tests.node.api.serving import ROUTES, TOKEN, listening, serve_routes

LARGE_BYTES = 2 << 30
"""An archive of so much takes seconds."""
BEARER = {"authorization": f"Bearer {TOKEN}"}
Said = list[MutableMapping[str, Any]]


@pytest.fixture
def logged() -> Iterator[Said]:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_an_answer_comes_in_pieces(logged: Said) -> None:
    async with listening() as port:
        whole = await port.http.get("/api/v1/stream", headers=BEARER)
        assert (whole.status_code, whole.text) == (200, "one two")
        nothing = await port.http.get("/api/v1/stream/nothing", headers=BEARER)
        assert (nothing.status_code, nothing.text) == (200, "")
    assert logged == []


async def test_what_fails_before_the_first_piece_is_a_problem(logged: Said) -> None:
    async with listening() as port:
        response = await port.http.get("/api/v1/stream/room", headers=BEARER)
        assert (response.status_code, response.json()["kind"]) == (503, "unavailable")
        assert "No space left" in response.json()["sentence"]
        assert logged == [], "a full disk is no bug"
        response = await port.http.get("/api/v1/stream/bug", headers=BEARER)
        assert (response.status_code, response.json()["kind"]) == (500, "failed")
    assert [entry["event"] for entry in logged] == ["request_failed"]


async def test_what_fails_in_the_middle_of_an_answer_is_logged(logged: Said) -> None:
    async with listening() as port:
        with pytest.raises(httpx.RemoteProtocolError):
            await port.http.get("/api/v1/stream/cut", headers=BEARER)
        assert (await port.http.get("/api/v1/stream", headers=BEARER)).text == "one two"
    [entry] = logged
    assert (entry["event"], entry["path"], entry["exc_info"]) == ("answer_failed", "/api/v1/stream/cut", True)


async def test_whoever_hangs_up_is_no_failure(logged: Said) -> None:
    feed = Feed()
    async with listening(feed) as port:
        host, number = port.host.split(":")
        head = f"host: {port.host}\r\nauthorization: Bearer {TOKEN}\r\n"
        async with await trio.open_tcp_stream(host, int(number)) as watcher:
            await watcher.send_all(f"GET /api/v1/events HTTP/1.1\r\n{head}\r\n".encode())
            await watcher.receive_some()
            assert feed._listeners
        while feed._listeners:
            await trio.lowlevel.checkpoint()
        async with await trio.open_tcp_stream(host, int(number)) as writer:
            said = f"POST /api/v1/echo HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: 99\r\n\r\n{{"
            await writer.send_all(said.encode())
            await writer.send_eof()
            while await writer.receive_some():
                pass
        await trio.testing.wait_all_tasks_blocked()
    assert logged == []


# --- archives -------------------------------------------------------------------------------------------------------


def model_in(folder: Path) -> Path:
    for name, content in (("a.npz", b"weights" * 100_000), ("more/b.txt", b""), ("more/c.txt", b"read me")):
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_bytes(content)
    (folder / "model" / "link").symlink_to("/etc/passwd")
    return folder / "model"


async def test_a_folder_is_sent_as_an_archive_of_its_plain_files(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    packed = b"".join([piece async for piece in zipped(model, tmp_path)])
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.npz", "more/b.txt", "more/c.txt"]
        assert archive.read("a.npz") == b"weights" * 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing of it is left"


async def test_whoever_hangs_up_while_an_archive_is_made_ends_that(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    with (model / "weights.npz").open("wb") as weights:
        weights.truncate(LARGE_BYTES)  # of holes: they are read as zeros
    before = bytes_read()
    with trio.CancelScope() as work:
        async with trio.open_nursery() as nursery, aclosing(zipped(model, tmp_path)) as pieces:

            async def hang_up() -> None:
                while not is_open(model / "weights.npz"):
                    await trio.lowlevel.checkpoint()
                work.cancel()

            nursery.start_soon(hang_up)
            await anext(pieces)
            nursery.cancel_scope.cancel()
    assert work.cancelled_caught
    assert bytes_read() - before < LARGE_BYTES
    assert not is_open(model / "weights.npz")


def is_open(path: Path) -> bool:
    """Whether this process reads a file just now."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if descriptor.readlink() == path:
                return True
    return False


def bytes_read() -> int:
    """How much this process has read of anything so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


# --- slow readers, on a clock that jumps ----------------------------------------------------------------------------


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[_Impatient, trio.SocketStream]]:
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    async with ours, theirs:
        yield _Impatient(ours), theirs


async def test_a_slow_reader_that_reads_is_served_to_the_end(autojump_clock: trio.testing.MockClock) -> None:
    data, received = bytes(range(256)) * 4096, b""
    async with pair() as (sender, reader), trio.open_nursery() as nursery:
        nursery.start_soon(sender.send_all, data)
        while len(received) < len(data):
            await trio.sleep(0.9 * SEND_PATIENCE_S)
            received += await reader.receive_some(4 * SLICE_BYTES)
    assert received == data
    assert trio.current_time() > 10 * SEND_PATIENCE_S


async def test_a_reader_that_takes_nothing_is_hung_up_on(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as (sender, _):
        with pytest.raises(trio.BrokenResourceError):
            await sender.send_all(bytes(1 << 20))
        with pytest.raises(trio.ClosedResourceError):
            await sender.send_all(b"more")


async def test_a_slow_reader_does_not_keep_the_node_from_ending(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as serving:
            await serving.start(serve_routes, tmp_path, ROUTES, Feed())
            with short_path(tmp_path) as path:
                slow = await trio.open_unix_socket(path)
            await slow.send_all(b"GET /api/v1/costs HTTP/1.1\r\nHost: node\r\n\r\n")

            async def read_slowly() -> None:
                async with slow:
                    while await slow.receive_some(4 * SLICE_BYTES):  # noqa: ASYNC110 - it is what a slow reader does
                        await trio.sleep(1)

            outer.start_soon(read_slowly)
            await trio.sleep(5)
            ended = trio.current_time()
            serving.cancel_scope.cancel()
        assert trio.current_time() == ended
