"""Whatever a party, a peer or a document does to a brain, it declines, reports a code or goes on, and never raises."""

import dataclasses
import random
from collections.abc import Callable

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.brain import Identity
from morphware.protocol.codec import encode
from morphware.protocol.commitments import bid_commitment, job_id_of, keccak, report_commitment
from morphware.protocol.crypto import SEALED_OVERHEAD_BYTES, seal, seal_bid
from morphware.protocol.effects import Effect
from morphware.protocol.events import Moment
from morphware.protocol.messages import ModelManifest
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import BAD_MODEL, NO_MODEL, NO_TEST, Timestamp, Wei
from morphware.protocol.user import Submission, UserBrain
from morphware.protocol.view import opening_bytes
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, DOMAIN, TIMING, Faults, Node, account_of

Change = Callable[[Effect], Effect]


def on_call(kind: type, **changes: object) -> Change:
    """A node that changes one of its calls on the way to the chain."""

    def alter(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, kind):
            return fx.Send(effect.id, dataclasses.replace(effect.call, **changes))  # type: ignore[arg-type]
        return effect

    return alter


def with_garbage_boxes(kind: type[calls.PostTestKeys | calls.PostModelKeys], size: int) -> Change:
    def alter(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, kind):
            boxes = (bytes(size),) * len(effect.call.boxes)
            return fx.Send(effect.id, kind(effect.call.job_id, boxes))
        return effect

    return alter


def committed_to(train_key_hash: bytes) -> type[UserBrain]:
    """An end user that commits to other training keys than it has."""

    class OddUser(UserBrain):
        def __init__(self, identity: Identity, seed: bytes, submission: Submission) -> None:
            super().__init__(identity, seed, submission)
            terms = self.terms()
            hashes = terms.seed_hash, terms.train_key_hash, terms.test_key_hash
            self.job_id = job_id_of(identity.domain, identity.account, *hashes)

        def terms(self) -> calls.Terms:
            return dataclasses.replace(super().terms(), train_key_hash=train_key_hash)

    return OddUser


def loses(place: Marketplace) -> dict[str, int]:
    return {name: gain for name, gain in place.gains().items() if name not in place.validators}


BOX_SIZES = (0, 1, SEALED_OVERHEAD_BYTES, SEALED_OVERHEAD_BYTES + 64, 512)


# --- garbage in boxes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", BOX_SIZES)
def test_a_winner_complains_of_a_box_of_garbage_and_goes_on_with_the_disclosed_keys(size: int) -> None:
    place = Marketplace(1, faults=Faults(alter={"user": on_call(calls.PostKeys, box=bytes(size))})).run()
    assert (place.is_over, place.outcome, loses(place)) == (True, Outcome.PAID, {"user": -50, "worker 0": 40})
    assert place.calls_of("worker 0").count("ComplainKey") == 1
    assert place.calls_of("user").count("DiscloseKey") == 1


@pytest.mark.parametrize("size", BOX_SIZES)
def test_validators_complain_of_the_end_user_s_garbage_and_test_with_the_disclosed_keys(size: int) -> None:
    place = Marketplace(1, faults=Faults(alter={"user": with_garbage_boxes(calls.PostTestKeys, size)})).run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert place.calls_of("user").count("DiscloseTest") == 1


@pytest.mark.parametrize("size", BOX_SIZES)
def test_validators_complain_of_the_winner_s_garbage_and_test_with_the_disclosed_keys(size: int) -> None:
    place = Marketplace(1, faults=Faults(alter={"worker 0": with_garbage_boxes(calls.PostModelKeys, size)})).run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert place.calls_of("worker 0").count("DiscloseModel") == 1


