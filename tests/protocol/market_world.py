"""A small world around the pure market: accounts with money, secrets worth hiding, and a clock that is only a number.

Amounts are those of the table "who loses what" of PROTOCOL.md 5.3: R = 100, k F = 10, B = D = 50, a seat holds 70.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from eth_keys.datatypes import PrivateKey

from morphware.protocol import calls
from morphware.protocol.calls import Call, ModelRoot, Multicall, Opening, Option, Report, SignedBid, SignedReport, Terms
from morphware.protocol.chain_events import ChainEvent, StateChanged
from morphware.protocol.commitments import (
    Domain,
    audit_word,
    bid_commitment,
    job_id_of,
    keccak,
    report_commitment,
    salt_of,
    split_root,
)
from morphware.protocol.job import Job
from morphware.protocol.market import Market
from morphware.protocol.parameters import Timing
from morphware.protocol.signatures import commit_digest, commit_report_digest
from morphware.protocol.split import Disclosed, drawn_chunks
from morphware.protocol.states import State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId, Timestamp, Wei

START_S = 1_800_000_000
START_BLOCK = 1_000
RICH_WEI = 10_000
SEAT_STAKE_WEI = Wei(70)

TIMING = Timing(
    revealing_s=10,
    keys_s=5,
    acknowledge_s=6,
    dispute_s=11,
    seed_s=7,
    keying_s=8,
    report_reveal_s=9,
    appeal_s=4,
    claim_s=3,
    inspect_s=12,
    draw_s=2,
    unbonding_s=100,
    seed_blocks=2,
    audit_one_in=2,
)

KEYS: dict[Address, PrivateKey] = {}
"""Every account can sign: relayed commitments are checked for real."""


def account(name: str) -> Address:
    """A readable name's address."""
    key = PrivateKey(keccak(b"key of " + name.encode()))
    address = Address(key.public_key.to_canonical_address())
    KEYS[address] = key
    return address


def sign(signer: Address, digest: bytes) -> bytes:
    """The signer's 65 bytes, as wallets write them."""
    signature = KEYS[signer].sign_msg_hash(digest).to_bytes()
    return bytes(signature[:64]) + bytes([signature[64] + 27])


USER = account("user")
WORKERS = tuple(account(f"worker {index}") for index in range(4))
VALIDATORS = tuple(account(f"validator {index}") for index in range(90))
"""Enough for committees of 5, 11, 23 and 47, of which none may share a member."""
STRANGER = account("stranger")
EVERYBODY = (USER, *WORKERS, *VALIDATORS, STRANGER)
DOMAIN = Domain(31337, account("market"))


def secret(name: str) -> bytes:
    """A readable name's 32 secret bytes."""
    return keccak(b"secret of " + name.encode())


def blockhash(number: int) -> bytes:
    """The hash of a block, as the in-process EVM invents it."""
    return keccak(str(number).encode())


def train_keys(name: str = "job") -> bytes:
    """The 64 bytes that the winner gets."""
    return secret(name + " train") + secret(name + " code")


def exam_keys(name: str = "job") -> bytes:
    """The 64 bytes that the committee gets."""
    return secret(name + " test") + secret(name + " code")


CHUNKS, TEST_CHUNKS = 5, 2
"""Of every split job here."""


def code_key(name: str = "job") -> bytes:
    """The key of the job's code."""
    return secret(name + " code")


def chunk_keys(name: str = "job") -> tuple[bytes, ...]:
    """The keys of a split job's chunks."""
    return tuple(secret(f"{name} chunk {index}") for index in range(CHUNKS))


def leaves(name: str = "job") -> tuple[bytes, ...]:
    """The hashes of a split job's keys."""
    return tuple(keccak(key) for key in chunk_keys(name))


def disclosure(name: str, shown: Sequence[int], test_chunks: int = TEST_CHUNKS) -> bytes:
    """The words that disclose these chunks."""
    keys = zip(chunk_keys(name), leaves(name), strict=True)
    items = tuple(key if chunk in shown else leaf for chunk, (key, leaf) in enumerate(keys))
    return Disclosed(test_chunks, items, code_key(name)).to_bytes()


