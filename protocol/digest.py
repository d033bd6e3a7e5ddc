"""One hash of all that the market remembers and holds of a job: equal digests, equal jobs.

Tests compare digests instead of fields: of the same job before and after a refused call, of two orders of the same
openings, and of this machine and the contract's own view of a job on the same trace.
"""

from collections.abc import Iterator

from morphware.protocol.commitments import keccak, model_root
from morphware.protocol.committee import Round
from morphware.protocol.job import Party
from morphware.protocol.ledger import Escrow, Part
from morphware.protocol.market import Market
from morphware.protocol.units import JobId


def digest(market: Market, job_id: JobId) -> bytes:
    """The keccak-256 of a row of 32-byte words; an unknown job's is the hash of nothing."""
    return keccak(b"".join(_word(value) for value in _values(market, job_id)))


def _values(market: Market, job_id: JobId) -> Iterator[int | bytes]:
    job = market.jobs.get(job_id)
    if job is None:
        return
    yield from (job.job_id, job.user, job.posted_at, job.seat_span, job.state, job.deadline, job.outcome)
    yield from (len(job.bids), job.unopened)
    for (bidder, commitment), sealed in job.bids.items():
        yield from (commitment, bidder, sealed.is_open)
    best = job.standing.best
    if best is not None:
        yield from (best.bidder, best.price_wei, best.sequence, best.estimated_s, best.salt)
    yield from (job.standing.second_wei or 0, job.price_wei, job.split_seed or b"")
    if job.model is not None:
        yield from (model_root(job.model.root), job.model.seed_block)
    yield from (job.is_train_key_public, job.is_test_key_public, job.is_x_public, job.is_model_public)
    yield from (job.accused is Party.USER, job.accused is Party.WINNER, job.y or b"", job.verdict)
    for each in job.rounds:
        yield from _round(each)
    yield from (len(job.appellants), job.redraws, job.next_seats, job.draw_block, job.waits, job.audit_block)
    yield from (len(job.unsettled), job.slashed_wei)
    for appellant in job.appellants:
        yield from (appellant.account, appellant.seats, appellant.verdict, appellant.round)
    yield from (market.ledger.balance(Escrow(job_id, part)) for part in Part)
    yield market.ledger.burned_by(job_id)


def _round(each: Round) -> Iterator[int | bytes]:
    yield from (len(each.seats), each.has_test_keys, each.has_model_keys, each.is_aborted)
    for seat, owner in each.seats.items():
        yield from (seat, owner, each.commitments.get(owner, b""))
        report = each.reports.get(owner)
        if report is not None:
            yield from (report.metric_e6, report.fingerprint_e9, report.prediction_root)


def _word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big", signed=True) if isinstance(value, int) else value.rjust(32, b"\0")
