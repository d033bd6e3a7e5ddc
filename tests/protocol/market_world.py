"""A small world around the pure market: accounts with money, secrets worth hiding, and a clock that is only a number.

Amounts are those of the table "who loses what" of PROTOCOL.md 5.3: R = 100, k F = 10, B = D = 50, a seat holds 70.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from morphware.protocol import calls
from morphware.protocol.calls import Call, Opening, Report, Terms
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.commitments import Domain, bid_commitment, job_id_of, keccak, report_commitment, salt_of
from morphware.protocol.job import Job
from morphware.protocol.market import Market
from morphware.protocol.parameters import Timing
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
    dispute_s=1,
    seed_s=7,
    keying_s=8,
    report_reveal_s=9,
    appeal_s=4,
    claim_s=3,
    inspect_s=1,
    unbonding_s=1,
    seed_blocks=2,
)


def account(name: str) -> Address:
    """A readable name's address."""
    return Address(keccak(name.encode())[:20])


USER = account("user")
WORKERS = tuple(account(f"worker {index}") for index in range(4))
VALIDATORS = tuple(account(f"validator {index}") for index in range(7))
STRANGER = account("stranger")
EVERYBODY = (USER, *WORKERS, *VALIDATORS, STRANGER)
DOMAIN = Domain(31337, account("market"))


def secret(name: str) -> bytes:
    """A readable name's 32 secret bytes."""
    return keccak(b"secret of " + name.encode())


def blockhash(number: int) -> bytes:
    """The hash of a block, as the in-process EVM invents it."""
    return keccak(str(number).encode())


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
    return Terms(
        **numbers,  # type: ignore[arg-type]  # Wei is an int
        train_key_hash=keccak(secret(name + " train")),
        test_key_hash=keccak(secret(name + " test")),
        seed_hash=keccak(user_seed(name)),
    )


def user_seed(name: str = "job") -> bytes:
    """The end user's share of the committee's seed."""
    return secret(name + " user seed")


def worker_seed(bidder: Address) -> bytes:
    """A worker's share of the committee's seed, the same in all its bids."""
    return keccak(b"worker seed" + bidder)


def y_of(name: str = "job") -> bytes:
    """The worker's half of the model's key."""
    return secret(name + " y")


def opening_of(bidder: Address, price: int, is_authentic: bool = True, estimated_s: int = 40) -> Opening:
    """A bid whose salt commits to the bidder's seed share."""
    return Opening(bidder, Wei(price), is_authentic, estimated_s, salt_of(worker_seed(bidder)))


def report_of(validator: Address, metric_e6: int = 950_000, fingerprint_e9: int = 123_456_789) -> Report:
    """A validator's report; the salt is its own."""
    return Report(validator, metric_e6, fingerprint_e9, secret("root"), keccak(b"report salt" + validator))