@pytest.mark.parametrize("size", [0, 31, 63, 65])
def test_a_key_of_another_length_is_no_key_even_if_it_is_committed_to(size: int) -> None:
    keys = bytes(range(size))
    place = Marketplace(1, user=committed_to(keccak(keys)))
    receiver = place.encryption_keys[account_of("worker 0")]
    place.faults.alter["user"] = on_call(calls.PostKeys, box=seal(keys, receiver, bytes([7] * 32)))
    place.run()
    assert (place.outcome, loses(place)) == (Outcome.USER_FAULT, {"user": -50, "worker 0": 25})
    assert not [effect for effect in place.nodes["worker 0"].effects.values() if isinstance(effect, fx.FetchBundle)]


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), b"short", b""], ids=["zeros", "one", "short", "empty"])
def test_one_account_s_bad_public_key_harms_only_itself(key: bytes) -> None:
    """Zeros are a point of small order, for which libsodium refuses to seal: whoever published them gets no keys."""
    plain = Marketplace(1).run()
    place = Marketplace(1)
    place.encryption_keys[account_of(plain.committee[0])] = key
    place.run()
    assert place.outcome is Outcome.PAID
    place = Marketplace(1)
    place.encryption_keys[account_of("user")] = key
    assert place.run().outcome is Outcome.PAID
    assert place.nodes["user"].is_finished
    place = Marketplace(1)
    place.encryption_keys[account_of("worker 0")] = key
    assert place.run().outcome is Outcome.PAID
    assert "ComplainKey" in place.calls_of("worker 0")


def test_an_account_without_a_record_gets_an_empty_box_and_complains() -> None:
    place = Marketplace(1)
    del place.encryption_keys[account_of("worker 0")]
    assert place.run().outcome is Outcome.PAID
    assert "ComplainKey" in place.calls_of("worker 0")


# --- garbage in documents -------------------------------------------------------------------------------------------

BAD_FILE = SealedFile(magnet="javascript:alert(1)", size_bytes=2**62, sha256=bytes(32))
BAD_FILES = (BAD_FILE, SealedFile("", 2**63, bytes(32)), SealedFile("", 1, b""), SealedFile("m" * 2001, 1, bytes(32)))
DOCUMENTS = (b"", b"\xc0", b"\x93\x01\x02\x03", b"\xff" * 8000, bytes(200))


@pytest.mark.parametrize("spec", DOCUMENTS)
def test_nobody_bids_on_a_specification_that_does_not_decode(spec: bytes) -> None:
    place = Marketplace(1, faults=Faults(alter={"user": on_call(calls.Post, spec=spec)})).run()
    assert (place.is_over, place.outcome, place.gains()) == (True, Outcome.NO_BIDS, {})
    assert place.nodes["worker 0"].brain.stays_out_because == "the specification cannot be read"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "model",
    [*DOCUMENTS, *(encode(ModelManifest(file=file, x_box=bytes(80))) for file in BAD_FILES)],
    ids=range(len(DOCUMENTS) + len(BAD_FILES)),
)
def test_a_hostile_manifest_is_reported_as_no_model(model: bytes) -> None:
    place = Marketplace(1, faults=Faults(alter={"worker 0": on_call(calls.SubmitModel, model=model)})).run()
    assert (place.is_over, place.outcome) == (True, Outcome.WORKER_FAULT)
    assert place.view.verdict is Verdict.NO_MODEL


@pytest.mark.parametrize("model", DOCUMENTS[:3])
def test_an_end_user_that_pays_for_an_unreadable_manifest_still_finishes(model: bytes) -> None:
    """It hid its test, so nobody looked at the model: the price is paid, and there is nothing to wait for."""
    faults = Faults(alter={"worker 0": on_call(calls.SubmitModel, model=model)})
    place = Marketplace(1, faults=faults)
    place.faults.alter["user"] = on_call(calls.RevealSeed, user_seed=bytes(32))
    place.run()
    assert (place.is_over, place.outcome) == (True, Outcome.PAID)
    assert place.nodes["user"].summary == "PAID"


def test_a_box_for_the_end_user_with_another_half_is_named() -> None:
    place = Marketplace(1)

    def alter(effect: Effect) -> Effect:
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.SubmitModel):
            manifest = ModelManifest(
                file=BAD_FILE, x_box=seal(bytes(32), place.encryption_keys[account_of("user")], b"7" * 32)
            )
            return fx.Send(effect.id, dataclasses.replace(effect.call, model=encode(manifest)))
        return effect

    place.faults.alter = {"worker 0": alter, "user": on_call(calls.RevealSeed, user_seed=bytes(32))}
    place.run()
    assert place.nodes["user"].is_finished
    assert "the half of the model's key that was committed to" in place.nodes["user"].brain.problem


# --- files that cannot be had ---------------------------------------------------------------------------------------


