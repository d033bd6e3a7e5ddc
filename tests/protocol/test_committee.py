"""The draw is fair and bounded, the tally is a lower median, and coherence is judged to the last unit."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.calls import Option, Report
from morphware.protocol.commitments import draw_word, keccak
from morphware.protocol.committee import Finding, Round, SeatResult, Tally, assess, is_near, tally
from morphware.protocol.registry import MOST_DRAWS, Registry, Strikes, draw
from morphware.protocol.states import Verdict
from morphware.protocol.units import BAD_MODEL, INT64_MAX, INT64_MIN, NO_MODEL, NO_TEST, Timestamp, Wei
from tests.protocol.market_world import VALIDATORS, report_of, terms_of

TERMS = terms_of()
SEEDS = st.binary(min_size=32, max_size=32)


def each_once(seat: int, picked: Sequence[int]) -> bool:
    return seat not in picked


def reports_of(metrics: Sequence[int]) -> list[Report]:
    return [report_of(VALIDATORS[index], metric) for index, metric in enumerate(metrics)]


# --- draw --------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(0, 20), st.sets(st.integers(0, 19)), st.sampled_from((1, 3, 5, 7)))
def test_a_draw_takes_eligible_seats_once(seed: bytes, span: int, barred: set[int], wanted: int) -> None:
    picked = draw(span, lambda seat, before: seat not in barred and seat not in before, seed, 0, wanted)
    eligible = set(range(span)) - barred
    assert set(picked) <= eligible
    assert len(set(picked)) == len(picked)
    assert len(picked) == (wanted if wanted <= len(eligible) else 0), "1,024 attempts at 20 numbers miss none of them"


@given(SEEDS, st.integers(1, 12), st.integers(0, 255))
def test_the_draw_is_the_one_of_the_rule_written_down(seed: bytes, span: int, round_number: int) -> None:
    """The rule as the specification has it: the contract is written from the same text."""
    barred, wanted, chosen, attempt = {1, 4}, 3, list[int](), 0
    while attempt < 1024 and len(chosen) < wanted:
        number = draw_word(seed, round_number, attempt) % span
        if number not in barred and number not in chosen:
            chosen.append(number)
        attempt += 1
    if len(chosen) < wanted:
        chosen = []
    drawn = draw(span, lambda seat, before: seat not in barred and seat not in before, seed, round_number, wanted)
    assert drawn == chosen


def test_every_seat_is_drawn_about_as_often() -> None:
    draws = Counter[int]()
    for index in range(3_000):
        draws.update(draw(10, each_once, keccak(index.to_bytes(4, "big")), 0, 3))
    assert all(800 <= draws[seat] <= 1_000 for seat in range(10)), draws  # 900 expected, deviation 25


def test_another_round_is_another_draw() -> None:
    assert draw(100, each_once, bytes(32), 0, 11) != draw(100, each_once, bytes(32), 1, 11)


def test_a_registry_of_ineligible_seats_costs_a_bounded_number_of_attempts() -> None:
    asked: list[int] = []

    def nobody(seat: int, _picked: Sequence[int]) -> bool:
        asked.append(seat)
        return False

    assert draw(1_000, nobody, bytes(32), 0, 5) == []
    assert len(asked) == MOST_DRAWS


def test_a_draw_that_falls_short_takes_nobody() -> None:
    """A smaller committee would be cheaper to own, and would lose less than the reserve."""
    assert len(draw(5, each_once, bytes(32), 0, 5)) == 5
    for span in (0, 1, 3, 4):
        assert draw(span, each_once, bytes(32), 0, 5) == []


@pytest.mark.parametrize(
    ("free", "busy", "own", "wanted", "is_scarce"),
    [
        (0, 0, 0, 5, False),
        (11, 11, 0, 5, False),
        (10, 11, 0, 5, True),
        (10, 16, 5, 11, True),
        (11, 16, 5, 11, False),
        (2**17, 2**16 - 6, 0, 5, False),
        (2**17, 2**16 - 5, 0, 5, True),
    ],
)
def test_seats_are_scarce_while_more_sit_in_other_jobs_than_are_free(
    free: int, busy: int, own: int, wanted: int, is_scarce: bool
) -> None:
    assert Registry(free_seats=free, busy_seats=busy).is_scarce(own, wanted) is is_scarce


# --- tally -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reports", "seats", "has_verdict"), [(3, 5, True), (2, 5, False), (2, 4, False), (1, 1, True)]
)
def test_a_quorum_is_a_strict_majority_of_seats(reports: int, seats: int, has_verdict: bool) -> None:
    assert (
        tally(reports_of([1] * reports), seats, terms_of(threshold_e6=0)).verdict is not Verdict.NONE
    ) == has_verdict


@pytest.mark.parametrize(
    ("metrics", "verdict", "median"),
    [
        ([1, 2, 3, 4, 5], Verdict.PASS, 3),
        ([5, 4, 2, 1], Verdict.FAIL, 2),
        ([3], Verdict.PASS, 3),
        ([2], Verdict.FAIL, 2),
        ([NO_MODEL, NO_MODEL, NO_MODEL, 3, 3], Verdict.NO_MODEL, 0),
        ([NO_TEST, NO_TEST, NO_TEST, 3, 3], Verdict.NO_TEST, 0),
        ([NO_TEST, NO_TEST, 3, 3], Verdict.PASS, 3),
        ([NO_TEST, NO_TEST, NO_MODEL, NO_MODEL, 3], Verdict.PASS, 3),
        ([NO_TEST, NO_TEST, NO_MODEL, NO_MODEL], Verdict.NO_MODEL, 0),
        ([NO_TEST, NO_TEST, NO_TEST, NO_MODEL], Verdict.NO_TEST, 0),
        ([NO_TEST, NO_TEST, 2, INT64_MAX], Verdict.PASS, INT64_MAX),
        ([NO_TEST, NO_TEST, NO_MODEL, 2], Verdict.FAIL, 2),
        # A part of an honest majority could not get the model, and two liars say that it is good.
        ([NO_MODEL, NO_MODEL, 2, 3, 3], Verdict.FAIL, 2),
        ([NO_MODEL] * 5 + [2, 2] + [3] * 4, Verdict.FAIL, 2),
        # A part of an honest majority could not get the testing set, and two liars say that the model is bad.
        ([2, 2, 3, NO_TEST, NO_TEST], Verdict.PASS, 3),
        ([INT64_MAX, NO_TEST, NO_TEST], Verdict.NO_TEST, 0),
        ([BAD_MODEL, NO_MODEL, NO_MODEL], Verdict.NO_MODEL, 0),
        ([BAD_MODEL, BAD_MODEL, 3], Verdict.FAIL, BAD_MODEL),
        ([INT64_MAX, INT64_MAX, BAD_MODEL], Verdict.PASS, INT64_MAX),
    ],
)
def test_the_lower_median_of_all_reports_decides_with_no_model_below_and_no_test_above_all_metrics(
    metrics: list[int], verdict: Verdict, median: int
) -> None:
    found = tally(reports_of(metrics), len(metrics), terms_of(threshold_e6=3))
    assert (found.verdict, found.metric_e6) == (verdict, median)


METRICS = st.lists(st.sampled_from((NO_MODEL, NO_TEST, BAD_MODEL, 1, 2, 3)), min_size=3, max_size=5)


def rank_of(metrics: Sequence[int]) -> int:
    """Verdicts in the order of what they do to the worker: the lowest costs it its bond, the highest the user's."""
    ranks = (Verdict.NO_MODEL, Verdict.FAIL, Verdict.PASS, Verdict.NO_TEST)
    return ranks.index(tally(reports_of(metrics), 5, terms_of(threshold_e6=2)).verdict)


