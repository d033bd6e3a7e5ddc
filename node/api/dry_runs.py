"""A dry run as an answer: server-sent events while it goes on; whoever hangs up ends it."""

from contextlib import suppress
from typing import Final

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from morphware.node.api.answers.submitting import DryRunLine
from morphware.node.api.problems import CONFLICT, encoded, problem_response
from morphware.node.api.streams import until_gone
from morphware.node.drafts.dry_run import DryRun, Trial
from morphware.node.drafts.shelf import Shelf
from morphware.node.ports import Runner

BACKLOG: Final = 2_000
"""Lines kept for a browser that reads slowly; what comes after is left out of what it is shown."""
BEAT_S: Final = 10.0
LINES_MOST: Final = 20_000
"""Lines of output and points that are told of one run."""


class DryRunAnswer(Response):
    """Tries a job while it is sent. One at a time; another one is refused."""

    media_type = "text/event-stream"

    def __init__(self, runner: Runner, trial: Trial, shelf: Shelf, turn: trio.Lock) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._runner = runner
        self._trial = trial
        self._shelf = shelf
        self._turn = turn
        self._lines = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run, and tell."""
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            refusal = problem_response(CONFLICT, "Another dry run is going on: wait until it has ended.")
            await refusal(scope, receive, send)
            return
        try:
            with self._shelf.hold(self._trial.folder.name):
                await self._answer(receive, send)
        finally:
            self._turn.release()

    async def _answer(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        said, hearing = trio.open_memory_channel[DryRunLine](BACKLOG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, said)
            async with hearing:
                await _tell(hearing, send)
            await send({"type": "http.response.body", "body": b""})
            nursery.cancel_scope.cancel()

    async def _run(self, said: trio.MemorySendChannel[DryRunLine]) -> None:
        def tell(line: DryRunLine) -> None:
            self._lines += 1
            if self._lines <= LINES_MOST:
                with suppress(trio.WouldBlock):
                    said.send_nowait(line)

        async with said, self._shelf.workshop() as workshop:
            result = await DryRun(self._runner, self._trial, workshop, tell).run()
            await said.send(result)


async def _tell(lines: trio.MemoryReceiveChannel[DryRunLine], send: Send) -> None:
    """Each line as an event; a comment now and then, so that both sides know of each other."""
    while True:
        body = b": still trying\n\n"
        with trio.move_on_after(BEAT_S):
            try:
                line = await lines.receive()
            except trio.EndOfChannel:
                return
            body = b"event: %s\ndata: %s\n\n" % (line.kind.encode(), encoded(line))
        await send({"type": "http.response.body", "body": body, "more_body": True})
