"""The rules of one round of testing: keys to the committee, sealed reports, opened reports, and what they found."""

from morphware.protocol.bidding import MOST_BATCH, NO_COMMITMENT
from morphware.protocol.calls import CommitReport, CommitReportBatch, PostModelKeys, PostTestKeys, RevealReports
from morphware.protocol.chain_events import (
    JobEvent,
    ModelKeysPosted,
    ReportCommitted,
    ReportRevealed,
    RoundTallied,
    TestKeysPosted,
)
from morphware.protocol.commitments import report_commitment
from morphware.protocol.committee import Round, has_quorum
from morphware.protocol.drawing import want_committee
from morphware.protocol.refusals import (
    AlreadyDone,
    BadTerms,
    BoxTooLarge,
    NothingTaken,
    NotOnCommittee,
    Refusal,
    UnknownCommitment,
    WrongBoxCount,
)
from morphware.protocol.resolution import resolve, settle_on
from morphware.protocol.signatures import commit_report_digest, is_signed_by
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.training import BOX_MOST_BYTES
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import Address

REDRAWS_MOST = 1
"""How often a job may have another committee because one stayed silent."""


def post_test_keys(turn: Turn, call: PostTestKeys) -> Result:
    """The end user hands the testing and code keys to the committee, once a round."""
    each = _round(turn)
    if each.has_test_keys:
        return AlreadyDone(turn.job.job_id, turn.caller)
    refusal = _bad_boxes(each, call.boxes)
    if refusal is not None:
        return refusal
    each.has_test_keys = True
    return [TestKeysPosted(turn.job.job_id, call.boxes), *_start_testing(turn)]


def post_model_keys(turn: Turn, call: PostModelKeys) -> Result:
    """The winner hands both halves of the model's key to the committee, once a round."""
    each = _round(turn)
    if each.has_model_keys:
        return AlreadyDone(turn.job.job_id, turn.caller)
    refusal = _bad_boxes(each, call.boxes)
    if refusal is not None:
        return refusal
    each.has_model_keys = True
    return [ModelKeysPosted(turn.job.job_id, call.boxes), *_start_testing(turn)]


def end_keying(turn: Turn) -> Result:
    """Whoever stayed silent is at fault; if both did, both burn, or a pair of friends would have a free way out."""
    each = _round(turn)
    if each.has_model_keys:
        return settle_on(turn, Verdict.NO_TEST)
    if each.has_test_keys:
        return settle_on(turn, Verdict.NO_MODEL)
    each.is_aborted = True
    return turn.close(Outcome.MUTUAL_ABORT)


def commit_report(turn: Turn, call: CommitReport) -> Result:
    """A drawn validator commits to what it found, once; when all have, nobody can copy any more."""
    each = _round(turn)
    if turn.caller not in each.validators:
        return NotOnCommittee(turn.caller)
    if call.commitment == NO_COMMITMENT:
        return BadTerms("commitment")
    if turn.caller in each.commitments:
        return AlreadyDone(turn.job.job_id, turn.caller)
    return [_seal(turn, turn.caller, call.commitment), *_start_revealing(turn)]


def commit_report_batch(turn: Turn, call: CommitReportBatch) -> Result:
    """Anybody may bring signed reports on chain; what the validator itself could not commit to is passed over."""
    job, each = turn.job, _round(turn)
    if len(call.reports) > MOST_BATCH:
        return BoxTooLarge(len(call.reports), MOST_BATCH)
    events: list[JobEvent] = []
    for report in call.reports:
        validator, commitment = report.validator, report.commitment
        digest = commit_report_digest(turn.domain, job.job_id, job.round, each.restarts, validator, commitment)
        if (
            validator in each.validators
            and commitment != NO_COMMITMENT
            and validator not in each.commitments
            and is_signed_by(validator, digest, report.signature)
        ):
            events.append(_seal(turn, validator, commitment))
    return [*events, *_start_revealing(turn)] if events else NothingTaken(job.job_id)


def end_report_commits(turn: Turn) -> Result:
    """At the deadline the committed reports are opened, if there are any."""
    if not _round(turn).commitments:
        return _end_round(turn)
    return [turn.enter(State.VREVEAL, turn.timing.report_reveal_s)]


def reveal_reports(turn: Turn, call: RevealReports) -> Result:
    """Anybody may open anybody's report; what is unknown or open already is passed over, as in a batch of bids."""
    job, each = turn.job, _round(turn)
    if len(call.reports) > MOST_BATCH:
        return BoxTooLarge(len(call.reports), MOST_BATCH)
    opened = [(report_commitment(turn.domain, job.job_id, job.round, report), report) for report in call.reports]
    events: list[JobEvent] = []
    for commitment, report in opened:
        validator = report.validator
        if each.commitments.get(validator) != commitment or validator in each.reports:
            continue
        each.reports[validator] = report
        events.append(
            ReportRevealed(
                job.job_id, job.round, validator, report.metric_e6, report.fingerprint_e9, report.prediction_root
            )
        )
    if not events:
        return UnknownCommitment(opened[0][0] if opened else NO_COMMITMENT)
    return events if len(each.reports) < len(each.seats) else [*events, *_end_round(turn)]


def end_report_reveals(turn: Turn) -> Result:
    """At the deadline the reports that were opened are tallied."""
    return _end_round(turn)


def _end_round(turn: Turn) -> list[JobEvent]:
    """A round's own finding becomes the job's verdict.

    A committee that did not report is drawn anew, once.  After that there is nobody left to ask, and the verdict before
    it stands.
    """
    job, each = turn.job, _round(turn)
    found = each.tally(job.terms)
    tallied = RoundTallied(job.job_id, job.round, found.verdict, found.metric_e6, found.fingerprint_e9)
    if not has_quorum(len(each.reports), len(each.seats)):
        if job.redraws == REDRAWS_MOST:
            return [tallied, *resolve(turn)]
        job.redraws += 1
        return [tallied, want_committee(turn, len(each.seats))]
    job.verdict = found.verdict
    job.audit_block = turn.block + turn.timing.seed_blocks
    return [tallied, turn.enter(State.TALLIED, turn.timing.appeal_s)]


def _seal(turn: Turn, validator: Address, commitment: bytes) -> ReportCommitted:
    _round(turn).commitments[validator] = commitment
    return ReportCommitted(turn.job.job_id, turn.job.round, validator, commitment)


def _start_revealing(turn: Turn) -> list[JobEvent]:
    each = _round(turn)
    if len(each.commitments) < len(each.seats):
        return []
    return [turn.enter(State.VREVEAL, turn.timing.report_reveal_s)]


def _start_testing(turn: Turn) -> list[JobEvent]:
    each = _round(turn)
    if turn.job.state is State.KEYING and each.has_test_keys and each.has_model_keys:
        return [turn.enter(State.VCOMMIT, turn.job.terms.testing_s)]
    return []


def _bad_boxes(each: Round, boxes: tuple[bytes, ...]) -> Refusal | None:
    if len(boxes) != len(each.seats):
        return WrongBoxCount(len(boxes), len(each.seats))
    for box in boxes:
        if len(box) > BOX_MOST_BYTES:
            return BoxTooLarge(len(box), BOX_MOST_BYTES)
    return None


def _round(turn: Turn) -> Round:
    return turn.job.rounds[-1]