def test_a_winner_that_has_half_of_the_files_declines_in_time_and_stays_declined() -> None:
    place = Marketplace(1).run_to(State.KEYED)
    brain = _copy(place.nodes["worker 0"])
    deadline = place.market.jobs[place.job_id].deadline
    brain.handle(ev.BundleFetched("code"), place.moment)
    assert brain.deadline is not None
    late = Moment(brain.deadline, place.block + 30)
    assert place.now < late.timestamp < deadline
    [decline] = brain.handle(ev.TimePassed(), late)
    assert isinstance(decline, fx.Send)
    assert isinstance(decline.call, calls.Decline)
    assert brain.handle(ev.BundleFetched("train"), late) == (), "no acceptance after a refusal"


def test_a_winner_that_has_all_files_accepts() -> None:
    mute: dict[str, frozenset[type]] = {"worker 0": frozenset({fx.FetchBundle})}
    place = Marketplace(1, faults=Faults(mute=mute)).run_to(State.KEYED)
    brain = _copy(place.nodes["worker 0"])
    brain.handle(ev.BundleFetched("train"), place.moment)
    [ack] = brain.handle(ev.BundleFetched("code"), place.moment)
    assert isinstance(ack, fx.Send)
    assert isinstance(ack.call, calls.Acknowledge)


def test_a_bad_bundle_is_declined_at_once() -> None:
    place = Marketplace(1).run_to(State.KEYED)
    brain = _copy(place.nodes["worker 0"])
    [decline] = brain.handle(ev.BundleFailed("train", "torn"), place.moment)
    assert isinstance(decline, fx.Send)
    assert isinstance(decline.call, calls.Decline)
    assert brain.problem == "torn"


def test_a_winner_without_its_journal_declines_what_it_could_not_hand_in() -> None:
    """The seed share of the winning bid is lost with the journal: accepting would lose the whole bond."""
    place = Marketplace(1).run_to(State.KEYED)
    brain = place.makers["worker 0"]()
    for at, event in place.history:
        brain.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    [decline] = brain.handle(ev.TimePassed(), place.moment)
    assert isinstance(decline, fx.Send)
    assert isinstance(decline.call, calls.Decline)


@pytest.mark.parametrize(
    ("fetched", "code"),
    [((), NO_TEST), (("code",), NO_TEST), (("test", "model"), NO_TEST), (("code", "test"), NO_MODEL)],
)
def test_a_validator_reports_what_is_missing_as_its_owner_s(fetched: tuple[str, ...], code: int) -> None:
    place, node = _testing()
    brain = _copy(node)
    for name in fetched:
        assert brain.handle(ev.BundleFetched(name), place.moment) == ()
    assert brain.deadline is not None
    [commit] = brain.handle(ev.TimePassed(), Moment(brain.deadline, place.block + 30))
    assert isinstance(commit, fx.Send)
    assert _reported(brain) == code
    assert isinstance(commit.call, calls.CommitReport)


@pytest.mark.parametrize(("name", "code"), [("code", NO_TEST), ("test", NO_TEST), ("model", NO_MODEL)])
def test_a_validator_reports_a_bad_bundle_as_its_owner_s(name: str, code: int) -> None:
    place, node = _testing()
    brain = _copy(node)
    [commit] = brain.handle(ev.BundleFailed(name, "torn"), place.moment)
    assert isinstance(commit, fx.Send)
    assert _reported(brain) == code


def test_an_evaluation_that_ends_after_the_commitment_does_not_change_the_report() -> None:
    """Else the report would not open its commitment, and an honest validator would be slashed as silent."""
    place, node = _testing()
    brain = _copy(node)
    for name in ("code", "test", "model"):
        brain.handle(ev.BundleFetched(name), place.moment)
    assert "evaluate" in brain._asked
    commit: tuple[Effect, ...] = ()
    while not commit:
        assert brain.deadline is not None
        commit = brain.handle(ev.TimePassed(), Moment(brain.deadline, place.block + 30))
    brain.handle(ev.Evaluated(950_000, 1, bytes(32), ""), place.moment)
    assert isinstance(commit[0], fx.Send)
    assert isinstance(commit[0].call, calls.CommitReport)
    assert brain.view is not None
    assert brain.report is not None
    assert report_commitment(DOMAIN, place.job_id, 0, brain.report) == commit[0].call.commitment


def test_a_model_that_hangs_the_test_does_not_get_its_worker_paid() -> None:
    """Were it reported as NO_TEST, the fault would be the end user's."""
    place = Marketplace(1)
    place.faults.mute = dict.fromkeys(place.validators, frozenset({fx.Evaluate}))
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.REJECTED, Verdict.FAIL)
    assert {report.metric_e6 for report in place.view.revealed.values()} == {BAD_MODEL}
    assert loses(place) == {"user": -10, "worker 0": -15}
    assert "did not end in time" in place.nodes[place.committee[0]].brain.problem


