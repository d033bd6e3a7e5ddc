"""Brains in a split job: everybody opens exactly the chunks that it is entitled to, whatever a party tries."""

import dataclasses

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol.chunks import chunk_name
from morphware.protocol.codec import decode, encode
from morphware.protocol.documents import chunks_of, read_spec
from morphware.protocol.messages import Chunks, JobSpec
from morphware.protocol.split import CHUNKS_MOST, TEST_CHUNKS_MOST
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.user import Submission, UserBrain
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import SUBMISSION, Faults
from tests.protocol.test_brains_disputes import BAD_BOX, BAD_MODEL_BOXES, BAD_TEST_BOXES, PAID, but
from tests.protocol.test_brains_hostile import loses

SPLIT = dataclasses.replace(SUBMISSION, chunks=5, test_chunks=2)
LARGEST = dataclasses.replace(SUBMISSION, chunks=CHUNKS_MOST, test_chunks=TEST_CHUNKS_MOST)


def split_of(place: Marketplace) -> tuple[set[str], set[str]]:
    """The names of the training and of the testing chunks, by the chain's word."""
    training, testing = (chunks_of(place.view, is_test=is_test) for is_test in (False, True))
    return {chunk_name(chunk) for chunk in training}, {chunk_name(chunk) for chunk in testing}


def chunks_opened(place: Marketplace, name: str) -> set[str]:
    return {opened for opened in place.opened.get(name, set()) if opened.startswith("chunk")}


@pytest.mark.parametrize("submission", [SPLIT, LARGEST], ids=["usual", "largest"])
def test_the_winner_opens_the_training_chunks_and_the_committee_the_others(submission: Submission) -> None:
    place = Marketplace(1, submission=submission).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    training, testing = split_of(place)
    assert len(training) + len(testing) == submission.chunks
    assert len(testing) == submission.test_chunks
    assert chunks_opened(place, "worker 0") == training
    drawn = [name for name in place.validators if place.opened.get(name)]
    assert len(drawn) == 5
    assert all(chunks_opened(place, name) == testing for name in drawn)
    assert not any(chunks_opened(place, name) for name in ("worker 1", "worker 2"))
    assert place.calls_of("user").count("DrawSplit") == 1


def test_the_end_user_tests_the_model_with_the_drawn_chunks_itself() -> None:
    place = Marketplace(1, submission=SPLIT, own_metric_e6={"user": 950_000}).run()
    wishes = place.nodes["user"].effects.values()
    [joined] = [effect for effect in wishes if isinstance(effect, fx.JoinChunks)]
    assert (joined.name, set(joined.chunks)) == ("test", split_of(place)[1])
    assert any(isinstance(effect, fx.Evaluate) for effect in wishes)


def test_brains_that_are_reborn_at_each_event_split_alike() -> None:
    place = Marketplace(1, submission=SPLIT, faults=Faults(is_reborn_at_each_event=True)).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)


@pytest.mark.parametrize("seed", range(5))
def test_crashes_sleep_and_lost_messages_do_not_keep_a_split_from_being_paid(seed: int) -> None:
    place = Marketplace(seed, submission=SPLIT, faults=Faults(crash=0.05, sleep=0.05, lose=0.1, duplicate=0.1)).run()
    assert (place.is_over, place.outcome) == (True, Outcome.PAID)


def test_the_winner_draws_the_split_that_its_end_user_does_not() -> None:
    place = Marketplace(1, submission=SPLIT, faults=Faults(alter={"user": but(lambda e: e, calls.DrawSplit)})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert place.calls_of("worker 0").count("DrawSplit") == 1


def test_an_end_user_that_waits_is_split_and_then_at_fault() -> None:
    faults = Faults(alter={"user": but(lambda effect: effect, calls.DrawSplit, calls.PostKeys)})
    place = Marketplace(1, submission=SPLIT, faults=faults).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.USER_FAULT, {"user": -50, "worker 0": 25})
    assert any(isinstance(event, ce.SplitDrawn) for _, event in place.history)


def test_a_winner_without_its_chunks_keys_gets_them_in_clear_and_no_testing_key() -> None:
    place = Marketplace(1, submission=SPLIT, faults=Faults(alter={"user": BAD_BOX})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert place.calls_of("worker 0").count("ComplainKey") == 1
    training, testing = split_of(place)
    assert chunks_opened(place, "worker 0") == training
    [disclosed] = [event.keys for _, event in place.history if isinstance(event, ce.KeyDisclosed)]
    user = place.nodes["user"].brain
    assert isinstance(user, UserBrain)
    for chunk, key in enumerate(user.keys.chunks):
        assert (key in disclosed) is (chunk_name(chunk) in training)
        assert (key in disclosed) is not (chunk_name(chunk) in testing)


def test_an_end_user_that_does_not_disclose_its_training_chunks_is_at_fault() -> None:
    faults = Faults(alter={"user": but(BAD_BOX, calls.DiscloseKey)})
    place = Marketplace(1, submission=SPLIT, faults=faults).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.USER_FAULT, {"user": -50, "worker 0": 25})


