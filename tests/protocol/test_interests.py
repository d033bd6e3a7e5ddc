"""An appeal is made iff it pays: the numbers of PROTOCOL.md 5.3, and each of them moved across the line."""

import dataclasses
from collections.abc import Sequence

import pytest

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Option, Terms
from morphware.protocol.interests import (
    NOTHING,
    Stake,
    appeal_bond_wei,
    appeal_seats,
    is_appeal_left,
    passes,
    pays,
    price_for,
    user_stake,
    validator_stake,
    winner_stake,
)
from morphware.protocol.states import State, Verdict
from morphware.protocol.units import BAD_MODEL, NO_MODEL, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView
from tests.protocol.market_world import terms_of

JOB = JobId(bytes(32))
USER, WINNER, MINE = (Address(bytes([number]) * 20) for number in (1, 2, 3))
STAKE = 70
TERMS = dataclasses.replace(
    terms_of(), reserve_wei=Wei(100), fee_wei=Wei(2), seats=5, threshold_e6=900_000, tolerance_e6=200
)
LINEAR = dataclasses.replace(TERMS, options=int(Option.LINEAR), baseline_e6=500_000)


def others(count: int, first: int = 10) -> tuple[Address, ...]:
    return tuple(Address(bytes([first + number]) * 20) for number in range(count))