@given(METRICS, st.integers(0, 5))
def test_whoever_withholds_a_file_from_validators_never_gains_by_it(metrics: list[int], withheld: int) -> None:
    """Whatever they and all others would have reported: the worker withholds its model, or the user the testing set."""
    others, nothing = metrics[withheld:], len(metrics[:withheld])
    assert rank_of([NO_MODEL] * nothing + others) <= rank_of(metrics) <= rank_of([NO_TEST] * nothing + others)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_two_liars_of_five_never_outvote_honest_validators_whatever_is_withheld(
    low: int, high: int, withheld: int, honest_metric: int
) -> None:
    """Three honest ones measure the same or miss what the worker withholds: a bad model never passes; and mirrored."""
    values = (NO_MODEL, BAD_MODEL, 1, 2, INT64_MAX, NO_TEST)
    liars, served = [values[low], values[high]], max(0, 3 - withheld)
    without_model = rank_of([NO_MODEL] * (3 - served) + [honest_metric] * served + liars)
    without_test = rank_of([NO_TEST] * (3 - served) + [honest_metric] * served + liars)
    if honest_metric < 2:
        assert without_model <= 1, "a model below the threshold is never paid for"
    else:
        assert without_test >= 2, "a good one always is"


@given(METRICS)
def test_a_quorum_always_finds_something(metrics: list[int]) -> None:
    assert tally(reports_of(metrics), 5, terms_of(threshold_e6=2)).verdict is not Verdict.NONE


