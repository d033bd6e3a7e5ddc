"""The rules of disputes: who is entitled to a key and cannot open it may force its publication.

The one who complains could have leaked the key anyway, so that nothing is lost by publishing it; and whoever does not
answer is at fault, provably.  Each key can be asked for once: what is public needs no second complaint, and a complaint
about it could not be answered.
"""

from morphware.protocol.calls import ComplainKeys, DiscloseKey, DiscloseModel, DiscloseTest, DiscloseX, ModelRoot
from morphware.protocol.chain_events import (
    JobEvent,
    KeyDisclosed,
    KeysComplained,
    ModelKeysDisclosed,
    TestKeysDisclosed,
    XDisclosed,
)
from morphware.protocol.commitments import key_hash, model_root
from morphware.protocol.job import Party
from morphware.protocol.refusals import (
    AlreadyDisclosed,
    AlreadyDone,
    BoxTooLarge,
    NotOnCommittee,
    Refusal,
    WrongAccused,
    WrongPreimage,
)
from morphware.protocol.resolution import settle_on
from morphware.protocol.split import hashes_shown
from morphware.protocol.states import State, Verdict
from morphware.protocol.training import KEYS_MOST_BYTES
from morphware.protocol.turn import Result, Turn


def complain_key(turn: Turn) -> Result:
    """The winner could not open its keys, or the data with them."""
    if turn.job.is_train_key_public:
        return AlreadyDisclosed(turn.job.job_id)
    return [turn.enter(State.KEY_DISPUTE, turn.timing.dispute_s)]


def disclose_key(turn: Turn, call: DiscloseKey) -> Result:
    """The keys are public, and the winner looks at the data once more."""
    job = turn.job
    refusal = _wrong_keys(turn, call.keys, call.seed_hash, call.test_key_hash, is_test=False)
    if refusal is not None:
        return refusal
    job.is_train_key_public = True
    return [KeyDisclosed(job.job_id, call.keys), turn.enter(State.KEYED, turn.timing.acknowledge_s)]


def complain_x(turn: Turn) -> Result:
    """The end user could not open x; it complains before it hands over its own keys, or never."""
    job = turn.job
    if job.rounds[-1].has_test_keys:
        return AlreadyDone(job.job_id, job.user)
    if job.is_x_public:
        return AlreadyDisclosed(job.job_id)
    return [turn.enter(State.X_DISPUTE, turn.timing.dispute_s)]


def disclose_x(turn: Turn, call: DiscloseX) -> Result:
    """x is public, and both sides have the whole window for their keys again."""
    job = turn.job
    root = ModelRoot(call.model_hash, key_hash(call.x), call.y_hash, call.worker_seed)
    refusal = _wrong_model(turn, root)
    if refusal is not None:
        return refusal
    job.is_x_public = True
    return [XDisclosed(job.job_id, call.x), turn.enter(State.KEYING, turn.timing.keying_s)]


def withhold_x(turn: Turn) -> Result:
    """A winner that does not publish x has not delivered a model."""
    return settle_on(turn, Verdict.NO_MODEL)


def complain_keys(turn: Turn, call: ComplainKeys) -> Result:
    """A drawn validator could not open one side's keys, or what they are for."""
    job = turn.job
    if turn.caller not in job.committee:
        return NotOnCommittee(turn.caller)
    if job.is_test_key_public if call.against_user else job.is_model_public:
        return AlreadyDisclosed(job.job_id)
    job.accused = Party.USER if call.against_user else Party.WINNER
    return [
        KeysComplained(job.job_id, turn.caller, call.against_user),
        turn.enter(State.DISCLOSE, turn.timing.dispute_s),
    ]


def disclose_test(turn: Turn, call: DiscloseTest) -> Result:
    """The testing keys are public; an earlier round's validators have them, and may rescue this one with them."""
    job = turn.job
    if job.accused is not Party.USER:
        return WrongAccused(job.job_id)
    refusal = _wrong_keys(turn, call.keys, call.seed_hash, call.train_key_hash, is_test=True)
    if refusal is not None:
        return refusal
    job.is_test_key_public = True
    return [TestKeysDisclosed(job.job_id, call.keys), _test_again(turn)]


def disclose_model(turn: Turn, call: DiscloseModel) -> Result:
    """Both halves of the model's key are public; that is no claim, as the verdict is still to come."""
    job = turn.job
    if job.accused is not Party.WINNER:
        return WrongAccused(job.job_id)
    root = ModelRoot(call.model_hash, key_hash(call.x), key_hash(call.y), call.worker_seed)
    refusal = _wrong_model(turn, root)
    if refusal is not None:
        return refusal
    job.is_model_public = job.is_x_public = True
    return [ModelKeysDisclosed(job.job_id, call.x, call.y), _test_again(turn)]


def withhold_keys(turn: Turn) -> Result:
    """Whoever was accused, and did not answer, decides the round against itself."""
    return settle_on(turn, Verdict.NO_TEST if turn.job.accused is Party.USER else Verdict.NO_MODEL)


def _test_again(turn: Turn) -> JobEvent:
    """What was committed to before everybody could test is void."""
    turn.job.accused = None
    turn.job.rounds[-1].commitments.clear()
    turn.job.rounds[-1].restarts += 1
    return turn.enter(State.VCOMMIT, turn.job.terms.testing_s)


def _wrong_keys(turn: Turn, keys: bytes, seed_hash: bytes, sibling: bytes, *, is_test: bool) -> Refusal | None:
    """The end user's keys, shown with the hash beside theirs; of a split job its chunks, which show both."""
    job = turn.job
    if len(keys) > KEYS_MOST_BYTES:
        return BoxTooLarge(len(keys), KEYS_MOST_BYTES)
    shown = key_hash(keys)
    hashes = (sibling, shown) if is_test else (shown, sibling)
    if job.split_seed is not None:
        hashes = hashes_shown(job.split_seed, keys, is_test=is_test)
    named = turn.job_named(seed_hash, *hashes)
    return WrongPreimage(job.job_id, named) if named != job.job_id else None


def _wrong_model(turn: Turn, shown: ModelRoot) -> WrongPreimage | None:
    wanted, actual = model_root(turn.job.submitted.root), model_root(shown)
    return WrongPreimage(wanted, actual) if actual != wanted else None
