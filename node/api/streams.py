"""Answers that come piece by piece: whoever hangs up ends the work, and the work's ``finally`` is run at once."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from morphware.node.api.problems import Refusal, response_to


class Streamed(Response):
    """Sends what a generator yields until it ends or nobody listens any more; the generator is closed either way.

    What fails before the first piece is answered with a problem. Starlette's own StreamingResponse leaves a generator
    that is cancelled to the garbage collector.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(b"", media_type=media_type, headers=dict(headers or {}))
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery, aclosing(self._pieces) as pieces:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            try:
                piece = await anext(pieces, None)
            except Exception as error:  # noqa: BLE001 - the top of a request: whatever it is, it is answered
                await response_to(error, scope["path"])(scope, receive, send)
            else:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                while piece is not None:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await anext(pieces, None)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()


async def until_gone(receive: Receive, work: trio.CancelScope) -> None:
    """End the work once the other side has hung up, or sends without an end."""
    with suppress(Refusal):
        while (await receive())["type"] != "http.disconnect":
            pass
    work.cancel()
