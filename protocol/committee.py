"""What a committee's tests found, and whose test was coherent.

**Tally.**  A quorum is a strict majority of the seats; without one a round finds nothing.  With one the lower median of
all reports decides: NO_MODEL is the lowest of them, NO_TEST the highest, and the metrics lie between.  If it is a code,
it is the verdict; if it is a metric, it is held against the threshold, or, in a LINEAR job, against the baseline.  So
whoever withholds the model, or the testing set, from a part of the committee is hurt by it, and a minority of liars
cannot outvote an honest majority by it.

**Coherence** is judged when the job closes, over all of its rounds (``assess``):

- a metric report is coherent iff its metric and its fingerprint are near to the medians of the last round whose verdict
  was about a metric.  Outside of the tolerances it is slashed, but only if more than half of the last drawn committee's
  seats are near: an appeal that was cut off proves nobody wrong, and neither does a median that nobody else found, as
  of a test that gives another number each time.  Where no round measured anything, every metric report is coherent;
- a code report is coherent iff the code was its own round's verdict and the last one that any round found.  Else it is
  a strike, and only the third strike is slashed: who cannot fetch a file may be right about it;
- silence is slashed, save in a round that a party's default cut short: its validators had nothing to report.

Only coherent reports are paid, and all the same: the fee, or an equal share of what there is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol.calls import Option, Report, Terms
from morphware.protocol.registry import STRIKES_MOST, Registry, Strikes
from morphware.protocol.states import Verdict
from morphware.protocol.units import BPS, FINGERPRINT_SCALE, NO_MODEL, NO_TEST, Address, Timestamp, Wei, is_code

FINGERPRINT_SLACK_E9: Final = 1_000
"""Absolute tolerance in billionths, so that a fingerprint near zero does not demand equality to the bit."""

OUTLIER_BPS: Final = 5_000
"""A refuted seat loses half of its stake."""

SILENCE_BPS: Final = 2_000
"""A silent seat loses a fifth of its stake."""

STRIKES_BPS: Final = 1_000
"""A seat with too many refuted codes loses a tenth of its stake."""

CODES: Final = {NO_MODEL: Verdict.NO_MODEL, NO_TEST: Verdict.NO_TEST}


@dataclass(frozen=True, slots=True)
class Tally:
    """What a round found; metric and fingerprint are 0 where the verdict is not about a metric."""

    verdict: Verdict
    metric_e6: int = 0
    fingerprint_e9: int = 0

    @property
    def is_measured(self) -> bool:
        """The verdict is about a metric."""
        return self.verdict in (Verdict.PASS, Verdict.FAIL)


@dataclass(slots=True)
class Round:
    """One drawn committee: its seats in the order of the draw, what they committed to, and what was opened.

    ``restarts`` counts the disclosures of keys that were missing: each voids what was committed to.
    """

    seats: dict[int, Address]
    commitments: dict[Address, bytes] = field(default_factory=dict)
    reports: dict[Address, Report] = field(default_factory=dict)
    restarts: int = 0
    has_test_keys: bool = False
    has_model_keys: bool = False
    is_aborted: bool = False

    @property
    def validators(self) -> tuple[Address, ...]:
        """The owners of the drawn seats, in the order of the draw."""
        return tuple(self.seats.values())

    def tally(self, terms: Terms) -> Tally:
        """What the round found by itself."""
        return tally(list(self.reports.values()), len(self.seats), terms)


def has_quorum(reports: int, seats: int) -> bool:
    """A strict majority of the seats reported: a larger quorum would let a minority block an appeal."""
    return 2 * reports > seats


def tally(reports: Sequence[Report], seats: int, terms: Terms) -> Tally:
    """The finding of a round; NONE only without a quorum."""
    if not has_quorum(len(reports), seats):
        return Tally(Verdict.NONE)
    metric = _lower_median([report.metric_e6 for report in reports], key=_rank)
    if is_code(metric):
        return Tally(CODES[metric])
    fingerprint = _lower_median([report.fingerprint_e9 for report in reports if not is_code(report.metric_e6)])
    is_linear = bool(terms.options & Option.LINEAR)
    has_passed = metric > terms.baseline_e6 if is_linear else metric >= terms.threshold_e6
    return Tally(Verdict.PASS if has_passed else Verdict.FAIL, metric, fingerprint)


def is_near(report: Report, reference: Tally, terms: Terms) -> bool:
    """Both numbers of a metric report lie within the job's tolerances of a round's medians."""
    slack = abs(reference.fingerprint_e9) * terms.fingerprint_tolerance_e9 // FINGERPRINT_SCALE
    return (
        abs(report.metric_e6 - reference.metric_e6) <= terms.tolerance_e6
        and abs(report.fingerprint_e9 - reference.fingerprint_e9) <= slack + FINGERPRINT_SLACK_E9
    )


def is_backed(reports: Sequence[Report], seats: int, reference: Tally, terms: Terms) -> bool:
    """More than half of a committee's seats measured what is near to the reference: it proves others wrong."""
    near = [each for each in reports if not is_code(each.metric_e6) and is_near(each, reference, terms)]
    return 2 * len(near) > seats