@dataclass
class World:
    """The market, the time, and what each account knows."""

    market: Market = field(default_factory=lambda: Market(DOMAIN, Parameters(TIMING, SEAT_STAKE_WEI), blockhash))
    now: int = START_S
    block: int = START_BLOCK
    names: dict[JobId, str] = field(default_factory=dict)
    openings: dict[JobId, list[Opening]] = field(default_factory=dict)
    reports: dict[JobId, dict[Address, Report]] = field(default_factory=dict)
    observers: list[Callable[[Address, Call, object], None]] = field(default_factory=list)

    def ask(self, caller: Address, call: Call) -> object:
        """One transaction; events or a refusal."""
        result = self.market.execute(caller, call, Timestamp(self.now), self.block)
        for observer in self.observers:
            observer(caller, call, result)
        return result

    def do(self, caller: Address, call: Call) -> list[ChainEvent]:
        """One transaction that has to be accepted."""
        result = self.ask(caller, call)
        assert isinstance(result, list), result
        return result

    def wait(self, seconds: int, blocks: int = 1) -> None:
        """Time passes."""
        self.now += seconds
        self.block += blocks

    def found(self, validators: Iterable[Address] = VALIDATORS) -> "World":
        """Everybody has money, and each validator has staked one seat before any job was posted."""
        for each in EVERYBODY:
            self.do(each, calls.Deposit(Wei(RICH_WEI)))
        for validator in validators:
            self.do(validator, calls.Stake(1))
        self.wait(1)
        return self

    def job(self, job_id: JobId) -> Job:
        return self.market.jobs[job_id]

    def free(self, who: Address) -> int:
        return self.market.ledger.free(who)

    def worth(self, who: Address) -> int:
        """What an account has, free or staked: the table's gains and losses count both."""
        seats = sum(seat.owner == who for seat in self.market.registry.seats.values())
        return self.free(who) + seats * SEAT_STAKE_WEI

    def post(self, name: str = "job", **changes: int) -> JobId:
        terms = terms_of(name, **changes)
        self.do(USER, calls.Post(terms, b"specification"))
        return self.know(name, terms)

    def know(self, name: str, terms: Terms, user: Address = USER) -> JobId:
        """The job's secrets go by its name, whoever posts it."""
        job_id = job_id_of(self.market.domain, user, terms.seed_hash)
        self.names[job_id] = name
        self.openings.setdefault(job_id, [])
        self.reports.setdefault(job_id, {})
        return job_id

    def bid(self, job_id: JobId, opening: Opening) -> object:
        """Commit to an opening, and remember it."""
        self.openings[job_id].append(opening)
        return self.ask(opening.bidder, calls.Commit(job_id, bid_commitment(self.market.domain, job_id, opening)))

    def commit_report(self, job_id: JobId, report: Report) -> object:
        """Commit to a report, and remember it."""
        self.reports[job_id].setdefault(report.validator, report)
        return self.ask(
            report.validator,
            calls.CommitReport(job_id, report_commitment(self.market.domain, job_id, 0, report)),
        )

    def submission(self, job_id: JobId) -> calls.SubmitModel:
        """The winner's model."""
        winner = self.job(job_id).winner
        y_hash = keccak(y_of(self.names[job_id]))
        return calls.SubmitModel(job_id, secret("model"), secret("x hash"), y_hash, worker_seed(winner), b"manifest")

    def boxes(self, job_id: JobId) -> tuple[bytes, ...]:
        return tuple(b"box for " + validator for validator in self.job(job_id).committee)

    def poke(self, job_id: JobId) -> None:
        """Wait for the deadline, and poke."""
        self.now = max(self.now, self.job(job_id).deadline)
        self.do(STRANGER, calls.Poke(job_id))

    def advance(self, job_id: JobId, until: State, prices: tuple[int, ...] = (30, 40)) -> "World":
        """Everybody does its duty until the job is in a state; every validator reports the same good metric."""
        for _ in range(20):
            job = self.job(job_id)
            if job.state is until:
                return self
            self.wait(1)
            match job.state:
                case State.BIDDING:
                    for worker, price in zip(WORKERS, prices, strict=False):
                        self.bid(job_id, opening_of(worker, price))
                    self.poke(job_id)
                case State.REVEALING:
                    self.do(STRANGER, calls.RevealBids(job_id, tuple(self.openings[job_id])))
                case State.AWARDED:
                    self.do(USER, calls.PostKeys(job_id, b"box"))
                case State.KEYED:
                    self.do(job.winner, calls.Acknowledge(job_id))
                case State.TRAINING:
                    self.do(job.winner, self.submission(job_id))
                case State.SEED:
                    self.wait(1, blocks=3)
                    self.do(USER, calls.RevealSeed(job_id, user_seed(self.names[job_id])))
                case State.KEYING:
                    self.do(USER, calls.PostTestKeys(job_id, self.boxes(job_id)))
                    self.do(job.winner, calls.PostModelKeys(job_id, self.boxes(job_id)))
                case State.VCOMMIT:
                    for validator in job.committee:
                        self.commit_report(job_id, report_of(validator))
                case State.VREVEAL:
                    self.do(STRANGER, calls.RevealReports(job_id, tuple(self.reports[job_id].values())))
                    if job.state is State.VREVEAL:
                        self.poke(job_id)
                case State.CLAIMABLE:
                    self.do(STRANGER, calls.Claim(job_id, y_of(self.names[job_id])))
                case State.CLOSED:
                    break
                case _:
                    self.poke(job_id)
        raise AssertionError(f"the job never reached {until.name}: it is {self.job(job_id).state.name}")