def tallied(
    *findings: tuple[Verdict, int], mine_e6: int = 100_000, terms: Terms = TERMS, state: State = State.TALLIED
) -> JobView:
    """A job whose rounds found this by bare majorities; in the first of them this account reported its own metric."""
    view = JobView(JOB, USER, terms, b"", state, Timestamp(100))
    view.apply(ce.JobAwarded(JOB, WINNER, Wei(30), Wei(40), 0))
    size = 5
    for number, (verdict, metric_e6) in enumerate(findings):
        committee = others(size, 10 + 60 * number)
        if number == 0:
            committee = (MINE, *committee[1:])
        view.apply(ce.CommitteeDrawn(JOB, number, bytes(32), committee))
        if number == 0:
            view.apply(ce.ReportRevealed(JOB, 0, MINE, mine_e6, 5_000, bytes(32)))
        report(view, verdict, metric_e6, committee[1 : size // 2 + 2])
        size = 2 * size + 1
    return view


def report(view: JobView, verdict: Verdict, metric_e6: int, majority: Sequence[Address]) -> None:
    """These of the newest committee report what it finds, where that is a metric."""
    number = len(view.rounds) - 1
    for owner in majority if verdict in (Verdict.PASS, Verdict.FAIL) else ():
        view.apply(ce.ReportRevealed(JOB, number, owner, metric_e6, 5_000, bytes(32)))
    view.apply(ce.RoundTallied(JOB, number, verdict, metric_e6, 5_000))


# --- what it costs --------------------------------------------------------------------------------------------------


def test_an_appeal_costs_the_fees_of_twice_the_seats_and_one() -> None:
    view = tallied((Verdict.PASS, 950_000))
    assert (appeal_seats(view), appeal_bond_wei(view)) == (11, 22)
    view = tallied((Verdict.PASS, 950_000), (Verdict.FAIL, 1))
    assert (appeal_seats(view), appeal_bond_wei(view)) == (23, 46)


def test_a_random_audit_leaves_the_price_of_an_appeal_and_their_number_as_they_were() -> None:
    view = tallied((Verdict.PASS, 950_000))
    view.apply(ce.Audited(JOB, 3, Wei(6)))
    view.apply(ce.CommitteeDrawn(JOB, 1, bytes(32), others(3, 100)))
    view.apply(ce.RoundTallied(JOB, 1, Verdict.FAIL, 100_000, 5_000))
    assert (view.audit, len(view.validators)) == (ce.Audited(JOB, 3, Wei(6)), 3)
    assert (appeal_seats(view), appeal_bond_wei(view), is_appeal_left(view)) == (11, 22, True)
    view.apply(ce.Appealed(JOB, MINE, 11, Wei(22)))
    view.apply(ce.CommitteeDrawn(JOB, 2, bytes(32), others(11, 120)))
    assert (appeal_seats(view), appeal_bond_wei(view), is_appeal_left(view)) == (23, 46, True)


def test_a_validator_that_only_an_audit_contradicts_appeals_and_one_that_two_committees_do_does_not() -> None:
    view = tallied((Verdict.FAIL, 100_000))
    view.apply(ce.Audited(JOB, 3, Wei(6)))
    view.apply(ce.CommitteeDrawn(JOB, 1, bytes(32), others(3, 100)))
    report(view, Verdict.PASS, 950_000, others(2, 100))
    assert pays(validator_stake(view, MINE, STAKE), appeal_bond_wei(view))
    lazy = tallied((Verdict.PASS, 950_000), (Verdict.PASS, 950_000))
    assert validator_stake(lazy, MINE, STAKE) == NOTHING


def test_there_are_two_appeals_and_a_third_where_the_model_can_be_looked_at() -> None:
    view = tallied((Verdict.PASS, 950_000))
    for count in range(4):
        assert is_appeal_left(view) is (count < 2)
        view.appeals.append(ce.Appealed(JOB, MINE, 11, Wei(22)))
    view = tallied((Verdict.PASS, 950_000), state=State.INSPECT)
    view.appeals = [ce.Appealed(JOB, MINE, 11, Wei(22))] * 2
    assert is_appeal_left(view)
    view.state, view.y = State.TALLIED, bytes(32)
    assert is_appeal_left(view)
    view.appeals = view.appeals + view.appeals[:1]
    assert not is_appeal_left(view)


def test_no_committee_is_larger_than_forty_seven() -> None:
    terms = dataclasses.replace(TERMS, seats=11)
    view = tallied((Verdict.PASS, 1), terms=terms)
    view.rounds[0].committee = dataclasses.replace(view.rounds[0].committee, validators=others(23))
    assert is_appeal_left(view)
    view.rounds[0].committee = dataclasses.replace(view.rounds[0].committee, validators=others(25))
    assert not is_appeal_left(view)


@pytest.mark.parametrize(
    ("saved", "bond", "is_other_verdict", "expected"),
    [(37, 22, True, True), (8, 22, True, True), (7, 22, True, False), (37, 22, False, True), (29, 22, False, False),
     (30, 22, False, True), (0, 0, True, False), (0, 22, True, False), (1, 0, False, True)],
)  # fmt: skip
def test_an_appeal_pays_at_three_to_one(saved: int, bond: int, is_other_verdict: bool, expected: bool) -> None:
    assert pays(Stake(saved, is_other_verdict=is_other_verdict), bond) is expected


# --- what it saves --------------------------------------------------------------------------------------------------


def test_a_contradicted_validator_saves_half_of_its_seat_and_its_fee() -> None:
    assert validator_stake(tallied((Verdict.PASS, 950_000)), MINE, STAKE) == Stake(37, is_other_verdict=True)
    near = tallied((Verdict.PASS, 950_000), mine_e6=960_000)
    assert validator_stake(near, MINE, STAKE) == Stake(37, is_other_verdict=False)


@pytest.mark.parametrize(
    "view",
    [
        tallied((Verdict.PASS, 950_000), mine_e6=950_200),
        tallied((Verdict.NO_MODEL, 0)),
        tallied((Verdict.NONE, 0)),
        tallied((Verdict.PASS, 950_000), mine_e6=NO_MODEL),
        tallied((Verdict.PASS, 950_000), (Verdict.NO_TEST, 0)),
        tallied((Verdict.PASS, 950_000), (Verdict.PASS, 950_000)),
    ],
    ids=["near", "no model", "nothing found", "a code", "the newest measured nothing", "two committees say so"],
)
def test_a_validator_that_would_not_be_slashed_or_is_surely_wrong_has_nothing_to_save(view: JobView) -> None:
    assert validator_stake(view, MINE, STAKE) == NOTHING


def test_a_validator_whom_no_majority_contradicts_has_nothing_to_save() -> None:
    """A test that gives another number each time: the median is somebody's, and nobody else's."""
    view = tallied((Verdict.PASS, 950_000))
    first = next(iter(set(view.revealed) - {MINE}))
    view.revealed[first] = dataclasses.replace(view.revealed[first], fingerprint_e9=9_000)
    assert validator_stake(view, MINE, STAKE) == NOTHING


def test_a_validator_that_one_committee_confirmed_still_doubts_the_next() -> None:
    view = tallied((Verdict.FAIL, 100_000), (Verdict.PASS, 950_000))
    assert validator_stake(view, MINE, STAKE) == Stake(37, is_other_verdict=True)
    assert validator_stake(view, others(1, 14)[0], STAKE) == NOTHING, "it has shown no report"
    assert validator_stake(view, USER, STAKE) == NOTHING


def test_a_winner_saves_its_price_and_what_a_rejection_burns() -> None:
    view = tallied((Verdict.FAIL, 100_000))
    assert winner_stake(view, 950_000) == Stake(15 + 40, is_other_verdict=True)
    assert winner_stake(view, 899_999) == NOTHING
    assert winner_stake(tallied((Verdict.FAIL, 899_900)), 900_050) == NOTHING, "honest machines differ as much"
    assert winner_stake(tallied((Verdict.PASS, 950_000)), 990_000) == NOTHING
    assert winner_stake(tallied((Verdict.NO_MODEL, 0)), 990_000) == NOTHING


def test_an_end_user_saves_the_price_of_a_model_that_is_none() -> None:
    view = tallied((Verdict.PASS, 950_000), state=State.INSPECT)
    assert user_stake(view, 100_000) == Stake(40, is_other_verdict=True)
    assert user_stake(view, BAD_MODEL) == Stake(40, is_other_verdict=True)
    assert user_stake(view, 949_800) == NOTHING
    assert user_stake(view, 920_000) == Stake(0, is_other_verdict=False), "worse, and still worth its price"
    assert not pays(user_stake(view, 920_000), 22)
    assert user_stake(tallied((Verdict.FAIL, 100_000)), 100) == NOTHING


def test_only_in_inspect_does_the_end_user_doubt_two_committees() -> None:
    findings = (Verdict.PASS, 950_000), (Verdict.PASS, 950_000)
    assert user_stake(tallied(*findings, state=State.INSPECT), 100_000).saved_wei == 40
    assert user_stake(tallied(*findings), 100_000) == NOTHING


# --- linear pay -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric_e6", "price"),
    [(500_000, 0), (500_001, 0), (510_000, 1), (700_000, 20), (899_999, 39), (900_000, 40), (999_999, 40)],
)
def test_a_linear_job_pays_the_way_from_baseline_to_threshold(metric_e6: int, price: int) -> None:
    view = tallied((Verdict.PASS, 950_000), terms=LINEAR)
    assert price_for(view, metric_e6) == price
    assert passes(LINEAR, metric_e6) is (metric_e6 > 500_000)


def test_in_a_linear_job_the_end_user_saves_the_difference() -> None:
    view = tallied((Verdict.PASS, 950_000), terms=LINEAR, state=State.INSPECT)
    assert user_stake(view, 700_000) == Stake(20, is_other_verdict=False)
    assert not pays(user_stake(view, 700_000), 22), "the bond would not come back: the verdict stays PASS"
    assert user_stake(view, 400_000) == Stake(40, is_other_verdict=True)
