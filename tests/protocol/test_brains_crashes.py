"""A brain is a fold of its journal: killed at any event, it wants what it wanted, with the same secrets, once."""

import random

import pytest

from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.brain import RETRY_MOST_S, Brain
from morphware.protocol.calls import Poke
from morphware.protocol.events import Moment
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId, Timestamp, Wei
from morphware.protocol.worker import WorkerBrain
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, START_S, Faults, Node, account_of

PAID = {"user": -50, "worker 0": 40}


def party_gains(place: Marketplace) -> dict[str, int]:
    return {name: gain for name, gain in place.gains().items() if name not in place.validators}


def fold(node: Node, *, upto: int | None = None) -> tuple[Brain, list[fx.Effect]]:
    """The brain that a journal, or its beginning, makes, and all that it asked for."""
    brain, wanted = node.make(), list[fx.Effect]()
    for line in node.journal[:upto]:
        wanted += brain.handle(line.event, line.now, is_behind=line.is_behind)
    return brain, wanted


# --- crash and replay -----------------------------------------------------------------------------------------------


def test_a_brain_reborn_before_each_event_changes_nothing() -> None:
    """The harness rebuilds every brain before each of its events, and compares all that it ever wanted."""
    plain = Marketplace(5, costs=(30, 40), decoy_chance_256=128).run()
    faults = Faults(is_reborn_at_each_event=True)
    reborn = Marketplace(5, costs=(30, 40), decoy_chance_256=128, faults=faults).run()
    assert reborn.history == plain.history
    assert (reborn.outcome, reborn.gains()) == (plain.outcome, plain.gains())


@pytest.mark.parametrize("seed", range(6))
def test_nodes_that_crash_again_and_again_end_the_job_as_if_nothing_had_happened(seed: int) -> None:
    """Answers are lost, effects are asked but not performed, and performed again after the restart."""
    place = Marketplace(seed, decoy_chance_256=128, faults=Faults(crash=0.12)).run()
    assert sum(node.life for node in place.nodes.values()) > 10, "they did crash"
    assert (place.is_over, place.outcome, party_gains(place), place.burned) == (True, Outcome.PAID, PAID, 0)


@pytest.mark.parametrize("seed", range(6))
def test_nodes_that_miss_blocks_catch_up(seed: int) -> None:
    place = Marketplace(seed, decoy_chance_256=128, faults=Faults(sleep=0.06, crash=0.03, lose=0.2)).run()
    assert any(line.is_behind for node in place.nodes.values() for line in node.journal)
    assert (place.is_over, place.outcome, party_gains(place), place.burned) == (True, Outcome.PAID, PAID, 0)


def test_secrets_and_commitments_come_from_the_seed_alone() -> None:
    place = Marketplace(6, decoy_chance_256=256).run()
    for name in place.workers:
        node = place.nodes[name]
        for upto in range(1, len(node.journal)):
            brain, _ = fold(node, upto=upto)
            assert isinstance(brain, WorkerBrain)
            assert isinstance(node.brain, WorkerBrain)
            assert (brain.x, brain.y) == (node.brain.x, node.brain.y)
            assert brain.bids in ((), node.brain.bids)
    assert len({node.brain.secret("x") for node in place.nodes.values()}) == len(place.nodes)


def test_an_effect_s_id_names_one_effect() -> None:
    place = Marketplace(8, decoy_chance_256=256).run()
    for node in place.nodes.values():
        _, wanted = fold(node)
        assert {effect.id: effect for effect in wanted} == node.effects
        assert len(wanted) == len(node.effects)


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_waking_at_deadlines_is_as_good_as_waking_every_second(seed: int) -> None:
    """The harness, as the engine, wakes a brain at its deadline; told of every second, it wants nothing else."""
    vanish = {"user": State.SEED} if seed % 2 else {"worker 0": State.KEYED}
    lazy = Marketplace(seed, decoy_chance_256=128, faults=Faults(vanish=vanish, lose=0.5)).run()
    busy = Marketplace(seed, decoy_chance_256=128, faults=Faults(vanish=vanish, lose=0.5, is_every_second=True)).run()
    assert lazy.outcome is busy.outcome
    for name, node in lazy.nodes.items():
        journal = [line for line in node.journal if not isinstance(line.event, ev.TimePassed)]
        if node.is_dead or not journal:
            continue
        assert _asked_when(node, journal, every_second=False) == _asked_when(node, journal, every_second=True), name


def _asked_when(node: Node, journal: list, *, every_second: bool) -> list[tuple[str, int]]:  # type: ignore[type-arg]
    """When a brain asks for what, driven by its events and by the clock."""
    brain, asked = node.make(), list[tuple[str, int]]()
    block, second = journal[0].now.block, int(journal[0].now.timestamp)
    for line in journal:
        while second < line.now.timestamp - 1:
            second += 1
            block += 1
            if every_second or (brain.deadline is not None and brain.deadline <= second):
                wanted = brain.handle(ev.TimePassed(), Moment(Timestamp(second), block))
                asked += [(effect.id, second) for effect in wanted]
        second, block = int(line.now.timestamp), line.now.block
        wanted = brain.handle(line.event, line.now, is_behind=line.is_behind)
        asked += [(effect.id, second) for effect in wanted]
    return asked


def test_a_deadline_is_never_in_the_past_after_time_passed() -> None:
    place = Marketplace(9, decoy_chance_256=128).run()
    for node in place.nodes.values():
        for upto in range(1, len(node.journal) + 1, 5):
            brain, _ = fold(node, upto=upto)
            for later in (0, 1, 7, 100, 5_000):
                now = Moment(Timestamp(node.journal[upto - 1].now.timestamp + later), 9_999)
                brain.handle(ev.TimePassed(), now)
                assert brain.deadline is None or brain.deadline > now.timestamp


