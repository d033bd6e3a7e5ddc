"""How a job is settled, seat by seat and party by party, and how seats come and go."""

import dataclasses
from collections import Counter

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.calls import Option
from morphware.protocol.chain_events import (
    JobClosed,
    PokeRewarded,
    SeatSettled,
    StateChanged,
)
from morphware.protocol.market import Market
from morphware.protocol.registry import STRIKE_WINDOW_S
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import NO_MODEL, NO_TEST, Address, Wei
from tests.protocol.market_world import (
    BAD,
    DOMAIN,
    GOOD,
    SEAT_STAKE_WEI,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    appealed,
    blockhash,
    crowded,
    only,
    secret,
    started,
    states,
)

# --- settlement --------------------------------------------------------------------------------------------------


def test_many_seats_are_settled_in_several_calls_and_the_parties_are_paid_with_the_last() -> None:
    world, job_id = crowded(State.VCOMMIT)
    world.report(job_id, (GOOD,) * 5)
    appealed(world, job_id, (GOOD,) * 11)
    appealed(world, job_id, (BAD,) * 23)
    first = world.poke(job_id)
    job = world.job(job_id)
    assert (job.state, job.outcome, job.deadline) == (State.TALLIED, Outcome.REJECTED, world.now)
    assert [type(event) for event in first] == [SeatSettled] * 24 + [StateChanged]
    assert first[-1] == StateChanged(job_id, State.TALLIED, job.deadline)
    assert world.ask(STRANGER, calls.Appeal(job_id)) == refusals.TooLate(job_id, job.deadline, job.deadline)
    assert world.worth(USER) == 10_000 - 160, "not yet"
    world.wait(1)
    last = world.do(STRANGER, calls.Poke(job_id))
    assert [type(event) for event in last] == [SeatSettled] * 15 + [StateChanged, JobClosed]
    everybody = [owner for each in job.rounds for owner in each.validators]
    assert [event.validator for event in (*first, *last) if isinstance(event, SeatSettled)] == everybody
    assert [world.worth(each) - 10_000 for each in everybody] == [-35] * 16 + [2] * 23
    assert (world.worth(USER), world.worth(WORKERS[0])) == (9_990, 9_985)
    assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.WrongState(job_id, State.CLOSED)


def test_fees_shrink_alike_where_a_redrawn_committee_is_not_paid_for() -> None:
    world, job_id = crowded(State.VCOMMIT, fee_wei=100)
    world.report(job_id, (GOOD, GOOD, None, None, None))
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 5)
    world.advance(job_id, State.CLOSED)
    paid = [world.worth(each) - 10_000 for each in VALIDATORS if world.worth(each) > 10_000]
    assert paid == [(5 * 100 + 3 * 14) // 7] * 7


def test_the_third_wrong_code_of_a_seat_within_thirty_days_is_slashed() -> None:
    world, strikes, slashed = World().found(VALIDATORS[:16]), Counter[Address](), Counter[Address]()
    successors = iter(VALIDATORS[16:])
    for number in range(9):
        while world.market.registry.free_seats < 16:
            world.do(next(successors), calls.Stake(1))
        world.wait(1)
        job_id = world.post(f"job {number}")
        world.advance(job_id, State.VCOMMIT)
        strikes.update(world.job(job_id).committee[3:])
        world.report(job_id, (GOOD, GOOD, GOOD, NO_MODEL, NO_TEST))
        world.advance(job_id, State.INSPECT)
        for event in world.poke(job_id):
            if isinstance(event, SeatSettled) and event.slash_wei:
                assert (event.slash_wei, event.fee_wei) == (7, 0)
                slashed[event.validator] += 1
    assert slashed == {each: 1 for each, count in strikes.items() if count >= 3}
    assert slashed, "the draws were kind to everybody: take more jobs"
    assert not [seat for seat, each in world.market.registry.strikes.items() if each.count > 2]


def test_strikes_are_forgotten_after_thirty_days() -> None:
    registry = World().found(VALIDATORS[:1]).market.registry
    first = registry.struck(0, World().now)  # type: ignore[arg-type]
    registry.strikes[0] = first
    within = first.first_at + STRIKE_WINDOW_S
    assert registry.struck(0, within).count == 2  # type: ignore[arg-type]
    assert registry.struck(0, within + 1).count == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("metric", "price", "outcome"), [
    (949_999, 39, Outcome.PAID), (950_000, 40, Outcome.PAID), (2**62, 40, Outcome.PAID),
    (800_001, 0, Outcome.PAID), (875_000, 20, Outcome.PAID), (800_000, 0, Outcome.REJECTED),
])  # fmt: skip
def test_a_linear_job_pays_for_what_was_reached(metric: int, price: int, outcome: Outcome) -> None:
    world, job_id = started(
        State.VCOMMIT, options=Option.LINEAR, baseline_e6=800_000, threshold_e6=950_000, tolerance_e6=0
    )
    world.report(job_id, (metric,) * 5)
    said = world.poke(job_id)
    if world.job(job_id).state is State.CLAIMABLE:
        world.advance(job_id, State.INSPECT)
        said = world.poke(job_id)
    assert only(JobClosed, said).price_wei == price
    assert world.job(job_id).outcome is outcome
    if outcome is Outcome.PAID:
        assert (world.worth(WORKERS[0]), world.worth(USER)) == (10_000 + price, 9_990 - price)


