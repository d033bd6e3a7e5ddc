"""A key that does not open is demanded in clear: who answers loses nothing, who does not loses as the table says."""

import dataclasses
from collections import Counter

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol.codec import decode, encode
from morphware.protocol.effects import Effect
from morphware.protocol.messages import ModelManifest
from morphware.protocol.states import Outcome, State, Verdict
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, SUBMISSION, Faults, account_of
from tests.protocol.test_brains_hostile import Change, committed_to, loses, on_call, with_garbage_boxes

PAID = {"user": -50, "worker 0": 40}
FEES = [2, 2, 2, 2, 2]


def but(change: Change, *never: type) -> Change:
    """A node with a broken key that, besides, never makes these calls: what it sends instead is refused."""

    def alter(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, never) and not isinstance(effect.call, calls.Post):
            return fx.Send(effect.id, calls.Cancel(effect.call.job_id))
        return change(effect)

    return alter


def with_garbage_x(effect: Effect) -> Effect:
    """A winner whose manifest holds no x for the end user."""
    if isinstance(effect, fx.Send) and isinstance(effect.call, calls.SubmitModel):
        manifest = decode(effect.call.model, ModelManifest)
        spoiled = ModelManifest(file=manifest.file, x_box=bytes(80))
        return fx.Send(effect.id, dataclasses.replace(effect.call, model=encode(spoiled)))
    return effect


def validator_gains(place: Marketplace) -> list[int]:
    return sorted(gain for name, gain in place.gains().items() if name in place.validators)


BAD_BOX = on_call(calls.PostKeys, box=bytes(112))
BAD_TEST_BOXES = with_garbage_boxes(calls.PostTestKeys, 112)
BAD_MODEL_BOXES = with_garbage_boxes(calls.PostModelKeys, 112)


# --- the training key -----------------------------------------------------------------------------------------------


def test_an_end_user_that_does_not_disclose_its_training_keys_is_at_fault() -> None:
    place = Marketplace(1, faults=Faults(alter={"user": but(BAD_BOX, calls.DiscloseKey)})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.USER_FAULT, {"user": -50, "worker 0": 25})


def test_a_winner_complains_of_its_keys_once_and_declines_data_that_the_right_keys_do_not_open() -> None:
    place = Marketplace(1, faults=Faults(alter={"user": BAD_BOX})).run_to(State.KEY_DISPUTE)
    place.sealed_with.clear()
    place.run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.MUTUAL_ABORT, {"user": -12, "worker 0": -12})
    assert place.calls_of("worker 0").count("ComplainKey") == 1


# --- x --------------------------------------------------------------------------------------------------------------