def terms_of(name: str = "job", **changes: int) -> Terms:
    """The terms of the job called ``name``, with the amounts of PROTOCOL.md 5.3 unless changed."""
    numbers = {
        "reserve_wei": 100,
        "fee_wei": 2,
        "seats": 5,
        "threshold_e6": 900_000,
        "tolerance_e6": 5_000,
        "fingerprint_tolerance_e9": 10_000,
        "bidding_s": 20,
        "training_s": 50,
        "testing_s": 15,
        "estimated_s": 30,
    } | changes
    is_split = numbers.get("options", 0) & Option.SPLIT
    return Terms(
        **numbers,  # type: ignore[arg-type]  # Wei is an int
        train_key_hash=keccak(code_key(name) if is_split else train_keys(name)),
        test_key_hash=split_root(TEST_CHUNKS, leaves(name)) if is_split else keccak(exam_keys(name)),
        seed_hash=keccak(user_seed(name)),
    )


def user_seed(name: str = "job") -> bytes:
    """The end user's share of the committee's seed."""
    return secret(name + " user seed")


def worker_seed(bidder: Address) -> bytes:
    """A worker's share of the committee's seed, the same in all its bids."""
    return keccak(b"worker seed" + bidder)


def x_of(name: str = "job") -> bytes:
    """The end user's half of the model's key."""
    return secret(name + " x")


def y_of(name: str = "job") -> bytes:
    """The worker's half of the model's key."""
    return secret(name + " y")


def opening_of(bidder: Address, price: int, is_authentic: bool = True, estimated_s: int = 40) -> Opening:
    """A bid whose salt commits to the bidder's seed share."""
    return Opening(bidder, Wei(price), is_authentic, estimated_s, salt_of(worker_seed(bidder)))


GOOD, BAD = 950_000, 850_000
"""Metrics above and below the usual threshold."""


def report_of(validator: Address, metric_e6: int = GOOD, fingerprint_e9: int = 123_456_789) -> Report:
    """A validator's report; the salt is its own."""
    return Report(validator, metric_e6, fingerprint_e9, secret("root"), keccak(b"report salt" + validator))


