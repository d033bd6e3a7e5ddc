"""``NodeClient`` asks a running node over its control socket; every method is one request."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import trio

from morphware.node.control import NodeNotRunning, connect, lines, send_line
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.wishes import JobWish

ANSWER_BYTES_MOST: Final = 64 << 20
"""Our own node is believed more than its askers: a list of many jobs is long."""


class NodeRefused(MorphwareError):
    """The node could not do what it was asked; its own sentence says why."""


class NodeClient:
    """Talks to the node whose data folder this is."""

    def __init__(self, data_folder: Path) -> None:
        self.data_folder = data_folder

    async def status(self) -> dict[str, Any]:
        """Account, addresses, balances, chain head, peers."""
        return dict(await self._ask("status"))

    async def known_nodes(self) -> int:
        """How many accounts' keys and addresses the node knows; answered from memory."""
        return int(await self._ask("known_nodes"))

    async def submit(self, wish: JobWish) -> str:
        """Submit a job and return its id (hexadecimal). Raises ``BadInput``, which says what to mend."""
        return str(await self._ask("submit", wish=wish.to_plain()))

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job that the node knows, oldest first."""
        return list(await self._ask("jobs"))

    async def job(self, job_id: str) -> dict[str, Any]:
        """One job with its bids, reports and amounts (amounts are decimal strings of wei)."""
        return dict(await self._ask("job", job_id=job_id))

    async def points(self, job_id: str) -> list[list[Any]]:
        """The scalars that a job logged: [step, seconds since the epoch, series, value]."""
        points: list[list[Any]] = []
        while page := await self._ask("points", job_id=job_id, after=len(points)):
            points += page
        return points

    async def costs(self) -> list[dict[str, Any]]:
        """What each transaction of this node for its jobs cost: job, role, call, gas, fee in wei of the coin."""
        return list(await self._ask("costs"))

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Notices from now on, as dictionaries with ``kind`` and ``time_s``."""
        stream = await connect(self.data_folder)
        async with stream:
            incoming = lines(stream, ANSWER_BYTES_MOST)
            with self._hanging_up():
                await send_line(stream, {"do": "watch"})
                if await anext(incoming, None) is None:
                    raise self._hung_up()

            async def notices() -> AsyncGenerator[dict[str, Any], None]:
                with self._hanging_up():
                    async for line in incoming:
                        yield json.loads(line)

            async with aclosing(notices()) as told:
                yield told

    async def _ask(self, name: str, **arguments: Any) -> Any:
        stream = await connect(self.data_folder)
        async with stream:
            with self._hanging_up():
                await send_line(stream, {"do": name} | arguments)
                line = await anext(lines(stream, ANSWER_BYTES_MOST), None)
        if line is None:
            raise self._hung_up()
        answer = json.loads(line)
        if "ok" in answer:
            return answer["ok"]
        if answer.get("is_bad_input"):
            raise BadInput(answer["error"])
        raise NodeRefused(answer["error"])

    def _hung_up(self) -> NodeNotRunning:
        return NodeNotRunning(f"The node on {self.data_folder} hung up: look at its log.")

    @contextmanager
    def _hanging_up(self) -> Iterator[None]:
        """A node may end at any time; that is one sentence, too."""
        try:
            yield
        except trio.BrokenResourceError as error:
            raise self._hung_up() from error