def test_an_end_user_complains_of_a_bad_x_before_it_hands_out_keys_and_takes_the_disclosed_one() -> None:
    place = Marketplace(2, faults=Faults(alter={"worker 0": with_garbage_x})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    user = place.calls_of("user")
    assert user.index("ComplainX") < user.index("PostTestKeys")
    assert "model" in place.nodes["user"].done


def test_a_winner_that_does_not_disclose_x_is_at_fault() -> None:
    place = Marketplace(2, faults=Faults(alter={"worker 0": but(with_garbage_x, calls.DiscloseX)})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.WORKER_FAULT, {"user": 25, "worker 0": -50})
    assert validator_gains(place) == []


def test_an_end_user_whose_complaint_does_not_get_through_hands_out_its_keys_in_time() -> None:
    """Without them it would lose everything, and the model's key is demanded by validators as well."""
    faults = Faults(alter={"worker 0": with_garbage_x, "user": but(lambda effect: effect, calls.ComplainX)})
    place = Marketplace(2, faults=faults).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert "half of the model's key" in place.nodes["user"].brain.problem


# --- the committee's keys -------------------------------------------------------------------------------------------


def test_an_end_user_that_does_not_answer_the_committee_pays_for_it() -> None:
    place = Marketplace(3, faults=Faults(alter={"user": but(BAD_TEST_BOXES, calls.DiscloseTest)})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, {"user": -90, "worker 0": 40})
    assert (validator_gains(place), place.burned) == ([], 50)


def test_a_winner_that_does_not_answer_the_committee_is_at_fault() -> None:
    place = Marketplace(3, faults=Faults(alter={"worker 0": but(BAD_MODEL_BOXES, calls.DiscloseModel)})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.WORKER_FAULT, {"user": 25, "worker 0": -50})
    assert (validator_gains(place), place.burned) == ([], 25)


def test_both_sides_bad_keys_are_disclosed_one_after_the_other() -> None:
    faults = Faults(alter={"user": BAD_TEST_BOXES, "worker 0": BAD_MODEL_BOXES})
    place = Marketplace(4, faults=faults).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert (validator_gains(place), place.view.rounds[0].restarts) == (FEES, 2)


@pytest.mark.parametrize("relaying", [None, ALONE], ids=["together", "alone"])
@pytest.mark.parametrize("seed", range(3))
def test_one_bad_box_restarts_the_round_and_who_had_measured_commits_again(
    seed: int, relaying: frozenset[str] | None
) -> None:
    """A validator with a slow start complains when the others have committed: they commit to the same numbers."""

    def spoil_the_last(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.PostTestKeys):
            return fx.Send(effect.id, calls.PostTestKeys(effect.call.job_id, (*effect.call.boxes[:-1], bytes(112))))
        return effect

    faults = Faults(alter={"user": spoil_the_last})
    place = Marketplace(seed, faults=faults, relaying=relaying).run_to(State.KEYING)
    place.nodes[place.committee[-1]].asleep_until = place.now + 13
    place.run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert validator_gains(place) == FEES
    assert len(place.view.rounds) == 1
    committed = [event for _, event in place.history if isinstance(event, ce.ReportCommitted)]
    assert max(Counter(event.validator for event in committed).values()) == 2, "before the disclosure, and again"
    assert len({(event.validator, event.commitment) for event in committed}) == 5, "what was measured is the same"


def test_a_validator_that_could_open_its_box_answers_for_an_end_user_that_is_gone() -> None:
    """One bad box and a silent end user would be NO_TEST for all: any honest validator has the keys as well."""

    def spoil_the_first(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.PostTestKeys):
            return fx.Send(effect.id, calls.PostTestKeys(effect.call.job_id, (bytes(112), *effect.call.boxes[1:])))
        return effect

    place = Marketplace(5, faults=Faults(alter={"user": but(spoil_the_first, calls.DiscloseTest)})).run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert loses(place) == PAID
    assert any("DiscloseTest" in place.calls_of(name) for name in place.committee)


# --- public jobs ----------------------------------------------------------------------------------------------------


def test_in_a_public_job_nobody_needs_a_box_of_the_end_user() -> None:
    public = dataclasses.replace(SUBMISSION, privacy="public")
    garbage = with_garbage_boxes(calls.PostTestKeys, 0)

    def alter(effect: Effect) -> Effect:
        return garbage(on_call(calls.PostKeys, box=b"")(effect))

    place = Marketplace(6, submission=public, faults=Faults(alter={"user": alter})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    names = {type(send.call).__name__ for _, send, _ in place.sent}
    assert not {"ComplainKey", "ComplainKeys", "ComplainX"} & names


def test_nobody_bids_on_a_public_job_whose_keys_are_not_those_that_it_commits_to() -> None:
    """There is no complaint about keys that count as disclosed: the winner could only decline, and lose a little."""
    public = dataclasses.replace(SUBMISSION, privacy="public")
    place = Marketplace(6, submission=public, user=committed_to(bytes(32))).run()
    assert (place.is_over, place.outcome) == (True, Outcome.NO_BIDS)
    assert "public keys" in place.nodes["worker 0"].brain.stays_out_because  # type: ignore[attr-defined]


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_crash_again_and_again_settle_every_dispute(seed: int) -> None:
    def worker(effect: Effect) -> Effect:
        return BAD_MODEL_BOXES(with_garbage_x(effect))

    def user(effect: Effect) -> Effect:
        return BAD_TEST_BOXES(BAD_BOX(effect))

    faults = Faults(alter={"user": user, "worker 0": worker}, crash=0.08)
    place = Marketplace(seed, faults=faults).run()
    assert sum(node.life for node in place.nodes.values()) > 10, "they did crash"
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert account_of("worker 0") == place.view.winner
