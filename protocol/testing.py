"""The rules from the committed model to the payout: one function for each row of the table and for each deadline.

A round can end in three ways.  It runs to its end, and its validators are assessed; a party's default cuts it short,
and they are excused; or there never was a committee.  In each case they are settled exactly once, when the job closes:
their stake is held until no verdict can change.
"""

from collections.abc import Sequence

from morphware.protocol import committee
from morphware.protocol.bidding import BOX_MOST_BYTES
from morphware.protocol.calls import Claim, CommitReport, PostModelKeys, PostTestKeys, RevealReports, RevealSeed
from morphware.protocol.chain_events import (
    Claimed,
    CommitteeDrawn,
    JobEvent,
    ModelKeysPosted,
    ReportCommitted,
    ReportRevealed,
    RoundTallied,
    TestKeysPosted,
)
from morphware.protocol.commitments import key_hash, report_commitment, seed_of
from morphware.protocol.committee import SeatResult, Tally
from morphware.protocol.job import Model
from morphware.protocol.refusals import (
    AlreadyDone,
    BoxTooLarge,
    NotOnCommittee,
    Refusal,
    SeedBlockPending,
    UnknownCommitment,
    WrongBoxCount,
    WrongPreimage,
)
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Result, Turn


def reveal_seed(turn: Turn, call: RevealSeed) -> Result:
    """The end user's share completes the seed: the committee is drawn, after the model can no longer change."""
    job, model = turn.job, _model(turn)
    revealed = key_hash(call.user_seed)
    if revealed != job.terms.seed_hash:
        return WrongPreimage(job.terms.seed_hash, revealed)
    if turn.block <= model.seed_block:
        return SeedBlockPending(model.seed_block, turn.block)
    seed = seed_of(call.user_seed, model.worker_seed, turn.seed_blockhash(model.seed_block), job.job_id)

    def may_serve(seat: int, picked: Sequence[int]) -> bool:
        record = turn.registry.seats[seat]
        return (
            record.since < job.posted_at
            and record.owner not in (job.user, job.winner)
            and all(turn.registry.seats[other].owner != record.owner for other in picked)
        )

    picked, left = committee.draw(turn.registry.free, may_serve, seed, job.round, job.terms.seats)
    turn.registry.free[:] = left
    if not picked:
        return turn.close(Outcome.INCONCLUSIVE)
    job.seats = {seat: turn.registry.seats[seat].owner for seat in picked}
    return [
        CommitteeDrawn(job.job_id, job.round, seed, job.committee),
        turn.enter(State.KEYING, turn.timing.keying_s),
    ]


def withhold_seed(turn: Turn) -> Result:
    """An end user that hides its share has no test to show: the worker is paid as if there were none."""
    return _award_without_test(turn)


def post_test_keys(turn: Turn, call: PostTestKeys) -> Result:
    """The end user hands the testing and code keys to the committee, once."""
    job = turn.job
    if job.has_test_keys:
        return AlreadyDone(job.job_id, turn.caller)
    refusal = _bad_boxes(turn, call.boxes)
    if refusal is not None:
        return refusal
    job.has_test_keys = True
    return [TestKeysPosted(job.job_id, call.boxes), *_start_testing(turn)]


def post_model_keys(turn: Turn, call: PostModelKeys) -> Result:
    """The winner hands both halves of the model's key to the committee, once."""
    job = turn.job
    if job.has_model_keys:
        return AlreadyDone(job.job_id, turn.caller)
    refusal = _bad_boxes(turn, call.boxes)
    if refusal is not None:
        return refusal
    job.has_model_keys = True
    return [ModelKeysPosted(job.job_id, call.boxes), *_start_testing(turn)]


def end_keying(turn: Turn) -> Result:
    """Whoever stayed silent is at fault; if both did, both burn, or a pair of friends would have a free way out."""
    job = turn.job
    if job.has_model_keys:
        return _award_without_test(turn)
    outcome = Outcome.WORKER_FAULT if job.has_test_keys else Outcome.MUTUAL_ABORT
    if job.has_test_keys:
        job.tally = Tally(Verdict.NO_MODEL)
    return turn.close(outcome, _excused(turn))


def commit_report(turn: Turn, call: CommitReport) -> Result:
    """A drawn validator commits to what it found, once; when all have, nobody can copy any more."""
    job = turn.job
    if turn.caller not in job.committee:
        return NotOnCommittee(turn.caller)
    if turn.caller in job.report_commitments:
        return AlreadyDone(job.job_id, turn.caller)
    job.report_commitments[turn.caller] = call.commitment
    events: list[JobEvent] = [ReportCommitted(job.job_id, job.round, turn.caller, call.commitment)]
    if len(job.report_commitments) == len(job.seats):
        events.append(turn.enter(State.VREVEAL, turn.timing.report_reveal_s))
    return events


