"""What a node can be asked, one function a request: the asynchronous and the synchronous client send the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from morphware.node.api.answers.jobs import AllJobs, Costs, Job, JobPage, Points
from morphware.node.api.answers.node import Health, Link, NetworkView, Status
from morphware.node.api.answers.submitting import Posted
from morphware.node.wishes import JobWish

A = TypeVar("A")

PREFIX = "/api/v1"


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
        """Where to; the host is whatever listens on the socket."""
        return f"http://node{PREFIX}{self.path}"

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
    asked = {"q": q, "role": role, "state": state, "page": page, "size": size}
    return Ask("GET", "/jobs", JobPage, {name: value for name, value in asked.items() if value is not None})


def job(job_id: str) -> Ask[Job]:
    """One job."""
    return Ask("GET", f"/jobs/{job_id}", Job)


def points(job_id: str, after: int) -> Ask[Points]:
    """A page of logged scalars."""
    return Ask("GET", f"/jobs/{job_id}/points", Points, {"after": after})


def costs() -> Ask[Costs]:
    """What the node's transactions for jobs cost."""
    return Ask("GET", "/costs", Costs)


def link() -> Ask[Link]:
    """An address that lets one browser in."""
    return Ask("POST", "/links", Link)
