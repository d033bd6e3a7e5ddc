"""A job as its nodes told it: the notices of a user, three workers and seven validators, in order."""

from collections.abc import Iterator
from typing import Any

from morphware.node.plain import to_plain
from morphware.protocol import chain_events as ce
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Terms
from morphware.protocol.codec import encode
from morphware.protocol.messages import Folders, JobSpec
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import TOKEN, Address, JobId, Timestamp, Wei

START_S = 1_800_000_000.0
JOB_ID = JobId(b"\x3f" * 32)
NODES = ["user-1", *(f"worker-{n}" for n in (1, 2, 3)), *(f"validator-{n}" for n in range(1, 8))]
ACCOUNTS = {name: Address(bytes([index + 1]) * 20) for index, name in enumerate(NODES)}
NAMES = {account: name for name, account in ACCOUNTS.items()}
COMMITTEE = ["validator-2", "validator-3", "validator-5", "validator-6", "validator-7"]
Notice = tuple[str, dict[str, Any]]


def sealed_file() -> SealedFile:
    return SealedFile(magnet="magnet:?xt=urn:btih:" + "a" * 40, size_bytes=1_234_567, sha256=b"\1" * 32)


def spec(name: str = "Handwritten digits, a small CNN in PyTorch", metric: str = "accuracy") -> bytes:
    return encode(
        JobSpec(
            name=name,
            kind="script",
            entry="train.py",
            metric=metric,
            privacy="sealed",
            estimated_s=20,
            memory_bytes=1 << 30,
            disk_bytes=1 << 30,
            code=sealed_file(),
            data=Folders(train=sealed_file(), test=sealed_file()),
            requirements=(),
            environment="cpu",
            public_keys=b"",
        )
    )


def terms(threshold_e6: int = 950_000) -> Terms:
    return Terms(
        reserve_wei=Wei(100 * TOKEN),
        fee_wei=Wei(2 * TOKEN),
        seats=5,
        threshold_e6=threshold_e6,
        tolerance_e6=1000,
        fingerprint_tolerance_e9=10**6,
        bidding_s=6,
        training_s=120,
        testing_s=60,
        estimated_s=20,
        train_key_hash=b"\1" * 32,
        test_key_hash=b"\2" * 32,
        seed_hash=b"\3" * 32,
    )


class Recorder:
    """Writes notices down; the clock is moved by hand, and a block falls every second."""

    def __init__(self) -> None:
        self.now_s = START_S
        self.notices: list[Notice] = []

    def say(self, who: str, kind: str, **values: Any) -> None:
        self.notices.append((who, {"kind": kind, "time_s": self.now_s} | values))

    def local(self, who: str, kind: str, **values: Any) -> None:
        self.say(who, kind, job_id=JOB_ID.hex(), **values)

    def chain(self, *events: ce.ChainEvent) -> None:
        """Every node says every event, one after another."""
        for who in NODES:
            for event in events:
                self.say(who, "chain", event=to_plain(event))
            self.now_s += 0.001

    def state(self, state: State, window_s: int) -> None:
        self.chain(ce.StateChanged(JOB_ID, state, Timestamp(int(self.now_s) + window_s)))

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        for who in NODES:
            self.say(who, "block", number=int(self.now_s - START_S) + 10, timestamp=int(self.now_s))


def transfer(recorder: Recorder, who: str, bundle: str, share: float) -> None:
    recorder.local(
        who,
        "transfer",
        account=ACCOUNTS[who].hex(),
        name=bundle,
        done_bytes=int(1_234_567 * share),
        total_bytes=1_234_567,
        rate_bytes_s=3.2e6,
        peers=2,
    )


