"""What it is worth to doubt a finding: what an appeal costs, what it saves, and whether it pays.

An appeal costs the fees of a committee of twice the size and one more, (2k + 1) F, which come back only if the verdict
changes, and in part if there is nobody to hear it.  What it saves is the appellant's own:

- a validator whose measurement the newest finding contradicts is slashed for it, and not paid;
- the winner of a rejected model loses a part of its bond, and the price;
- the end user of a bad model that passed pays its price.

Nobody doubts without a test of his own.  Whoever made one holds it to be right with ``ODDS`` to one: machines err, and
the next committee may be worse.  So an appeal pays iff ODDS * saved > bond where a changed verdict brings the bond
back, and iff ODDS * saved > (ODDS + 1) * bond where it does not.

A random audit is a finding like any other, and there are as many appeals after it as there would have been before.

Whom two committees have contradicted believes them, and appeals no more; only the end user, who looks at the model last
and pays for it, has its one look whatever was found before.
"""

from dataclasses import dataclass
from typing import Final

from morphware.protocol.appeals import APPEALS_MOST, COMMITTEE_MOST
from morphware.protocol.calls import Option, Report, Terms
from morphware.protocol.chain_events import ReportRevealed, RoundTallied
from morphware.protocol.committee import OUTLIER_BPS, Tally, is_backed, is_near
from morphware.protocol.settlement import REJECTED_BPS
from morphware.protocol.states import State, Verdict
from morphware.protocol.units import BPS, Address, Wei, is_code
from morphware.protocol.view import JobView, report_of

ODDS: Final = 3
"""Who measured with care holds the own number for three times as likely right as wrong."""

BELIEVED: Final = 1
"""So many committees may be captured; more than that are right."""


@dataclass(frozen=True, slots=True)
class Stake:
    """What somebody loses if a finding stands, and whether the verdict would change if the own test is right."""

    saved_wei: int
    is_other_verdict: bool


NOTHING: Final = Stake(0, is_other_verdict=False)


def pays(stake: Stake, bond_wei: int) -> bool:
    """Whether an appeal at this bond is worth more than it risks, at the odds above."""
    returned_wei = ODDS * bond_wei if stake.is_other_verdict else 0
    return ODDS * stake.saved_wei + returned_wei > (ODDS + 1) * bond_wei


def appeal_seats(view: JobView) -> int:
    """The committee that an appeal would pay for; a random audit's does not count."""
    doubted = view.audited if view.audited is not None and not view.appeals else view.round
    return 2 * (doubted.size if doubted else 0) + 1


def appeal_bond_wei(view: JobView) -> Wei:
    """What an appeal locks: the fees of its committee."""
    return Wei(appeal_seats(view) * view.terms.fee_wei)


def is_appeal_left(view: JobView) -> bool:
    """Whether the rules allow one more appeal; whether enough seats are free is for the market to say."""
    if appeal_seats(view) > COMMITTEE_MOST:
        return False
    return len(view.appeals) < APPEALS_MOST + (view.state is State.INSPECT or view.y is not None)


def validator_stake(view: JobView, account: Address, seat_stake_wei: int) -> Stake:
    """What the newest finding costs a validator of any round: half of its seat and its fee, if it is an outlier.

    Only a metric against a metric is slashed, and only if more than half of the newest committee's seats measured what
    it found: whoever reported a code, or is doubted by fewer, loses nothing that an appeal would be worth.
    """
    mine, newest = view.round_of(account), view.round
    report = None if mine is None else mine.revealed.get(account)
    found = None if newest is None else newest.tally
    if report is None or is_code(report.metric_e6) or newest is None or found is None or not _is_measured(found):
        return NOTHING
    own = _opened(account, report)
    others = [_opened(owner, each) for owner, each in newest.revealed.items()]
    if not is_backed(others, newest.size, _as_tally(found), view.terms):
        return NOTHING
    against = [each for each in _findings(view) if not is_near(own, _as_tally(each), view.terms)]
    if found not in against or len(against) > BELIEVED:
        return NOTHING
    lost_wei = seat_stake_wei * OUTLIER_BPS // BPS + view.terms.fee_wei
    return Stake(lost_wei, passes(view.terms, report.metric_e6) is not (view.verdict is Verdict.PASS))


def winner_stake(view: JobView, metric_e6: int) -> Stake:
    """What a rejection costs the winner whose own test of its model says otherwise."""
    found = view.tally
    if found is None or found.verdict is not Verdict.FAIL or not _is_doubted(view, metric_e6):
        return NOTHING
    if not passes(view.terms, metric_e6):
        return NOTHING
    return Stake(view.bond_wei * REJECTED_BPS // BPS + price_for(view, metric_e6), is_other_verdict=True)


def user_stake(view: JobView, metric_e6: int) -> Stake:
    """What a model that passed costs the end user beyond what its own test of it says that it is worth."""
    found = view.tally
    if found is None or found.verdict is not Verdict.PASS or not _is_doubted(view, metric_e6):
        return NOTHING
    saved_wei = price_for(view, found.metric_e6) - price_for(view, metric_e6)
    return Stake(max(0, saved_wei), is_other_verdict=not passes(view.terms, metric_e6))


def passes(terms: Terms, metric_e6: int) -> bool:
    """Whether a metric is what the job asks for, at least a little in a LINEAR one."""
    if terms.options & Option.LINEAR:
        return metric_e6 > terms.baseline_e6
    return metric_e6 >= terms.threshold_e6


def price_for(view: JobView, metric_e6: int) -> int:
    """What the winner would be paid for a model of this metric."""
    if view.award is None or not passes(view.terms, metric_e6):
        return 0
    if not view.terms.options & Option.LINEAR:
        return view.award.price_wei
    whole = view.terms.threshold_e6 - view.terms.baseline_e6
    return view.award.price_wei * min(metric_e6 - view.terms.baseline_e6, whole) // max(1, whole)


def _is_measured(found: RoundTallied) -> bool:
    return found.verdict in (Verdict.PASS, Verdict.FAIL)


def _findings(view: JobView) -> list[RoundTallied]:
    """What the rounds measured, in order."""
    return [each.tally for each in view.rounds if each.tally is not None and _is_measured(each.tally)]


def _opened(account: Address, said: ReportRevealed) -> Report:
    return report_of(account, said.metric_e6, said.fingerprint_e9, said.prediction_root, bytes(32))


def _as_tally(found: RoundTallied) -> Tally:
    return Tally(found.verdict, found.metric_e6, found.fingerprint_e9)


def _is_doubted(view: JobView, metric_e6: int) -> bool:
    """The own metric and the newest finding differ by more than honest machines do, and not two committees say so."""
    far = [each for each in _findings(view) if abs(metric_e6 - each.metric_e6) > view.terms.tolerance_e6]
    return view.reference in far and (len(far) <= BELIEVED or view.state is State.INSPECT)
