"""The second half of a job, rule by rule: drawing, testing, disputes, appeals, and how a job is settled."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.calls import Option
from morphware.protocol.chain_events import (
    Appealed,
    CommitteeDrawn,
    JobClosed,
    KeyDisclosed,
    KeysComplained,
    ModelKeysDisclosed,
    ModelSubmitted,
    PokeRewarded,
    ReportCommitted,
    ReportRevealed,
    RoundTallied,
    SeatSettled,
    StateChanged,
    TestKeysDisclosed,
    XDisclosed,
)
from morphware.protocol.market import Market
from morphware.protocol.registry import STRIKE_WINDOW_S
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import NO_MODEL, NO_TEST, Address, JobId, Wei
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
    blockhash,
    exam_keys,
    report_of,
    secret,
    train_keys,
    x_of,
    y_of,
)


def started(until: State = State.BIDDING, **changes: int) -> tuple[World, JobId]:
    world = World().found()
    job_id = world.post("job", **changes)
    return world.advance(job_id, until), job_id


def crowded(until: State = State.BIDDING, **changes: int) -> tuple[World, JobId]:
    """A registry that is large enough for all appeals."""
    world = World().found(VALIDATORS)
    job_id = world.post("job", **changes)
    return world.advance(job_id, until), job_id


def states(events: Sequence[object]) -> list[State]:
    return [event.state for event in events if isinstance(event, StateChanged)]


Event = TypeVar("Event")


def only(kind: type[Event], events: object) -> Event:
    assert isinstance(events, list), events
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def appealed(world: World, job_id: JobId, metrics: Sequence[int | None]) -> None:
    """A stranger appeals, and the next committee reports."""
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, metrics)


# --- drawing -----------------------------------------------------------------------------------------------------


def test_the_committee_is_drawn_only_after_the_seed_block() -> None:
    world, job_id = started(State.TRAINING)
    submitted = only(ModelSubmitted, world.do(WORKERS[0], world.submission(job_id)))
    assert submitted.seed_block == world.block + TIMING.seed_blocks
    world.block = submitted.seed_block
    reveal = world.seed(job_id)
    assert world.ask(USER, reveal) == refusals.SeedBlockPending(submitted.seed_block, submitted.seed_block)
    for _ in range(2):  # a wrong seed is wrong before the block and after it
        for wrong in (
            dataclasses.replace(reveal, user_seed=secret("no")),
            dataclasses.replace(reveal, test_key_hash=secret("no")),
            dataclasses.replace(reveal, model=dataclasses.replace(reveal.model, y_hash=secret("no"))),
        ):
            assert isinstance(world.ask(USER, wrong), refusals.WrongPreimage)
        world.block += 1
    drawn = only(CommitteeDrawn, world.do(USER, reveal))
    assert len(set(drawn.validators)) == 5


def test_waiting_for_the_evm_to_forget_the_seed_block_offers_one_new_draw_in_256_blocks() -> None:
    seeds = set()
    for late in (1, 2, 256, 257, 300, 512, 513):
        world, job_id = started(State.TRAINING)
        world.do(WORKERS[0], world.submission(job_id))
        world.block = world.job(job_id).submitted.seed_block + late
        drawn = only(CommitteeDrawn, world.do(USER, world.seed(job_id)))
        seeds.add((-(-late // 256), drawn.seed))
    assert len(seeds) == 3


def test_a_draw_without_any_eligible_seat_is_inconclusive_at_once() -> None:
    world = World().found(validators=())
    world.do(USER, calls.Stake(11))
    world.wait(1)
    job_id = world.post()
    world.advance(job_id, State.SEED)
    world.wait(1, blocks=3)
    assert only(JobClosed, world.do(USER, world.seed(job_id))).outcome is Outcome.INCONCLUSIVE
    assert world.market.registry.free_seats == 11
    assert world.worth(USER) == world.worth(WORKERS[0]) == 10_000


def test_a_later_committee_is_drawn_by_a_block_that_comes_after_the_appeal() -> None:
    world, job_id = crowded(State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    job = world.job(job_id)
    assert (job.draw_block, job.deadline) == (world.block + TIMING.seed_blocks, world.now + TIMING.draw_s)
    world.now = job.deadline
    assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.SeedBlockPending(job.draw_block, world.block)
    world.block = job.draw_block
    assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.SeedBlockPending(job.draw_block, world.block)
    world.block += 1
    drawn = only(CommitteeDrawn, world.do(STRANGER, calls.Poke(job_id)))
    assert (drawn.round, len(drawn.validators)) == (1, 11)
    assert not set(drawn.validators) & set(job.rounds[0].validators), "I20"


def test_no_later_committee_leaves_the_verdict_standing() -> None:
    world, job_id = started(State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    for each in VALIDATORS[:20]:
        for number, seat in world.market.registry.seats.items():
            if seat.owner == each and seat.is_free:
                world.do(each, calls.RequestUnstake(number))
    assert states(world.poke(job_id)) == [State.CLAIMABLE]
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.worth(STRANGER) == 10_000 - 22


# --- testing -----------------------------------------------------------------------------------------------------


def test_boxes_come_once_and_one_for_each_seat() -> None:
    world, job_id = started(State.KEYING)
    boxes = world.boxes(job_id)
    assert world.ask(USER, calls.PostTestKeys(job_id, boxes[1:])) == refusals.WrongBoxCount(4, 5)
    world.do(USER, calls.PostTestKeys(job_id, boxes))
    assert world.ask(USER, calls.PostTestKeys(job_id, boxes)) == refusals.AlreadyDone(job_id, USER)
    assert world.job(job_id).state is State.KEYING
    world.do(WORKERS[0], calls.PostModelKeys(job_id, boxes))
    assert world.job(job_id).state is State.VCOMMIT


def test_only_a_later_committee_gets_its_boxes_while_it_tests() -> None:
    world, job_id = crowded(State.VCOMMIT)
    for caller, kind in ((USER, calls.PostTestKeys), (WORKERS[0], calls.PostModelKeys), (STRANGER, calls.PostTestKeys)):
        refused = world.ask(caller, kind(job_id, world.boxes(job_id)))
        assert refused == refusals.WrongState(job_id, State.VCOMMIT)
    world.advance(job_id, State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    for caller, kind in ((USER, calls.PostTestKeys), (WORKERS[0], calls.PostModelKeys)):
        assert world.ask(caller, kind(job_id, world.boxes(job_id)[1:])) == refusals.WrongBoxCount(10, 11)
        world.do(caller, kind(job_id, world.boxes(job_id)))
        again = world.ask(caller, kind(job_id, world.boxes(job_id)))
        assert again == refusals.AlreadyDone(job_id, caller)
    assert world.job(job_id).state is State.VCOMMIT


def test_only_drawn_validators_report_and_each_commits_once() -> None:
    world, job_id = started(State.VCOMMIT)
    drawn = world.job(job_id).committee
    for outsider in {STRANGER, USER, *WORKERS, *VALIDATORS} - set(drawn):
        report = calls.CommitReport(job_id, secret("c"))
        assert world.ask(outsider, report) == refusals.NotOnCommittee(outsider)
    assert world.ask(drawn[0], calls.CommitReport(job_id, bytes(32))) == refusals.BadTerms("commitment")
    world.commit_report(job_id, report_of(drawn[0]))
    assert world.commit_report(job_id, report_of(drawn[0], 1)) == refusals.AlreadyDone(job_id, drawn[0])


def test_anybody_may_bring_signed_reports_and_what_is_wrong_is_passed_over() -> None:
    world, job_id = started(State.VCOMMIT)
    drawn = world.job(job_id).committee
    signed = [world.sealed_report(job_id, report_of(each)) for each in drawn]
    outsider = world.sign_report(job_id, report_of(STRANGER))
    forged = dataclasses.replace(signed[0], validator=drawn[1])
    changed = dataclasses.replace(signed[2], commitment=bytes(32))
    useless = (outsider, forged, changed, dataclasses.replace(signed[3], signature=bytes(65)))
    said = world.do(STRANGER, calls.CommitReportBatch(job_id, (*useless, signed[0], signed[0])))
    assert said == [ReportCommitted(job_id, 0, drawn[0], signed[0].commitment)]
    for batch in ((), useless, (signed[0],)):
        assert world.ask(STRANGER, calls.CommitReportBatch(job_id, batch)) == refusals.NothingTaken(job_id)
    assert world.ask(STRANGER, calls.CommitReportBatch(job_id, (forged,) * 65)) == refusals.BoxTooLarge(65, 64)
    said = world.do(STRANGER, calls.CommitReportBatch(job_id, tuple(signed)))
    assert [type(event) for event in said] == [ReportCommitted] * 4 + [StateChanged]
    assert world.job(job_id).state is State.VREVEAL


def test_a_signed_report_of_one_round_is_worth_nothing_in_another() -> None:
    world, job_id = crowded(State.VCOMMIT)
    committee = world.job(job_id).committee
    old = world.sign_report(job_id, report_of(committee[0]))
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    assert world.job(job_id).round == 1
    validator = world.job(job_id).committee[0]
    moved = dataclasses.replace(old, validator=validator)
    assert world.ask(STRANGER, calls.CommitReportBatch(job_id, (old, moved))) == refusals.NothingTaken(job_id)


def test_a_report_is_opened_only_as_it_was_committed() -> None:
    world, job_id = started(State.VREVEAL)
    validator = world.job(job_id).committee[0]
    good = world.reports[job_id][0, validator]
    changed = dataclasses.replace(good, metric_e6=0)
    assert isinstance(world.ask(validator, calls.RevealReports(job_id, (changed,))), refusals.UnknownCommitment)
    [opened] = world.do(STRANGER, calls.RevealReports(job_id, (changed, good, good)))
    assert isinstance(opened, ReportRevealed)
    assert isinstance(world.ask(STRANGER, calls.RevealReports(job_id, (good,))), refusals.UnknownCommitment)
    assert world.ask(STRANGER, calls.RevealReports(job_id, ())) == refusals.UnknownCommitment(bytes(32))
    assert world.ask(STRANGER, calls.RevealReports(job_id, (good,) * 65)) == refusals.BoxTooLarge(65, 64)


def test_a_silent_committee_is_drawn_anew_once_and_a_round_without_a_finding_says_so() -> None:
    world, job_id = crowded(State.VCOMMIT)
    said = world.report(job_id, (GOOD, GOOD, None, None, None))
    assert only(RoundTallied, said) == RoundTallied(job_id, 0, Verdict.NONE, 0, 0)
    assert states(said) == [State.DRAWING]
    world.poke(job_id)
    assert (world.job(job_id).round, len(world.job(job_id).committee)) == (1, 5)
    said = world.report(job_id, (None,) * 5)
    assert only(RoundTallied, said) == RoundTallied(job_id, 1, Verdict.NONE, 0, 0)
    assert only(JobClosed, said).outcome is Outcome.INCONCLUSIVE


def test_split_codes_find_nothing_and_may_be_appealed() -> None:
    world, job_id = crowded(State.VCOMMIT)
    said = world.report(job_id, (NO_TEST, NO_TEST, NO_MODEL, NO_MODEL, None))
    assert only(RoundTallied, said).verdict is Verdict.NONE
    assert world.job(job_id).state is State.TALLIED
    appealed(world, job_id, (GOOD,) * 11)
    assert world.job(job_id).verdict is Verdict.PASS


# --- disputes ----------------------------------------------------------------------------------------------------


def test_a_winner_that_cannot_open_its_keys_gets_them_in_clear_and_all_its_time_again() -> None:
    world, job_id = started(State.KEY_DISPUTE)
    disclosure = world.disclose_key(job_id)
    assert world.ask(WORKERS[0], disclosure) == refusals.WrongCaller(WORKERS[0], USER)
    wrong = dataclasses.replace(disclosure, keys=exam_keys())
    assert isinstance(world.ask(USER, wrong), refusals.WrongPreimage)
    assert world.ask(USER, dataclasses.replace(disclosure, keys=bytes(65))) == refusals.BoxTooLarge(65, 64)
    said = world.do(USER, disclosure)
    assert said[0] == KeyDisclosed(job_id, train_keys())
    assert said[1:] == [StateChanged(job_id, State.KEYED, world.job(job_id).deadline)]
    assert world.job(job_id).deadline == world.now + TIMING.acknowledge_s


def test_an_end_user_that_cannot_open_x_gets_it_in_clear_before_it_hands_over_its_keys_or_never() -> None:
    world, job_id = started(State.KEYING)
    world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
    world.do(USER, calls.ComplainX(job_id))
    assert world.job(job_id).state is State.X_DISPUTE
    disclosure = world.disclose_x(job_id)
    assert isinstance(world.ask(WORKERS[0], dataclasses.replace(disclosure, x=y_of())), refusals.WrongPreimage)
    assert world.do(WORKERS[0], disclosure)[0] == XDisclosed(job_id, x_of())
    assert world.job(job_id).deadline == world.now + TIMING.keying_s
    assert world.ask(USER, calls.ComplainX(job_id)) == refusals.AlreadyDisclosed(job_id)
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    assert world.job(job_id).state is State.VCOMMIT, "the winner's boxes still count"
    world, job_id = started(State.KEYING)
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    assert world.ask(USER, calls.ComplainX(job_id)) == refusals.AlreadyDone(job_id, USER)


@pytest.mark.parametrize("against_user", [True, False])
def test_a_validator_forces_each_sides_keys_into_the_open_once_and_all_commit_anew(against_user: bool) -> None:
    world, job_id = started(State.VCOMMIT)
    committee = world.job(job_id).committee
    for each in committee[:4]:
        world.commit_report(job_id, report_of(each))
    complaint = calls.ComplainKeys(job_id, against_user)
    assert world.ask(STRANGER, complaint) == refusals.NotOnCommittee(STRANGER)
    said = world.do(committee[4], complaint)
    assert said[0] == KeysComplained(job_id, committee[4], against_user)
    right, other = world.disclose_test(job_id), world.disclose_model(job_id)
    wrong = dataclasses.replace(right, keys=train_keys())
    if not against_user:
        assert world.ask(STRANGER, right) == refusals.WrongAccused(job_id)
        assert isinstance(world.ask(STRANGER, dataclasses.replace(other, y=x_of())), refusals.WrongPreimage)
        assert world.do(STRANGER, other)[0] == ModelKeysDisclosed(job_id, x_of(), y_of())
        assert world.job(job_id).y is None, "no claim"
    else:
        assert world.ask(STRANGER, other) == refusals.WrongAccused(job_id)
        assert isinstance(world.ask(STRANGER, wrong), refusals.WrongPreimage)
        assert world.do(STRANGER, right)[0] == TestKeysDisclosed(job_id, exam_keys())
    assert world.job(job_id).deadline == world.now + world.job(job_id).terms.testing_s
    assert world.job(job_id).rounds[0].commitments == {}
    assert world.ask(committee[3], complaint) == refusals.AlreadyDisclosed(job_id)
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID


def test_nobody_complains_about_keys_that_are_public_from_the_start() -> None:
    world, job_id = started(State.KEYED, options=Option.PUBLIC)
    assert world.ask(WORKERS[0], calls.ComplainKey(job_id)) == refusals.AlreadyDisclosed(job_id)
    world.advance(job_id, State.VCOMMIT)
    validator = world.job(job_id).committee[0]
    assert world.ask(validator, calls.ComplainKeys(job_id, True)) == refusals.AlreadyDisclosed(job_id)
    world.do(validator, calls.ComplainKeys(job_id, False))
    assert world.job(job_id).state is State.DISCLOSE


# --- appeals -----------------------------------------------------------------------------------------------------


def test_an_appeal_costs_exactly_the_next_committees_fees() -> None:
    world, job_id = crowded(State.TALLIED)
    world.do(STRANGER, calls.Withdraw(Wei(world.free(STRANGER) - 21)))
    short = refusals.InsufficientBalance(STRANGER, Wei(21), Wei(22))
    assert world.ask(STRANGER, calls.Appeal(job_id)) == short
    world.do(STRANGER, calls.Deposit(Wei(1)))
    said = world.do(STRANGER, calls.Appeal(job_id))
    assert said[0] == Appealed(job_id, STRANGER, 11, Wei(22))
    assert states(said) == [State.DRAWING]
    assert world.free(STRANGER) == 0


def test_an_appeal_needs_as_many_free_seats_as_it_wants() -> None:
    world = World().found(VALIDATORS[:15])
    job_id = world.post()
    world.advance(job_id, State.TALLIED)
    assert world.ask(STRANGER, calls.Appeal(job_id)) == refusals.NotEnoughSeats(10, 11)
    world.do(VALIDATORS[0], calls.Stake(1))
    world.do(STRANGER, calls.Appeal(job_id))


def test_two_appeals_and_one_more_after_the_claim_and_none_beyond_47_seats() -> None:
    world, job_id = crowded(State.VCOMMIT)
    world.report(job_id, (GOOD,) * 5)
    appealed(world, job_id, (GOOD,) * 11)
    appealed(world, job_id, (GOOD,) * 23)
    assert world.ask(USER, calls.Appeal(job_id)) == refusals.NoAppealLeft(job_id)
    world.advance(job_id, State.INSPECT)
    assert world.ask(STRANGER, calls.InspectAppeal(job_id)) == refusals.WrongCaller(STRANGER, USER)
    world.do(USER, calls.InspectAppeal(job_id))
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 47)
    assert world.ask(USER, calls.Appeal(job_id)) == refusals.NoAppealLeft(job_id)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.worth(WORKERS[0]) == 10_040
    assert world.worth(STRANGER) == 10_000 - 2 * (11 + 23)


def test_a_first_committee_of_11_can_be_appealed_twice_but_not_thrice() -> None:
    world = World().found(VALIDATORS)
    job_id = world.post(seats=11)
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (GOOD,) * 11)
    appealed(world, job_id, (GOOD,) * 23)
    appealed(world, job_id, (GOOD,) * 47)
    world.advance(job_id, State.INSPECT)
    assert world.ask(USER, calls.InspectAppeal(job_id)) == refusals.NoAppealLeft(job_id)


def test_after_the_claim_a_tallied_round_may_be_appealed_by_anybody_while_one_is_left() -> None:
    world, job_id = crowded(State.INSPECT)
    world.do(USER, calls.InspectAppeal(job_id))
    world.poke(job_id)
    world.report(job_id, (BAD,) * 11)
    assert world.job(job_id).verdict is Verdict.FAIL
    appealed(world, job_id, (GOOD,) * 23)
    assert [each.verdict for each in world.job(job_id).appellants] == [Verdict.PASS, Verdict.FAIL]
    assert states(world.close(job_id))[-1] is State.CLOSED
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.worth(STRANGER) == 10_000, "right, so the bond comes back"


def test_who_was_right_gets_the_bond_back_and_who_was_wrong_does_not() -> None:
    world, job_id = crowded(State.VCOMMIT)
    world.report(job_id, (GOOD,) * 5)
    world.do(WORKERS[3], calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, (BAD,) * 11)
    appealed(world, job_id, (BAD,) * 23)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.REJECTED
    assert world.worth(WORKERS[3]) == 10_000
    assert world.worth(STRANGER) == 10_000 - 46


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
    for number in range(9):
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
    job_id = world.post(reserve_wei=1_000_000)
    world.advance(job_id, until, prices=(300_000, 400_000))
    said = world.poke(job_id)
    assert only(JobClosed, said).burned_wei == burned - reward
    assert world.free(STRANGER) == 10**8 + reward
    assert [event for event in said if isinstance(event, PokeRewarded)] == (
        [PokeRewarded(job_id, STRANGER, Wei(reward))] if reward else []
    )


def test_a_poke_is_paid_for_the_slashes_of_a_silent_committee() -> None:
    world = large()
    job_id = world.post(reserve_wei=1_000_000)
    world.advance(job_id, State.VCOMMIT, prices=(300_000, 400_000))
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    said = world.report(job_id, (None,) * 5)
    burns = 10 * 140_000 - 400_000
    reward = (burns - 250_000) // 1_000
    assert [type(event) for event in said[-3:]] == [PokeRewarded, StateChanged, JobClosed]
    assert only(PokeRewarded, said) == PokeRewarded(job_id, STRANGER, Wei(reward))
    assert only(JobClosed, said).burned_wei == burns - reward


def test_only_pokes_are_rewarded_and_an_award_burns_the_unopened() -> None:
    world = large()
    job_id = world.post(reserve_wei=1_000_000)
    world.advance(job_id, State.REVEALING, prices=(300_000, 400_000, 500_000))
    world.do(STRANGER, calls.RevealBids(job_id, (world.openings[job_id][0],)))
    said = world.poke(job_id)
    assert said[0] == PokeRewarded(job_id, STRANGER, Wei(1_000))
    assert world.market.ledger.burned_by(job_id) == 999_000


# --- seats -------------------------------------------------------------------------------------------------------


def test_a_leaving_seat_is_not_drawn_and_waits_for_its_stake() -> None:
    world = World().found(VALIDATORS[:12])
    seats = world.market.registry
    assert world.ask(STRANGER, calls.RequestUnstake(0)) == refusals.SeatNotYours(0, VALIDATORS[0])
    assert world.ask(STRANGER, calls.Unstake(99)) == refusals.SeatNotYours(99, type(STRANGER)(bytes(20)))
    assert world.ask(VALIDATORS[0], calls.Unstake(0)) == refusals.SeatNotLeaving(0)
    world.do(VALIDATORS[0], calls.RequestUnstake(0))
    assert seats.free_seats == 11
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
    world = World().found(VALIDATORS[:11])
    job_id = world.post()
    for late in VALIDATORS[11:60]:
        world.do(late, calls.Stake(1))
    world.advance(job_id, State.KEYING)
    assert set(world.job(job_id).committee) <= set(VALIDATORS[:11])


def test_a_claim_needs_the_preimage_and_anybody_may_relay_it() -> None:
    world, job_id = started(State.CLAIMABLE)
    claim = world.claim(job_id)
    for wrong in (dataclasses.replace(claim, y=secret("guess")), dataclasses.replace(claim, x_hash=secret("x"))):
        assert isinstance(world.ask(WORKERS[0], wrong), refusals.WrongPreimage)
    assert states(world.do(STRANGER, claim)) == [State.INSPECT]
    world.poke(job_id)
    assert world.worth(WORKERS[0]) == 10_040
