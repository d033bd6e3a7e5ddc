"""``Client`` is ``AsyncClient`` for scripts and notebooks: the same methods, without ``await``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from morphware.node.api.answers.jobs import Cost, Job, JobPage, JobRow
from morphware.node.api.answers.node import NetworkView, Status
from morphware.node.client import asks
from morphware.node.client.asks import Ask
from morphware.node.client.wire import ANSWER_S, JSON, SILENCE_S, answering_path, checked, hanging_up, refusal
from morphware.node.wishes import JobWish

A = TypeVar("A")


class Client:
    """Talks to the node whose data folder this is."""

    def __init__(self, data_folder: Path) -> None:
        self.data_folder = data_folder

    def status(self) -> Status:
        """Account, addresses, balances, chain head, peers."""
        return self._do(asks.status())

    def known_nodes(self) -> int:
        """How many accounts' keys and addresses the node knows; answered from memory."""
        return self._do(asks.health()).known_nodes

    def network(self) -> NetworkView:
        """Peers, topics, transfers and chain."""
        return self._do(asks.network())

    def submit(self, wish: JobWish) -> str:
        """Submit a job and return its id (hexadecimal). Raises ``BadInput``, which says what to mend."""
        return self._do(asks.submit(wish)).job_id

    def all_jobs(self) -> list[JobRow]:
        """Every job that the node knows, oldest first."""
        return self._do(asks.all_jobs()).jobs

    def jobs(
        self, q: str = "", *, role: str | None = None, state: str | None = None, page: int = 1, size: int = 50
    ) -> JobPage:
        """A page of jobs, newest first; see ``AsyncClient.jobs``."""
        return self._do(asks.jobs(q=q, role=role, state=state, page=page, size=size))

    def job(self, job_id: str) -> Job:
        """One job with its bids, reports and amounts (amounts are decimal strings of wei)."""
        return self._do(asks.job(job_id))

    def points(self, job_id: str) -> list[tuple[int, float, str, float]]:
        """The scalars that a job logged: (step, seconds since the training began, series, value)."""
        points: list[tuple[int, float, str, float]] = []
        while page := self._do(asks.points(job_id, len(points))).rows():
            points += page
        return points

    def costs(self) -> list[Cost]:
        """What each transaction of this node for its jobs cost: job, role, call, gas, fee in wei of the coin."""
        return self._do(asks.costs()).costs

    def link(self) -> str:
        """An address that lets one browser into the web page, once and within a minute."""
        return self._do(asks.link()).url

    @contextmanager
    def watch(self, job_id: str | None = None) -> Iterator[Iterator[dict[str, Any]]]:
        """Notices from now on, as dictionaries with ``kind`` and ``time_s``; of one job, or of all."""
        query = {} if job_id is None else {"job": job_id}
        with (
            hanging_up(self.data_folder),
            answering_path(self.data_folder) as path,
            httpx.Client(transport=httpx.HTTPTransport(uds=path, verify=False), timeout=SILENCE_S) as http,
            http.stream("GET", f"http://node{asks.PREFIX}/events", params=query) as response,
        ):
            if not response.is_success:
                raise refusal(response.status_code, response.read())
            notices = (msgspec.json.decode(line[5:]) for line in response.iter_lines() if line.startswith("data:"))
            next(notices)
            yield notices

    def _do(self, ask: Ask[A]) -> A:
        with (
            hanging_up(self.data_folder),
            answering_path(self.data_folder) as path,
            httpx.Client(transport=httpx.HTTPTransport(uds=path, verify=False), timeout=ANSWER_S) as http,
        ):
            response = http.request(ask.method, ask.url, params=ask.query, content=ask.content(), headers=JSON)
        return checked(response, ask)  # type: ignore[no-any-return]
