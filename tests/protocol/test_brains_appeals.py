"""Captured committees, wrong models and silence: who knows better appeals if that pays, and the honest lose nothing."""

import dataclasses
import random

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.codec import decode, encode
from morphware.protocol.effects import Effect
from morphware.protocol.events import Moment
from morphware.protocol.messages import ModelManifest
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Timestamp, Wei
from morphware.protocol.user import Submission
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import SUBMISSION, Faults
from tests.protocol.test_brains_hostile import loses, on_call, with_garbage_boxes

GOOD, BAD = 950_000, 100_000
MANY = 24
"""Validators enough for a committee of five and its appeal of eleven, and more than there are seats drawn."""


def captured(seed: int, *, truth_e6: int, lie_e6: int, liars: int = 3, faults: Faults | None = None) -> Marketplace:
    """A market whose first committee holds so many liars, who all report the same."""
    place = Marketplace(seed, validators=MANY, metric_e6=truth_e6, faults=faults).run_to(State.KEYING)
    place.own_metric_e6 = dict.fromkeys(place.committee[:liars], lie_e6)
    return place


def gains_of(place: Marketplace, names: list[str]) -> list[int]:
    return sorted(place.gains().get(name, 0) for name in names)


def names_in(place: Marketplace, round_number: int) -> list[str]:
    by_account = {node.account: name for name, node in place.nodes.items()}
    return [by_account[validator] for validator in place.view.rounds[round_number].validators]


