"""The socket in the data folder: whatever is asked of it, the node goes on, and whoever asks is told what is wrong."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from morphware.node.api.answers.jobs import Costs
from morphware.node.api.routes import Call, Route
from morphware.node.client import AsyncClient, Client
from morphware.node.client.asks import Ask
from morphware.node.client.wire import NodeRefused
from morphware.node.data_folder import SOCKET_NAME, NodeNotRunning, short_path
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.feed import BACKLOG, Feed
from tests.node.api.serving import ROUTES, Said, costs, serve_routes, serving


def echo(number: int = 0) -> Ask[Said]:
    return Ask("GET", "/echo", Said, {"word": "hello", "number": number})


@pytest.mark.parametrize(
    ("path", "kind", "sentence", "field"),
    [
        ("/refuse", BadInput, "Ask for less.", "number"),
        ("/conflict", BadInput, "Not now.", ""),
        ("/nowhere", BadInput, "no such thing", ""),
        ("/fail", NodeRefused, "The world failed: wait.", None),
        ("/room", NodeRefused, "No space left", None),
        ("/bug", NodeRefused, "please report it", None),
    ],
)
async def test_what_a_request_fails_at_is_a_sentence(
    path: str, kind: type[MorphwareError], sentence: str, field: str | None, tmp_path: Path
) -> None:
    async with serving(tmp_path):
        with pytest.raises(kind, match=sentence) as caught:
            await AsyncClient(tmp_path)._do(Ask("GET", path, Said))
        assert getattr(caught.value, "field", None) == field
        assert await AsyncClient(tmp_path)._do(echo()) == Said(word="hello")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\xff\xfe\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 200_000,
        b"\0" * 9_999,
    ],
    ids=lambda said: repr(said[:12]),
)
async def test_what_is_no_http_is_answered_or_hung_up_and_the_node_goes_on(said: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path):
        with short_path(tmp_path) as path:
            stream = await trio.open_unix_socket(path)
        async with stream:
            try:
                await stream.send_all(said)
                await stream.send_eof()
                answer = await stream.receive_some()
            except trio.BrokenResourceError:
                answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        assert await AsyncClient(tmp_path)._do(echo()) == Said(word="hello")


async def test_several_programs_ask_at_once(tmp_path: Path) -> None:
    found: list[int] = []
    async with serving(tmp_path):

        async def ask(number: int) -> None:
            found.append((await AsyncClient(tmp_path)._do(echo(number))).number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
    assert sorted(found) == list(range(20))


async def test_an_answer_may_be_longer_than_a_request(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert await AsyncClient(tmp_path)._do(Ask("GET", "/costs", Costs)) == costs(60_000)


async def test_the_synchronous_client_asks_the_same(tmp_path: Path) -> None:
    def ask() -> tuple[Said, list[int]]:
        client = Client(tmp_path)
        with pytest.raises(NodeRefused, match="The world failed"):
            client._do(Ask("GET", "/fail", Said))
        with client.watch() as notices:
            trio.from_thread.run_sync(lambda: feed.say("block", number=7))
            numbers = [next(notices)["number"]]
        return client._do(echo(3)), numbers

    feed = Feed()
    async with serving(tmp_path, feed):
        assert await trio.to_thread.run_sync(ask) == (Said(word="hello", number=3), [7])
    with pytest.raises(NodeNotRunning, match="morphware run"):
        await trio.to_thread.run_sync(Client(tmp_path).status)


# --- the socket itself ----------------------------------------------------------------------------------------------


async def test_the_socket_is_its_owners_alone_and_goes_with_the_node(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_a_data_folder_may_lie_deep(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30) / ("deeper" * 30)
    async with serving(folder):
        assert len(str(folder / SOCKET_NAME)) > 108
        assert await AsyncClient(folder)._do(echo()) == Said(word="hello")


async def test_the_socket_of_a_node_that_was_killed_is_replaced(tmp_path: Path) -> None:
    stale = trio.socket.socket(trio.socket.AF_UNIX)
    await stale.bind(str(tmp_path / SOCKET_NAME))
    stale.close()
    with pytest.raises(NodeNotRunning):
        await AsyncClient(tmp_path).status()
    async with serving(tmp_path):
        assert await AsyncClient(tmp_path)._do(echo()) == Said(word="hello")


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: folder.mkdir()])
async def test_where_no_node_runs_the_sentence_names_folder_and_command(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "node"
    make(folder)
    with pytest.raises(NodeNotRunning, match="morphware run --data-folder") as caught:
        await AsyncClient(folder).status()
    assert str(folder) in caught.value.sentence


async def test_a_node_that_ends_in_the_middle_is_one_sentence(tmp_path: Path) -> None:
    async def never(_: Call) -> Said:
        nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    errors: list[NodeNotRunning] = []
    route = Route("GET", "/never", "never", "Never answers.", never, Said)
    async with trio.open_nursery() as outer:

        async def ask() -> None:
            try:
                await AsyncClient(tmp_path)._do(Ask("GET", "/never", Said))
            except NodeNotRunning as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve_routes, tmp_path, [route], Feed())
            outer.start_soon(ask)
    assert "hung up" in errors[0].sentence


# --- watching -------------------------------------------------------------------------------------------------------


async def test_a_watcher_is_told_what_happens(tmp_path: Path) -> None:
    feed = Feed()
    async with serving(tmp_path, feed), AsyncClient(tmp_path).watch() as notices:
        feed.say("block", number=1)
        notice = await anext(notices)
        assert (notice["kind"], notice["number"]) == ("block", 1)


async def test_who_watches_one_job_hears_of_it_and_of_the_chain(tmp_path: Path) -> None:
    feed, job_id = Feed(), "ab" * 32
    async with serving(tmp_path, feed), AsyncClient(tmp_path).watch(job_id) as notices:
        feed.say("output", job_id="cd" * 32, text="another's")
        feed.say("chain", event={"job_id": "cd" * 32})
        feed.say("chain", event={"job_id": job_id})
        feed.say("block", number=2)
        assert [(await anext(notices))["kind"] for _ in range(2)] == ["chain", "block"]
        with pytest.raises(BadInput, match="job"):
            async with AsyncClient(tmp_path).watch("no job's id"):
                pass


async def test_a_watcher_that_never_reads_slows_nobody_and_fills_no_memory(tmp_path: Path) -> None:
    feed = Feed()
    async with serving(tmp_path, feed):
        with short_path(tmp_path) as path:
            idle = await trio.open_unix_socket(path)
        async with idle, AsyncClient(tmp_path).watch() as notices:
            await idle.send_all(b"GET /api/v1/events HTTP/1.1\r\nHost: node\r\n\r\n")
            while len(feed._listeners) < 2:
                await trio.lowlevel.checkpoint()
            for number in range(3 * BACKLOG):
                feed.say("output", text="x" * 1000, number=number)
                if number % 50 == 0:
                    assert (await anext(notices))["kind"] == "output"  # the other one is served meanwhile
                await trio.lowlevel.checkpoint()
            assert all(len(listener._notices) <= BACKLOG for listener in feed._listeners)
            assert await AsyncClient(tmp_path)._do(echo()) == Said(word="hello")


async def test_a_watcher_that_never_reads_does_not_keep_the_node_from_ending(tmp_path: Path) -> None:
    feed = Feed()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_routes, tmp_path, ROUTES, feed)
        with short_path(tmp_path) as path:
            idle = await trio.open_unix_socket(path)
        async with idle:
            await idle.send_all(b"GET /api/v1/events HTTP/1.1\r\nHost: node\r\n\r\n")
            while not feed._listeners:
                await trio.lowlevel.checkpoint()
            for number in range(2_000):
                feed.say("output", text="x" * 1000, number=number)
                await trio.lowlevel.checkpoint()
            with trio.fail_after(40):
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()


async def test_a_listener_that_was_behind_is_told_how_much_it_missed() -> None:
    feed = Feed()
    with feed.listen() as notices:
        for number in range(BACKLOG + 7):
            feed.say("block", number=number)
        heard = [await anext(notices) for _ in range(BACKLOG + 1)]
        assert heard[BACKLOG - 1]["number"] == BACKLOG - 1
        assert (heard[-1]["kind"], heard[-1]["count"]) == ("dropped", 7)
        feed.say("block", number=-1)
        assert (await anext(notices))["number"] == -1


async def test_notices_with_many_points_count_as_many() -> None:
    feed = Feed()
    with feed.listen():
        for _ in range(2000):
            feed.say("points", points=[(1, 1.0, "loss", 1.0)] * 400)
        (listener,) = feed._listeners
        assert len(listener._notices) * 400 <= BACKLOG * 40