def test_a_brain_made_late_catches_up_and_acts_on_where_the_job_is() -> None:
    """Every event with ``is_behind`` and then one TimePassed: it does what is due now, and nothing of the past."""
    place = Marketplace(2, relaying=ALONE).run_to(State.REVEALING)
    late = place.makers["worker 0"]()
    for at, event in place.history:
        assert late.handle(event, Moment(Timestamp(at), 0), is_behind=True) == ()
        assert late.deadline is None
    assert late.handle(ev.Started(Wei(1000), is_busy=False), place.moment) == (), "bidding is over"
    place.run_to(State.TALLIED)
    drawn = place.committee[0]
    late = place.makers[drawn]()
    for at, event in place.history:
        late.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    assert late.handle(ev.TimePassed(), place.moment) == ()
    assert late.deadline is not None
    [poke] = late.handle(ev.TimePassed(), Moment(late.deadline, place.block + 50))
    assert isinstance(poke, fx.Send)
    assert isinstance(poke.call, Poke)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refused_poke_is_tried_again_for_as_long_as_it_is_wanted() -> None:
    """Somebody without gas money on Monday may have some on Tuesday; giving up would leave the job where it is."""
    place = Marketplace(1, faults=Faults(vanish={"worker 0": State.KEYED})).run_to(State.KEYED)
    brain, _ = fold(place.nodes["user"])
    now, seen = place.market.jobs[place.job_id].deadline, list[str]()
    for _ in range(20):
        wanted = brain.handle(ev.TimePassed(), Moment(Timestamp(now), place.block + 100))
        [poke] = [effect for effect in wanted if isinstance(effect, fx.Send)]
        assert poke.id not in seen
        seen.append(poke.id)
        brain.handle(ev.CallRefused(poke.id, "OutOfFunds", "no gas"), Moment(Timestamp(now), place.block + 100))
        assert brain.deadline is not None
        assert now < brain.deadline <= now + RETRY_MOST_S
        now = brain.deadline
    assert brain.problem == "no gas"


def test_an_old_refusal_told_again_changes_nothing() -> None:
    place = Marketplace(1).run_to(State.AWARDED)
    place.step()
    brain, _ = fold(place.nodes["user"])
    now = place.moment
    assert "keys" in place.nodes["user"].effects
    brain.handle(ev.CallRefused("keys", "OutOfFunds", "first"), now)
    deadline = brain.deadline
    brain.handle(ev.CallRefused("keys", "OutOfFunds", "told again"), now)
    brain.handle(ev.CallRefused("never asked", "OutOfFunds", "foreign"), now)
    assert (brain.problem, brain.deadline) == ("first", deadline)


def test_a_posting_that_exists_already_is_our_own() -> None:
    """After a crash the posting may be sent twice; the second is refused, and the first holds our money."""
    place = Marketplace(1)
    user = place.nodes["user"]
    while "post" not in user.effects:
        place.step()
    brain, _ = fold(user)
    assert brain.handle(ev.CallRefused("post", "JobExists", "exists"), place.moment) == ()
    assert brain.handle(ev.TimePassed(), Moment(Timestamp(place.now + 1000), place.block + 1000)) == ()


@pytest.mark.parametrize("error", ["BadTerms", "InsufficientBalance", "NotEnoughSeats", "BoxTooLarge"])
def test_a_posting_that_cannot_succeed_ends_the_job(error: str) -> None:
    place = Marketplace(1)
    while "post" not in place.nodes["user"].effects:
        place.step()
    brain, _ = fold(place.nodes["user"])
    assert brain.handle(ev.CallRefused("post", error, "no"), place.moment) == (fx.Finish("finish", "NOT_POSTED"),)


# --- determinism and foreign events ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_market() -> None:
    one, other = (Marketplace(11, decoy_chance_256=128, faults=Faults(crash=0.1, lose=0.2)).run() for _ in range(2))
    assert one.history == other.history
    assert [(name, send.id) for name, send, _ in one.sent] == [(name, send.id) for name, send, _ in other.sent]


def test_another_job_s_events_change_nothing() -> None:
    one, other = Marketplace(12).run(), Marketplace(13).run()
    assert one.job_id != other.job_id
    for node in one.nodes.values():
        brain, wanted = node.make(), list[fx.Effect]()
        chance = random.Random(1)
        for line in node.journal:
            for at, event in chance.sample(other.history, 3):
                moment = Moment(Timestamp(min(at, line.now.timestamp)), line.now.block)
                assert brain.handle(event, moment, is_behind=True) == ()
            wanted += brain.handle(line.event, line.now, is_behind=line.is_behind)
        assert {effect.id: effect for effect in wanted} == node.effects, node.name


def test_events_before_the_posting_change_nothing() -> None:
    place = Marketplace(1)
    job, now = JobId(bytes(32)), Moment(Timestamp(START_S), 1)
    for name in ("worker 0", "validator 0"):
        brain = place.makers[name]()
        for event in (
            ev.TimePassed(),
            ev.Started(Wei(1000), is_busy=False),
            ev.BundleFetched("model"),
            ev.TrainingEnded(""),
            ev.Evaluated(1, 1, bytes(32), ""),
            ev.CallRefused("ack", "WrongState", "no"),
            ce.StateChanged(job, State.KEYED, Timestamp(START_S + 10)),
            ce.JobAwarded(job, account_of(name), Wei(1), Wei(1), 0),
        ):
            assert brain.handle(event, now) == ()
        assert brain.view is None
        assert brain.deadline is None
