"""A node that has lived through the recorded job, in a thread: whatever can be asked of it, and what it was told."""

import io
import threading
import zipfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio
from eth_keys.datatypes import PrivateKey

from morphware.node.api.answers import jobs as j
from morphware.node.api.answers import node as n
from morphware.node.api.answers.plain import Done
from morphware.node.api.answers.submitting import Posted, PriceEstimate, PriceQuery, WishAsked
from morphware.node.api.problems import NOT_FOUND, Refusal
from morphware.node.api.routes import Call, Route
from morphware.node.api.streams import Streamed
from morphware.node.describe import describe, describe_unposted
from morphware.node.errors import BadInput
from morphware.node.feed import Feed
from morphware.node.record import signed_record
from morphware.node.testnet.display import JobDisplay
from morphware.protocol.signatures import sign_digest
from morphware.protocol.units import TOKEN, JobId
from tests.node.api.serving import serve_routes
from tests.node.testnet.recorded import ACCOUNTS, JOB_ID, NAMES, START_S, Notice, Recorder, paid_job

ID = JOB_ID.hex()
UNPOSTED = JobId(b"\xab" * 32)
EVIL = "\x1b[2J\x1b]0;owned\x07[red]evil[/red]\u202e"
"""Steers a terminal, and is markup."""
ACCOUNT = "0x" + ACCOUNTS["user-1"].hex()
HASH = "0x" + "5f" * 32
KEY = b"\x01" * 32
KEYS_ACCOUNT = str(PrivateKey(KEY).public_key.to_address())

A = TypeVar("A", bound=msgspec.Struct)


