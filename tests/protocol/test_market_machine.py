"""Whatever anybody does, in whatever order and at whatever instant, the market's invariants hold."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from morphware.protocol.calls import Call, Option
from morphware.protocol.chain_events import JobClosed, NodePublished, SeatSettled, StateChanged
from morphware.protocol.job import TABLE, Job
from morphware.protocol.market import Market
from morphware.protocol.settlement import SWEEP
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address
from tests.protocol import market_traces
from tests.protocol.market_coverage import SCARCITY, scarcity
from tests.protocol.market_invariants import Watch, horizon_s
from tests.protocol.market_scenarios import SCENARIOS
from tests.protocol.market_world import World

LIVES = 250
RANDOM = st.randoms(use_true_random=False)


class MarketMachine(RuleBasedStateMachine):
    """Hypothesis chooses who does what; ``Watch`` checks the invariants after every call."""

    world: World

    @initialize(random=RANDOM)
    def found(self, random: Random) -> None:
        self.world = market_traces.found(random)
        Watch(self.world).attach()
        market_traces.post(self.world, random)

    @rule(random=RANDOM)
    def live(self, random: Random) -> None:
        market_traces.step(self.world, random)

    @rule(random=RANDOM)
    def attack(self, random: Random) -> None:
        if self.world.market.jobs:
            market_traces.hostile(self.world, random)

    @rule(random=RANDOM)
    def post(self, random: Random) -> None:
        if len(self.world.market.jobs) < market_traces.MOST_JOBS:
            market_traces.post(self.world, random)

    def teardown(self) -> None:
        """I6: from wherever the trace stopped, time and pokes alone close every job."""
        market_traces.run_out(self.world)


MarketMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("MORPHWARE_MACHINE_EXAMPLES", "50")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a trace takes minutes and rarely shortens it
)
TestMarketMachine = MarketMachine.TestCase


@dataclass
class Lives:
    """How far many random lives got, each under watch."""

    states: Counter[State] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    calls: set[type] = field(default_factory=set)
    happened: Counter[str] = field(default_factory=Counter)

    def count(self, market: Market, _caller: Address, call: Call, result: object) -> None:
        if not isinstance(result, list):
            return
        self.calls.add(type(call))
        self.happened.update(scarcity(market, call, result))
        for event in result:
            self.happened[type(event).__name__] += 1
            if not isinstance(event, NodePublished) and market.jobs[event.job_id].is_split:
                self.happened[f"{type(event).__name__} of a split job"] += 1
            match event:
                case StateChanged():
                    self.states[event.state] += 1
                case SeatSettled() if event.slash_wei:
                    self.happened[f"slash of {event.slash_wei}"] += 1
                case JobClosed():
                    self.closed(market.jobs[event.job_id], event)
                case _:
                    pass

    def closed(self, job: Job, event: JobClosed) -> None:
        self.outcomes[event.outcome] += 1
        self.happened[f"{job.appeals_made} appeals"] += 1
        self.happened["audited and appealed"] += job.is_audited and job.appeals_made > 0
        self.happened[f"{job.redraws} redraws"] += 1
        self.happened["sweep"] += sum(len(each.seats) for each in job.rounds) > SWEEP
        self.happened["public"] += bool(job.terms.options & Option.PUBLIC)
        self.happened["paid in part"] += event.outcome is Outcome.PAID and event.price_wei < job.price_wei
        self.happened[f"verdict {job.verdict.name}"] += 1


@pytest.fixture(scope="module")
def lives() -> Lives:
    lives = Lives()
    for seed in range(LIVES):
        random = Random(seed)
        world = market_traces.found(random)
        Watch(world).attach()
        world.observers.append(partial(lives.count, world.market))
        for _ in range(80):
            market_traces.step(world, random)
        market_traces.run_out(world)
    return lives


def test_random_lives_reach_every_state_and_every_row_of_the_table(lives: Lives) -> None:
    assert set(lives.states) == set(State) - {State.NONE}
    assert lives.calls >= {row.call for row in TABLE}


def test_random_lives_reach_every_outcome(lives: Lives) -> None:
    assert set(lives.outcomes) == set(Outcome) - {Outcome.NONE}
    assert min(lives.outcomes.values()) >= 2, lives.outcomes


def test_random_lives_reach_what_is_rare(lives: Lives) -> None:
    """Third appeals, redraws, long settlements, partial pay, public keys, all slashes, and all verdicts."""
    wanted = {
        "Audited",
        "audited and appealed",
        "1 appeals",
        "2 appeals",
        "3 appeals",
        "1 redraws",
        "sweep",
        "public",
        "paid in part",
    }
    wanted |= {f"{each} of a split job" for each in ("KeyDisclosed", "TestKeysDisclosed")}
    wanted |= {f"verdict {verdict.name}" for verdict in Verdict}
    wanted |= {f"slash of {slash}" for slash in (35, 14)}
    assert {each for each in wanted if not lives.happened[each]} == set(), lives.happened


def test_random_lives_reach_what_becomes_of_draws_while_seats_are_scarce(lives: Lives) -> None:
    """The scripts below reach the rest."""
    rare = {
        "a first committee is given up at once",
        "an unlucky draw finds a committee",
        "an audit is not heard",
        "an appeal after the claim is not heard",
        "an appeal is not heard, and keeps nothing back",
    }
    assert {each for each in SCARCITY - rare if not lives.happened[each]} == set(), lives.happened


def test_scripted_lives_reach_all_that_becomes_of_draws_while_seats_are_scarce() -> None:
    happened = Counter[str]()
    for scenario in SCENARIOS:
        world = World()

        def count(_caller: Address, call: Call, result: object, market: Market = world.market) -> None:
            if isinstance(result, list):
                happened.update(scarcity(market, call, result))

        world.observers.append(count)
        scenario(world)
        market_traces.run_out(world)
    assert {each for each in SCARCITY if not happened[each]} == set(), happened


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scripted_lives_keep_the_invariants(scenario: Callable[[World], None]) -> None:
    world = World()
    Watch(world).attach()
    scenario(world)
    market_traces.run_out(world)


def test_a_job_is_closed_within_its_horizon_if_somebody_pokes_on_time() -> None:
    for seed in range(150):
        random = Random(seed)
        world = market_traces.found(random)
        market_traces.post(world, random)
        for job in world.market.jobs.values():
            pokes = 0
            while job.state is not State.CLOSED:
                market_traces.honest(world, random, job)
                if random.random() < 0.5 and world.now < job.deadline:
                    world.now = job.deadline - 1
                pokes += 1
            assert world.now <= job.posted_at + horizon_s(job) + pokes, "one second of tardiness for each call"
