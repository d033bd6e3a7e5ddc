"""``Client`` is ``AsyncClient`` for scripts and notebooks: the same methods, without ``await``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

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
from morphware.node.client.wire import ANSWER_S, JSON, MODEL_S, SILENCE_S, answering_path, checked, hanging_up, refusal
from morphware.node.wishes import JobWish

A = TypeVar("A")


class Client:
    """Talks to the node whose data folder this is."""

    def __init__(self, data_folder: str | PathLike[str]) -> None:
        self.data_folder = Path(data_folder).expanduser()

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

    def series(
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
        return self._do(asks.series(job_id, names, axis=axis, first=first, last=last, buckets=buckets))

    def output(self, job_id: str, after: int = -1) -> Output:
        """What a job wrote, a page: the pieces behind the number ``after``; ask again until there are none."""
        return self._do(asks.output(job_id, after))

    def timeline(self, job_id: str) -> list[Moment]:
        """A job's steps on the chain in words, oldest first, with their transactions."""
        return (self._do(asks.timeline(job_id))).moments

    def past(self, job_id: str) -> list[dict[str, Any]]:
        """The same as notices, like those that ``watch`` gives from now on."""
        return (self._do(asks.past(job_id))).notices

    def receipt(self, job_id: str) -> Receipt:
        """Where a job's money is, or went, and what gas it cost this node."""
        return self._do(asks.receipt(job_id))

    def record(self, job_id: str) -> SignedRecord:
        """Everything that the node knows of a job, signed by its account; ``node.record.verify_record`` checks it."""
        return self._do(asks.record(job_id))

    def model(self, job_id: str, folder: Path) -> Path:
        """Save the model of a paid job of this node in a new folder. Raises ``BadInput`` if something is there."""
        with (
            room_for(folder) as room,
            hanging_up(self.data_folder),
            answering_path(self.data_folder) as path,
            httpx.Client(transport=httpx.HTTPTransport(uds=path, verify=False), timeout=MODEL_S) as http,
            http.stream("GET", asks.model_url(job_id)) as response,
        ):
            if not response.is_success:
                raise refusal(response.status_code, response.read())
            for piece in response.iter_bytes():
                room.take(piece)
            room.unpack()
        return folder

    def costs(self) -> list[Cost]:
        """What each transaction of this node for its jobs cost: job, role, call, gas, fee in wei of the coin."""
        return self._do(asks.costs()).costs

    def estimate(self, estimated_s: int = 600) -> PriceEstimate:
        """What recent auctions paid, scaled to a training of so many seconds."""
        return self._do(asks.estimate(estimated_s))

    def wallet(self) -> Wallet:
        """Where the account's money is (in wei)."""
        return self._do(asks.wallet())

    def history(self, page: int = 1, size: int = 100) -> History:
        """What moved the account's money, newest first."""
        return self._do(asks.history(page, size))

    def deposit(self, amount_wei: int, request_id: str | None = None) -> Done:
        """Move tokens from the wallet into the market.

        Args:
            request_id: a name of your choice, 1 to 64 letters and digits: who asks twice by it moves once.
        """
        return self._do(asks.deposit(amount_wei, request_id))

    def withdraw(self, amount_wei: int, request_id: str | None = None) -> Done:
        """Move free tokens from the market to the wallet."""
        return self._do(asks.withdraw(amount_wei, request_id))

    def stake(self, seats: int, request_id: str | None = None) -> Done:
        """Take more seats as a validator; the tokens come from the free balance, then from the wallet."""
        return self._do(asks.stake(seats, request_id))

    def unstake(self, seats: int, request_id: str | None = None) -> Done:
        """Give up seats; their stakes come back after the unbonding time."""
        return self._do(asks.unstake(seats, request_id))

    def operator(self) -> Operator:
        """What this worker or validator does, offers and has earned."""
        return self._do(asks.operator())

    def pause(self, *, freeze: bool = False) -> Done:
        """Take no new jobs; ``freeze`` lets a training that runs stand still, too, as long as its time allows."""
        return self._do(asks.pause(freeze=freeze))

    def resume(self) -> Done:
        """Take jobs again."""
        return self._do(asks.resume())

    def change_offers(self, offers: Mapping[str, str | None]) -> Done:
        """Change the worker's policy, like ``worker.price_per_hour``; None goes back to the configuration's value."""
        return self._do(asks.change_offers(offers))

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
            http.stream("GET", asks.EVENTS_URL, params=query) as response,
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
