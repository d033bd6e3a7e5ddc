"""Which rule each call on a job goes by, and what silence means in each state: the table's rows as functions."""

from typing import assert_never

from morphware.protocol import appeals, audits, bidding, calls, disputes, drawing, resolution, testing, training
from morphware.protocol.calls import JobCall
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Result, Turn


def apply(turn: Turn, call: JobCall) -> Result:
    """The rule of each row; the table has let the call pass."""
    match call:
        case calls.Cancel():
            return bidding.cancel(turn)
        case calls.Commit():
            return bidding.commit(turn, call)
        case calls.CommitBatch():
            return bidding.commit_batch(turn, call)
        case calls.RevealBids():
            return bidding.reveal_bids(turn, call)
        case calls.DrawSplit():
            return training.draw_split(turn)
        case calls.PostKeys():
            return training.post_keys(turn, call)
        case calls.Acknowledge():
            return training.acknowledge(turn)
        case calls.Decline():
            return training.abort(turn)
        case calls.ComplainKey():
            return disputes.complain_key(turn)
        case calls.DiscloseKey():
            return disputes.disclose_key(turn, call)
        case calls.SubmitModel():
            return training.submit_model(turn, call)
        case calls.RevealSeed():
            return drawing.reveal_seed(turn, call)
        case calls.ComplainX():
            return disputes.complain_x(turn)
        case calls.DiscloseX():
            return disputes.disclose_x(turn, call)
        case calls.PostTestKeys():
            return testing.post_test_keys(turn, call)
        case calls.PostModelKeys():
            return testing.post_model_keys(turn, call)
        case calls.CommitReport():
            return testing.commit_report(turn, call)
        case calls.CommitReportBatch():
            return testing.commit_report_batch(turn, call)
        case calls.ComplainKeys():
            return disputes.complain_keys(turn, call)
        case calls.DiscloseTest():
            return disputes.disclose_test(turn, call)
        case calls.DiscloseModel():
            return disputes.disclose_model(turn, call)
        case calls.RevealReports():
            return testing.reveal_reports(turn, call)
        case calls.Claim():
            return resolution.claim(turn, call)
        case calls.Appeal():
            return appeals.appeal(turn)
        case calls.InspectAppeal():
            return appeals.inspect_appeal(turn)
        case calls.Poke():
            return _time_out(turn)
        case calls.Post():
            raise AssertionError("a job is posted before it has a turn")
        case _:
            assert_never(call)


def _time_out(turn: Turn) -> Result:
    """What silence until the deadline means in each state; a job that is over already is settled further."""
    if turn.job.outcome is not Outcome.NONE:
        return turn.sweep()
    match turn.job.state:
        case State.BIDDING:
            return bidding.end_bidding(turn)
        case State.REVEALING:
            return bidding.award(turn)
        case State.AWARDED | State.KEY_DISPUTE:
            return training.fault_user(turn)
        case State.KEYED:
            return training.abort(turn)
        case State.TRAINING:
            return training.fault_worker(turn)
        case State.SEED:
            return drawing.withhold_seed(turn)
        case State.KEYING:
            return testing.end_keying(turn)
        case State.X_DISPUTE:
            return disputes.withhold_x(turn)
        case State.VCOMMIT:
            return testing.end_report_commits(turn)
        case State.DISCLOSE:
            return disputes.withhold_keys(turn)
        case State.VREVEAL:
            return testing.end_report_reveals(turn)
        case State.TALLIED:
            return audits.end_appeals(turn)
        case State.DRAWING:
            return drawing.end_drawing(turn)
        case State.CLAIMABLE:
            return resolution.forgo_claim(turn)
        case State.INSPECT:
            return resolution.end_inspection(turn)
        case State.NONE | State.CLOSED as state:
            raise AssertionError(f"the table lets nobody poke {state.name}")