@pytest.mark.parametrize("boxes", [BAD_TEST_BOXES, BAD_MODEL_BOXES], ids=["test", "model"])
def test_a_committee_without_keys_gets_them_in_clear_and_tests(boxes: object) -> None:
    name = "user" if boxes is BAD_TEST_BOXES else "worker 0"
    place = Marketplace(1, submission=SPLIT, faults=Faults(alter={name: boxes})).run()  # type: ignore[dict-item]
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    testing = split_of(place)[1]
    assert all(chunks_opened(place, name) in (testing, set()) for name in place.validators)


def test_a_validator_discloses_the_testing_chunks_for_an_end_user_that_is_silent() -> None:
    """One box is good: its owner can answer for the end user, and everybody tests."""

    def alter(effect: fx.Effect) -> fx.Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.PostTestKeys):
            boxes = effect.call.boxes
            return fx.Send(effect.id, calls.PostTestKeys(effect.call.job_id, (boxes[0], *(bytes(112),) * 4)))
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.DiscloseTest):
            return fx.Send(effect.id, calls.Cancel(effect.call.job_id))
        return effect

    place = Marketplace(1, submission=SPLIT, faults=Faults(alter={"user": alter})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, PAID)
    assert any("DiscloseTest" in place.calls_of(name) for name in place.validators)


def test_a_winner_declines_chunks_that_the_right_keys_do_not_open() -> None:
    place = Marketplace(1, submission=SPLIT).run_to(State.AWARDED)
    place.sealed_with.clear()
    place.run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.MUTUAL_ABORT, {"user": -12, "worker 0": -12})


def test_testing_chunks_that_do_not_open_are_no_test_and_the_winner_is_paid() -> None:
    """The end user spoiled what it could not know to be tested: it pays for no test."""
    place = Marketplace(1, submission=SPLIT).run_to(State.TRAINING)
    testing = split_of(place)[1]
    place.sealed_with = {sha: what for sha, what in place.sealed_with.items() if what[0] not in testing}
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.NO_TEST)


def spoiled(change: object) -> type[UserBrain]:
    """An end user whose specification says something else than it commits to."""

    class Spoiler(UserBrain):
        def spec(self, bundles: object) -> JobSpec:
            spec = super().spec(bundles)  # type: ignore[arg-type]
            assert isinstance(spec.data, Chunks)
            return change(spec)  # type: ignore[operator, no-any-return]

    return Spoiler


def with_data(spec: JobSpec, **changes: object) -> JobSpec:
    values = {name: getattr(spec, name) for name in spec.__struct_fields__}
    data = {name: getattr(spec.data, name) for name in spec.data.__struct_fields__} | changes
    return JobSpec(**values | {"data": Chunks(**data)})


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: with_data(spec, test_chunks=1),
        lambda spec: with_data(spec, test_chunks=5),
        lambda spec: with_data(spec, leaves=spec.data.leaves[::-1]),
        lambda spec: with_data(spec, leaves=spec.data.leaves[:-1]),
        lambda spec: with_data(spec, files=spec.data.files[:-1]),
        lambda spec: with_data(spec, files=(*spec.data.files, spec.data.files[0])),
    ],
    ids=["fewer test", "all test", "other keys", "fewer keys", "fewer files", "more files"],
)
def test_nobody_bids_for_a_split_that_is_not_the_one_committed_to(change: object) -> None:
    place = Marketplace(1, submission=SPLIT, user=spoiled(change)).run()
    assert (place.is_over, place.outcome) == (True, Outcome.NO_BIDS)


def test_chunks_without_the_option_and_the_option_without_chunks_cannot_be_read() -> None:
    split, plain = Marketplace(1, submission=SPLIT).run_to(State.BIDDING), Marketplace(1).run_to(State.BIDDING)
    assert read_spec(split.view) is not None
    assert read_spec(plain.view) is not None
    split.view.spec, plain.view.spec = plain.view.spec, split.view.spec
    assert read_spec(split.view) is None
    assert read_spec(plain.view) is None


def test_a_specification_of_a_split_is_read_as_it_was_written() -> None:
    place = Marketplace(1, submission=LARGEST).run_to(State.BIDDING)
    spec = decode(place.view.spec, JobSpec)
    assert encode(spec) == place.view.spec
    assert isinstance(spec.data, Chunks)
    assert len(spec.data.files) == len(spec.data.leaves) == CHUNKS_MOST
