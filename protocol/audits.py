"""The rules of random audits: now and then the market itself doubts a finding, so that no committee can guess.

A committee whose members all report the same number without a test agrees with itself, and nobody may have a reason to
appeal.  So where the time for appeals passes in silence, one finding in ``audit_one_in`` is tested once more, by three
validators whom the audit pool pays.  Guessing then costs more than testing as soon as

    half of a seat / audit_one_in > what a test costs.

The word that decides is of a block that was still to come when the last report was opened, and nobody chose it; who
waits for a better one can have one more throw each 256 blocks, at the price of a job that stands still.

The audit is an appeal that the market makes: its bond, three fees, comes out of the pool, pays fees like any other, and
goes back there if the verdict changes.  It counts neither as an appeal nor in the sizes of committees, and after it
anybody may appeal who could have appealed before.
"""

from typing import Final

from morphware.protocol.chain_events import Audited, JobEvent
from morphware.protocol.commitments import audit_word
from morphware.protocol.drawing import busy_elsewhere, want_committee
from morphware.protocol.job import NOBODY, Appellant
from morphware.protocol.ledger import AuditPool, Escrow, Move, Part
from morphware.protocol.resolution import resolve
from morphware.protocol.states import Verdict
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import Wei

AUDIT_SEATS: Final = 3
"""The fewest of whom one may be wrong."""


def end_appeals(turn: Turn) -> Result:
    """Nobody doubts the finding any more, unless the market does."""
    return _audit(turn) if _is_due(turn) else resolve(turn)


def _is_due(turn: Turn) -> bool:
    """Chance says so, the finding is about a metric, nobody has doubted it yet, means and validators are at hand."""
    job, one_in = turn.job, turn.timing.audit_one_in
    if one_in == 0 or audit_word(turn.past_blockhash(job.audit_block), job.job_id) % one_in:
        return False
    return (
        not job.appellants
        and job.verdict in (Verdict.PASS, Verdict.FAIL)
        and turn.ledger.audit_pool() >= _bond(turn)
        and turn.registry.free_seats >= max(AUDIT_SEATS, busy_elsewhere(turn))
    )


def _audit(turn: Turn) -> list[JobEvent]:
    job, bond = turn.job, _bond(turn)
    turn.ledger.apply([Move(AuditPool(), Escrow(job.job_id, Part.POOL), bond)])
    job.appellants.append(Appellant(NOBODY, AUDIT_SEATS, job.verdict, job.round))
    return [Audited(job.job_id, AUDIT_SEATS, bond), want_committee(turn, AUDIT_SEATS)]


def _bond(turn: Turn) -> Wei:
    return Wei(AUDIT_SEATS * turn.job.terms.fee_wei)
