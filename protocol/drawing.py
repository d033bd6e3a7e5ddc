"""The rules of drawing committees: the first by both parties' seed shares and a block, later ones by a block.

Every committee is drawn after what it judges can no longer change, and by a block that was not there when somebody
decided that it should be drawn: else an attacker would attack only where it knew that it owned all the rounds.

A committee is whole, or there is none.  A draw may have bad luck, and seats that sit in other jobs will be free again:
so one that yields none is made again by another block, each time after four times the time of the one before, for
``MOST_WAITS`` times.  In the end the verdict stands, and an appeal that was never heard has its bond back, less a fee
for each seat that sat in the job meanwhile: else whoever appeals everything while seats are scarce keeps them so, for
nothing.  Without a first committee there is no verdict: both parties burn what they do when nobody can tell whose fault
it is, or whoever keeps other people's seats busy would have a free way out.
"""

from collections.abc import Sequence
from typing import Final

from morphware.protocol.calls import RevealSeed
from morphware.protocol.chain_events import AppealUnheard, CommitteeDrawn, JobEvent
from morphware.protocol.commitments import key_hash, model_root, next_seed_of, seed_of
from morphware.protocol.committee import Round
from morphware.protocol.ledger import AuditPool, Escrow, Free, Move, Part
from morphware.protocol.refusals import SeedBlockPending, WrongPreimage
from morphware.protocol.registry import draw
from morphware.protocol.resolution import resolve, settle_on
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import Wei

MOST_WAITS: Final = 5
"""Further draws after one that failed: with a minute for the first, the last waits for 17 hours.

Whoever makes seats scarce as it likes can choose among them, so they are few.
"""


def reveal_seed(turn: Turn, call: RevealSeed) -> Result:
    """The end user's share completes the seed: the committee is drawn, after the model can no longer change.

    From now on the share is public.  A committee that waits for seats is drawn by blocks alone, as later ones are.
    """
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
    if drawn:
        return [*drawn, turn.enter(State.KEYING, turn.timing.keying_s)]
    if _may_find(turn, job.terms.seats):
        return [want_committee(turn, job.terms.seats)]
    return turn.close(Outcome.MUTUAL_ABORT)


def withhold_seed(turn: Turn) -> Result:
    """An end user that hides its share has no test to show: the worker is paid as if there were none."""
    return settle_on(turn, Verdict.NO_TEST)


def want_committee(turn: Turn, seats: int) -> JobEvent:
    """A committee is to be drawn, by a block that is still to come."""
    turn.job.next_seats = seats
    return _wait(turn, 0)


def end_drawing(turn: Turn) -> Result:
    """A later committee tests at once: it gets the keys from anybody who has them. The first one gets them as ever."""
    job = turn.job
    if turn.block <= job.draw_block:
        return SeedBlockPending(job.draw_block, turn.block)
    seed = next_seed_of(turn.past_blockhash(job.draw_block), job.job_id)
    is_first = not job.rounds
    drawn = _draw(turn, seed, job.next_seats)
    if drawn and is_first:
        return [*drawn, turn.enter(State.KEYING, turn.timing.keying_s)]
    if drawn:
        return [*drawn, turn.enter(State.VCOMMIT, job.terms.testing_s)]
    if job.waits < MOST_WAITS and _may_find(turn, job.next_seats):
        return [_wait(turn, job.waits + 1)]
    if is_first:
        return turn.close(Outcome.MUTUAL_ABORT)
    return [*_undo_unheard_appeal(turn), *resolve(turn)]


def busy_elsewhere(turn: Turn) -> int:
    """Seats that sit in other jobs, and will be free again."""
    return turn.registry.busy_seats - turn.job.seats_drawn


def _may_find(turn: Turn, wanted: int) -> bool:
    """Another draw could find what one has not: seats are there, and it had bad luck, or other jobs let some go."""
    return turn.registry.free_seats >= wanted or busy_elsewhere(turn) > 0


def _wait(turn: Turn, waits: int) -> JobEvent:
    """The draw is by another block; each further one waits four times as long for it."""
    turn.job.waits = waits
    turn.job.draw_block = turn.block + turn.timing.seed_blocks
    return turn.enter(State.DRAWING, turn.timing.draw_s << 2 * waits)


def _undo_unheard_appeal(turn: Turn) -> list[JobEvent]:
    """What was paid for and could not be had is paid back, less what the seats cost that sat and waited.

    The audit pool has that, and all of an audit's bond, which came out of it.
    """
    job = turn.job
    if not job.is_appeal_pending:
        return []
    appellant = job.appellants.pop()
    bond = Wei(appellant.seats * job.terms.fee_wei)
    kept = bond if appellant.is_audit else Wei(min(bond, job.seats_drawn * job.terms.fee_wei))
    pool = Escrow(job.job_id, Part.POOL)
    turn.ledger.apply([Move(pool, AuditPool(), kept), Move(pool, Free(appellant.account), bond - kept)])
    return [AppealUnheard(job.job_id, appellant.account, bond, kept)]


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

    if turn.registry.is_scarce(job.seats_drawn, wanted):
        return []
    number = len(job.rounds)
    picked = draw(job.seat_span, may_serve, seed, number, wanted)
    if not picked:
        return []
    for seat in picked:
        turn.registry.take(seat)
    job.rounds.append(Round({seat: seats[seat].owner for seat in picked}))
    return [CommitteeDrawn(job.job_id, number, seed, job.committee)]
