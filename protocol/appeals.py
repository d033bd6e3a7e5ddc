"""The rules of appeals: whoever doubts a finding pays for a committee of more than twice the size.

The bond is exactly the next committee's fees, so that an appeal never costs anybody else anything.  It comes back, as
far as there is money left, iff the last verdict is another one than the doubted; where no committee can be drawn, all
but the fees of those who sat and waited (``drawing.py``).  The seats need not be free yet: the draw waits for those
that sit in other jobs.  A random audit (``audits.py``) counts neither as an appeal nor in the sizes of committees: all
is as if it had not been.
"""

from typing import Final

from morphware.protocol.chain_events import Appealed, JobEvent
from morphware.protocol.drawing import busy_elsewhere, want_committee
from morphware.protocol.job import Appellant
from morphware.protocol.ledger import Escrow, Free, Move, Part
from morphware.protocol.refusals import InsufficientBalance, NoAppealLeft, NotEnoughSeats, Refusal
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import Wei

APPEALS_MOST: Final = 2
"""Appeals of a job; one more where the end user could look at the model only now."""

COMMITTEE_MOST: Final = 47
"""The largest committee: a first one of 5 appealed three times."""


def appeal(turn: Turn) -> Result:
    """Anybody may appeal a tallied round."""
    most = APPEALS_MOST + (turn.job.y is not None)
    return _refused(turn, turn.job.appeals_made < most) or _want_larger(turn)


def inspect_appeal(turn: Turn) -> Result:
    """The end user, who can open the model since it was claimed, may appeal once more than others."""
    return _refused(turn, turn.job.appeals_made <= APPEALS_MOST) or _want_larger(turn)


def _refused(turn: Turn, has_appeal_left: bool) -> Refusal | None:
    job, seats = turn.job, _next_seats(turn)
    if not has_appeal_left or seats > COMMITTEE_MOST:
        return NoAppealLeft(job.job_id)
    available = turn.registry.free_seats + busy_elsewhere(turn)
    if available < seats:
        return NotEnoughSeats(available, seats)
    bond, balance = seats * job.terms.fee_wei, turn.ledger.free(turn.caller)
    return InsufficientBalance(turn.caller, balance, Wei(bond)) if balance < bond else None


def _want_larger(turn: Turn) -> list[JobEvent]:
    job, seats = turn.job, _next_seats(turn)
    bond = Wei(seats * job.terms.fee_wei)
    turn.ledger.apply([Move(Free(turn.caller), Escrow(job.job_id, Part.POOL), bond)])
    job.appellants.append(Appellant(turn.caller, seats, job.verdict, job.round))
    return [Appealed(job.job_id, turn.caller, seats, bond), want_committee(turn, seats)]


def _next_seats(turn: Turn) -> int:
    """Twice the last committee and one more; while the last was an audit's, twice the one that it audited."""
    job = turn.job
    is_audit_newest = job.is_audited and job.appeals_made == 0
    doubted = job.rounds[job.appellants[0].round if is_audit_newest else job.round]
    return 2 * len(doubted.seats) + 1