def test_a_validator_whose_commitment_came_too_late_reveals_nothing() -> None:
    place, node = _testing()
    name = node.name
    place.faults.mute[name] = frozenset({fx.Send})
    place.run()
    assert place.outcome is Outcome.PAID
    assert "report" not in node.effects


# --- anything at all ------------------------------------------------------------------------------------------------


def test_no_order_of_a_job_s_own_events_makes_a_brain_raise() -> None:
    """Far worse than any chain or peer can do: events of several jobs' lives in any order, each several times."""
    pool: list[ce.ChainEvent | ev.Event] = []
    place = Marketplace(3, decoy_chance_256=128).run()
    pool += [event for _, event in place.history]
    for node in place.nodes.values():
        pool += [line.event for line in node.journal if not isinstance(line.event, ce.JobPosted)]
    posted = next(event for _, event in place.history if isinstance(event, ce.JobPosted))
    chance = random.Random(5)
    for name in ("user", "worker 0", "worker 1", place.committee[0]):
        for _ in range(25):
            brain = place.makers[name]()
            asked: set[str] = set()
            now = int(place.history[0][0])
            brain.handle(posted, Moment(Timestamp(now), 1))
            for event in chance.sample(pool, 40):
                now += chance.randrange(4)
                for effect in brain.handle(event, Moment(Timestamp(now), now), is_behind=chance.random() < 0.2):
                    assert effect.id not in asked
                    asked.add(effect.id)


def _testing() -> tuple[Marketplace, Node]:
    """A market in VCOMMIT whose validators have fetched nothing, and one of them."""
    place = Marketplace(1)
    mute = frozenset({fx.FetchBundle})
    place.faults.mute = dict.fromkeys(place.validators, mute)
    place.run_to(State.VCOMMIT)
    place.faults.mute = {}
    return place, place.nodes[place.committee[0]]


def _copy(node: Node):  # type: ignore[no-untyped-def]
    brain = node.make()
    for line in node.journal:
        brain.handle(line.event, line.now, is_behind=line.is_behind)
    return brain


def _reported(brain) -> int:  # type: ignore[no-untyped-def]
    return int(brain.report.metric_e6)


# --- many bids ------------------------------------------------------------------------------------------------------


def test_a_flood_of_bids_is_opened_in_calls_that_fit_a_block() -> None:
    """Somebody pays the bonds of 250 decoys: the honest bids among them are opened all the same."""
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    user = place.makers["user"]()
    for at, event in place.history:
        user.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    flooder = account_of("flooder")
    for number in range(250):
        opening = calls.Opening(flooder, Wei(1 + number), False, 1, keccak(b"%d" % number))
        commitment = bid_commitment(DOMAIN, place.job_id, opening)
        sealed = seal_bid(opening_bytes(opening), bytes(32), bytes(24), place.job_id + commitment)
        user.handle(ce.BidCommitted(place.job_id, flooder, commitment, number + 3), place.moment, is_behind=True)
        user.handle(ev.BidHeard(flooder, commitment, bytes(24), sealed), place.moment, is_behind=True)
        user.handle(ev.BidKeyHeard(flooder, commitment, bytes(32)), place.moment, is_behind=True)
    later = Moment(Timestamp(place.view.deadline - TIMING.revealing_s // 2), place.block + 9)
    effects = [effect for effect in user.handle(ev.TimePassed(), later) if isinstance(effect, fx.Send)]
    openings = [effect.call.openings for effect in effects if isinstance(effect.call, calls.RevealBids)]
    assert [len(each) for each in openings] == [64, 64, 64, 58]
    assert len(set().union(*openings)) == 250
    assert len({effect.id for effect in effects}) == 4


def test_bids_that_nobody_committed_to_do_not_crowd_out_those_on_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morphware.protocol.user.SEALED_BIDS_MOST", 5)
    place = Marketplace(1).run_to(State.BIDDING)
    for number in range(5):
        place._handle(
            place.nodes["user"], ev.BidHeard(account_of("spammer"), keccak(b"%d" % number), bytes(24), bytes(144))
        )
    place.run()
    assert place.outcome is Outcome.PAID
    assert "RevealBids" in place.calls_of("user")
