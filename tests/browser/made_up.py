"""The page alone, with answers that a test makes up: those of a node that is slow, away, or refuses.

A real node says them seldom, and not when a test wants them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

from morphware.node.api.answers.jobs import Curve, Curves, Job, JobPage, Output, Timeline
from morphware.node.api.answers.node import ChainHead, NetworkView, Status, Wallet
from morphware.node.api.answers.plain import Problem
from morphware.node.api.answers.submitting import Draft, Drafts, DryRunLine, Review, Upload
from morphware.node.api.problems import NOT_FOUND, encoded
from morphware.node.web.pages import SHELL, load_pages

ORIGIN: Final = "http://node.test"
"""No name that leads anywhere: every request is answered here."""
ACCOUNT: Final = "0x" + "a1" * 20
JOB_ID: Final = "cd" * 32
DRAFT_ID: Final = "ab" * 16
NOTICES: Final = """
    window.EventSource = class extends EventTarget {
        constructor() {
            super();
            window.tell = (kind, values) =>
                this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify({ kind, ...values }) }));
            setTimeout(() => window.tell("watching", {}));
        }
        close() {}
    };
"""
"""The node's stream of notices, in which a test tells what it wants by ``window.tell``."""


@dataclass(frozen=True)
class Refused:
    """An answer that is a problem."""

    status: int
    sentence: str


@dataclass(frozen=True)
class Told:
    """An answer that is told bit by bit, as events."""

    events: Sequence[DryRunLine]


class Lost:
    """The connection breaks before an answer comes."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class MadeUp:
    """Answers by method and path: a value, or what makes one from the request; ``asked`` keeps who asked what."""

    page: Page
    answers: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, list[Asked]] = field(default_factory=dict)
    held: dict[str, list[Route]] = field(default_factory=dict)
    """By method and path, requests that wait for their answer: those whose key was put here."""

    def __post_init__(self) -> None:
        self._files = load_pages().files
        self.answers = {
            "GET /status": status(),
            "GET /network": network(),
            "GET /jobs": JobPage(jobs=[], total=0, page=1, size=25),
            "GET /drafts": Drafts(drafts=[]),
        }
        self.page.add_init_script(NOTICES)
        self.page.route("**/*", self._answer)

    def open(self, path: str) -> None:
        """Show one of the page's addresses."""
        self.page.goto(ORIGIN + path)

    def tell(self, kind: str, **values: Any) -> None:
        """A notice of the node."""
        self.page.evaluate("([kind, values]) => window.tell(kind, values)", [kind, values])

    def release(self, key: str) -> None:
        """Answer the request that waits longest."""
        self._fulfil(self.held[key].pop(0), self.answers[key])

    def _answer(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if not address.path.startswith("/api/v1"):
            name = address.path.removeprefix("/static/") if address.path.startswith("/static/") else SHELL
            route.fulfill(body=self._files[name].plain, content_type=self._files[name].media_type)
            return
        path = address.path.removeprefix("/api/v1")
        key = f"{route.request.method} {path}"
        is_json = "json" in route.request.headers.get("content-type", "")
        asked = Asked(path, parse_qs(address.query), route.request.post_data_json if is_json else None)
        self.asked.setdefault(key, []).append(asked)
        if key in self.held:
            self.held[key].append(route)
            return
        answer = self.answers.get(key, Refused(NOT_FOUND.status, NOT_FOUND.sentence))
        self._fulfil(route, answer(asked) if callable(answer) else answer)

    def _fulfil(self, route: Route, answer: Any) -> None:
        match answer:
            case Lost():
                route.abort()
            case Refused(status=status, sentence=sentence):
                body = encoded(Problem(kind="made_up", sentence=sentence))
                route.fulfill(status=status, body=body, content_type="application/json")
            case Told(events=events):
                body = b"".join(b"data: " + encoded(event) + b"\n\n" for event in events)
                route.fulfill(body=body, content_type="text/event-stream")
            case _:
                route.fulfill(body=encoded(answer), content_type="application/json")


def status() -> Status:
    """A node that is everything."""
    return Status(
        name="made-up", account=ACCOUNT, roles=["user", "worker", "validator"], addresses=[], artifacts="",
        free_wei="0", wallet_wei="0", seats=0, block=7, peers=0, known_nodes=0, version="0",
    )  # fmt: skip


def network() -> NetworkView:
    """A node alone, at a young chain."""
    chain = ChainHead(chain_id=1, market=ACCOUNT, rpc="http://chain", block=7, block_time_s=1_790_000_000, behind_s=1.0)
    return NetworkView(addresses=[], peers=[], topics=[], heard={}, transfers=[], chain=chain)


def wallet() -> Wallet:
    """A thousand tokens outside, and three seats: one busy, one leaving."""
    return Wallet(
        account=ACCOUNT, coin_wei="0", wallet_wei=str(1000 * 10**18), free_wei="0", promised_wei="0", escrow_wei="0",
        staked_wei=str(30 * 10**18), seats=3, busy_seats=1, leaving_seats=1, seat_stake_wei=str(10 * 10**18),
        unbonding_s=60, is_validator=True,
    )  # fmt: skip


def draft(draft_id: str = DRAFT_ID) -> Draft:
    """A script that was uploaded with its data."""
    uploads = {name: Upload(files=1, size_bytes=10, names=[f"{name}.txt"]) for name in ("program", "train", "test")}
    return Draft(
        draft_id=draft_id, created_s=1_790_000_000.0, entry="train.py", kind="script", files=["train.py"],
        functions=["train", "predict"], logged=[], requirements=[], metrics=["accuracy", "f1"], suggested=None,
        uploads=uploads,
    )  # fmt: skip


def review() -> Review:
    """What a draft's review says."""
    return Review(
        name="Made up", metric="accuracy", threshold=0.9, seats=5, escrow_wei="35", parts=[], losses=[],
        most_lost_wei="106", back_by=1_790_010_000, free_wei="100", wallet_wei="0", promised_wei="0", is_payable=True,
        windows=[],
    )  # fmt: skip


def job() -> Job:
    """A training that goes on."""
    return Job(
        job_id=JOB_ID, name="Made up", is_mine=True, roles=["user"], state="TRAINING", outcome="NONE", deadline=None,
        reason="the winner trains", next="", problem="", posted_at=1_790_000_000, metric="accuracy", threshold=0.9,
        metric_value=None, reserve_wei="1", price_wei="1",
    )  # fmt: skip


def growing(asked: Asked) -> Curves:
    """A hundred points of each curve that is asked for: a step every other second."""
    names = ["loss", "a", "b", "c", "d"]
    scale = 2 if asked.query.get("axis") == ["time"] else 1
    first = float(asked.query.get("first", ["0"])[0])
    last = float(asked.query.get("last", ["1000"])[0])
    xs = [float(scale * step) for step in range(101) if first <= scale * step <= last]
    wanted = asked.query.get("name", names)
    curves = [Curve(name=name, count=101, last_value=0.5, xs=xs, values=[0.5] * len(xs)) for name in wanted]
    return Curves(names=names, curves=curves)


def with_job(made_up: MadeUp) -> None:
    """Answers about ``job``."""
    made_up.answers |= {
        f"GET /jobs/{JOB_ID}": job(),
        f"GET /jobs/{JOB_ID}/series": growing,
        f"GET /jobs/{JOB_ID}/output": Output(pieces=[], dropped_bytes=0),
        f"GET /jobs/{JOB_ID}/timeline": Timeline(moments=[]),
    }
