"""The node's API behind its two doors: the socket in the data folder, and a port for browsers and programs."""

import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from morphware.node.addresses import split_address
from morphware.node.api.answers.plain import PREFIX
from morphware.node.api.guard import Bounded, SocketDoor
from morphware.node.api.http import serve_http
from morphware.node.api.openapi import openapi_document
from morphware.node.api.problems import BAD_INPUT, JSON, NOT_FOUND, WRONG_METHOD, problem_response
from morphware.node.api.routes import Route, served
from morphware.node.data_folder import SOCKET_NAME, short_path
from morphware.node.errors import MorphwareError

log = structlog.get_logger()

BACKLOG: Final = 64


class PagePortTaken(MorphwareError):
    """The address for the web page cannot be listened on: set [web] listen to another, or to port 0."""


@dataclass(frozen=True, slots=True)
class Api:
    """Everything that can be asked, with what is served beside it (the web page)."""

    routes: Sequence[Route]
    pages: Sequence[BaseRoute] = ()

    def application(self, upload_bytes_most: int) -> Bounded:
        """As an ASGI application; an upload has at most so many bytes."""
        document = msgspec.json.encode(openapi_document(self.routes))

        async def openapi(_: Request) -> Response:
            return Response(document, media_type=JSON)

        application = Starlette(
            routes=[*served(self.routes), *self.pages],
            exception_handlers={HTTPException: _refuse},
        )
        application.add_route(f"{PREFIX}/openapi.json", openapi, methods=["GET"])
        application.router.redirect_slashes = False
        uploads = frozenset(PREFIX + route.path for route in self.routes if isinstance(route.body, str))
        return Bounded(application, uploads, upload_bytes_most)


async def _refuse(_: Request, error: Exception) -> Response:
    """No such address, or not with this method, in the form that all problems have."""
    assert isinstance(error, HTTPException)
    kind = {404: NOT_FOUND, 405: WRONG_METHOD}.get(error.status_code, BAD_INPUT)
    response = problem_response(kind)
    response.headers.update(error.headers or {})
    return response


async def serve_socket(
    folder: Path,
    application: ASGIApp,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on the socket in the data folder until cancelled; only its owner can open it."""
    path = folder / SOCKET_NAME
    with short_path(folder) as short:
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await listening.bind(str(Path(short).with_suffix(".new")))
        fresh.chmod(stat.S_IRUSR | stat.S_IWUSR)
        listening.listen(BACKLOG)
        # Whoever sees it is heard. One that lies there is a killed node's: the folder's lock says that it is gone.
        fresh.rename(path)
    try:
        door = SocketDoor(application)
        await serve_http(door, trio.SocketListener(listening), task_status=task_status)
    finally:
        path.unlink(missing_ok=True)


async def listen_on(address: str) -> trio.SocketListener:
    """Listen on HOST:PORT. Raises ``PagePortTaken``."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        msg = f"The web page cannot be served on {address} ({error.strerror}): set [web] listen to another address."
        raise PagePortTaken(msg) from error
    return trio.SocketListener(listening)


def origin_of(listener: trio.SocketListener) -> str:
    """Where browsers find what listens there."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def hosts_of(listener: trio.SocketListener, named: Sequence[str] = ()) -> frozenset[str]:
    """The names with port that a request may be for: loopback's, and those that the configuration adds."""
    host, port = listener.socket.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", shown, *named))