def test_a_linear_job_without_a_test_pays_all() -> None:
    world, job_id = started(State.SEED, options=Option.LINEAR, baseline_e6=0)
    world.poke(job_id)
    said = world.do(STRANGER, world.claim(job_id))
    assert only(JobClosed, said).price_wei == 40


def large() -> World:
    """Amounts of which a thousandth is something."""
    return World(Market(DOMAIN, Parameters(TIMING, Wei(700_000)), blockhash)).found()


@pytest.mark.parametrize(
    ("until", "burned", "reward"),
    [(State.AWARDED, 250_000, 0), (State.KEYED, 250_000, 0), (State.REVEALING, 1_000_000, 1_000)],
)
def test_a_poke_is_paid_out_of_what_burns_beyond_a_quarter_of_the_reserve(
    until: State, burned: int, reward: int
) -> None:
    world = large()
    job_id = world.post(reserve_wei=1_000_000, fee_wei=7_000)
    world.advance(job_id, until, prices=(300_000, 400_000))
    said = world.poke(job_id)
    assert only(JobClosed, said).burned_wei == burned - reward
    assert world.free(STRANGER) == 10**8 + reward
    assert [event for event in said if isinstance(event, PokeRewarded)] == (
        [PokeRewarded(job_id, STRANGER, Wei(reward))] if reward else []
    )


def test_a_poke_is_paid_for_the_slashes_of_a_silent_committee() -> None:
    world = large()
    job_id = world.post(reserve_wei=1_000_000, fee_wei=7_000)
    world.advance(job_id, State.VCOMMIT, prices=(300_000, 400_000))
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    said = world.report(job_id, (None,) * 5)
    slashes = 10 * 140_000
    burns = slashes - 400_000 - slashes // 5
    reward = (burns - 250_000) // 1_000
    assert [type(event) for event in said[-3:]] == [PokeRewarded, StateChanged, JobClosed]
    assert only(PokeRewarded, said) == PokeRewarded(job_id, STRANGER, Wei(reward))
    assert only(JobClosed, said).burned_wei == burns - reward


def test_only_pokes_are_rewarded_and_an_award_burns_the_unopened() -> None:
    world = large()
    job_id = world.post(reserve_wei=1_000_000, fee_wei=7_000)
    world.advance(job_id, State.REVEALING, prices=(300_000, 400_000, 500_000))
    world.do(STRANGER, calls.RevealBids(job_id, (world.openings[job_id][0],)))
    said = world.poke(job_id)
    assert said[0] == PokeRewarded(job_id, STRANGER, Wei(1_000))
    assert world.market.ledger.burned_by(job_id) == 999_000