@dataclass(frozen=True, slots=True)
class SeatResult:
    """How one drawn seat comes out of a job."""

    seat: int
    owner: Address
    fee_wei: Wei
    slash_wei: Wei
    strikes: Strikes | None = None

    @property
    def is_dissolved(self) -> bool:
        """A slashed seat lacks the uniform stake, so it cannot be drawn again."""
        return self.slash_wei > 0


class Finding:
    """What all the rounds of a job found together: the reference that every report is held against."""

    def __init__(self, rounds: Sequence[Round], terms: Terms) -> None:
        self._terms = terms
        self._tallies = [each.tally(terms) for each in rounds]
        self.last = next((each.verdict for each in reversed(self._tallies) if each.verdict), Verdict.NONE)
        self.reference = next((each for each in reversed(self._tallies) if each.is_measured), None)
        self.is_sure = bool(rounds) and self._is_found_by_most_of(rounds[-1])

    def is_coherent(self, round_number: int, report: Report) -> bool:
        """The report is to be paid."""
        code = CODES.get(report.metric_e6)
        if code is not None:
            return self._tallies[round_number].verdict is code and self.last is code
        return self.reference is None or is_near(report, self.reference, self._terms)

    def _is_found_by_most_of(self, last: Round) -> bool:
        """More than half of its seats are near to the reference, so that it is this round's own."""
        return self.reference is not None and is_backed(
            list(last.reports.values()), len(last.seats), self.reference, self._terms
        )


def assess(
    rounds: Sequence[Round], terms: Terms, stake_wei: Wei, registry: Registry, funds_wei: int, now: Timestamp
) -> list[SeatResult]:
    """The result of every seat of every round, in the order of the draws.

    Args:
        funds_wei: what there is for fees besides the slashes: the job's own fees and the appellants' bonds.
        now: when the job ends; strikes count by it.
    """
    finding = Finding(rounds, terms)
    coherent: set[int] = set()
    slashes: dict[int, int] = {}
    strikes: dict[int, Strikes] = {}
    for number, each in enumerate(rounds):
        for seat, owner in each.seats.items():
            report = each.reports.get(owner)
            if report is None:
                slashes[seat] = 0 if each.is_aborted else stake_wei * SILENCE_BPS // BPS
            elif finding.is_coherent(number, report):
                coherent.add(seat)
            elif is_code(report.metric_e6):
                strikes[seat] = registry.struck(seat, now)
                if strikes[seat].count >= STRIKES_MOST:
                    slashes[seat] = stake_wei * STRIKES_BPS // BPS
            elif finding.is_sure:
                slashes[seat] = stake_wei * OUTLIER_BPS // BPS
    funds = funds_wei + sum(slashes.values())
    fee = Wei(min(terms.fee_wei, funds // len(coherent)) if coherent else 0)
    return [
        SeatResult(seat, owner, fee if seat in coherent else Wei(0), Wei(slashes.get(seat, 0)), strikes.get(seat))
        for each in rounds
        for seat, owner in each.seats.items()
    ]


def _rank(metric_e6: int) -> tuple[bool, int]:
    """Nothing is worse than no model, which is the least of all numbers as it is; nothing is better than no test."""
    return metric_e6 == NO_TEST, metric_e6


def _lower_median(values: Sequence[int], key: Callable[[int], tuple[bool, int]] | None = None) -> int:
    return sorted(values, key=key)[(len(values) - 1) // 2]