class RecordedNode:
    """Answers as at one moment of the recorded job; the rest happens once the job's output was asked for.

    Args:
        until: ``paid``, or an earlier moment that ``paid_job`` names.
        outcome: as the job is said to have ended.
        is_live: whether the rest happens at all.
    """

    def __init__(self, until: str = "paid", *, outcome: str = "PAID", is_live: bool = False, name: str = EVIL) -> None:
        recorder = Recorder()
        self.told: list[Notice] = []
        self.rest: list[Notice] = []
        for moment in paid_job(recorder, name):
            if moment == until:
                self.told = list(recorder.notices)
        self.rest = recorder.notices[len(self.told) :] if is_live else []
        self.outcome = outcome
        self.feed = Feed()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.pieces = [f"epoch {epoch} \u202e\n" for epoch in range(250)] + [f"{EVIL}\rlast\n"]
        self.archive = zip_of({"model.npz": b"weights", "more/readme.txt": b"read me"})

    @property
    def job(self) -> j.Job:
        """The job as it stands."""
        display = JobDisplay(NAMES)
        display.begin(START_S)
        display.follow(ID)
        for who, notice in self.told:
            display.note(who, notice)
        assert display.progress.view is not None
        view = display.progress.view
        job = describe(view, account=ACCOUNTS["user-1"], problem="", model=Path("/models/1") if view.is_over else None)
        return msgspec.structs.replace(job, outcome=self.outcome) if view.is_over else job

    def routes(self) -> list[Route]:
        """Everything that the client asks for."""
        one = "/jobs/{job_id}"
        return [
            _route("/health", n.Health(known_nodes=3, block=11)),
            _route("/status", STATUS),
            _route("/network", NETWORK),
            _route("/wallet", WALLET),
            _route("/operator", OPERATOR),
            _route("/costs", j.Costs(costs=[COST])),
            self._reply("GET", "/jobs", j.JobPage, self._page, query=j.JobsAsked),
            self._reply("POST", "/jobs", Posted, lambda _: Posted(job_id=ID), body=WishAsked),
            self._reply("GET", "/all-jobs", j.AllJobs, lambda _: j.AllJobs(jobs=self._rows()[::-1])),
            self._reply("GET", one, j.Job, self._one),
            self._reply("GET", f"{one}/past", j.Past, self._past),
            self._reply("GET", f"{one}/timeline", j.Timeline, lambda _: j.Timeline(moments=[MOMENT])),
            self._reply("GET", f"{one}/receipt", j.Receipt, lambda _: RECEIPT),
            self._reply("GET", f"{one}/points", j.Points, self._points, query=j.PointsAsked),
            self._reply("GET", f"{one}/series", j.Curves, self._series, query=j.SeriesAsked),
            self._reply("GET", f"{one}/output", j.Output, self._output, query=j.OutputAsked),
            self._reply("GET", f"{one}/record", j.SignedRecord, lambda _: self.record()),
            Route("GET", f"{one}/model", "model", "Model.", self._model, "application/zip"),
            self._reply("GET", "/wallet/history", n.History, lambda _: HISTORY, query=n.HistoryAsked),
            self._reply("GET", "/estimate", PriceEstimate, lambda _: ESTIMATE, query=PriceQuery),
            self._reply("POST", "/links", n.Link, lambda _: n.Link(url="http://127.0.0.1:1/open?link=x")),
            self._do("/wallet/deposit", n.MoveAsked),
            self._do("/wallet/withdraw", n.MoveAsked),
            self._do("/seats/stake", n.StakeAsked),
            self._do("/seats/unstake", n.StakeAsked),
            self._do("/operator/pause", n.PauseAsked),
            self._do("/operator/resume", None),
            self._do("/operator/offers", n.OffersAsked, "PATCH"),
        ]

    def record(self, **changes: str) -> j.SignedRecord:
        """The job's record, signed with a key of its own."""
        return msgspec.structs.replace(
            signed_record(
                self.job, [MOMENT], chain_id=31337, market=ACCOUNT, account=KEYS_ACCOUNT,
                sign=lambda digest: sign_digest(KEY, digest),
            ),
            **changes,
        )  # fmt: skip

    def _rows(self) -> list[j.JobRow]:
        unposted = describe_unposted(UNPOSTED, is_given_up=False, problem=f"waits for {EVIL}")
        return [unposted.row(), self.job.row()]

    def _page(self, call: Call) -> j.JobPage:
        asked: j.JobsAsked = call.query
        self.asked.append(("/jobs", {"q": asked.q, "role": asked.role, "state": asked.state, "page": asked.page}))
        words = asked.q.lower()
        rows = [row for row in self._rows() if row.job_id.startswith(words) or words in row.name.lower()]
        first = (asked.page - 1) * asked.size
        return j.JobPage(jobs=rows[first : first + asked.size], total=len(rows), page=asked.page, size=asked.size)

    def _one(self, call: Call) -> j.Job:
        if call.path["job_id"] == UNPOSTED.hex():
            return describe_unposted(UNPOSTED, is_given_up=False, problem=f"waits for {EVIL}")
        if call.path["job_id"] != ID:
            raise Refusal(NOT_FOUND, "This node knows no such job: list its jobs with `morphware jobs`.")
        return self.job

    def _past(self, call: Call) -> j.Past:
        if call.path["job_id"] == UNPOSTED.hex():
            raise Refusal(NOT_FOUND, "This job is not on the chain, so there is nothing to tell of it yet.")
        told = [notice for who, notice in self.told if who == "user-1" and notice["kind"] == "chain"]
        return j.Past(notices=told)

    def _points(self, call: Call) -> j.Points:
        rows = [(0, 0.0, "loss", 2.0), (1, 0.5, "loss", 1.0), (2, 1.0, "loss", 0.5)][call.query.after :]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
        return j.Points(**dict(zip(("steps", "times_s", "series", "values"), columns, strict=True)))

    def _series(self, call: Call) -> j.Curves:
        self.asked.append(("/series", {"names": call.query.name, "axis": call.query.axis, "first": call.query.first}))
        curve = j.Curve(name=f"loss{EVIL}", count=20, last_value=1.5, xs=[0.0, 10.0, 19.0], values=[2.3, 2.0, 1.5])
        return j.Curves(names=[curve.name], curves=[curve])

    def _output(self, call: Call) -> j.Output:
        pieces = [
            j.OutputPiece(sequence=sequence, time_s=START_S, text=text) for sequence, text in enumerate(self.pieces)
        ]
        rest, self.rest = self.rest, []
        for who, notice in rest:
            if who == "user-1":
                values = {key: value for key, value in notice.items() if key not in ("kind", "time_s")}
                if notice["kind"] == "output":
                    values["sequence"] = len(self.pieces)
                    self.pieces.append(notice["text"])
                if notice["kind"] == "ended":
                    values["outcome"] = self.outcome
                self.feed.say(notice["kind"], **values)
        self.told += rest
        after = call.query.after + 1
        return j.Output(pieces=pieces[after : after + 100], dropped_bytes=7)

    async def _model(self, call: Call) -> Streamed:
        if self.job.model_path is None:
            raise Refusal(NOT_FOUND, "There is no model of this job here: the end user of a paid job has it.")

        async def pieces() -> AsyncGenerator[bytes, None]:
            yield self.archive

        return Streamed(pieces(), "application/zip")

    def _reply(self, method: Any, path: str, kind: type[Any], reply: Callable[[Call], Any], **more: Any) -> Route:
        async def handler(call: Call) -> Any:
            return reply(call)

        return Route(method, path, path, "Replies.", handler, kind, **more)

    def _do(self, path: str, body: Any, method: Any = "POST") -> Route:
        def reply(call: Call) -> Done:
            said = {} if body is None else msgspec.to_builtins(call.body)
            self.asked.append((path, said))
            if said.get("amount_wei") == "0" or said.get("seats") == 1000:
                raise BadInput(f"Too much or too little {EVIL}: mend it.")
            return Done(sentence=f"It is done {EVIL}.", transaction=HASH)

        return self._reply(method, path, Done, reply, body=body)