# --- seats -------------------------------------------------------------------------------------------------------


def test_a_leaving_seat_is_not_drawn_and_waits_for_its_stake() -> None:
    world = World().found(VALIDATORS[:17])
    seats = world.market.registry
    assert world.ask(STRANGER, calls.RequestUnstake(0)) == refusals.SeatNotYours(0, VALIDATORS[0])
    assert world.ask(STRANGER, calls.Unstake(99)) == refusals.SeatNotYours(99, type(STRANGER)(bytes(20)))
    assert world.ask(VALIDATORS[0], calls.Unstake(0)) == refusals.SeatNotLeaving(0)
    world.do(VALIDATORS[0], calls.RequestUnstake(0))
    assert seats.free_seats == 16
    free_at = seats.seats[0].free_at
    assert world.ask(VALIDATORS[0], calls.RequestUnstake(0)) == refusals.SeatBonding(0, free_at)
    assert world.ask(VALIDATORS[0], calls.Unstake(0)) == refusals.SeatBonding(0, free_at)
    job_id = world.post()
    world.advance(job_id, State.KEYING)
    assert VALIDATORS[0] not in world.job(job_id).committee
    world.now = free_at
    world.do(VALIDATORS[0], calls.Unstake(0))
    assert (world.free(VALIDATORS[0]), 0 in seats.seats) == (10_000, False)


def test_a_busy_seat_leaves_when_its_job_lets_go_of_it() -> None:
    world, job_id = started(State.KEYING)
    seat, owner = next(iter(world.job(job_id).rounds[0].seats.items()))
    free_before = world.market.registry.free_seats
    world.do(owner, calls.RequestUnstake(seat))
    assert world.market.registry.free_seats == free_before
    world.now += TIMING.unbonding_s
    assert world.ask(owner, calls.Unstake(seat)) == refusals.SeatBusy(seat)
    world.do(STRANGER, calls.Poke(job_id))
    assert world.market.registry.free_seats == free_before + 4
    world.do(owner, calls.Unstake(seat))


def test_numbers_of_dissolved_seats_are_given_away_again_last_freed_first() -> None:
    world = World().found(VALIDATORS[:12])
    for seat in (3, 5):
        world.do(VALIDATORS[seat], calls.RequestUnstake(seat))
    world.wait(TIMING.unbonding_s)
    for seat in (3, 5):
        world.do(VALIDATORS[seat], calls.Unstake(seat))
    world.do(STRANGER, calls.Stake(3))
    numbers = [seat for seat, record in world.market.registry.seats.items() if record.owner == STRANGER]
    assert numbers == [5, 3, 12]
    assert world.worth(STRANGER) == 10_000
    assert world.free(STRANGER) == 10_000 - 3 * SEAT_STAKE_WEI


def test_a_seat_staked_at_the_posting_or_later_is_not_drawn() -> None:
    world = World().found(VALIDATORS[:16])
    job_id = world.post()
    for late in VALIDATORS[16:60]:
        world.do(late, calls.Stake(1))
    world.advance(job_id, State.KEYING)
    assert set(world.job(job_id).committee) <= set(VALIDATORS[:16])


def test_a_claim_needs_the_preimage_and_anybody_may_relay_it() -> None:
    world, job_id = started(State.CLAIMABLE)
    claim = world.claim(job_id)
    for wrong in (dataclasses.replace(claim, y=secret("guess")), dataclasses.replace(claim, x_hash=secret("x"))):
        assert isinstance(world.ask(WORKERS[0], wrong), refusals.WrongPreimage)
    assert states(world.do(STRANGER, claim)) == [State.INSPECT]
    world.poke(job_id)
    assert world.worth(WORKERS[0]) == 10_040
