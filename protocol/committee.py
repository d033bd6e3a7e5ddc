"""Who tests a model, what the tests found, and whose test was coherent: draw, tally, assessment.

**Seats.**  A validator stakes a fixed amount a seat, and may own many.  Free seats stand in one ordered list; drawn
seats leave it and come back at its end, in the committee's order.

**Draw.**  The seed picks positions of the list, one hash an attempt, without repetition.  A seat may serve iff it was
staked before the job was posted and its owner is neither the end user, nor the winner, nor already on the committee.
Attempts are bounded, so that a list full of ineligible seats cannot make the draw dear; a committee is odd, so a draw
that falls short keeps the largest odd number.

**Tally.**  A quorum is a strict majority of the seats; without one there is no verdict at all.  If more than half of
the reports carry the same code, the verdict is that code; else the lower median of the metrics is held against the
threshold.

**Coherence.**  A metric report is coherent iff both its metric and its fingerprint are near to the lower medians of all
metric reports.  A code report is coherent iff it is the verdict.  Only coherent reports are paid.  Only silence is
slashed in this version: slashing an outlier needs the appeals that could prove the majority wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol.calls import Report, Terms
from morphware.protocol.commitments import draw_word
from morphware.protocol.states import Verdict
from morphware.protocol.units import BPS, FINGERPRINT_SCALE, NO_MODEL, NO_TEST, Address, Timestamp, Wei, is_code

MOST_DRAWS: Final = 256
"""Attempts of one draw, at a hash and a few storage words each: the bound on what a call can cost."""

FINGERPRINT_SLACK_E9: Final = 1_000
"""Absolute tolerance in billionths, so that a fingerprint near zero does not demand equality to the bit."""

NO_SHOW_BPS: Final = 2_000
"""A silent seat loses a fifth of its stake."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A validator's chair: who owns it, and since when."""

    owner: Address
    since: Timestamp


@dataclass(slots=True)
class Registry:
    """All seats by number, and the ordered list of those that are free to be drawn."""

    seats: dict[int, Seat] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    next_seat: int = 0

    def add(self, owner: Address, now: Timestamp) -> int:
        """A new seat stands at the end of the free list."""
        seat = self.next_seat
        self.next_seat += 1
        self.seats[seat] = Seat(owner, now)
        self.free.append(seat)
        return seat

    def dissolve(self, seat: int) -> None:
        """A drawn seat that stayed silent does not come back."""
        del self.seats[seat]


def draw(
    free: Sequence[int], may_serve: Callable[[int, Sequence[int]], bool], seed: bytes, round_number: int, wanted: int
) -> tuple[list[int], list[int]]:
    """The drawn seats, and the free list that the draw leaves behind.

    Refused seats are swapped behind the part of the list that is still in play, and picked ones are replaced by its
    last: no position is asked twice, and the contract does the same in storage without moving the whole list.

    Args:
        free: the ordered free list.
        may_serve: says whether a seat may serve beside those picked so far.
        wanted: how many seats, odd.
    """
    left = list(free)
    picked: list[int] = []
    in_play = len(left)
    for attempt in range(MOST_DRAWS):
        if len(picked) == wanted or in_play == 0:
            break
        position = draw_word(seed, round_number, attempt) % in_play
        seat = left[position]
        if may_serve(seat, picked):
            picked.append(seat)
            left[position] = left[in_play - 1]
            left[in_play - 1] = left[-1]
            left.pop()
        else:
            left[position], left[in_play - 1] = left[in_play - 1], left[position]
        in_play -= 1
    if picked and len(picked) % 2 == 0:
        left.append(picked.pop())
    return picked, left


@dataclass(frozen=True, slots=True)
class Tally:
    """What a round found; metric and fingerprint are 0 where the verdict is not about a metric."""

    verdict: Verdict
    metric_e6: int = 0
    fingerprint_e9: int = 0


def tally(reports: Sequence[Report], seats: int, threshold_e6: int) -> Tally:
    """The verdict of a round; NONE without a quorum, and where the codes are split and nobody measured anything."""
    if 2 * len(reports) <= seats:
        return Tally(Verdict.NONE)
    for code, verdict in ((NO_MODEL, Verdict.NO_MODEL), (NO_TEST, Verdict.NO_TEST)):
        if 2 * sum(report.metric_e6 == code for report in reports) > len(reports):
            return Tally(verdict)
    measured = [report for report in reports if not is_code(report.metric_e6)]
    if not measured:
        return Tally(Verdict.NONE)
    metric = _lower_median([report.metric_e6 for report in measured])
    fingerprint = _lower_median([report.fingerprint_e9 for report in measured])
    return Tally(Verdict.PASS if metric >= threshold_e6 else Verdict.FAIL, metric, fingerprint)


def is_coherent(report: Report, found: Tally, terms: Terms) -> bool:
    """The report agrees with what its round found, within the job's tolerances; without a verdict none does."""
    match found.verdict:
        case Verdict.NONE:
            return False
        case Verdict.NO_MODEL:
            return report.metric_e6 == NO_MODEL
        case Verdict.NO_TEST:
            return report.metric_e6 == NO_TEST
        case Verdict.PASS | Verdict.FAIL:
            slack = abs(found.fingerprint_e9) * terms.fingerprint_tolerance_e9 // FINGERPRINT_SCALE
            return (
                not is_code(report.metric_e6)
                and abs(report.metric_e6 - found.metric_e6) <= terms.tolerance_e6
                and abs(report.fingerprint_e9 - found.fingerprint_e9) <= slack + FINGERPRINT_SLACK_E9
            )


@dataclass(frozen=True, slots=True)
class SeatResult:
    """How one drawn seat comes out of a job."""

    seat: int
    owner: Address
    stake_wei: Wei
    fee_wei: Wei
    slash_wei: Wei

    @property
    def is_dissolved(self) -> bool:
        """A slashed seat lacks the uniform stake, so it cannot be drawn again."""
        return self.slash_wei > 0


def assess(
    seats: Mapping[int, Address], reports: Mapping[Address, Report], found: Tally, terms: Terms, stake_wei: Wei
) -> list[SeatResult]:
    """The result of every seat of a round that ran to its end: a fee for coherence, a slash for silence."""
    results = []
    for seat, owner in seats.items():
        report = reports.get(owner)
        slash = stake_wei * NO_SHOW_BPS // BPS if report is None else 0
        fee = terms.fee_wei if report is not None and is_coherent(report, found, terms) else 0
        results.append(SeatResult(seat, owner, stake_wei, Wei(fee), Wei(slash)))
    return results


def excuse(seats: Mapping[int, Address], stake_wei: Wei) -> list[SeatResult]:
    """The result of every seat of a round that a party's default cut short: its validators neither earn nor lose."""
    return [SeatResult(seat, owner, stake_wei, Wei(0), Wei(0)) for seat, owner in seats.items()]


def _lower_median(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]
