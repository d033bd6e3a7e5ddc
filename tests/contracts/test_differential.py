"""The pure market and the compiled contract say the same, call for call, event for event, to the wei (I25).

Every trace is random (see ``market_traces``): mostly honest, so that it gets deep, with hostile calls in between.  The
same call goes to both at the same instant; then events or refusals, balances, burned money, the free list and the
touched job's record are compared.  ``MORPHWARE_DIFFERENTIAL_TRACES=2000 pytest tests/contracts/test_differential.py``
looks further.
"""

import os
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, field
from functools import partial
from random import Random

import pytest

from morphware.node.chain.abi import Revert
from morphware.protocol.calls import Call
from morphware.protocol.chain_events import BidCommitted, BidOpened, JobClosed, StateChanged
from morphware.protocol.commitments import Domain
from morphware.protocol.job import TABLE
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId
from tests.contracts.evm_market import CHAIN_ID, EvmMarket
from tests.protocol import market_traces
from tests.protocol.market_world import EVERYBODY, SEAT_STAKE_WEI, TIMING, World, blockhash

TRACES = int(os.environ.get("MORPHWARE_DIFFERENTIAL_TRACES", "80"))
STEPS = 60
WALLET_WEI = 10**9


def both() -> tuple[World, EvmMarket]:
    """The same empty market twice; whatever is asked of the world is asked of the EVM, and compared."""
    evm = EvmMarket(TIMING, SEAT_STAKE_WEI)
    for account in EVERYBODY:
        evm.endow(account, WALLET_WEI)
    world = World(Market(Domain(CHAIN_ID, evm.address), Parameters(TIMING, SEAT_STAKE_WEI), blockhash))
    world.observers.append(partial(compare, world, evm))
    return world, evm


def compare(world: World, evm: EvmMarket, caller: Address, call: Call, expected: object) -> None:
    """Do the same call in the EVM; every difference is a failure."""
    actual = evm.execute(caller, call, world.now, world.block)
    if isinstance(actual, Revert):
        assert not isinstance(expected, list), (call, actual)
        assert (type(expected).__name__, astuple(expected)) == (  # type: ignore[call-overload]
            actual.name,
            tuple(actual.values.values()),
        ), call
    else:
        assert actual == expected, call
    ledger = world.market.ledger
    assert {who: evm.free(who) for who in EVERYBODY} == {who: ledger.free(who) for who in EVERYBODY}, call
    assert evm.burned() == ledger.burned(), call
    assert evm.total() == ledger.deposited_wei - ledger.withdrawn_wei, call
    assert evm.free_seats() == world.market.registry.free, call
    job_id = getattr(call, "job_id", None)
    if job_id in world.market.jobs:
        compare_job(world, evm, job_id)


def compare_job(world: World, evm: EvmMarket, job_id: JobId) -> None:
    """The contract's record of a job is what the pure market remembers of it."""
    job, record = world.job(job_id), evm.job(job_id)
    assert record["user"] == job.user
    assert (record["state"], record["deadline"], record["outcome"]) == (job.state, job.deadline, job.outcome)
    assert (record["commitments"], record["unopened"]) == (len(job.bids), job.unopened)
    assert record["winner"] == job.winner
    assert record["price"] == job.price_wei
    assert record["held"] == world.market.ledger.held(job_id)
    assert record["burned"] == world.market.ledger.burned_by(job_id)
    assert record["revealed"] == len(job.reports)
    assert record["committed"] == len(job.report_commitments)
    assert (record["metric"], record["fingerprint"]) == (job.tally.metric_e6, job.tally.fingerprint_e9)


@dataclass
class Reached:
    """How far the traces got."""

    states: Counter[State] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    bidders: defaultdict[bytes, list[Address]] = field(default_factory=lambda: defaultdict(list))
    openings: dict[bytes, Address] = field(default_factory=dict)

    def count(self, _caller: Address, _call: Call, result: object) -> None:
        if not isinstance(result, list):
            self.refusals[type(result).__name__] += 1
            return
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


@pytest.fixture(scope="module")
def reached() -> Reached:
    """All traces, compared on the way: which states, outcomes, refusals and copies they reached."""
    reached = Reached()
    for seed in range(TRACES):
        random = Random(f"differential {seed}")
        world, _ = both()
        world.observers.append(reached.count)
        market_traces.found(random, world)
        for _ in range(STEPS):
            market_traces.step(world, random)
        market_traces.run_out(world)
    return reached


def test_both_markets_agree_in_every_state(reached: Reached) -> None:
    assert set(reached.states) == {row.state for row in TABLE} | {State.CLOSED}


def test_both_markets_agree_on_every_outcome(reached: Reached) -> None:
    assert set(reached.outcomes) == set(Outcome) - {Outcome.NONE}, reached.outcomes


def test_both_markets_refuse_alike(reached: Reached) -> None:
    assert len(reached.refusals) >= 14, reached.refusals
    assert {"BadTerms", "CommitmentExists", "UnknownCommitment"} <= set(reached.refusals)


def test_both_markets_take_copies_before_and_after_the_original_and_open_only_the_original(reached: Reached) -> None:
    copied = [
        (bidders, reached.openings[each])
        for each, bidders in reached.bidders.items()
        if len(bidders) > 1 and each in reached.openings
    ]
    assert {bidders.index(opener) > 0 for bidders, opener in copied} == {True, False}