@given(METRICS, st.randoms())
def test_a_tally_does_not_depend_on_the_order_of_reports(metrics: list[int], random: object) -> None:
    reports = reports_of(metrics)
    shuffled, terms = list(reports), terms_of(threshold_e6=2)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tally(shuffled, 5, terms) == tally(reports, 5, terms)


@pytest.mark.parametrize(("median", "verdict"), [(0, Verdict.FAIL), (1, Verdict.PASS), (2, Verdict.PASS)])
def test_a_linear_job_passes_above_its_baseline(median: int, verdict: Verdict) -> None:
    terms = terms_of(threshold_e6=2, options=Option.LINEAR)
    assert tally(reports_of([median] * 3), 3, terms).verdict is verdict


def test_metric_and_fingerprint_have_their_medians_apart_and_codes_have_neither() -> None:
    reports = [
        report_of(VALIDATORS[0], 10, 300),
        report_of(VALIDATORS[1], 20, 100),
        report_of(VALIDATORS[2], 30, 200),
        report_of(VALIDATORS[3], NO_TEST, -(10**12)),
    ]
    assert tally(reports, 5, terms_of(threshold_e6=20)) == Tally(Verdict.PASS, 20, 200)


# --- coherence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "fingerprint", "near"),
    [
        (950_000, 123_456_789, True),
        (955_000, 123_456_789, True),
        (955_001, 123_456_789, False),
        (945_000, 123_456_789, True),
        (944_999, 123_456_789, False),
        (950_000, 123_456_789 + 1_234 + 1_000, True),
        (950_000, 123_456_789 + 1_234 + 1_001, False),
        (950_000, 123_456_789 - 1_234 - 1_000, True),
        (950_000, 123_456_789 - 1_234 - 1_001, False),
    ],
)
def test_a_report_is_near_within_both_tolerances(metric: int, fingerprint: int, near: bool) -> None:
    reference = Tally(Verdict.PASS, 950_000, 123_456_789)
    assert is_near(report_of(VALIDATORS[0], metric, fingerprint), reference, TERMS) == near


def test_a_negative_reference_fingerprint_is_as_tolerant_as_its_size() -> None:
    reference = Tally(Verdict.FAIL, 0, -123_456_789)
    assert is_near(report_of(VALIDATORS[0], 0, -123_456_789 - 2_234), reference, TERMS)
    assert not is_near(report_of(VALIDATORS[0], 0, -123_456_789 - 2_235), reference, TERMS)


def test_the_ends_of_64_bits_are_far_apart() -> None:
    reference = Tally(Verdict.PASS, INT64_MAX, INT64_MAX)
    assert not is_near(report_of(VALIDATORS[0], BAD_MODEL, INT64_MIN), reference, TERMS)


def rounds_of(*metrics: Sequence[int | None]) -> list[Round]:
    """Rounds whose validators reported these metrics, one validator after the other (None: silence)."""
    rounds, seat = [], 0
    for each in metrics:
        seats = {seat + index: VALIDATORS[seat + index] for index in range(len(each))}
        seat += len(each)
        reports = {
            owner: report_of(owner, metric)
            for owner, metric in zip(seats.values(), each, strict=True)
            if metric is not None
        }
        rounds.append(Round(seats, {}, reports))
    return rounds


def assessed(rounds: Sequence[Round], funds: int = 1_000, registry: Registry | None = None) -> list[SeatResult]:
    return assess(rounds, TERMS, Wei(70), registry or Registry(), funds, Timestamp(1))


def fees_and_slashes(*metrics: Sequence[int | None]) -> list[tuple[int, int]]:
    return [(result.fee_wei, result.slash_wei) for result in assessed(rounds_of(*metrics))]