# --- a captured committee -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_model_that_a_captured_committee_passed_is_appealed_and_rejected(seed: int) -> None:
    """The minority knows what it measured; PROTOCOL 5.3: -10, -15, -35 for each liar, +2 for all others."""
    place = captured(seed, truth_e6=BAD, lie_e6=GOOD)
    liars = list(place.own_metric_e6)
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.REJECTED, Verdict.FAIL)
    assert loses(place) == {"user": -10, "worker 0": -15}
    assert [len(each.validators) for each in place.view.rounds] == [5, 11]
    assert gains_of(place, liars) == [-35, -35, -35]
    honest = [name for number in (0, 1) for name in names_in(place, number) if name not in liars]
    assert gains_of(place, honest) == [2] * 13
    assert (place.burned, place.market.ledger.audit_pool()) == (104 - 21, 3 * 35 // 5)


@pytest.mark.parametrize("seed", range(2))
def test_a_good_model_that_a_captured_committee_failed_is_appealed_and_paid(seed: int) -> None:
    place = captured(seed, truth_e6=GOOD, lie_e6=BAD)
    liars = list(place.own_metric_e6)
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert gains_of(place, liars) == [-35, -35, -35]
    assert len(place.view.appeals) == 1, "whom two committees contradict believes them"


def test_a_minority_of_liars_is_slashed_without_any_appeal() -> None:
    place = captured(1, truth_e6=GOOD, lie_e6=BAD, liars=2)
    liars = list(place.own_metric_e6)
    place.faults.mute.update(dict.fromkeys(liars, frozenset({fx.Fund})))
    place.run()
    assert (place.outcome, len(place.view.rounds)) == (Outcome.PAID, 1)
    assert gains_of(place, liars) == [-35, -35]
    assert loses(place) == {"user": -46, "worker 0": 40}


def test_a_minority_that_is_honestly_wrong_appeals_once_and_pays_for_it() -> None:
    place = captured(1, truth_e6=GOOD, lie_e6=BAD, liars=2)
    wrong = list(place.own_metric_e6)
    place.run()
    assert (place.outcome, len(place.view.rounds)) == (Outcome.PAID, 2)
    assert gains_of(place, wrong) == [-57, -35]
    assert loses(place)["worker 0"] == 40


def test_an_honest_committee_is_never_appealed() -> None:
    for metric_e6 in (GOOD, BAD):
        place = Marketplace(3, validators=MANY, metric_e6=metric_e6).run()
        assert not [send for _, send, _ in place.sent if isinstance(send.call, calls.Appeal | calls.InspectAppeal)]
        assert not [effect for node in place.nodes.values() for effect in node.effects.values()
                    if isinstance(effect, fx.Fund)]  # fmt: skip


def test_a_minority_that_agrees_with_the_verdict_does_not_pay_a_bond_that_would_not_come_back() -> None:
    """Half of a seat and a fee are worth a bond of 22 that is lost, for 3 * 37 > 4 * 22, but none of 33."""
    place = captured(2, truth_e6=GOOD, lie_e6=GOOD + 10_000)
    place.run()
    assert place.outcome is Outcome.PAID
    assert len(place.view.appeals) == 1, "the saved stake alone is worth it here"
    dear = Marketplace(
        2,
        validators=MANY,
        metric_e6=GOOD,
        submission=_with_fee(3),
    ).run_to(State.KEYING)
    dear.own_metric_e6 = dict.fromkeys(dear.committee[:3], GOOD + 10_000)
    dear.run()
    assert (dear.outcome, dear.view.appeals) == (Outcome.PAID, [])


def test_a_validator_whose_test_broke_off_does_not_appeal() -> None:
    """It reported the worst metric for lack of a better one: that may be its own machine's fault."""
    place = captured(4, truth_e6=GOOD, lie_e6=GOOD)
    slow = place.committee[-1]
    place.faults.mute[slow] = frozenset({fx.Evaluate})
    place.run()
    assert (place.outcome, place.view.appeals) == (Outcome.PAID, [])
    assert place.gains()[slow] == -35


def test_an_account_without_the_bond_says_so_and_does_not_appeal() -> None:
    place = captured(5, truth_e6=BAD, lie_e6=GOOD)
    for name in place.committee:
        account = place.nodes[name].account
        free = place.market.ledger.free(account)
        result = place.market.execute(account, calls.Withdraw(Wei(free)), place.moment.timestamp, place.block)
        assert isinstance(result, list)
    place.faults.mute["user"] = frozenset({fx.Evaluate})
    place.run()
    assert (place.outcome, place.view.appeals) == (Outcome.PAID, [])
    assert any("lacks its bond" in place.nodes[name].brain.problem for name in place.committee)


# --- the end user's own look ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_wholly_captured_committee_is_found_out_by_the_end_user_when_it_opens_the_model(seed: int) -> None:
    """PROTOCOL 5.3: nobody in the committee objects, and the end user's own test does, before the price is paid."""
    place = captured(seed, truth_e6=BAD, lie_e6=GOOD, liars=5)
    liars = list(place.own_metric_e6)
    place.run()
    assert (place.is_over, place.outcome) == (True, Outcome.REJECTED)
    assert loses(place) == {"user": -10, "worker 0": -15}
    assert gains_of(place, liars) == [-35] * 5
    assert (place.burned, place.market.ledger.audit_pool()) == (178 - 35, 5 * 35 // 5)
    assert "InspectAppeal" in place.calls_of("user")
    assert place.view.y is not None


def test_an_end_user_whose_own_test_is_near_pays_at_once() -> None:
    place = Marketplace(3, validators=MANY)
    place.own_metric_e6 = {"user": GOOD - SUBMISSION.tolerance_e6}
    place.run()
    assert (place.outcome, place.view.appeals) == (Outcome.PAID, [])
    assert "evaluate" in place.nodes["user"].done


def test_a_test_that_ran_out_of_time_is_no_reason_to_appeal() -> None:
    place = Marketplace(3, validators=MANY)
    place.faults.mute["user"] = frozenset({fx.Evaluate})
    place.run()
    assert (place.outcome, place.view.appeals) == (Outcome.PAID, [])


def test_a_wrong_end_user_pays_for_the_round_that_proves_it_wrong() -> None:
    """PROTOCOL 5.3, frivolous INSPECT appeal: -72, and everybody who measured is paid."""
    place = Marketplace(3, validators=MANY)
    place.own_metric_e6 = {"user": BAD}
    place.run()
    assert (place.outcome, loses(place)) == (Outcome.PAID, {"user": -72, "worker 0": 40})
    assert gains_of(place, [*names_in(place, 0), *names_in(place, 1)]) == [2] * 16


# --- the winner's own look ------------------------------------------------------------------------------------------


def test_in_a_public_job_the_winner_tests_a_failed_model_itself_and_appeals() -> None:
    place = Marketplace(1, validators=MANY, metric_e6=GOOD, submission=_public()).run_to(State.KEYING)
    place.own_metric_e6 = dict.fromkeys(place.committee, BAD)
    place.run()
    assert (place.is_over, place.outcome) == (True, Outcome.PAID)
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert "Appeal" in place.calls_of("worker 0")


def test_a_winner_whose_own_test_agrees_accepts_the_rejection() -> None:
    place = Marketplace(1, validators=MANY, metric_e6=BAD, submission=_public()).run()
    assert (place.outcome, place.view.appeals) == (Outcome.REJECTED, [])
    assert "evaluate" in place.nodes["worker 0"].done


def test_a_winner_that_cannot_test_accepts_the_rejection() -> None:
    place = Marketplace(1, validators=MANY, metric_e6=GOOD).run_to(State.KEYING)
    place.own_metric_e6 = dict.fromkeys(place.committee, BAD)
    place.run()
    assert (place.outcome, place.view.appeals) == (Outcome.REJECTED, [])


# --- redraws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_silent_committee_is_drawn_anew_and_the_parties_hand_out_their_keys_again(seed: int) -> None:
    place = Marketplace(seed, validators=MANY).run_to(State.KEYING)
    silent = place.committee
    place.faults.mute.update(dict.fromkeys(silent, frozenset({fx.Send})))
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert [len(each.validators) for each in place.view.rounds] == [5, 5]
    assert place.view.rounds[1].test_boxes is not None
    assert place.view.rounds[1].model_boxes is not None
    assert (gains_of(place, silent), gains_of(place, names_in(place, 1))) == ([-14] * 5, [2] * 5)
    assert loses(place) == {"user": -50, "worker 0": 40}


@pytest.mark.parametrize(
    ("gone", "verdict", "outcome", "parties"),
    [
        ("user", Verdict.NO_TEST, Outcome.PAID, {"user": -90, "worker 0": 40}),
        ("worker 0", Verdict.NO_MODEL, Outcome.WORKER_FAULT, {"user": 25, "worker 0": -50}),
    ],
)
def test_a_party_that_is_gone_when_a_second_committee_needs_its_keys_is_at_fault(
    gone: str, verdict: Verdict, outcome: Outcome, parties: dict[str, int]
) -> None:
    place = Marketplace(2, validators=MANY).run_to(State.KEYING)
    silent = place.committee
    place.faults.mute.update(dict.fromkeys(silent, frozenset({fx.Send})))
    place.faults.vanish[gone] = State.DRAWING
    place.run()
    assert (place.is_over, place.outcome, place.market.jobs[place.job_id].verdict) == (True, outcome, verdict)
    assert loses(place) == parties
    assert gains_of(place, silent) == [-14] * 5
    assert gains_of(place, names_in(place, 1)) == [0] * 5


def test_validators_of_the_first_committee_answer_for_an_end_user_that_is_gone_at_the_appeal() -> None:
    """The first committee opened the keys: the second one gets them in clear, and the end user's job is saved."""
    place = captured(1, truth_e6=BAD, lie_e6=GOOD)
    place.faults.vanish["user"] = State.DRAWING
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.REJECTED, Verdict.FAIL)
    assert loses(place) == {"user": -10, "worker 0": -15}
    assert any("DiscloseTest" in place.calls_of(name) for name in names_in(place, 0))


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_crash_again_and_again_still_overturn_a_captured_committee(seed: int) -> None:
    place = captured(seed, truth_e6=BAD, lie_e6=GOOD, faults=Faults(crash=0.05))
    place.run()
    assert sum(node.life for node in place.nodes.values()) > 10, "they did crash"
    assert (place.is_over, place.outcome) == (True, Outcome.REJECTED)
    assert loses(place) == {"user": -10, "worker 0": -15}


def test_a_brain_reborn_before_each_event_changes_nothing_of_an_appeal() -> None:
    plain = captured(1, truth_e6=BAD, lie_e6=GOOD, liars=5).run()
    reborn = captured(1, truth_e6=BAD, lie_e6=GOOD, liars=5, faults=Faults(is_reborn_at_each_event=True)).run()
    assert reborn.history == plain.history


def test_no_order_of_disputes_and_appeals_makes_a_brain_raise() -> None:
    """Events of lives with every dispute, an appeal and a redraw in any order, each several times or never."""
    pool: list[ce.ChainEvent | ev.Event] = []
    places = [captured(3, truth_e6=BAD, lie_e6=GOOD, liars=liars, faults=_bad_keys()).run() for liars in (3, 5)]
    for place in places:
        pool += [event for _, event in place.history if not isinstance(event, ce.JobPosted)]
        for node in place.nodes.values():
            pool += [line.event for line in node.journal if not isinstance(line.event, ce.JobPosted)]
    kinds = {type(event) for event in pool}
    assert {ce.KeyDisclosed, ce.XDisclosed, ce.TestKeysDisclosed, ce.ModelKeysDisclosed, ce.Appealed} <= kinds
    [place, _] = places
    posted = next(event for _, event in place.history if isinstance(event, ce.JobPosted))
    chance = random.Random(7)
    for name in ("user", "worker 0", *names_in(place, 0)[:2], names_in(place, 1)[0]):
        for _ in range(40):
            brain = place.makers[name]()
            asked: set[str] = set()
            now = int(place.history[0][0])
            brain.handle(posted, Moment(Timestamp(now), 1))
            for event in chance.sample(pool, 60):
                now += chance.randrange(4)
                for effect in brain.handle(event, Moment(Timestamp(now), now), is_behind=chance.random() < 0.2):
                    assert effect.id not in asked
                    asked.add(effect.id)


def _bad_keys() -> Faults:
    def user(effect: Effect) -> Effect:
        return with_garbage_boxes(calls.PostTestKeys, 112)(on_call(calls.PostKeys, box=bytes(112))(effect))

    def worker(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.SubmitModel):
            spoiled = ModelManifest(file=decode(effect.call.model, ModelManifest).file, x_box=bytes(80))
            return fx.Send(effect.id, dataclasses.replace(effect.call, model=encode(spoiled)))
        return with_garbage_boxes(calls.PostModelKeys, 112)(effect)

    return Faults(alter={"user": user, "worker 0": worker})


def _with_fee(fee_wei: int) -> Submission:
    return dataclasses.replace(SUBMISSION, fee_wei=Wei(fee_wei))


def _public() -> Submission:
    return dataclasses.replace(SUBMISSION, privacy="public")