@contextmanager
def serving(folder: Path, node: RecordedNode) -> Iterator[RecordedNode]:
    """The node behind its socket, in a thread of its own: a command, as a script, runs a loop of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    started = threading.Event()
    ways_out: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_routes, folder, node.routes(), node.feed)
            ways_out.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            started.set()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(trio.run, serve)
        ended.add_done_callback(lambda _: started.set())
        assert started.wait(60)
        try:
            if not ended.done():
                yield node
        finally:
            for token, scope in ways_out:
                token.run_sync_soon(scope.cancel)
            ended.result(60)


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """An archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _route(path: str, answer: msgspec.Struct) -> Route:
    async def handler(_: Call) -> Any:
        return answer

    typed: Callable[[Call], Awaitable[Any]] = handler
    return Route("GET", path, path, "Answers.", typed, type(answer))  # type: ignore[arg-type]


STATUS = n.Status(
    name="node", account=ACCOUNT, roles=["user", "worker"], addresses=["/ip4/127.0.0.1/tcp/1"], artifacts="127.0.0.1:1",
    free_wei=str(12 * TOKEN), wallet_wei=str(949 * TOKEN), seats=2, block=11, peers=4, known_nodes=6, version="0",
)  # fmt: skip
NETWORK = n.NetworkView(
    addresses=[], peers=[], topics=[n.Topic(name="nodes", peers=4)], heard={},
    transfers=[
        n.Transfer(name="train", job_id=ID, doing="fetching", done_bytes=400, total_bytes=1000, down_bytes_s=2e6,
                   up_bytes_s=0.0, peers=2)
    ],
    chain=n.ChainHead(chain_id=31337, market=ACCOUNT, rpc="http://127.0.0.1:8545", block=11, block_time_s=int(START_S),
                      behind_s=2.0),
)  # fmt: skip
WALLET = n.Wallet(
    account=ACCOUNT, coin_wei=str(TOKEN), wallet_wei=str(949 * TOKEN), free_wei=str(12 * TOKEN), promised_wei="0",
    escrow_wei=str(160 * TOKEN), staked_wei=str(600 * TOKEN), seats=2, busy_seats=1, leaving_seats=0, is_validator=True,
    seat_stake_wei=str(300 * TOKEN), unbonding_s=604_800,
)  # fmt: skip
OPERATOR = n.Operator(
    roles=["user", "worker"], is_paused=True, is_frozen=False, availability="Paused: no new jobs are taken.",
    is_available=False, capacity=2, occupied=1, seats=2, busy_seats=1,
    duties=[n.Duty(job_id=ID, name=EVIL, role="worker", doing=f"trains {EVIL}", deadline=int(START_S) + 90)],
    offers=[
        n.Offer(name="worker.price_per_hour", value="1.5", origin="the configuration", sentence="What an hour costs.",
                unit="tokens"),
        n.Offer(name="idle.programs", value=EVIL, origin="a change that was made here", sentence="Not while they run."),
    ],
    earnings=[n.EarningsDay(day="2026-11-23", role="worker", amount_wei=str(41 * TOKEN))],
    slashes=[n.Slash(time_s=int(START_S), job_id=ID, amount_wei=str(TOKEN), sentence=f"It was silent {EVIL}.")],
)  # fmt: skip
COST = j.Cost(job_id=ID, role="user", call="Post", gas=312_000, fee_wei="312")
MOMENT = j.Moment(
    time_s=int(START_S), block=10, event="JobPosted", sentence=f"the job is posted {EVIL}", state="BIDDING",
    transaction=HASH,
)  # fmt: skip
RECEIPT = j.Receipt(
    job_id=ID, is_final=True, costs=[COST],
    moves=[
        j.MoneyMove(
            kind="locked", payer="this node", payee="the market", amount_wei=str(100 * TOKEN), what="the reserve"
        )
    ],
)  # fmt: skip
HISTORY = n.History(
    entries=[
        n.HistoryEntry(time_s=int(START_S), block=10, kind="escrow locked", sentence=f"For {EVIL}",
                       amount_wei=str(-160 * TOKEN), role="user", job_id=ID, transaction=HASH),
        n.HistoryEntry(time_s=int(START_S), block=9, kind="deposited", sentence="Deposited.",
                       amount_wei=str(172 * TOKEN)),
    ],
    total=2, page=1, size=100,
)  # fmt: skip
ESTIMATE = PriceEstimate(auctions=0, low_wei=None, middle_wei=None, high_wei=None, recent=[], sentence="Too few.")
