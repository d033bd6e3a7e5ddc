"""What a node can be asked, one function a request: the asynchronous and the synchronous client send the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from morphware.node.api.answers.jobs import (
    AllJobs,
    Costs,
    Curves,
    Job,
    JobPage,
    Output,
    Past,
    Points,
    Receipt,
    SignedRecord,
    Timeline,
)
from morphware.node.api.answers.node import Health, History, Link, NetworkView, Operator, Status, Wallet
from morphware.node.api.answers.plain import PREFIX, Done
from morphware.node.api.answers.submitting import Posted, PriceEstimate
from morphware.node.wishes import JobWish

A = TypeVar("A")

NODE = f"http://node{PREFIX}"
"""Before every path; the host is whatever listens on the socket."""
EVENTS_URL = f"{NODE}/events"


@dataclass(frozen=True, slots=True)
class Ask(Generic[A]):
    """A request, and the form of its answer."""

    method: str
    path: str
    answer: type[A]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None

    @property
    def url(self) -> str:
        """Where to."""
        return NODE + self.path

    def content(self) -> bytes | None:
        """The body."""
        return None if self.body is None else msgspec.json.encode(self.body)

    def read(self, content: bytes) -> A:
        """The answer."""
        return msgspec.json.decode(content, type=self.answer)


def health() -> Ask[Health]:
    """Whether the node answers."""
    return Ask("GET", "/health", Health)


def status() -> Ask[Status]:
    """Who and where the node is, what it has."""
    return Ask("GET", "/status", Status)


def network() -> Ask[NetworkView]:
    """Peers, topics, transfers, chain."""
    return Ask("GET", "/network", NetworkView)


def submit(wish: JobWish) -> Ask[Posted]:
    """Submit a job whose files lie on the node's machine."""
    return Ask("POST", "/submissions", Posted, body=wish.to_plain())


def all_jobs() -> Ask[AllJobs]:
    """Every job, oldest first."""
    return Ask("GET", "/all-jobs", AllJobs)


def jobs(*, q: str, role: str | None, state: str | None, page: int, size: int) -> Ask[JobPage]:
    """A page of jobs, newest first."""
    return Ask("GET", "/jobs", JobPage, _given(q=q, role=role, state=state, page=page, size=size))


def job(job_id: str) -> Ask[Job]:
    """One job."""
    return Ask("GET", f"/jobs/{job_id}", Job)


def points(job_id: str, after: int) -> Ask[Points]:
    """A page of logged scalars."""
    return Ask("GET", f"/jobs/{job_id}/points", Points, {"after": after})


def series(
    job_id: str, names: Sequence[str], *, axis: str, first: float | None, last: float | None, buckets: int
) -> Ask[Curves]:
    """Curves, thinned out."""
    query = _given(name=list(names) or None, axis=axis, first=first, last=last, buckets=buckets)
    return Ask("GET", f"/jobs/{job_id}/series", Curves, query)


def output(job_id: str, after: int) -> Ask[Output]:
    """A page of what a job wrote."""
    return Ask("GET", f"/jobs/{job_id}/output", Output, {"after": after})


def timeline(job_id: str) -> Ask[Timeline]:
    """A job's steps on the chain, in words."""
    return Ask("GET", f"/jobs/{job_id}/timeline", Timeline)


def past(job_id: str) -> Ask[Past]:
    """The same as notices."""
    return Ask("GET", f"/jobs/{job_id}/past", Past)


def receipt(job_id: str) -> Ask[Receipt]:
    """Where a job's money is, or went."""
    return Ask("GET", f"/jobs/{job_id}/receipt", Receipt)


def record(job_id: str) -> Ask[SignedRecord]:
    """A signed record of a job."""
    return Ask("GET", f"/jobs/{job_id}/record", SignedRecord)


def model_url(job_id: str) -> str:
    """Where the archive of a trained model is."""
    return f"{NODE}/jobs/{job_id}/model"


def costs() -> Ask[Costs]:
    """What the node's transactions for jobs cost."""
    return Ask("GET", "/costs", Costs)


def link() -> Ask[Link]:
    """An address that lets one browser in."""
    return Ask("POST", "/links", Link)


def estimate(estimated_s: int) -> Ask[PriceEstimate]:
    """What recent auctions paid."""
    return Ask("GET", "/estimate", PriceEstimate, {"estimated_s": estimated_s})


def wallet() -> Ask[Wallet]:
    """Where the account's money is."""
    return Ask("GET", "/wallet", Wallet)


def history(page: int, size: int) -> Ask[History]:
    """A page of what moved the account's money."""
    return Ask("GET", "/wallet/history", History, {"page": page, "size": size})


def deposit(amount_wei: int, request_id: str | None) -> Ask[Done]:
    """Tokens from the wallet into the market."""
    return Ask("POST", "/wallet/deposit", Done, body=_given(amount_wei=str(amount_wei), request_id=request_id))


def withdraw(amount_wei: int, request_id: str | None) -> Ask[Done]:
    """Free tokens from the market to the wallet."""
    return Ask("POST", "/wallet/withdraw", Done, body=_given(amount_wei=str(amount_wei), request_id=request_id))


def stake(seats: int, request_id: str | None) -> Ask[Done]:
    """More seats."""
    return Ask("POST", "/seats/stake", Done, body=_given(seats=seats, request_id=request_id))


def unstake(seats: int, request_id: str | None) -> Ask[Done]:
    """Fewer seats."""
    return Ask("POST", "/seats/unstake", Done, body=_given(seats=seats, request_id=request_id))


def operator() -> Ask[Operator]:
    """What a worker or validator does, offers and has earned."""
    return Ask("GET", "/operator", Operator)


def pause(*, freeze: bool) -> Ask[Done]:
    """No new jobs."""
    return Ask("POST", "/operator/pause", Done, body={"freeze": freeze})


def resume() -> Ask[Done]:
    """Jobs again."""
    return Ask("POST", "/operator/resume", Done)


def change_offers(offers: Mapping[str, str | None]) -> Ask[Done]:
    """Another policy."""
    return Ask("PATCH", "/operator/offers", Done, body={"offers": dict(offers)})


def _given(**values: Any) -> dict[str, Any]:
    """What is not left open."""
    return {name: value for name, value in values.items() if value is not None}