@dataclass
class World:
    """The market, the time, and what each account knows."""

    market: Market = field(default_factory=lambda: Market(DOMAIN, Parameters(TIMING, SEAT_STAKE_WEI), blockhash))
    now: int = START_S
    block: int = START_BLOCK
    prices: tuple[int, ...] = (30, 40)
    names: dict[JobId, str] = field(default_factory=dict)
    openings: dict[JobId, list[Opening]] = field(default_factory=dict)
    reports: dict[JobId, dict[tuple[int, Address], Report]] = field(default_factory=dict)
    observers: list[Callable[[Address, Any, object], None]] = field(default_factory=list)

    def ask(self, caller: Address, call: Call | Multicall) -> object:
        """One transaction; events or a refusal."""
        result = self.market.execute(caller, call, Timestamp(self.now), self.block)
        for observer in self.observers:
            observer(caller, call, result)
        return result

    def do(self, caller: Address, call: Call | Multicall) -> list[ChainEvent]:
        """One transaction that has to be accepted."""
        result = self.ask(caller, call)
        assert isinstance(result, list), result
        return result

    def wait(self, seconds: int, blocks: int = 1) -> None:
        """Time passes."""
        self.now += seconds
        self.block += blocks

    def found(self, validators: Iterable[Address] = VALIDATORS[:20]) -> "World":
        """Everybody has money, and each validator has staked one seat before any job was posted."""
        for each in EVERYBODY:
            self.do(each, calls.Deposit(Wei(RICH_WEI * self.scale)))
        for validator in validators:
            self.do(validator, calls.Stake(1))
        self.wait(1)
        return self

    @property
    def scale(self) -> int:
        """What the usual amounts are multiplied by, so that they fit the seats' stake."""
        return self.market.parameters.seat_stake_wei // SEAT_STAKE_WEI

    def job(self, job_id: JobId) -> Job:
        return self.market.jobs[job_id]

    def free(self, who: Address) -> int:
        return self.market.ledger.free(who)

    def worth(self, who: Address) -> int:
        """What an account has, free or staked: the table's gains and losses count both."""
        seats = sum(seat.owner == who for seat in self.market.registry.seats.values())
        return self.free(who) + seats * self.market.parameters.seat_stake_wei

    def post(self, name: str = "job", **changes: int) -> JobId:
        terms = terms_of(name, **{"reserve_wei": 100 * self.scale, "fee_wei": 2 * self.scale} | changes)
        self.do(USER, calls.Post(terms, b"specification"))
        return self.know(name, terms)

    def know(self, name: str, terms: Terms, user: Address = USER) -> JobId:
        """The job's secrets go by its name, whoever posts it."""
        job_id = job_id_of(self.market.domain, user, terms.seed_hash, terms.train_key_hash, terms.test_key_hash)
        self.names[job_id] = name
        self.openings.setdefault(job_id, [])
        self.reports.setdefault(job_id, {})
        return job_id

    def bid(self, job_id: JobId, opening: Opening) -> object:
        """Commit to an opening, and remember it."""
        self.openings[job_id].append(opening)
        return self.ask(opening.bidder, calls.Commit(job_id, bid_commitment(self.market.domain, job_id, opening)))

    def sealed_bid(self, job_id: JobId, opening: Opening) -> SignedBid:
        """A bid that somebody else may bring, remembered."""
        self.openings[job_id].append(opening)
        return self.sign_bid(job_id, opening)

    def sign_bid(self, job_id: JobId, opening: Opening) -> SignedBid:
        """A bid that somebody else may bring."""
        commitment = bid_commitment(self.market.domain, job_id, opening)
        digest = commit_digest(self.market.domain, job_id, opening.bidder, commitment)
        return SignedBid(opening.bidder, commitment, sign(opening.bidder, digest))

    def commit_report(self, job_id: JobId, report: Report) -> object:
        """Commit to a report, and remember it."""
        return self.ask(report.validator, calls.CommitReport(job_id, self.remember(job_id, report)))

    def sealed_report(self, job_id: JobId, report: Report) -> SignedReport:
        """A report that somebody else may bring, remembered."""
        self.remember(job_id, report)
        return self.sign_report(job_id, report)

    def sign_report(self, job_id: JobId, report: Report) -> SignedReport:
        """A report that somebody else may bring."""
        round_number = self.job(job_id).round
        commitment = report_commitment(self.market.domain, job_id, round_number, report)
        attempt = (round_number, self.job(job_id).rounds[-1].restarts)
        digest = commit_report_digest(self.market.domain, job_id, *attempt, report.validator, commitment)
        return SignedReport(report.validator, commitment, sign(report.validator, digest))

    def remember(self, job_id: JobId, report: Report) -> bytes:
        """A report's commitment in the job's last round."""
        round_number = self.job(job_id).round
        self.reports[job_id][round_number, report.validator] = report
        return report_commitment(self.market.domain, job_id, round_number, report)

    def reports_now(self, job_id: JobId) -> tuple[Report, ...]:
        """What the last round's validators committed to."""
        number = self.job(job_id).round
        return tuple(report for (each, _), report in self.reports[job_id].items() if each == number)

    def root(self, job_id: JobId) -> ModelRoot:
        """What the winner commits to."""
        name = self.names[job_id]
        x_hash, y_hash = keccak(x_of(name)), keccak(y_of(name))
        return ModelRoot(secret("model"), x_hash, y_hash, worker_seed(self.job(job_id).winner))

    def submission(self, job_id: JobId) -> calls.SubmitModel:
        """The winner's model."""
        root = self.root(job_id)
        return calls.SubmitModel(job_id, root.model_hash, root.x_hash, root.y_hash, root.worker_seed, b"manifest")

    def seed(self, job_id: JobId) -> calls.RevealSeed:
        """The end user's share, with what stands beside it."""
        name, job = self.names[job_id], self.job(job_id)
        root = self.root(job_id) if job.model is None else job.model.root
        return calls.RevealSeed(job_id, user_seed(name), job.terms.train_key_hash, job.terms.test_key_hash, root)

    def disclose_key(self, job_id: JobId) -> calls.DiscloseKey:
        name, terms = self.names[job_id], self.job(job_id).terms
        tested = self.tested(job_id)
        keys = disclosure(name, sorted({*range(CHUNKS)} - {*tested})) if tested else train_keys(name)
        return calls.DiscloseKey(job_id, keys, terms.seed_hash, terms.test_key_hash)

    def disclose_test(self, job_id: JobId) -> calls.DiscloseTest:
        name, terms = self.names[job_id], self.job(job_id).terms
        tested = self.tested(job_id)
        keys = disclosure(name, tested) if tested else exam_keys(name)
        return calls.DiscloseTest(job_id, keys, terms.seed_hash, terms.train_key_hash)

    def tested(self, job_id: JobId) -> tuple[int, ...]:
        """The chunks that test a split job's model, once they are drawn."""
        seed = self.job(job_id).split_seed
        return () if seed is None else drawn_chunks(seed, CHUNKS, TEST_CHUNKS)

    def disclose_x(self, job_id: JobId) -> calls.DiscloseX:
        root = self.root(job_id)
        return calls.DiscloseX(job_id, x_of(self.names[job_id]), root.model_hash, root.y_hash, root.worker_seed)

    def disclose_model(self, job_id: JobId) -> calls.DiscloseModel:
        name, root = self.names[job_id], self.root(job_id)
        return calls.DiscloseModel(job_id, x_of(name), y_of(name), root.model_hash, root.worker_seed)

    def claim(self, job_id: JobId) -> calls.Claim:
        root = self.root(job_id)
        return calls.Claim(job_id, y_of(self.names[job_id]), root.model_hash, root.x_hash, root.worker_seed)

    def boxes(self, job_id: JobId) -> tuple[bytes, ...]:
        return tuple(b"box for " + validator for validator in self.job(job_id).committee)

    def poke(self, job_id: JobId, caller: Address = STRANGER) -> list[ChainEvent]:
        """Wait for the deadline, and for the block of a draw, and poke."""
        job = self.job(job_id)
        self.now = max(self.now, job.deadline)
        if job.state is State.DRAWING:
            self.block = max(self.block, job.draw_block + 1)
        return self.do(caller, calls.Poke(job_id))

    def report(self, job_id: JobId, metrics: Sequence[int | None]) -> list[ChainEvent]:
        """The last round's validators report these metrics in the order of the draw (None: silence); to its tally."""
        committee = self.job(job_id).committee
        assert len(metrics) == len(committee), (len(metrics), len(committee))
        sealed = [
            self.sealed_report(job_id, report_of(validator, metric))
            for validator, metric in zip(committee, metrics, strict=True)
            if metric is not None
        ]
        if not sealed:
            return self.poke(job_id)
        self.do(STRANGER, calls.CommitReportBatch(job_id, tuple(sealed)))
        if self.job(job_id).state is State.VCOMMIT:
            self.poke(job_id)
        events = self.do(STRANGER, calls.RevealReports(job_id, self.reports_now(job_id)))
        return events if None not in metrics else self.poke(job_id)

    def close(self, job_id: JobId) -> list[ChainEvent]:
        """Nobody does anything any more but poke; all that is said until the job is closed."""
        said: list[ChainEvent] = []
        for _ in range(60):  # a draw may wait six times
            if self.job(job_id).state is State.CLOSED:
                return said
            said += self.poke(job_id)
        raise AssertionError("pokes alone did not close the job")

    def advance(self, job_id: JobId, until: State, prices: tuple[int, ...] | None = None) -> "World":
        """Everybody does its duty until the job is in a state; every validator reports the same good metric."""
        for _ in range(30):
            job = self.job(job_id)
            if job.state is until:
                return self
            self.wait(1)
            match job.state:
                case State.BIDDING:
                    for worker, price in zip(WORKERS, prices or self.prices, strict=False):
                        self.bid(job_id, opening_of(worker, price))
                    self.poke(job_id)
                case State.REVEALING:
                    self.do(STRANGER, calls.RevealBids(job_id, tuple(self.openings[job_id])))
                case State.AWARDED if job.is_split and job.split_seed is None:
                    self.wait(1, blocks=3)
                    self.do(STRANGER, calls.DrawSplit(job_id))
                case State.AWARDED:
                    self.do(USER, calls.PostKeys(job_id, b"box"))
                case State.KEYED:
                    dispute = until is State.KEY_DISPUTE
                    self.do(job.winner, calls.ComplainKey(job_id) if dispute else calls.Acknowledge(job_id))
                case State.TRAINING:
                    self.do(job.winner, self.submission(job_id))
                case State.SEED:
                    self.wait(1, blocks=3)
                    self.do(USER, self.seed(job_id))
                case State.KEYING if until is State.X_DISPUTE:
                    self.do(USER, calls.ComplainX(job_id))
                case State.KEYING:
                    self.do(USER, calls.PostTestKeys(job_id, self.boxes(job_id)))
                    self.do(job.winner, calls.PostModelKeys(job_id, self.boxes(job_id)))
                case State.VCOMMIT if until is State.DISCLOSE:
                    self.do(job.committee[0], calls.ComplainKeys(job_id, against_user=True))
                case State.VCOMMIT:
                    for validator in job.committee:
                        self.commit_report(job_id, report_of(validator))
                case State.VREVEAL:
                    self.do(STRANGER, calls.RevealReports(job_id, self.reports_now(job_id)))
                case State.TALLIED if until is State.DRAWING:
                    self.do(STRANGER, calls.Appeal(job_id))
                case State.CLAIMABLE:
                    self.do(STRANGER, self.claim(job_id))
                case _:
                    self.poke(job_id)
        raise AssertionError(f"the job never reached {until.name}: it is {self.job(job_id).state.name}")


