"""A job in plain words and numbers, for the command line, the receipt and programs; amounts are decimal strings."""

from pathlib import Path

from morphware.node.api.answers.jobs import Appeal, Audit, Bid, Job, JobRow, Report, Role, Split, Unheard, Winner
from morphware.node.prospects import prospect
from morphware.protocol.calls import Option
from morphware.protocol.codec import Malformed, decode
from morphware.protocol.documents import chunks_of, read_spec
from morphware.protocol.messages import Chunks, JobSpec
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import METRIC_SCALE, Address, JobId, is_code
from morphware.protocol.view import JobView, RoundView

WAITS_FOR: dict[State, str] = {
    State.BIDDING: "bids are taken until the deadline",
    State.REVEALING: "bids are being opened",
    State.AWARDED: "the end user hands the data's key to the winner",
    State.KEYED: "the winner fetches and checks the data",
    State.KEY_DISPUTE: "the end user publishes the data's keys, since the winner could not open its box",
    State.TRAINING: "the winner trains",
    State.SEED: "the committee's seed is being revealed",
    State.KEYING: "keys are handed to the committee",
    State.X_DISPUTE: "the winner publishes a half of the model's key, since the end user could not open its box",
    State.VCOMMIT: "the committee tests the model",
    State.DISCLOSE: "keys are published that a validator could not open",
    State.VREVEAL: "the committee shows its reports",
    State.TALLIED: "the verdict becomes final at the deadline, unless somebody appeals or a random audit doubts it",
    State.DRAWING: "a committee is drawn",
    State.CLAIMABLE: "the winner publishes the model's key, which pays it",
    State.INSPECT: "the end user looks at the model before it is paid for",
}
REASONS: dict[Outcome, str] = {
    Outcome.PAID: "the model met the threshold; the winner is paid",
    Outcome.REJECTED: "the model missed the threshold; the reserve went back",
    Outcome.NO_BIDS: "nobody opened a bid within the reserve; everything went back",
    Outcome.CANCELLED: "the end user took the job back before anybody bid",
    Outcome.USER_FAULT: "the end user did not hand over the data's key; its bond is lost",
    Outcome.WORKER_FAULT: "the winner did not deliver; half of its bond went to the end user",
    Outcome.MUTUAL_ABORT: "the data was refused, both sides fell silent, or no committee could be had; both lost some",
    Outcome.INCONCLUSIVE: "no committee came to a verdict; the reserve went back",
}
SCARCE: str = (
    "no whole committee could be drawn, by bad luck or as too many validators sit in other jobs: the next draw follows "
    "at the deadline, and each one after it waits four times as long"
)
UNTESTED: str = "the model could not be tested, which was the end user's part; the winner is paid"
AUDITED: str = "a random audit: three validators are drawn, who test the model again"
PAYING_OUT: str = "the job has ended, and its many validators are paid out step by step"


def address_text(account: Address | None) -> str | None:
    """An account as people write it."""
    return None if account is None else _account(account)


def describe(view: JobView, *, account: Address, problem: str, model: Path | None, posted_at: int | None = None) -> Job:
    """Everything that can be said of a job; ``committee`` is the newest, ``reports`` are those of every round.

    ``price_wei`` is what the auction found, ``paid_wei`` what the winner was paid of it in the end.
    """
    row = describe_row(view, account=account, problem=problem, posted_at=posted_at)
    return Job(
        **{name: getattr(row, name) for name in row.__struct_fields__},
        user=_account(view.user),
        fee_wei=str(view.terms.fee_wei),
        baseline=view.terms.baseline_e6 / METRIC_SCALE if view.terms.options & Option.LINEAR else None,
        split=_split(view),
        estimated_s=view.terms.estimated_s,
        paid_wei=str(view.closed.price_wei) if view.closed else None,
        winner=Winner(account=_account(view.award.winner), bid_wei=str(view.award.bid_wei)) if view.award else None,
        bids=_bids(view),
        committee=[_account(validator) for validator in view.validators],
        reports=[report for each in view.rounds for report in _reports(view, each)],
        verdict=view.verdict.name,
        appeals=[
            Appeal(appellant=_account(each.appellant), seats=each.seats, bond_wei=str(each.bond_wei))
            for each in view.appeals
        ],
        unheard=[
            Unheard(
                appellant=address_text(each.appellant) if any(each.appellant) else None,
                bond_wei=str(each.bond_wei),
                kept_wei=str(each.kept_wei),
            )
            for each in view.unheard
        ],
        audit=Audit(seats=view.audit.seats, bond_wei=str(view.audit.bond_wei)) if view.audit else None,
        burned_wei=str(view.closed.burned_wei) if view.closed else None,
        model_path=str(model) if model else None,
    )


