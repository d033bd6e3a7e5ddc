"""The rules of drawing committees: the first by both parties' seed shares and a block, later ones by a block.

Every committee is drawn after what it judges can no longer change, and by a block that was not there when somebody
decided that it should be drawn: else an attacker would attack only where it knew that it owned all the rounds.
"""

from collections.abc import Sequence

from morphware.protocol.calls import RevealSeed
from morphware.protocol.chain_events import CommitteeDrawn, JobEvent
from morphware.protocol.commitments import key_hash, model_root, next_seed_of, seed_of
from morphware.protocol.committee import Round
from morphware.protocol.refusals import SeedBlockPending, WrongPreimage
from morphware.protocol.registry import draw
from morphware.protocol.resolution import resolve, settle_on
from morphware.protocol.states import State, Verdict
from morphware.protocol.turn import Result, Turn


def reveal_seed(turn: Turn, call: RevealSeed) -> Result:
    """The end user's share completes the seed: the committee is drawn, after the model can no longer change."""
    job, model = turn.job, turn.job.submitted
    named = turn.job_named(key_hash(call.user_seed), call.train_key_hash, call.test_key_hash)
    if named != job.job_id:
        return WrongPreimage(job.job_id, named)
    wanted, actual = model_root(model.root), model_root(call.model)
    if actual != wanted:
        return WrongPreimage(wanted, actual)
    if turn.block <= model.seed_block:
        return SeedBlockPending(model.seed_block, turn.block)
    blockhash = turn.past_blockhash(model.seed_block)
    seed = seed_of(call.user_seed, model.root.worker_seed, blockhash, job.job_id)
    drawn = _draw(turn, seed, job.terms.seats)
    return [*drawn, turn.enter(State.KEYING, turn.timing.keying_s)] if drawn else resolve(turn)


def withhold_seed(turn: Turn) -> Result:
    """An end user that hides its share has no test to show: the worker is paid as if there were none."""
    return settle_on(turn, Verdict.NO_TEST)


def want_committee(turn: Turn, seats: int) -> JobEvent:
    """Another committee is to be drawn, by a block that is still to come."""
    turn.job.next_seats = seats
    turn.job.draw_block = turn.block + turn.timing.seed_blocks
    return turn.enter(State.DRAWING, turn.timing.draw_s)


def end_drawing(turn: Turn) -> Result:
    """The next committee tests at once: it gets the keys from anybody who has them. Without one, the verdict stands."""
    job = turn.job
    if turn.block <= job.draw_block:
        return SeedBlockPending(job.draw_block, turn.block)
    seed = next_seed_of(turn.past_blockhash(job.draw_block), job.job_id)
    drawn = _draw(turn, seed, job.next_seats)
    return [*drawn, turn.enter(State.VCOMMIT, job.terms.testing_s)] if drawn else resolve(turn)


def _draw(turn: Turn, seed: bytes, wanted: int) -> list[JobEvent]:
    """A seat serves iff it was staked before the posting, and its owner is no party and on no committee of the job."""
    job, seats = turn.job, turn.registry.seats
    barred = {job.user, job.winner, *(owner for each in job.rounds for owner in each.validators)}

    def may_serve(seat: int, picked: Sequence[int]) -> bool:
        record = seats.get(seat)
        return (
            record is not None
            and record.is_free
            and record.since < job.posted_at
            and record.owner not in barred
            and all(seats[other].owner != record.owner for other in picked)
        )

    number = len(job.rounds)
    picked = draw(job.seat_span, may_serve, seed, number, wanted)
    if not picked:
        return []
    for seat in picked:
        turn.registry.take(seat)
    job.rounds.append(Round({seat: seats[seat].owner for seat in picked}))
    return [CommitteeDrawn(job.job_id, number, seed, job.committee)]
