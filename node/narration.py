"""What each chain event means, in one sentence for people."""

from collections.abc import Callable

from morphware.node.describe import SCARCE, WAITS_FOR, reason
from morphware.node.wording import natural, number, shown, tokens, with_symbol
from morphware.protocol import chain_events as ce
from morphware.protocol.messages import JobSpec
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import FINGERPRINT_SCALE, METRIC_SCALE, NO_MODEL, Address, is_code
from morphware.protocol.view import JobView

VERDICTS: dict[Verdict, str] = {
    Verdict.PASS: "meets the threshold",
    Verdict.FAIL: "misses the threshold",
    Verdict.NO_MODEL: "nobody could have the model",
    Verdict.NO_TEST: "nobody could have the testing data",
    Verdict.NONE: "the committee found nothing",
}
_SILENT = frozenset({State.CLOSED, State.VREVEAL})
"""States whose own events say it better."""


def sentence(event: ce.JobEvent, view: JobView, spec: JobSpec | None, name: Callable[[Address], str]) -> str:
    """The event in words; empty where there is nothing to add."""
    metric = spec.metric if spec else ""
    match event:
        case ce.JobPosted():
            title = shown(spec.name, 80) if spec else "a job whose specification does not read"
            return (
                f"posted: {title}; reserve {with_symbol(event.terms.reserve_wei)}, {event.terms.seats} validators, "
                f"{goal(view, metric)}"
            )
        case ce.StateChanged():
            if event.state is State.DRAWING and view.failed_draws:
                return SCARCE
            return "" if event.state in _SILENT else WAITS_FOR.get(event.state, "")
        case ce.BidCommitted():
            return f"{name(event.bidder)} commits a sealed bid ({len(view.bids)} so far)"
        case ce.BidOpened():
            kind = "bids" if event.is_authentic else "shows a decoy of"
            return f"{name(event.bidder)} {kind} {with_symbol(event.price_wei)}"
        case ce.JobAwarded():
            shut = f"; {event.unopened} stayed shut" if event.unopened else ""
            is_alone = event.price_wei == view.terms.reserve_wei
            price = f"{'paid the reserve' if is_alone else 'second price'} {tokens(event.price_wei)}"
            return f"{name(event.winner)} wins at {with_symbol(event.bid_wei)} ({price}{shut})"
        case ce.SplitDrawn():
            return "it is drawn which chunks of the data test the model"
        case ce.KeysPosted():
            return f"{name(view.user)} hands the data's key to the winner"
        case ce.KeyDisclosed():
            return f"{name(view.user)} publishes the data's keys"
        case ce.XDisclosed():
            return "the winner publishes its half of the model's key for the end user"
        case ce.KeysComplained():
            accused = "the end user's" if event.against_user else "the winner's"
            return f"{name(event.validator)} could not open {accused} keys"
        case ce.TestKeysDisclosed():
            return "the testing keys are public"
        case ce.ModelKeysDisclosed():
            return "the model's keys are public"
        case ce.ModelSubmitted():
            return "the trained model is committed and in the swarm"
        case ce.CommitteeDrawn():
            return "drawn: " + ", ".join(name(validator) for validator in event.validators)
        case ce.ReportCommitted():
            return f"{name(event.validator)} commits to its report"
        case ce.ReportRevealed():
            return f"{name(event.validator)} reports {report(event, metric)}"
        case ce.RoundTallied():
            is_measured = event.verdict in (Verdict.PASS, Verdict.FAIL)
            found = f"{value(metric, event.metric_e6)} " if is_measured else ""
            return f"verdict {event.verdict.name}: {found}{VERDICTS.get(event.verdict, '')}"
        case ce.Appealed():
            bond = with_symbol(event.bond_wei)
            return f"{name(event.appellant)} appeals, and pays {bond} for {event.seats} more validators"
        case ce.AppealUnheard():
            bond = with_symbol(event.bond_wei)
            if any(event.appellant):
                back = with_symbol(event.bond_wei - event.kept_wei)
                return f"the appeal finds no validators: {name(event.appellant)} gets {back} of its bond of {bond} back"
            return f"the random audit finds no validators, and the audit pool gets its {bond} back"
        case ce.Audited():
            bond = with_symbol(event.bond_wei)
            return f"a random audit: the audit pool pays {bond} for {event.seats} validators who test again"
        case ce.PokeRewarded():
            return f"{name(event.poker)} gets {with_symbol(event.amount_wei)} for moving the job on"
        case ce.Claimed():
            return "the winner publishes the model's key"
        case ce.SeatSettled():
            lost = f", loses {tokens(event.slash_wei)}" if event.slash_wei else ""
            return f"{name(event.validator)} gets {with_symbol(event.fee_wei)}{lost}"
        case ce.JobClosed():
            burned = f"; {tokens(event.burned_wei)} burned" if event.burned_wei else ""
            paid = f" {with_symbol(event.price_wei)} to {name(event.winner)}," if event.outcome is Outcome.PAID else ""
            return f"{event.outcome.name}:{paid} {reason(view)}{burned}"
    return ""


def goal(view: JobView, metric: str) -> str:
    """What the model must reach."""
    wanted = natural(metric, view.terms.threshold_e6 / METRIC_SCALE)
    is_loss = natural(metric, 1.0) < 0
    return f"{shown(metric, 40)} at {'most' if is_loss else 'least'} {number(wanted)}"


def value(metric: str, metric_e6: int) -> str:
    """A reported metric in its own unit; codes by name."""
    if is_code(metric_e6):
        return "NO_MODEL" if metric_e6 == NO_MODEL else "NO_TEST"
    return number(natural(metric, metric_e6 / METRIC_SCALE))


def report(event: ce.ReportRevealed, metric: str) -> str:
    """A validator's report in a few words."""
    if is_code(event.metric_e6):
        return value(metric, event.metric_e6)
    fingerprint = number(event.fingerprint_e9 / FINGERPRINT_SCALE)
    return f"{shown(metric, 40)} {value(metric, event.metric_e6)}, fingerprint {fingerprint}"