def describe_row(view: JobView, *, account: Address, problem: str, posted_at: int | None = None) -> JobRow:
    """A job as a line of a list."""
    name, metric = read_names(view)
    return JobRow(
        job_id=view.job_id.hex(),
        name=name,
        is_mine=view.user == account,
        roles=roles_of(view, account),
        state=view.state.name,
        outcome=view.outcome.name,
        deadline=None if view.is_over else view.deadline,
        reason=reason(view),
        next=prospect(view),
        problem=problem,
        posted_at=posted_at,
        metric=metric,
        threshold=view.terms.threshold_e6 / METRIC_SCALE,
        metric_value=_metric(view.tally.metric_e6) if view.tally else None,
        reserve_wei=str(view.terms.reserve_wei),
        price_wei=str(view.award.price_wei) if view.award else None,
    )


def roles_of(view: JobView, account: Address) -> list[Role]:
    """An account's parts in a job: it posted it, bid on it, was drawn to test it."""
    roles: list[Role] = ["user"] if view.user == account else []
    if any(bid.bidder == account for bid in view.bids):
        roles.append("worker")
    if account in view.everybody_drawn:
        roles.append("validator")
    return roles


def reason(view: JobView) -> str:
    """Why a job waits, or why it ended so."""
    if not view.is_over:
        if view.failed_draws:
            return SCARCE
        if view.audit is not None and view.round is view.audited and view.state is State.DRAWING:
            return AUDITED
        return PAYING_OUT if view.settled else WAITS_FOR.get(view.state, "")
    if view.outcome is Outcome.PAID and view.verdict is not Verdict.PASS:
        return UNTESTED
    return REASONS.get(view.outcome, "")


def describe_unposted(job_id: JobId, *, is_given_up: bool, problem: str) -> Job:
    """A job of ours that is not on chain: it is being sealed, or its posting was refused."""
    return Job(
        job_id=job_id.hex(),
        name="",
        is_mine=True,
        roles=["user"],
        state="NONE",
        outcome="NOT_POSTED" if is_given_up else "NONE",
        deadline=None,
        reason="the job was not posted" if is_given_up else "the job's folders are sealed and posted",
        next="",
        problem=problem,
        posted_at=None,
        metric="",
        threshold=None,
        metric_value=None,
        reserve_wei=None,
        price_wei=None,
    )


def _account(account: Address) -> str:
    return "0x" + account.hex()


def read_names(view: JobView) -> tuple[str, str]:
    """A job's name and metric as its specification has them; empty where it does not read."""
    try:
        spec = decode(view.spec, JobSpec)
    except Malformed:
        return "", ""
    return spec.name, spec.metric


def _split(view: JobView) -> Split | None:
    """Which chunks of the data test the model, as far as it is drawn; None where the end user has chosen."""
    spec = read_spec(view)
    if spec is None or not isinstance(spec.data, Chunks):
        return None
    return Split(
        chunks=len(spec.data.files),
        test_chunks=spec.data.test_chunks,
        seed=view.split_seed.hex() if view.split_seed else None,
        tested=list(chunks_of(view, is_test=True)),
    )


def _bids(view: JobView) -> list[Bid]:
    described = []
    for bid in view.bids:
        opened = view.opened.get((bid.bidder, bid.commitment))
        described.append(
            Bid(
                bidder=_account(bid.bidder),
                sequence=bid.sequence,
                is_opened=opened is not None,
                price_wei=str(opened.price_wei) if opened else None,
                is_authentic=opened.is_authentic if opened else None,
            )
        )
    return described


def _reports(view: JobView, of_round: RoundView) -> list[Report]:
    described = []
    for validator in of_round.validators:
        report = of_round.revealed.get(validator)
        settled = view.settled.get(validator)
        described.append(
            Report(
                round=of_round.number,
                validator=_account(validator),
                is_committed=validator in of_round.committed,
                metric=_metric(report.metric_e6) if report else None,
                fingerprint_e9=report.fingerprint_e9 if report else None,
                fee_wei=str(settled.fee_wei) if settled else None,
                slash_wei=str(settled.slash_wei) if settled else None,
            )
        )
    return described


def _metric(metric_e6: int) -> float | str:
    """The metric as a number; codes by name."""
    if is_code(metric_e6):
        return "NO_MODEL" if metric_e6 % 2 == 0 else "NO_TEST"
    return metric_e6 / METRIC_SCALE
