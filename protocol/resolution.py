"""The rules of how a verdict ends a job: what it means, the hash lock that pays, and the end user's last look."""

from morphware.protocol.calls import Claim, ModelRoot
from morphware.protocol.chain_events import Claimed, JobEvent
from morphware.protocol.commitments import key_hash, model_root
from morphware.protocol.refusals import WrongPreimage
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Result, Turn


def settle_on(turn: Turn, verdict: Verdict) -> list[JobEvent]:
    """A party's default decides: the round that it cut short is nobody's fault but its own."""
    job = turn.job
    job.verdict = verdict
    if job.rounds:
        job.rounds[-1].is_aborted = True
    return resolve(turn)


def resolve(turn: Turn) -> list[JobEvent]:
    """Nobody can object any more: the verdict decides. Where y is known already, there is nothing left to claim."""
    job = turn.job
    match job.verdict:
        case Verdict.PASS | Verdict.NO_TEST:
            if job.y is not None:
                return turn.close(Outcome.PAID)
            return [turn.enter(State.CLAIMABLE, turn.timing.claim_s)]
        case Verdict.FAIL:
            return turn.close(Outcome.REJECTED)
        case Verdict.NO_MODEL:
            return turn.close(Outcome.WORKER_FAULT)
        case Verdict.NONE:
            return turn.close(Outcome.INCONCLUSIVE)


def claim(turn: Turn, call: Claim) -> Result:
    """The hash lock: publishing y completes the end user's key, and secures the price.

    A model that passed may still be looked at before it is paid.  Where there was no test, there is nothing to look at.
    """
    job = turn.job
    wanted = model_root(job.submitted.root)
    actual = model_root(ModelRoot(call.model_hash, call.x_hash, key_hash(call.y), call.worker_seed))
    if actual != wanted:
        return WrongPreimage(wanted, actual)
    job.y = call.y
    claimed = Claimed(job.job_id, call.y)
    if job.verdict is Verdict.PASS:
        return [claimed, turn.enter(State.INSPECT, turn.timing.inspect_s)]
    return [claimed, *turn.close(Outcome.PAID)]


def forgo_claim(turn: Turn) -> Result:
    """A worker that never publishes y has not delivered."""
    return turn.close(Outcome.WORKER_FAULT)


def end_inspection(turn: Turn) -> Result:
    """The end user has the model and says nothing against it."""
    return turn.close(Outcome.PAID)
