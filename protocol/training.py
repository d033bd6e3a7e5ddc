"""The rules from the award to the submitted model: the keys' hand-over, the winner's choice, and its model."""

from typing import Final

from morphware.protocol.calls import ModelRoot, Opening, PostKeys, SubmitModel
from morphware.protocol.chain_events import KeysPosted, ModelSubmitted, SplitDrawn
from morphware.protocol.commitments import bid_commitment, next_seed_of, salt_of
from morphware.protocol.job import Model
from morphware.protocol.refusals import AlreadyDone, BoxTooLarge, SeedBlockPending, UnknownCommitment
from morphware.protocol.split import CHUNKS_MOST
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Result, Turn

BOX_MOST_BYTES: Final = 512
"""A sealed box with two 32-byte keys has 112 bytes; the rest is room for another cipher, or for a split's keys."""

KEYS_MOST_BYTES: Final = (CHUNKS_MOST + 2) * 32
"""What an end user seals to its winner, or discloses: the keys of all chunks of a split job, and two words."""

MODEL_MOST_BYTES: Final = 8 * 1024
"""An encoded manifest: a magnet link, a size, hashes and two boxes."""


def draw_split(turn: Turn) -> Result:
    """The testing chunks are drawn by a block after the award; by anybody, as the end user might wait for another."""
    job = turn.job
    if not job.is_split or job.split_seed is not None:
        return AlreadyDone(job.job_id, turn.caller)
    if turn.block <= job.draw_block:
        return SeedBlockPending(job.draw_block, turn.block)
    job.split_seed = next_seed_of(turn.past_blockhash(job.draw_block), job.job_id)
    return [SplitDrawn(job.job_id, job.split_seed)]


def post_keys(turn: Turn, call: PostKeys) -> Result:
    """The end user hands over the keys of the training data and the code."""
    job = turn.job
    if len(call.box) > KEYS_MOST_BYTES:
        return BoxTooLarge(len(call.box), KEYS_MOST_BYTES)
    if job.is_split and job.split_seed is None:
        return SeedBlockPending(job.draw_block, turn.block)
    return [KeysPosted(job.job_id, call.box), turn.enter(State.KEYED, turn.timing.acknowledge_s)]


def acknowledge(turn: Turn) -> Result:
    """The winner accepts the data, and has as long to train as its bid said."""
    best = turn.job.standing.best
    assert best is not None
    return [turn.enter(State.TRAINING, best.estimated_s)]


def abort(turn: Turn) -> Result:
    """A winner that declines or stays silent may be right or wrong: both sides burn the same small amount."""
    return turn.close(Outcome.MUTUAL_ABORT)


def submit_model(turn: Turn, call: SubmitModel) -> Result:
    """The winner commits to the model, and shows its share of the seed, which its bid committed to."""
    job = turn.job
    best = job.standing.best
    assert best is not None
    salt = salt_of(call.worker_seed)
    if salt != best.salt:
        opening = Opening(best.bidder, best.price_wei, True, best.estimated_s, salt)
        return UnknownCommitment(bid_commitment(turn.domain, job.job_id, opening))
    if len(call.model) > MODEL_MOST_BYTES:
        return BoxTooLarge(len(call.model), MODEL_MOST_BYTES)
    seed_block = turn.block + turn.timing.seed_blocks
    job.model = Model(ModelRoot(call.model_hash, call.x_hash, call.y_hash, call.worker_seed), seed_block)
    return [
        ModelSubmitted(job.job_id, call.model_hash, call.x_hash, call.y_hash, call.worker_seed, seed_block, call.model),
        turn.enter(State.SEED, turn.timing.seed_s),
    ]


def fault_user(turn: Turn) -> Result:
    """The end user withheld the keys: half of its bond compensates the winner."""
    return turn.close(Outcome.USER_FAULT)


def fault_worker(turn: Turn) -> Result:
    """The winner did not deliver: half of its bond compensates the end user."""
    return turn.close(Outcome.WORKER_FAULT)