PAID, NEUTRAL, OUTLIER, SILENT = (2, 0), (0, 0), (0, 35), (0, 14)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([[10, 10, 10, 90_000, None]], [PAID, PAID, PAID, OUTLIER, SILENT]),
        ([[10] * 3, [90_000] * 7], [OUTLIER] * 3 + [PAID] * 7),
        # The last round found nothing about the metric, so that it proves nobody wrong.
        ([[10, 10, 90_000], [NO_TEST] * 7], [PAID, PAID, NEUTRAL] + [PAID] * 7),
        ([[10, 10, 90_000], [None] * 7], [PAID, PAID, NEUTRAL] + [SILENT] * 7),
        # No majority of the last committee's seats is behind the median: it proves nobody wrong.
        ([[10, 30_000, 60_000, 90_000, 120_000]], [NEUTRAL, NEUTRAL, PAID, NEUTRAL, NEUTRAL]),
        ([[10, 10, 90_000, None, None]], [PAID, PAID, NEUTRAL, SILENT, SILENT]),
        ([[NO_MODEL, NO_MODEL, 10, 90_000, 90_000]], [NEUTRAL, NEUTRAL, PAID, NEUTRAL, NEUTRAL]),
        ([[90_000] * 3, [10, 10] + [60_000] * 3 + [120_000] * 2], [NEUTRAL] * 5 + [PAID] * 3 + [NEUTRAL] * 2),
        ([[90_000] * 3, [10] * 4 + [60_000] * 3], [OUTLIER] * 3 + [PAID] * 4 + [OUTLIER] * 3),
        # The older rounds' support does not count for the last one.
        ([[10] * 5, [10] * 3 + [90_000, 90_000, NO_TEST, None]], [PAID] * 8 + [NEUTRAL] * 3 + [SILENT]),
        # A code is paid iff it was its own round's verdict and the last one.
        ([[NO_MODEL, NO_MODEL, NO_TEST], [NO_MODEL] * 7], [PAID, PAID, NEUTRAL] + [PAID] * 7),
        ([[NO_MODEL, NO_MODEL, NO_MODEL], [10] * 7], [NEUTRAL] * 3 + [PAID] * 7),
        ([[NO_MODEL, NO_MODEL, 10]], [PAID, PAID, PAID]),
        ([[10, 10, NO_MODEL], [NO_MODEL] * 7], [PAID, PAID, NEUTRAL] + [PAID] * 7),
        # Without a quorum there is no reference, and no code is a verdict.
        ([[10, NO_TEST, None, None, None]], [PAID, NEUTRAL, SILENT, SILENT, SILENT]),
    ],
)
def test_coherence_is_judged_over_all_rounds(metrics: list[list[int | None]], expected: list[tuple[int, int]]) -> None:
    assert fees_and_slashes(*metrics) == expected


def test_a_round_cut_short_neither_pays_nor_slashes() -> None:
    rounds = rounds_of([10, 10, 90_000], [None] * 7)
    rounds[1].is_aborted = True
    results = assessed(rounds)
    assert [(result.fee_wei, result.slash_wei) for result in results] == [PAID, PAID, NEUTRAL] + [NEUTRAL] * 7


@pytest.mark.parametrize(("funds", "fee"), [(6, 2), (5, 2), (4, 2), (3, 2), (0, 2)])
def test_slashes_pay_fees_too(funds: int, fee: int) -> None:
    """14 of the silent one are there for the others, whatever else there is."""
    results = assessed(rounds_of([10, 10, 10, None, None]), funds)
    assert [result.fee_wei for result in results] == [fee] * 3 + [0] * 2


@pytest.mark.parametrize(("funds", "fee"), [(6, 2), (5, 1), (3, 1), (2, 0)])
def test_what_is_too_little_for_all_is_shared_alike(funds: int, fee: int) -> None:
    assert [result.fee_wei for result in assessed(rounds_of([10, 10, 10]), funds)] == [fee] * 3


def test_strikes_count_up_and_the_third_is_slashed() -> None:
    registry = Registry()
    rounds = rounds_of([10, 10, NO_TEST])
    for count in (1, 2, 3):
        result = assessed(rounds, registry=registry)[2]
        assert result.strikes == Strikes(count, Timestamp(1))
        assert (result.slash_wei, result.is_dissolved) == ((7, True) if count == 3 else (0, False))
        registry.strikes[2] = result.strikes


def test_a_finding_is_sure_only_if_most_of_the_last_round_measured_it() -> None:
    assert Finding(rounds_of([1] * 3), TERMS).is_sure
    assert not Finding(rounds_of([1] * 3, [NO_TEST] * 7), TERMS).is_sure
    assert not Finding([], TERMS).is_sure
    assert Finding(rounds_of([1, 1, None]), TERMS).is_sure
    assert not Finding(rounds_of([1, 60_000, None]), TERMS).is_sure
    assert not Finding(rounds_of([1] * 3, [1] * 3 + [None] * 4), TERMS).is_sure, "no quorum"
    assert Finding(rounds_of([1] * 3, [NO_TEST] * 7), TERMS).last is Verdict.NO_TEST
    assert Finding(rounds_of([NO_TEST] * 3, [1] * 7), TERMS).reference == Tally(Verdict.FAIL, 1, 123_456_789)
