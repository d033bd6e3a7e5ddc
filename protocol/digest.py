"""One hash of all that the market remembers and holds of a job: equal digests, equal jobs.

Tests compare digests instead of fields: of the same job before and after a refused call, of two orders of the same
openings, and of this machine and the contract's own view of a job on the same trace.
"""

from collections.abc import Iterator

from morphware.protocol.commitments import keccak
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
    yield from (job.job_id, job.user, job.posted_at, job.state, job.deadline, job.outcome)
    yield from (len(job.bids), job.unopened)
    for (bidder, commitment), sealed in job.bids.items():
        yield from (commitment, bidder, sealed.is_open)
    best = job.standing.best
    if best is not None:
        yield from (best.bidder, best.price_wei, best.sequence, best.estimated_s, best.salt)
    yield from (job.standing.second_wei or 0, job.price_wei)
    if job.model is not None:
        model = job.model
        yield from (model.model_hash, model.x_hash, model.y_hash, model.worker_seed, model.seed_block)
    yield from (job.round, job.has_test_keys, job.has_model_keys, len(job.seats))
    for seat, owner in job.seats.items():
        yield from (seat, owner, job.report_commitments.get(owner, b""))
        report = job.reports.get(owner)
        if report is not None:
            yield from (report.metric_e6, report.fingerprint_e9, report.prediction_root)
    yield from (job.tally.verdict, job.tally.metric_e6, job.tally.fingerprint_e9, job.y or b"")
    yield from (market.ledger.balance(Escrow(job_id, part)) for part in Part)
    yield market.ledger.burned_by(job_id)


def _word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big", signed=True) if isinstance(value, int) else value.rjust(32, b"\0")
