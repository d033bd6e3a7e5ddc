"""The pure market and the compiled contract say the same, call for call, event for event, to the wei (I25).

Every trace is random (see ``market_traces``): mostly honest, so that it gets deep, with hostile calls in between.  The
same call goes to both at the same instant; then events or refusals, the balances that moved, burned money, the seats
and the touched job's record are compared, and everything at the end of a trace.  Beside the random ones stand the lives
of the table "who loses what".  ``MORPHWARE_DIFFERENTIAL_TRACES=2000 pytest tests/contracts/test_differential.py`` looks
further.
"""

import os
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, field
from functools import partial
from random import Random
from typing import get_args

import pytest

from morphware.node.chain.abi import Revert
from morphware.protocol.calls import Call, Multicall
from morphware.protocol.chain_events import (
    BidCommitted,
    BidOpened,
    JobClosed,
    KeyDisclosed,
    StateChanged,
    TestKeysDisclosed,
)
from morphware.protocol.commitments import Domain, model_root
from morphware.protocol.job import TABLE, Job, Party
from morphware.protocol.ledger import Free
from morphware.protocol.market import Market
from morphware.protocol.refusals import Refusal
from morphware.protocol.settlement import SWEEP
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId, Wei
from tests.contracts.evm_market import CHAIN_ID, EvmMarket
from tests.protocol import market_traces
from tests.protocol.market_coverage import SCARCITY, scarcity
from tests.protocol.market_scenarios import SCENARIOS
from tests.protocol.market_world import EVERYBODY, SEAT_STAKE_WEI, TIMING, VALIDATORS, World, blockhash
from tests.protocol.test_who_loses_what import TABLE as WHO_LOSES_WHAT
from tests.protocol.test_who_loses_what import Row

TRACES = int(os.environ.get("MORPHWARE_DIFFERENTIAL_TRACES", "60"))
FIRST = int(os.environ.get("MORPHWARE_DIFFERENTIAL_FIRST", "0"))
STEPS = 90
WALLET_WEI = 10**20


