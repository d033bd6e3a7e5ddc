"""``AsyncClient`` asks a running node over the socket in its data folder; every method is one request."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from morphware.node.api.answers.jobs import Cost, Job, JobPage, JobRow
from morphware.node.api.answers.node import NetworkView, Status
from morphware.node.client import asks
from morphware.node.client.asks import Ask
from morphware.node.client.wire import ANSWER_S, JSON, SILENCE_S, checked, hanging_up, refusal, socket_path
from morphware.node.wishes import JobWish

A = TypeVar("A")


class AsyncClient:
    """Talks to the node whose data folder this is, under trio or asyncio.

    Every method may raise ``NodeNotRunning``, ``BadInput`` (mend the request) or ``NodeRefused`` (the node met it).
    """

    def __init__(self, data_folder: Path) -> None:
        self.data_folder = data_folder

    async def status(self) -> Status:
        """Account, addresses, balances, chain head, peers."""
        return await self._do(asks.status())

    async def known_nodes(self) -> int:
        """How many accounts' keys and addresses the node knows; answered from memory."""
        return (await self._do(asks.health())).known_nodes

    async def network(self) -> NetworkView:
        """Peers, topics, transfers and chain."""
        return await self._do(asks.network())

    async def submit(self, wish: JobWish) -> str:
        """Submit a job and return its id (hexadecimal). Raises ``BadInput``, which says what to mend."""
        return (await self._do(asks.submit(wish))).job_id

    async def all_jobs(self) -> list[JobRow]:
        """Every job that the node knows, oldest first."""
        return (await self._do(asks.all_jobs())).jobs

    async def jobs(
        self, q: str = "", *, role: str | None = None, state: str | None = None, page: int = 1, size: int = 50
    ) -> JobPage:
        """A page of jobs, newest first.

        Args:
            q: words of a job's name, metric or state, or the beginning of its id.
            role: ``user``, ``worker``, ``validator`` or ``any``: only jobs in which this node has that part.
            state: ``open``, ``ended``, ``paid`` or ``failed``.
        """
        return await self._do(asks.jobs(q=q, role=role, state=state, page=page, size=size))

    async def job(self, job_id: str) -> Job:
        """One job with its bids, reports and amounts (amounts are decimal strings of wei)."""
        return await self._do(asks.job(job_id))

    async def points(self, job_id: str) -> list[tuple[int, float, str, float]]:
        """The scalars that a job logged: (step, seconds since the training began, series, value)."""
        points: list[tuple[int, float, str, float]] = []
        while page := (await self._do(asks.points(job_id, len(points)))).rows():
            points += page
        return points

    async def costs(self) -> list[Cost]:
        """What each transaction of this node for its jobs cost: job, role, call, gas, fee in wei of the coin."""
        return (await self._do(asks.costs())).costs

    async def link(self) -> str:
        """An address that lets one browser into the web page, once and within a minute."""
        return (await self._do(asks.link())).url

    @asynccontextmanager
    async def watch(self, job_id: str | None = None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Notices from now on, as dictionaries with ``kind`` and ``time_s``; of one job, or of all."""
        query = {} if job_id is None else {"job": job_id}
        with hanging_up(self.data_folder), socket_path(self.data_folder) as path:
            transport = httpx.AsyncHTTPTransport(uds=path, verify=False)
            async with (
                httpx.AsyncClient(transport=transport, timeout=SILENCE_S) as http,
                http.stream("GET", f"http://node{asks.PREFIX}/events", params=query) as response,
            ):
                if not response.is_success:
                    raise refusal(response.status_code, await response.aread())
                async with aclosing(self._notices(response)) as notices:
                    await anext(notices)
                    yield notices

    async def _notices(self, response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
        with hanging_up(self.data_folder):
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield msgspec.json.decode(line[5:])

    async def _do(self, ask: Ask[A]) -> A:
        with hanging_up(self.data_folder), socket_path(self.data_folder) as path:
            transport = httpx.AsyncHTTPTransport(uds=path, verify=False)
            async with httpx.AsyncClient(transport=transport, timeout=ANSWER_S) as http:
                response = await http.request(
                    ask.method, ask.url, params=ask.query, content=ask.content(), headers=JSON
                )
        return checked(response, ask)  # type: ignore[no-any-return]
