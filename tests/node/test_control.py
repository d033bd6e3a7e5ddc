"""The control socket: whatever is written to it, the node goes on, and whoever asks is told what is wrong."""

import json
import stat
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from morphware.node.client.client import ANSWER_BYTES_MOST, NodeClient, NodeRefused
from morphware.node.control import (
    LINE_BYTES_MOST,
    SOCKET_NAME,
    Command,
    NodeNotRunning,
    connect,
    lines,
    send_line,
    serve_control,
)
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.feed import BACKLOG, Feed


async def _echo(request: dict[str, Any]) -> Any:
    return request


async def _refuse(_: dict[str, Any]) -> Any:
    raise BadInput("Ask for less.")


async def _fail(_: dict[str, Any]) -> Any:
    raise MorphwareError("The world failed: wait.")


async def _no_room(_: dict[str, Any]) -> Any:
    raise OSError(28, "No space left on device")


async def _bug(_: dict[str, Any]) -> Any:
    raise AttributeError("a bug of ours")


COMMANDS: dict[str, Command] = {"echo": _echo, "refuse": _refuse, "fail": _fail, "room": _no_room, "bug": _bug}


@asynccontextmanager
async def serving(folder: Path, feed: Feed | None = None) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, folder, COMMANDS, feed or Feed())
        with trio.fail_after(60):
            yield
        nursery.cancel_scope.cancel()


async def ask(folder: Path, line: bytes) -> dict[str, Any]:
    async with await connect(folder) as stream:
        await stream.send_all(line + b"\n")
        return dict(json.loads(await anext(lines(stream))))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"12",
        b"{}",
        b'{"do": null}',
        b'{"do": []}',
        b'{"do": {"a": 1}}',
        b"[" * 200_000,
        b"1" * 10_000,
        b'{"do": "echo", "x": ' + b"9" * 10_000 + b"}",
        b'{"do": "ec',
    ],
    ids=lambda line: repr(line[:20]),
)
async def test_what_is_no_request_is_answered_and_the_node_goes_on(line: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert "A request is one JSON object" in (await ask(tmp_path, line))["error"]
        assert await ask(tmp_path, b'{"do": "echo"}') == {"ok": {"do": "echo"}}


async def test_a_conversation_goes_on_after_a_mistake(tmp_path: Path) -> None:
    async with serving(tmp_path), await connect(tmp_path) as stream:
        answers = lines(stream)
        await stream.send_all(b'nonsense\n{"do": "echo", "n": 1}\n{"do": "no such"}\n')
        received = [json.loads(await anext(answers)) for _ in range(3)]
        assert received[1] == {"ok": {"do": "echo", "n": 1}}
        assert "knows no request 'no such'" in received[2]["error"]
        assert "echo" in received[2]["error"]


async def test_a_line_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path):
        stream = await connect(tmp_path)
        async with stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x" * (LINE_BYTES_MOST + 2**26))
        assert await ask(tmp_path, b'{"do": "echo"}') == {"ok": {"do": "echo"}}


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("refuse", BadInput, "Ask for less."),
        ("fail", NodeRefused, "The world failed: wait."),
        ("room", BadInput, "No space left"),
        ("bug", NodeRefused, "please report it"),
    ],
)
async def test_what_a_request_fails_at_is_a_sentence(
    name: str, kind: type[Exception], sentence: str, tmp_path: Path
) -> None:
    async with serving(tmp_path):
        with pytest.raises(kind, match=sentence):
            await NodeClient(tmp_path)._ask(name)
        assert await NodeClient(tmp_path)._ask("echo") == {"do": "echo"}


async def test_several_programs_ask_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path):
        found: list[int] = []

        async def go(number: int) -> None:
            found.append((await NodeClient(tmp_path)._ask("echo", number=number))["number"])

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(go, number)
        assert sorted(found) == list(range(20))


async def test_an_answer_may_be_longer_than_a_request(tmp_path: Path) -> None:
    text = "x" * (LINE_BYTES_MOST + 1000)

    async def long(_: dict[str, Any]) -> str:
        return text

    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, tmp_path, {"long": long}, Feed())
        assert await NodeClient(tmp_path)._ask("long") == text
        nursery.cancel_scope.cancel()
    assert len(text) < ANSWER_BYTES_MOST


# --- the socket itself ----------------------------------------------------------------------------------------------


async def test_the_socket_is_its_owners_alone_and_goes_with_the_node(tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_a_data_folder_may_lie_deep(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30) / ("deeper" * 30)
    async with serving(folder):
        assert len(str(folder / SOCKET_NAME)) > 108
        assert await NodeClient(folder)._ask("echo") == {"do": "echo"}


async def test_the_socket_of_a_node_that_was_killed_is_replaced(tmp_path: Path) -> None:
    stale = trio.socket.socket(trio.socket.AF_UNIX)
    await stale.bind(str(tmp_path / SOCKET_NAME))
    stale.close()
    with pytest.raises(NodeNotRunning):
        await NodeClient(tmp_path).status()
    async with serving(tmp_path):
        assert await NodeClient(tmp_path)._ask("echo") == {"do": "echo"}


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: folder.mkdir()])
async def test_where_no_node_runs_the_sentence_names_folder_and_command(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "node"
    make(folder)
    with pytest.raises(NodeNotRunning, match="morphware run --data-folder") as caught:
        await NodeClient(folder).status()
    assert str(folder) in caught.value.sentence


async def test_a_node_that_ends_in_the_middle_is_one_sentence(tmp_path: Path) -> None:
    async def never(_: dict[str, Any]) -> None:
        nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    errors: list[BaseException] = []
    async with trio.open_nursery() as outer:

        async def ask_it() -> None:
            try:
                await NodeClient(tmp_path)._ask("never")
            except NodeNotRunning as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, tmp_path, {"never": never}, Feed())
            outer.start_soon(ask_it)
    assert "hung up" in str(errors[0])


# --- watching -------------------------------------------------------------------------------------------------------


async def test_a_watcher_is_told_what_happens(tmp_path: Path) -> None:
    feed = Feed()
    async with serving(tmp_path, feed), NodeClient(tmp_path).watch() as notices:
        feed.say("block", number=1)
        notice = await anext(notices)
        assert (notice["kind"], notice["number"]) == ("block", 1)


async def test_a_watcher_that_never_reads_slows_nobody_and_fills_no_memory(tmp_path: Path) -> None:
    feed = Feed()
    async with serving(tmp_path, feed):
        idle = await connect(tmp_path)
        async with idle, NodeClient(tmp_path).watch() as notices:
            await send_line(idle, {"do": "watch"})
            while len(feed._listeners) < 2:
                await trio.lowlevel.checkpoint()
            for number in range(3 * BACKLOG):
                feed.say("output", text="x" * 1000, number=number)
                if number % 50 == 0:
                    assert (await anext(notices))["kind"] == "output"  # the other one is served meanwhile
                await trio.lowlevel.checkpoint()
            assert all(len(listener._notices) <= BACKLOG for listener in feed._listeners)
            assert await NodeClient(tmp_path)._ask("echo") == {"do": "echo"}


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


async def test_a_watcher_that_hangs_up_is_forgotten(tmp_path: Path) -> None:
    feed = Feed()
    async with serving(tmp_path, feed):
        async with NodeClient(tmp_path).watch():
            assert len(feed._listeners) == 1
        while feed._listeners:
            feed.say("block", number=1)
            await trio.sleep(0.01)