@dataclass
class Comparison:
    """The same market twice; whatever is asked of the world is asked of the EVM, and compared."""

    world: World
    evm: EvmMarket
    moved: dict[Free, int] = field(default_factory=dict)

    def both(self, caller: Address, call: Call | Multicall, expected: object) -> None:
        """Do the same call in the EVM; every difference is a failure."""
        actual = self.evm.execute(caller, call, self.world.now, self.world.block)
        if isinstance(actual, Revert):
            assert not isinstance(expected, list), (call, actual)
            assert (type(expected).__name__, astuple(expected)) == (  # type: ignore[call-overload]
                actual.name,
                tuple(actual.values.values()),
            ), call
        else:
            assert actual == expected, call
        ledger, registry = self.world.market.ledger, self.world.market.registry
        accounts = {bucket: wei for bucket, wei in ledger.buckets.items() if isinstance(bucket, Free)}
        for bucket in {bucket for bucket, wei in accounts.items() if self.moved.get(bucket) != wei} | {Free(caller)}:
            assert self.evm.free(bucket.account) == ledger.free(bucket.account), call
        self.moved = accounts
        assert self.evm.number("burned") == ledger.burned(), call
        assert self.evm.number("auditPool") == ledger.audit_pool(), call
        assert self.evm.number("total") == ledger.deposited_wei - ledger.withdrawn_wei, call
        assert self.evm.number("freeSeats") == registry.free_seats, call
        assert self.evm.number("busySeats") == registry.busy_seats, call
        assert self.evm.freed() == registry.freed, call
        job = self.world.market.jobs.get(getattr(call, "job_id", JobId(b"")))
        if job is not None:
            self.job(job)

    def job(self, job: Job) -> None:
        """The contract's record of a job is what the pure market remembers of it."""
        record, terms = self.evm.record("job", job.job_id), job.terms
        ledger = self.world.market.ledger
        first = job.rounds[0] if job.rounds else None
        expected = {
            "user": job.user,
            "deadline": job.deadline,
            "state": job.state,
            "outcome": job.outcome,
            "verdict": job.verdict,
            "options": terms.options,
            "seats": terms.seats,
            "round": job.round,
            "appeals": len(job.appellants),
            "redraws": job.redraws,
            "seatSpan": job.seat_span,
            "postedAt": job.posted_at,
            "trainingSeconds": terms.training_s,
            "testingSeconds": terms.testing_s,
            "reserve": terms.reserve_wei,
            "fee": terms.fee_wei,
            "commitments": len(job.bids),
            "unopened": job.unopened,
            "winner": job.winner,
            "price": job.price_wei,
            "burned": ledger.burned_by(job.job_id),
            "held": ledger.held(job.job_id) - sum(result.slash_wei for result in job.unsettled),
            "threshold": terms.threshold_e6,
            "baseline": terms.baseline_e6,
            "tolerance": terms.tolerance_e6,
            "fingerprintTolerance": terms.fingerprint_tolerance_e9,
            "isUserKeyed": first is not None and first.has_test_keys,
            "isWorkerKeyed": first is not None and first.has_model_keys,
            "isKeyPublic": job.is_train_key_public,
            "isTestPublic": job.is_test_key_public,
            "isXPublic": job.is_x_public,
            "isModelPublic": job.is_model_public,
            "isClaimed": job.y is not None,
            "isAborted": bool(job.rounds) and job.rounds[-1].is_aborted,
            "model": bytes(32) if job.model is None else model_root(job.model.root),
        }
        if job.state is State.DRAWING:
            expected |= {"nextSeats": job.next_seats, "drawBlock": job.draw_block}
        if job.state is State.DISCLOSE:
            expected |= {"isUserAccused": job.accused is Party.USER}
        assert {name: record[name] for name in expected} == expected
        self.rounds(job, job.round)

    def rounds(self, job: Job, first: int = 0) -> None:
        """Committees with their reports, what each round found, and who doubted it."""
        is_open = job.outcome is Outcome.NONE
        for number, each in list(enumerate(job.rounds))[first:]:
            members = self.evm.records("committee", job.job_id, number)
            assert [(member["validator"], member["seat"]) for member in members] == [
                (owner, seat) for seat, owner in each.seats.items() if is_open
            ]
            for member in members:
                owner, report = member["validator"], each.reports.get(member["validator"])
                assert member["isCommitted"] == (owner in each.commitments)
                opened = (0, 0) if report is None else (report.metric_e6, report.fingerprint_e9)
                assert (member["metric"], member["fingerprint"]) == opened
            if is_open:
                found = self.evm.record("tally", job.job_id, number)
                assert tuple(found.values()) == astuple(each.tally(job.terms))
        appeals = self.evm.records("appeals", job.job_id)
        assert [tuple(appeal.values()) for appeal in appeals] == [astuple(each) for each in job.appellants]

    def everything(self) -> None:
        """All balances, seats and strikes, at the end of a trace."""
        market = self.world.market
        for who in EVERYBODY:
            assert self.evm.free(who) == market.ledger.free(who)
        assert self.evm.number("nextSeat") == market.registry.next_seat
        for number in range(market.registry.next_seat + 1):
            seat, strikes = market.registry.seats.get(number), market.registry.strikes.get(number)
            nothing = (bytes(20), 0, 0, False)
            assert tuple(self.evm.record("seat", number).values()) == (nothing if seat is None else astuple(seat))
            assert tuple(self.evm.record("strikes", number).values()) == (
                (0, 0) if strikes is None else astuple(strikes)
            )
        for job in market.jobs.values():
            self.job(job)
            self.rounds(job)


def both(scale: int = 1) -> Comparison:
    """The same empty market twice; amounts are multiplied by ``scale``."""
    stake = Wei(SEAT_STAKE_WEI * scale)
    evm = EvmMarket(TIMING, stake)
    for account in EVERYBODY:
        evm.endow(account, WALLET_WEI)
    world = World(Market(Domain(CHAIN_ID, evm.address), Parameters(TIMING, stake), blockhash))
    comparison = Comparison(world, evm)
    world.observers.append(comparison.both)
    return comparison