def end_report_commits(turn: Turn) -> Result:
    """At the deadline the committed reports are opened, if there are any."""
    if not turn.job.report_commitments:
        return _end_round(turn)
    return [turn.enter(State.VREVEAL, turn.timing.report_reveal_s)]


def reveal_reports(turn: Turn, call: RevealReports) -> Result:
    """Anybody may open anybody's report; what is open already is skipped, one unknown opening spoils its batch."""
    job = turn.job
    for report in call.reports:
        commitment = report_commitment(turn.domain, job.job_id, job.round, report)
        if job.report_commitments.get(report.validator) != commitment:
            return UnknownCommitment(commitment)
    events: list[JobEvent] = []
    for report in call.reports:
        if report.validator in job.reports:
            continue
        job.reports[report.validator] = report
        events.append(
            ReportRevealed(
                job.job_id,
                job.round,
                report.validator,
                report.metric_e6,
                report.fingerprint_e9,
                report.prediction_root,
            )
        )
    return events if len(job.reports) < len(job.seats) else [*events, *_end_round(turn)]


def end_report_reveals(turn: Turn) -> Result:
    """At the deadline the reports that were opened are tallied."""
    return _end_round(turn)


def resolve(turn: Turn) -> Result:
    """Nobody can object any more: the verdict decides."""
    match turn.job.tally.verdict:
        case Verdict.PASS | Verdict.NO_TEST:
            return [turn.enter(State.CLAIMABLE, turn.timing.claim_s)]
        case Verdict.FAIL:
            return turn.close(Outcome.REJECTED, _assessed(turn))
        case Verdict.NO_MODEL:
            return turn.close(Outcome.WORKER_FAULT, _assessed(turn))
        case Verdict.NONE:
            raise AssertionError("a round without a verdict ends the job at its tally")


def claim(turn: Turn, call: Claim) -> Result:
    """The hash lock: publishing y pays the worker and completes the end user's key, in one step."""
    job, model = turn.job, _model(turn)
    revealed = key_hash(call.y)
    if revealed != model.y_hash:
        return WrongPreimage(model.y_hash, revealed)
    job.y = call.y
    return [Claimed(job.job_id, call.y), *turn.close(Outcome.PAID, _settled(turn))]


def forgo_claim(turn: Turn) -> Result:
    """A worker that never publishes y has not delivered."""
    return turn.close(Outcome.WORKER_FAULT, _settled(turn))


def _award_without_test(turn: Turn) -> list[JobEvent]:
    turn.job.tally = Tally(Verdict.NO_TEST)
    return [turn.enter(State.CLAIMABLE, turn.timing.claim_s)]


def _bad_boxes(turn: Turn, boxes: tuple[bytes, ...]) -> Refusal | None:
    if len(boxes) != len(turn.job.seats):
        return WrongBoxCount(len(boxes), len(turn.job.seats))
    for box in boxes:
        if len(box) > BOX_MOST_BYTES:
            return BoxTooLarge(len(box), BOX_MOST_BYTES)
    return None


def _start_testing(turn: Turn) -> list[JobEvent]:
    if turn.job.has_test_keys and turn.job.has_model_keys:
        return [turn.enter(State.VCOMMIT, turn.job.terms.testing_s)]
    return []


def _end_round(turn: Turn) -> list[JobEvent]:
    job = turn.job
    job.tally = committee.tally(list(job.reports.values()), len(job.seats), job.terms.threshold_e6)
    if job.tally.verdict is Verdict.NONE:
        return turn.close(Outcome.INCONCLUSIVE, _assessed(turn))
    return [
        RoundTallied(job.job_id, job.round, job.tally.verdict, job.tally.metric_e6, job.tally.fingerprint_e9),
        turn.enter(State.TALLIED, turn.timing.appeal_s),
    ]


def _settled(turn: Turn) -> list[SeatResult]:
    """Whether the round ran to its end shows in the keys: without both of them nobody could report."""
    return _assessed(turn) if turn.job.has_test_keys and turn.job.has_model_keys else _excused(turn)


def _assessed(turn: Turn) -> list[SeatResult]:
    job = turn.job
    return committee.assess(job.seats, job.reports, job.tally, job.terms, turn.parameters.seat_stake_wei)


def _excused(turn: Turn) -> list[SeatResult]:
    return committee.excuse(turn.job.seats, turn.parameters.seat_stake_wei)


def _model(turn: Turn) -> Model:
    assert turn.job.model is not None
    return turn.job.model
