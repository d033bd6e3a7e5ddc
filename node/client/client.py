"""``AsyncClient`` asks a running node over the socket in its data folder: one request a method, or one a page."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from anyio import to_thread

from morphware.node.api.answers.jobs import (
    Cost,
    Curves,
    Job,
    JobPage,
    JobRow,
    Moment,
    Output,
    Receipt,
    SignedRecord,
)
from morphware.node.api.answers.node import History, NetworkView, Operator, Status, Wallet
from morphware.node.api.answers.plain import Done
from morphware.node.api.answers.submitting import PriceEstimate
from morphware.node.client import asks
from morphware.node.client.archive import room_for
from morphware.node.client.asks import Ask
from morphware.node.client.wire import ANSWER_S, JSON, MODEL_S, SILENCE_S, checked, hanging_up, refusal, socket_path
from morphware.node.wishes import JobWish

A = TypeVar("A")


class AsyncClient:
    """Talks to the node whose data folder this is, under trio or asyncio.

    Every method may raise ``NodeNotRunning``, ``BadInput`` (mend the request) or ``NodeRefused`` (the node met it).
    """

    def __init__(self, data_folder: str | PathLike[str]) -> None:
        self.data_folder = Path(data_folder).expanduser()

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

    async def series(
        self,
        job_id: str,
        names: Sequence[str] = (),
        *,
        axis: str = "step",
        first: float | None = None,
        last: float | None = None,
        buckets: int = 1000,
    ) -> Curves:
        """Curves of what a job logged, thinned out so that they look the same.

        Args:
            names: which ones; none: all (32 at most).
            axis: ``step``, or ``time`` in seconds since the training began.
            first, last: the window on that axis; None: to its end.
            buckets: points of a curve at most.
        """
        return await self._do(asks.series(job_id, names, axis=axis, first=first, last=last, buckets=buckets))

    async def output(self, job_id: str, after: int = -1) -> Output:
        """What a job wrote, a page: the pieces behind the number ``after``; ask again until there are none."""
        return await self._do(asks.output(job_id, after))

    async def timeline(self, job_id: str) -> list[Moment]:
        """A job's steps on the chain in words, oldest first, with their transactions."""
        return (await self._do(asks.timeline(job_id))).moments

    async def past(self, job_id: str) -> list[dict[str, Any]]:
        """The same as notices, like those that ``watch`` gives from now on."""
        return (await self._do(asks.past(job_id))).notices

    async def receipt(self, job_id: str) -> Receipt:
        """Where a job's money is, or went, and what gas it cost this node."""
        return await self._do(asks.receipt(job_id))

    async def record(self, job_id: str) -> SignedRecord:
        """Everything that the node knows of a job, signed by its account; ``node.record.verify_record`` checks it."""
        return await self._do(asks.record(job_id))

    async def model(self, job_id: str, folder: Path) -> Path:
        """Save the model of a paid job of this node in a new folder. Raises ``BadInput`` if something is there."""
        with (
            room_for(folder) as room,
            hanging_up(self.data_folder),
            socket_path(self.data_folder) as path,
        ):
            transport = httpx.AsyncHTTPTransport(uds=path, verify=False)
            async with (
                httpx.AsyncClient(transport=transport, timeout=MODEL_S) as http,
                http.stream("GET", asks.model_url(job_id)) as response,
            ):
                if not response.is_success:
                    raise refusal(response.status_code, await response.aread())
                async for piece in response.aiter_bytes():
                    room.take(piece)
            await to_thread.run_sync(room.unpack)
        return folder

    async def costs(self) -> list[Cost]:
        """What each transaction of this node for its jobs cost: job, role, call, gas, fee in wei of the coin."""
        return (await self._do(asks.costs())).costs

    async def estimate(self, estimated_s: int = 600) -> PriceEstimate:
        """What recent auctions paid, scaled to a training of so many seconds."""
        return await self._do(asks.estimate(estimated_s))

    async def wallet(self) -> Wallet:
        """Where the account's money is (in wei)."""
        return await self._do(asks.wallet())

    async def history(self, page: int = 1, size: int = 100) -> History:
        """What moved the account's money, newest first."""
        return await self._do(asks.history(page, size))

    async def deposit(self, amount_wei: int, request_id: str | None = None) -> Done:
        """Move tokens from the wallet into the market.

        Args:
            request_id: a name of your choice, 1 to 64 letters and digits: who asks twice by it moves once.
        """
        return await self._do(asks.deposit(amount_wei, request_id))

    async def withdraw(self, amount_wei: int, request_id: str | None = None) -> Done:
        """Move free tokens from the market to the wallet."""
        return await self._do(asks.withdraw(amount_wei, request_id))

    async def stake(self, seats: int, request_id: str | None = None) -> Done:
        """Take more seats as a validator; the tokens come from the free balance, then from the wallet."""
        return await self._do(asks.stake(seats, request_id))

    async def unstake(self, seats: int, request_id: str | None = None) -> Done:
        """Give up seats; their stakes come back after the unbonding time."""
        return await self._do(asks.unstake(seats, request_id))

    async def operator(self) -> Operator:
        """What this worker or validator does, offers and has earned."""
        return await self._do(asks.operator())

    async def pause(self, *, freeze: bool = False) -> Done:
        """Take no new jobs; ``freeze`` lets a training that runs stand still, too, as long as its time allows."""
        return await self._do(asks.pause(freeze=freeze))

    async def resume(self) -> Done:
        """Take jobs again."""
        return await self._do(asks.resume())

    async def change_offers(self, offers: Mapping[str, str | None]) -> Done:
        """Change the worker's policy, like ``worker.price_per_hour``; None goes back to the configuration's value."""
        return await self._do(asks.change_offers(offers))

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
                http.stream("GET", asks.EVENTS_URL, params=query) as response,
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