Event = TypeVar("Event")


def started(until: State = State.BIDDING, **changes: int) -> tuple[World, JobId]:
    """A job in a state, and seats enough for one appeal."""
    world = World().found()
    job_id = world.post("job", **changes)
    return world.advance(job_id, until), job_id


def crowded(until: State = State.BIDDING, **changes: int) -> tuple[World, JobId]:
    """A job in a state, and seats enough for all its appeals."""
    world = World().found(VALIDATORS)
    job_id = world.post("job", **changes)
    return world.advance(job_id, until), job_id


def states(events: Sequence[object]) -> list[State]:
    """The states that were entered, in order."""
    return [event.state for event in events if isinstance(event, StateChanged)]


def only(kind: type[Event], events: object) -> Event:
    """The one event of a kind."""
    assert isinstance(events, list), events
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def appeal_seats(job: Job) -> int:
    """The committee that the next appeal pays for: as if there had been no audit."""
    is_audit_newest = job.is_audited and not job.appeals_made
    doubted = job.rounds[job.appellants[0].round] if is_audit_newest else job.rounds[-1]
    return 2 * len(doubted.seats) + 1


def await_chance(world: World, job_id: JobId, *, is_audited: bool = True) -> None:
    """Let blocks pass until a poke would make an audit, or would make none, if nothing but chance mattered."""
    job = world.job(job_id)
    number = job.audit_block
    while (audit_word(blockhash(number), job_id) % TIMING.audit_one_in == 0) is not is_audited:
        number += 256
    world.block = number + 1


def appealed(world: World, job_id: JobId, metrics: Sequence[int | None]) -> None:
    """A stranger appeals, and the next committee reports."""
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, metrics)
