"""The eight defects that executing the design's table found (PROTOCOL.md 5.6): none of them comes back."""

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.chain_events import JobClosed
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import NO_MODEL, NO_TEST, JobId
from tests.protocol.market_world import BAD, GOOD, STRANGER, USER, VALIDATORS, WORKERS, World


def started(until: State) -> tuple[World, JobId]:
    world = World().found(VALIDATORS[:40])
    job_id = world.post()
    return world.advance(job_id, until), job_id


def appeal(world: World, job_id: JobId) -> None:
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)


def gains(world: World, job_id: JobId, number: int) -> list[int]:
    """What the validators of a round gained or lost."""
    return [world.worth(each) - 10_000 for each in world.job(job_id).rounds[number].validators]


def test_defect_1_a_second_complaint_about_a_disclosed_key_cannot_trap_the_user() -> None:
    world, job_id = started(State.KEY_DISPUTE)
    world.do(USER, world.disclose_key(job_id))
    assert world.ask(WORKERS[0], calls.ComplainKey(job_id)) == refusals.AlreadyDisclosed(job_id)
    world.poke(job_id)
    assert world.job(job_id).outcome is Outcome.MUTUAL_ABORT, "not the user's fault"


@pytest.mark.parametrize("against_user", [True, False])
def test_defect_2_an_appeal_cut_off_by_a_partys_default_makes_nobody_incoherent(against_user: bool) -> None:
    world, job_id = started(State.TALLIED)
    appeal(world, job_id)
    world.do(world.job(job_id).committee[0], calls.ComplainKeys(job_id, against_user))
    world.poke(job_id)
    if against_user:
        world.do(STRANGER, world.claim(job_id))
    assert world.job(job_id).outcome is (Outcome.PAID if against_user else Outcome.WORKER_FAULT)
    assert gains(world, job_id, 0) == [2] * 5
    assert gains(world, job_id, 1) == [0] * 11


@pytest.mark.parametrize("code", [NO_MODEL, NO_TEST])
def test_defect_3_a_majority_of_codes_never_slashes_those_who_measured(code: int) -> None:
    world, job_id = started(State.VCOMMIT)
    world.report(job_id, (code, code, code, GOOD, BAD))
    world.close(job_id)
    assert gains(world, job_id, 0) == [2] * 5
    world, job_id = started(State.TALLIED)
    appeal(world, job_id)
    world.report(job_id, (code,) * 6 + (GOOD,) * 4 + (BAD,))
    world.close(job_id)
    assert gains(world, job_id, 0) == [2] * 5
    assert gains(world, job_id, 1) == [2] * 10 + [0], "an outlier, but no round that measured was the last"


def test_defect_4_honest_validators_of_a_captured_round_are_not_slashed_when_its_appeal_finds_nothing() -> None:
    world, job_id = started(State.VCOMMIT)
    world.report(job_id, (BAD, BAD, BAD, GOOD, GOOD))
    appeal(world, job_id)
    world.report(job_id, (None,) * 11)
    world.poke(job_id)
    world.report(job_id, (None,) * 11)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.REJECTED
    assert gains(world, job_id, 0) == [2, 2, 2, 0, 0]
    assert gains(world, job_id, 1) == gains(world, job_id, 2) == [-14] * 11


@pytest.mark.parametrize(("metric", "outcome"), [(GOOD, Outcome.PAID), (BAD, Outcome.REJECTED)])
def test_defect_5_an_appeal_without_a_quorum_leaves_the_verdict_as_it_was(metric: int, outcome: Outcome) -> None:
    world, job_id = started(State.VCOMMIT)
    world.report(job_id, (metric,) * 5)
    appeal(world, job_id)
    for _ in range(2):
        world.report(job_id, (NO_TEST,) * 5 + (None,) * 6)
        if world.job(job_id).state is State.DRAWING:
            world.poke(job_id)
    assert world.job(job_id).verdict is (Verdict.PASS if metric == GOOD else Verdict.FAIL)
    if outcome is Outcome.PAID:
        world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is outcome


def test_defect_6_a_third_of_an_appeals_committee_cannot_keep_a_captured_verdict_alive() -> None:
    world, job_id = started(State.VCOMMIT)
    world.report(job_id, (GOOD, GOOD, GOOD, BAD, BAD))
    assert world.job(job_id).verdict is Verdict.PASS
    appeal(world, job_id)
    world.report(job_id, (BAD,) * 6 + (None,) * 5)
    world.poke(job_id)
    assert world.job(job_id).outcome is Outcome.REJECTED
    assert gains(world, job_id, 0) == [-35] * 3 + [2] * 2
    assert gains(world, job_id, 1) == [2] * 6 + [-14] * 5


@pytest.mark.parametrize("state", [State.KEYING, State.X_DISPUTE, State.DISCLOSE])
def test_defect_7_validators_of_a_round_that_a_party_cut_short_are_not_silent(state: State) -> None:
    world, job_id = started(state)
    if state is State.KEYING:
        world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
    world.poke(job_id)
    if world.job(job_id).state is State.CLAIMABLE:  # they are settled much later
        world.do(STRANGER, world.claim(job_id))
    assert world.job(job_id).state is State.CLOSED
    assert gains(world, job_id, 0) == [0] * 5
    assert world.market.registry.free_seats == 40


def test_defect_8_silence_of_both_parties_in_keying_is_not_a_free_way_out() -> None:
    world, job_id = started(State.KEYING)
    [closed] = [event for event in world.poke(job_id) if isinstance(event, JobClosed)]
    assert (closed.outcome, closed.burned_wei) == (Outcome.MUTUAL_ABORT, 24)
    assert world.worth(USER) == world.worth(WORKERS[0]) == 10_000 - 12
    assert gains(world, job_id, 0) == [0] * 5