def paid_job(recorder: Recorder | None = None, name: str | None = None) -> Iterator[str]:
    """Record a job that is paid; yields a name at every point that is worth a look."""
    r = recorder or Recorder()
    r.wait(0)
    for bundle in ("code", "train", "test"):
        r.local("user-1", "sealed", name=bundle, size_bytes=1_234_567)
    r.local("user-1", "sending", role="user", call="Post")
    r.wait(1.2)
    r.local("user-1", "sent", role="user", call="Post", gas=312_000)
    user = ACCOUNTS["user-1"]
    r.chain(ce.JobPosted(JOB_ID, user, terms(), spec() if name is None else spec(name)))
    r.state(State.BIDDING, 6)
    bids = {"worker-1": (41, True), "worker-2": (38, True), "worker-3": (55, True)}
    commitments = {who: bytes([n + 1]) * 32 for n, who in enumerate(bids)}
    decoy = b"\x77" * 32
    for sequence, who in enumerate(bids):
        r.wait(1)
        r.chain(ce.BidCommitted(JOB_ID, ACCOUNTS[who], commitments[who], sequence))
    r.chain(ce.BidCommitted(JOB_ID, ACCOUNTS["worker-3"], decoy, 3))
    yield "bidding"
    r.wait(3)
    r.state(State.REVEALING, 10)
    r.wait(1)
    r.chain(ce.BidOpened(JOB_ID, ACCOUNTS["worker-3"], decoy, Wei(17 * TOKEN), False, 20))
    for who, (price, is_authentic) in bids.items():
        r.chain(ce.BidOpened(JOB_ID, ACCOUNTS[who], commitments[who], Wei(price * TOKEN), is_authentic, 20))
    winner = ACCOUNTS["worker-2"]
    r.chain(ce.JobAwarded(JOB_ID, winner, Wei(38 * TOKEN), Wei(41 * TOKEN), 0))
    r.state(State.AWARDED, 10)
    transfer(r, "worker-2", "train", 0.4)
    yield "awarded"
    r.wait(1)
    r.chain(ce.KeysPosted(JOB_ID, b"box"))
    r.state(State.KEYED, 10)
    transfer(r, "worker-2", "train", 1.0)
    for bundle in ("code", "train"):
        r.local("worker-2", "fetched", account=winner.hex(), name=bundle)
    r.wait(1)
    r.state(State.TRAINING, 120)
    r.local("worker-2", "training", account=winner.hex())
    for step in range(0, 400, 20):
        r.wait(0.4)
        points = [[s, r.now_s, "loss", 2.3 * 0.99**s + 0.01 * (s % 3)] for s in range(step, step + 20)]
        for who in ("worker-2", "user-1"):
            r.local(who, "points", points=points)
            r.local(who, "output", text=f"epoch {step // 20}: loss {points[-1][3]:.4f}\n")
        if step == 200:
            yield "training"
    r.local("worker-2", "trained", seconds=7.9, reason="")
    r.local("worker-2", "sealed", name="model", size_bytes=456_789)
    r.wait(1)
    r.chain(ce.ModelSubmitted(JOB_ID, b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32, 40, b"manifest"))
    r.state(State.SEED, 10)
    r.wait(2)
    committee = tuple(ACCOUNTS[who] for who in COMMITTEE)
    r.chain(ce.CommitteeDrawn(JOB_ID, 0, b"\5" * 32, committee))
    r.state(State.KEYING, 10)
    for who in COMMITTEE:
        transfer(r, who, "test", 0.5)
    r.wait(1)
    r.chain(ce.TestKeysPosted(JOB_ID, (b"b",) * 5), ce.ModelKeysPosted(JOB_ID, (b"b",) * 5))
    r.state(State.VCOMMIT, 60)
    for who in COMMITTEE:
        r.local(who, "fetched", account=ACCOUNTS[who].hex(), name="test")
        r.local(who, "evaluating", account=ACCOUNTS[who].hex())
    r.wait(2)
    r.local("validator-4", "refused", role="validator", call="Poke", reason="too early")
    for who in COMMITTEE[:3]:
        r.local(who, "sending", role="validator", call="CommitReport")
        r.chain(ce.ReportCommitted(JOB_ID, 0, ACCOUNTS[who], b"\6" * 32))
    yield "testing"
    for who in COMMITTEE[3:]:
        r.local(who, "sending", role="validator", call="CommitReport")
        r.chain(ce.ReportCommitted(JOB_ID, 0, ACCOUNTS[who], b"\6" * 32))
    r.state(State.VREVEAL, 10)
    r.wait(1)
    for who in COMMITTEE:
        r.chain(ce.ReportRevealed(JOB_ID, 0, ACCOUNTS[who], 987_500, 41_234_567, b"\7" * 32))
    r.chain(ce.RoundTallied(JOB_ID, 0, Verdict.PASS, 987_500, 41_234_567))
    r.state(State.TALLIED, 2)
    r.wait(2)
    r.state(State.CLAIMABLE, 10)
    r.wait(1)
    r.chain(ce.Claimed(JOB_ID, b"\x08" * 32))
    r.chain(*[ce.SeatSettled(JOB_ID, ACCOUNTS[who], Wei(2 * TOKEN), Wei(0)) for who in COMMITTEE])
    r.chain(ce.JobClosed(JOB_ID, Outcome.PAID, winner, Wei(41 * TOKEN), Wei(0)))
    r.state(State.CLOSED, 0)
    r.wait(0.5)
    r.local("user-1", "fetched", account=user.hex(), name="model")
    r.local("user-1", "ended", role="user", outcome="PAID")
    yield "paid"
