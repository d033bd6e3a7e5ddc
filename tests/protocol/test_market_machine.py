"""Whatever anybody does, in whatever order and at whatever instant, the market's invariants hold."""

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from morphware.protocol.chain_events import JobClosed, StateChanged
from morphware.protocol.job import LATER, TABLE
from morphware.protocol.states import Outcome, State
from tests.protocol import market_traces
from tests.protocol.market_invariants import Watch, horizon_s
from tests.protocol.market_world import World

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
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a trace takes minutes and rarely shortens it
)
TestMarketMachine = MarketMachine.TestCase


@pytest.fixture(scope="module")
def lives() -> tuple[Counter[State], Counter[Outcome]]:
    """Many random lives, each under watch: which states and outcomes they reached."""
    states: Counter[State] = Counter()
    outcomes: Counter[Outcome] = Counter()
    for seed in range(80):
        random = Random(seed)
        world = market_traces.found(random)
        Watch(world).attach()

        def count(_caller: object, _call: object, result: object) -> None:
            for event in result if isinstance(result, list) else ():
                if isinstance(event, StateChanged):
                    states[event.state] += 1
                elif isinstance(event, JobClosed):
                    outcomes[event.outcome] += 1

        world.observers.append(count)
        for _ in range(80):
            market_traces.step(world, random)
        market_traces.run_out(world)
    return states, outcomes


def test_random_lives_reach_every_state_of_the_table(lives: tuple[Counter[State], Counter[Outcome]]) -> None:
    reached = {row.state for row in TABLE} | {State.CLOSED}
    assert set(lives[0]) == reached
    assert reached | {row.state for row in LATER} | {State.NONE} == set(State)


def test_random_lives_reach_every_outcome(lives: tuple[Counter[State], Counter[Outcome]]) -> None:
    assert set(lives[1]) == set(Outcome) - {Outcome.NONE}
    assert min(lives[1].values()) >= 2, lives[1]


def test_a_job_is_closed_within_its_horizon_if_somebody_pokes_on_time() -> None:
    for seed in range(150):
        random = Random(seed)
        world = market_traces.found(random)
        market_traces.post(world, random)
        for job in world.market.jobs.values():
            while job.state is not State.CLOSED:
                market_traces.honest(world, random, job)
                if random.random() < 0.5 and world.now < job.deadline:
                    world.now = job.deadline - 1
            assert world.now <= job.posted_at + horizon_s(job) + 12, "one second of tardiness for each poke"
