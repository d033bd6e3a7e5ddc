"""Brains live through draws that wait for seats: they poke again and again, and a late committee gets its keys."""

from collections import Counter
from dataclasses import replace

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol.drawing import MOST_WAITS
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from tests.protocol.market_crowds import Crowd
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import SEAT_STAKE_WEI, TIMING, Faults
from tests.protocol.test_brains_appeals import BAD, GOOD, MANY, gains_of, names_in
from tests.protocol.test_brains_hostile import loses, with_garbage_boxes


def crowd_in(place: Marketplace) -> Crowd:
    """Two jobs of other people, which take seven seats each of the market's 24."""
    return Crowd(place.market, place.now, place.block, jobs=2, seats=7)


def waiting(seed: int, failed_draws: int, faults: Faults | None = None) -> tuple[Marketplace, Crowd]:
    """A job whose first committee could not be drawn so many times."""
    place = Marketplace(seed, validators=MANY, faults=faults)
    crowd = crowd_in(place)
    place.run_to(State.TRAINING)
    crowd.come()
    place.run_to(State.DRAWING)
    while place.view.failed_draws < failed_draws:
        place.step()
    return place, crowd


def hurried(place: Marketplace) -> Marketplace:
    """Waits begin with a second, so that all of them take 23 minutes."""
    place.market.parameters = Parameters(replace(TIMING, draw_s=1), SEAT_STAKE_WEI)
    return place


def entered(place: Marketplace) -> list[State]:
    return [event.state for _, event in place.history if isinstance(event, ce.StateChanged)]


def refused_pokes(place: Marketplace) -> Counter[str]:
    return Counter(
        type(result).__name__
        for _, send, result in place.sent
        if isinstance(send.call, calls.Poke) and not isinstance(result, list)
    )


# --- the first committee --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_first_committee_that_is_drawn_late_gets_its_keys_tests_and_is_paid(seed: int) -> None:
    place, crowd = waiting(seed, 4)
    assert place.view.rounds == []
    crowd.leave()
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    states = entered(place)
    start = states.index(State.DRAWING)
    assert states[start - 1 : start + 6] == [State.SEED, *[State.DRAWING] * 4, State.KEYING, State.VCOMMIT]
    [first] = place.view.rounds
    assert (first.number, len(first.validators)) == (0, 5)
    assert first.test_boxes is not None
    assert first.model_boxes is not None
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert gains_of(place, names_in(place, 0)) == [2] * 5
    assert not refused_pokes(place).keys() & {"TooEarly", "SeedBlockPending"}, "a poke is sent when it is due"


def test_each_wait_is_poked_for_once_and_for_all_of_them_somebody_pokes() -> None:
    place, crowd = waiting(5, 5)
    crowd.leave()
    place.run_to(State.KEYING)
    pokes = [
        (name, send.id) for name, send, _ in place.sent if isinstance(send.call, calls.Poke) and "DRAWING" in send.id
    ]
    assert len({effect_id for _, effect_id in pokes}) == 5
    assert len(set(pokes)) == len(pokes)


@pytest.mark.parametrize("gone", ["user", "worker 0"])
def test_whoever_is_gone_while_a_first_committee_waits_leaves_the_poke_to_the_other_and_is_at_fault(gone: str) -> None:
    place, crowd = waiting(2, 2, Faults(vanish={gone: State.DRAWING}))
    crowd.leave()
    place.run()
    outcome = {"user": Outcome.PAID, "worker 0": Outcome.WORKER_FAULT}[gone]
    assert (place.is_over, place.outcome) == (True, outcome)


def test_a_first_committee_that_never_comes_ends_the_job_and_costs_both_the_same() -> None:
    place = hurried(Marketplace(1, validators=MANY))
    crowd = crowd_in(place)
    place.run_to(State.TRAINING)
    crowd.come()
    place.run(horizon_s=4_000)
    assert (place.is_over, place.outcome, place.view.rounds) == (True, Outcome.MUTUAL_ABORT, [])
    assert entered(place).count(State.DRAWING) == MOST_WAITS + 1
    assert place.gains() == {"user": -12, "worker 0": -12}


@pytest.mark.parametrize("seed", range(3))
def test_nodes_that_crash_and_sleep_while_a_draw_waits_end_the_job_the_same(seed: int) -> None:
    place, crowd = waiting(seed, 3, Faults(crash=0.05, sleep=0.05))
    crowd.leave()
    place.run()
    assert sum(node.life for node in place.nodes.values()) > 10, "they did crash"
    assert (place.is_over, place.outcome) == (True, Outcome.PAID)
    assert loses(place) == {"user": -50, "worker 0": 40}


def test_a_brain_reborn_before_each_event_changes_nothing_of_a_wait() -> None:
    histories = []
    for faults in (Faults(), Faults(is_reborn_at_each_event=True)):
        place, crowd = waiting(4, 3, faults)
        crowd.leave()
        histories.append(place.run().history)
    assert histories[0] == histories[1]


# --- appeals --------------------------------------------------------------------------------------------------------


def test_an_end_user_whose_appeal_was_not_heard_doubts_the_finding_again_when_it_may() -> None:
    """A complaint made the model's key public: the end user appeals before the claim, and after it."""
    garbage = Faults(alter={"worker 0": with_garbage_boxes(calls.PostModelKeys, 112)})
    place = hurried(Marketplace(3, validators=MANY, metric_e6=BAD, faults=garbage))
    crowd = crowd_in(place)
    place.run_to(State.KEYING)
    place.own_metric_e6 = dict.fromkeys(place.committee, GOOD)
    place.run_to(State.TALLIED)
    crowd.come()
    while not place.view.unheard:
        place.step()
    assert (place.view.appeals, place.view.verdict) == ([], Verdict.PASS)
    assert place.calls_of("user").count("Appeal") == 1
    crowd.leave()
    place.run()
    assert (place.is_over, place.outcome) == (True, Outcome.REJECTED)
    assert place.calls_of("user").count("InspectAppeal") == 1
    assert loses(place) == {"user": -10 - 10, "worker 0": -15}, "five seats waited for the appeal that was not heard"


def test_a_validator_whose_appeal_was_not_heard_pays_for_what_waited_and_the_end_users_look_is_heard() -> None:
    place = hurried(Marketplace(1, validators=MANY, metric_e6=BAD))
    crowd = crowd_in(place)
    place.run_to(State.KEYING)
    place.own_metric_e6 = dict.fromkeys(place.committee[:3], GOOD)
    liars = list(place.own_metric_e6)
    place.run_to(State.TALLIED)
    crowd.come()
    while not place.view.unheard:
        place.step()
    [unheard] = place.view.unheard
    [appellant] = [name for name in names_in(place, 0) if place.nodes[name].account == unheard.appellant]
    crowd.leave()
    place.run()
    assert (place.is_over, place.outcome) == (True, Outcome.REJECTED)
    assert gains_of(place, liars) == [-35] * 3
    assert gains_of(place, [appellant]) == [2 - 10]
    assert [each.appellant for each in place.view.appeals] == [place.nodes["user"].account]