@dataclass
class Reached:
    """How far the traces got."""

    states: Counter[State] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    calls: set[type] = field(default_factory=set)
    bidders: defaultdict[bytes, list[Address]] = field(default_factory=lambda: defaultdict(list))
    openings: dict[bytes, Address] = field(default_factory=dict)

    def count(self, market: Market, _caller: Address, call: Call | Multicall, result: object) -> None:
        if not isinstance(result, list):
            self.refusals[type(result).__name__] += 1
            return
        self.calls.add(type(call))
        self.happened.update(scarcity(market, call, result))
        for event in result:
            match event:
                case StateChanged():
                    self.states[event.state] += 1
                case JobClosed():
                    self.outcomes[event.outcome] += 1
                case BidCommitted():
                    self.bidders[event.commitment].append(event.bidder)
                case BidOpened():
                    self.openings[event.commitment] = event.bidder
                case _:
                    pass
            self.happened[type(event).__name__] += 1
            if isinstance(event, KeyDisclosed | TestKeysDisclosed) and len(event.keys) > 64:
                self.happened[f"{type(event).__name__} of a split job"] += 1

    def ended(self, world: World) -> None:
        for job in world.market.jobs.values():
            self.happened[f"{job.appeals_made} appeals"] += 1
            self.happened["audited and appealed"] += job.is_audited and job.appeals_made > 0
            self.happened["corrected by an audit"] += job.is_audited and job.verdict is not job.appellants[0].verdict
            self.happened[f"{job.redraws} redraws"] += 1
            self.happened[f"verdict {job.verdict.name}"] += 1
            self.happened["sweep"] += sum(len(each.seats) for each in job.rounds) > SWEEP


@pytest.fixture(scope="module")
def reached() -> Reached:
    """All traces and scripts, compared on the way: which states, outcomes, refusals and copies they reached."""
    reached = Reached()
    for seed in range(FIRST, FIRST + TRACES):
        random = Random(f"differential {seed}")
        comparison = both(random.choice((1, 1, 10_000)))
        world = comparison.world
        world.observers.append(partial(reached.count, world.market))
        market_traces.found(random, world)
        for _ in range(STEPS):
            market_traces.step(world, random)
        market_traces.run_out(world)
        comparison.everything()
        reached.ended(world)
    for number, scenario in enumerate(SCENARIOS):
        comparison = both((1, 10_000)[number % 2])
        comparison.world.observers.append(partial(reached.count, comparison.world.market))
        scenario(comparison.world)
        market_traces.run_out(comparison.world)
        comparison.everything()
        reached.ended(comparison.world)
    return reached


def test_both_markets_agree_in_every_state(reached: Reached) -> None:
    assert set(reached.states) == set(State) - {State.NONE}


def test_both_markets_agree_on_every_row_of_the_table(reached: Reached) -> None:
    assert reached.calls >= {row.call for row in TABLE}


def test_both_markets_agree_on_what_is_rare(reached: Reached) -> None:
    wanted = {"1 appeals", "2 appeals", "3 appeals", "1 redraws", "sweep", "PokeRewarded", "SplitDrawn"}
    wanted |= {f"{each} of a split job" for each in ("KeyDisclosed", "TestKeysDisclosed")}
    wanted |= {"Audited", "audited and appealed", "corrected by an audit"}
    wanted |= {f"verdict {verdict.name}" for verdict in Verdict} | SCARCITY
    assert {each for each in wanted if not reached.happened[each]} == set(), reached.happened


def test_both_markets_agree_on_every_outcome(reached: Reached) -> None:
    assert set(reached.outcomes) == set(Outcome) - {Outcome.NONE}, reached.outcomes


def test_both_markets_refuse_alike_and_for_every_reason(reached: Reached) -> None:
    assert set(reached.refusals) == {refusal.__name__ for refusal in get_args(Refusal)}


def test_both_markets_take_copies_before_and_after_the_original_and_open_only_the_original(reached: Reached) -> None:
    copied = [
        (bidders, reached.openings[each])
        for each, bidders in reached.bidders.items()
        if len(bidders) > 1 and each in reached.openings
    ]
    assert {bidders.index(opener) > 0 for bidders, opener in copied} == {True, False}


@pytest.mark.parametrize("row", WHO_LOSES_WHAT, ids=lambda row: row.moment)
def test_both_markets_agree_on_who_loses_what(row: Row) -> None:
    comparison = both()
    world = comparison.world.found(VALIDATORS[:20])
    job_id = world.post()
    row.happens(world, job_id)
    world.close(job_id)
    comparison.everything()
    assert world.job(job_id).outcome is row.outcome
