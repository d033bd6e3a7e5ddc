"""Serves routes as a node does, without the rest of the node."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio

from morphware.node.api.answers.jobs import Cost, Costs
from morphware.node.api.answers.plain import Asked, Shape
from morphware.node.api.events import EventRequests
from morphware.node.api.guard import NetworkDoor, content_security_policy
from morphware.node.api.http import serve_http
from morphware.node.api.links import Keyring
from morphware.node.api.problems import CONFLICT, Refusal
from morphware.node.api.routes import Call, Door, Route
from morphware.node.api.server import Api, hosts_of, listen_on, origin_of, serve_socket
from morphware.node.api.streams import Streamed
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.feed import Feed

TOKEN = "ab" * 32
UPLOAD_BYTES_MOST = 4 << 20


class Word(Asked, frozen=True):
    word: str = ""
    number: int = 0


class Said(Shape, frozen=True):
    word: str
    number: int = 0


async def echo(call: Call) -> Said:
    return Said(word=call.query.word, number=call.query.number)


async def write(call: Call) -> Said:
    return Said(word=call.body.word, number=call.body.number)


async def count(call: Call) -> Said:
    return Said(word="", number=len(await call.request.body()))


async def refuse(_: Call) -> Said:
    raise BadInput("Ask for less.", field="number")


async def conflict(_: Call) -> Said:
    raise Refusal(CONFLICT, "Not now.")


async def fail(_: Call) -> Said:
    raise MorphwareError("The world failed: wait.")


async def no_room(_: Call) -> Said:
    raise OSError(28, "No space left on device")


async def bug(_: Call) -> Said:
    raise AttributeError("a bug of ours")


def costs(count: int) -> Costs:
    """A long answer."""
    one = Cost(job_id="ab" * 32, role="user", call="Post", gas=1, fee_wei="1")
    return Costs(costs=[one] * count)


async def long(_: Call) -> Costs:
    return costs(60_000)


def streamed(*pieces: bytes | Exception) -> Callable[[Call], Awaitable[Streamed]]:
    """An answer in pieces; an error among them is raised in its place."""

    async def made() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def answer(_: Call) -> Streamed:
        return Streamed(made(), "text/plain")

    return answer


BROKEN, FULL = AttributeError("a bug of ours"), OSError(28, "No space left on device")
ROUTES = [
    Route("GET", "/echo", "echo", "Says it again.", echo, Said, query=Word),
    Route("POST", "/echo", "write", "Says it again.", write, Said, body=Word),
    Route("POST", "/upload", "count", "Counts the body's bytes.", count, Said, body="multipart/form-data"),
    Route("GET", "/refuse", "refuse", "Refuses.", refuse, Said),
    Route("GET", "/conflict", "conflict", "Refuses.", conflict, Said),
    Route("GET", "/fail", "fail", "Fails.", fail, Said),
    Route("GET", "/room", "room", "Fails.", no_room, Said),
    Route("GET", "/bug", "bug", "Fails.", bug, Said),
    Route("GET", "/costs", "long", "A long answer.", long, Costs),
    Route("GET", "/stream", "stream", "In pieces.", streamed(b"one ", b"", b"two"), "text/plain"),
    Route("GET", "/stream/nothing", "none", "No piece.", streamed(), "text/plain"),
    Route("GET", "/stream/bug", "stream_bug", "Fails at once.", streamed(BROKEN), "text/plain"),
    Route("GET", "/stream/room", "stream_room", "Fails at once.", streamed(FULL), "text/plain"),
    Route("GET", "/stream/cut", "stream_cut", "Fails later.", streamed(b"one ", BROKEN), "text/plain"),
    Route("GET", "/inside", "inside", "Only over the socket.", echo, Said, query=Word, door=Door.SOCKET),
]


async def serve_routes(
    folder: Path,
    routes: Sequence[Route],
    feed: Feed,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve routes, and the feed's notices, on the folder's socket."""
    application = Api([*routes, *EventRequests(feed).routes()]).application(UPLOAD_BYTES_MOST)
    await serve_socket(folder, application, task_status=task_status)


@asynccontextmanager
async def serving(folder: Path, feed: Feed | None = None) -> AsyncIterator[None]:
    """A node that answers ``ROUTES`` on its socket."""
    folder.mkdir(parents=True, exist_ok=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_routes, folder, ROUTES, feed or Feed())
        with trio.fail_after(60):
            yield
        nursery.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class Port:
    """A node that answers on a port, and a browser or program that asks it."""

    origin: str
    keyring: Keyring
    http: httpx.AsyncClient
    feed: Feed

    @property
    def host(self) -> str:
        return self.origin.removeprefix("http://")

    @property
    def cookie(self) -> dict[str, str]:
        return {"cookie": f"morphware-test={self.keyring.cookie}"}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def listening(feed: Feed | None = None, clock: Clock | None = None) -> AsyncIterator[Port]:
    """The same behind the door of the network port."""
    feed = feed or Feed()
    keyring = Keyring(TOKEN, clock or Clock())
    application = Api([*ROUTES, *EventRequests(feed).routes()]).application(UPLOAD_BYTES_MOST)
    listener = await listen_on("127.0.0.1:0")
    door = NetworkDoor(application, keyring, hosts_of(listener), "morphware-test", content_security_policy())
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_http, door, listener)
        origin = origin_of(listener)
        async with httpx.AsyncClient(base_url=origin, timeout=30) as http:
            with trio.fail_after(60):
                yield Port(origin, keyring, http, feed)
        nursery.cancel_scope.cancel()
