"""The second half of a job, rule by rule: drawing, testing, disputes, appeals."""

import dataclasses

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
    ReportCommitted,
    ReportRevealed,
    RoundTallied,
    StateChanged,
    TestKeysDisclosed,
    XDisclosed,
)
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import NO_MODEL, NO_TEST, Wei
from tests.protocol.market_world import (
    BAD,
    GOOD,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    appealed,
    crowded,
    exam_keys,
    only,
    report_of,
    secret,
    started,
    states,
    train_keys,
    x_of,
    y_of,
)

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


def test_a_report_that_was_signed_before_a_disclosure_is_worth_nothing_after_it() -> None:
    world, job_id = started(State.VCOMMIT)
    validator = world.job(job_id).committee[0]
    old = world.sign_report(job_id, report_of(validator))
    world.advance(job_id, State.DISCLOSE)
    world.do(STRANGER, world.disclose_test(job_id))
    assert world.ask(STRANGER, calls.CommitReportBatch(job_id, (old,))) == refusals.NothingTaken(job_id)
    new = world.sign_report(job_id, report_of(validator))
    assert new.commitment == old.commitment
    said = world.do(STRANGER, calls.CommitReportBatch(job_id, (world.sealed_report(job_id, report_of(validator)),)))
    assert said == [ReportCommitted(job_id, 0, validator, new.commitment)]


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


def test_codes_split_evenly_are_no_free_way_out_and_may_be_appealed() -> None:
    world, job_id = crowded(State.VCOMMIT)
    said = world.report(job_id, (NO_TEST, NO_TEST, NO_MODEL, NO_MODEL, None))
    assert only(RoundTallied, said).verdict is Verdict.NO_MODEL
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
    assert world.ask(USER, dataclasses.replace(disclosure, keys=bytes(1089))) == refusals.BoxTooLarge(1089, 1088)
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
    world = World().found(VALIDATORS[:16])
    job_id = world.post()
    world.advance(job_id, State.TALLIED)
    leaving = next(number for number, seat in world.market.registry.seats.items() if seat.is_free)
    world.do(world.market.registry.seats[leaving].owner, calls.RequestUnstake(leaving))
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
