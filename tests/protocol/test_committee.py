"""The draw is fair and bounded, the tally is a lower median, and coherence is judged to the last unit."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.calls import Report
from morphware.protocol.commitments import draw_word, keccak
from morphware.protocol.committee import MOST_DRAWS, Tally, assess, draw, excuse, is_coherent, tally
from morphware.protocol.states import Verdict
from morphware.protocol.units import BAD_MODEL, INT64_MAX, INT64_MIN, NO_MODEL, NO_TEST, Wei
from tests.protocol.market_world import VALIDATORS, report_of, terms_of

TERMS = terms_of()
SEEDS = st.binary(min_size=32, max_size=32)


def anybody(_seat: int, _picked: Sequence[int]) -> bool:
    return True


def reports_of(metrics: Sequence[int]) -> list[Report]:
    return [report_of(VALIDATORS[index], metric) for index, metric in enumerate(metrics)]


# --- draw --------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(0, 20), st.sets(st.integers(0, 19)), st.sampled_from((1, 3, 5, 7)))
def test_a_draw_takes_eligible_seats_once_and_leaves_all_others(
    seed: bytes, count: int, barred: set[int], wanted: int
) -> None:
    free = list(range(count))
    picked, left = draw(free, lambda seat, _picked: seat not in barred, seed, 0, wanted)
    assert sorted(picked + left) == free
    assert not set(picked) & barred
    assert len(picked) <= wanted
    eligible = count - len(barred & set(free))
    if eligible == 0:
        assert picked == []
    elif eligible < wanted:
        assert len(picked) == eligible - (eligible % 2 == 0)
    else:
        assert len(picked) == wanted


@given(SEEDS, st.integers(1, 12))
def test_the_draw_is_the_one_of_the_rule_written_down(seed: bytes, count: int) -> None:
    """The rule as the brief has it, with its own names: the contract is written from the same text."""
    free, barred, k = list(range(count)), {1, 4}, 3
    model, m, n, i = list(free), count, count, 0
    chosen: list[int] = []
    while len(chosen) < k and n > 0 and i < 256:
        j = draw_word(seed, 0, i) % n
        seat = model[j]
        if seat not in barred:
            model[j] = model[n - 1]
            model[n - 1] = model[m - 1]
            model.pop()
            m, n = m - 1, n - 1
            chosen.append(seat)
        else:
            model[j], model[n - 1] = model[n - 1], model[j]
            n -= 1
        i += 1
    if chosen and len(chosen) % 2 == 0:
        model.append(chosen.pop())
    assert draw(free, lambda seat, _picked: seat not in barred, seed, 0, k) == (chosen, model)


def test_every_seat_is_drawn_about_as_often() -> None:
    draws = Counter[int]()
    for index in range(3_000):
        picked, _ = draw(range(10), anybody, keccak(index.to_bytes(4, "big")), 0, 3)
        draws.update(picked)
    assert all(800 <= draws[seat] <= 1_000 for seat in range(10)), draws  # 900 expected, deviation 25


def test_another_round_is_another_draw() -> None:
    assert draw(range(100), anybody, bytes(32), 0, 11) != draw(range(100), anybody, bytes(32), 1, 11)


def test_a_list_of_ineligible_seats_costs_a_bounded_number_of_attempts() -> None:
    asked: list[int] = []

    def nobody(seat: int, _picked: Sequence[int]) -> bool:
        asked.append(seat)
        return False

    picked, left = draw(range(1_000), nobody, bytes(32), 0, 5)
    assert (picked, sorted(left)) == ([], list(range(1_000)))
    assert len(asked) == len(set(asked)) == MOST_DRAWS


def test_a_draw_that_falls_short_keeps_the_largest_odd_number_and_returns_the_last() -> None:
    picked, left = draw(range(4), anybody, bytes(32), 0, 5)
    assert len(picked) == 3
    assert len(left) == 1


# --- tally -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reports", "seats", "has_verdict"), [(3, 5, True), (2, 5, False), (2, 4, False), (1, 1, True)]
)
def test_a_quorum_is_a_strict_majority_of_seats(reports: int, seats: int, has_verdict: bool) -> None:
    assert (tally(reports_of([1] * reports), seats, 0).verdict is not Verdict.NONE) == has_verdict


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
        ([NO_TEST, NO_TEST, NO_MODEL, NO_MODEL], Verdict.NONE, 0),
        ([BAD_MODEL, BAD_MODEL, 3], Verdict.FAIL, BAD_MODEL),
        ([INT64_MAX, INT64_MAX, BAD_MODEL], Verdict.PASS, INT64_MAX),
    ],
)
def test_a_code_needs_more_than_half_of_the_reports_else_the_lower_median_decides(
    metrics: list[int], verdict: Verdict, median: int
) -> None:
    found = tally(reports_of(metrics), len(metrics), 3)
    assert (found.verdict, found.metric_e6) == (verdict, median)


@given(st.lists(st.sampled_from((NO_MODEL, NO_TEST, BAD_MODEL, 1, 2, 3)), min_size=3, max_size=5), st.randoms())
def test_a_tally_does_not_depend_on_the_order_of_reports(metrics: list[int], random: object) -> None:
    reports = reports_of(metrics)
    shuffled = list(reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tally(shuffled, 5, 2) == tally(reports, 5, 2)


def test_metric_and_fingerprint_have_their_medians_apart_and_codes_have_neither() -> None:
    reports = [
        report_of(VALIDATORS[0], 10, 300),
        report_of(VALIDATORS[1], 20, 100),
        report_of(VALIDATORS[2], 30, 200),
        report_of(VALIDATORS[3], NO_TEST, -(10**12)),
    ]
    assert tally(reports, 5, 20) == Tally(Verdict.PASS, 20, 200)


# --- coherence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "fingerprint", "coherent"),
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
        (NO_MODEL, 123_456_789, False),
        (NO_TEST, 123_456_789, False),
    ],
)
def test_a_report_is_coherent_within_both_tolerances(metric: int, fingerprint: int, coherent: bool) -> None:
    found = Tally(Verdict.PASS, 950_000, 123_456_789)
    assert is_coherent(report_of(VALIDATORS[0], metric, fingerprint), found, TERMS) == coherent


def test_a_negative_reference_fingerprint_is_as_tolerant_as_its_size() -> None:
    found = Tally(Verdict.FAIL, 0, -123_456_789)
    assert is_coherent(report_of(VALIDATORS[0], 0, -123_456_789 - 2_234), found, TERMS)
    assert not is_coherent(report_of(VALIDATORS[0], 0, -123_456_789 - 2_235), found, TERMS)


def test_the_ends_of_64_bits_are_far_apart() -> None:
    found = Tally(Verdict.PASS, INT64_MAX, INT64_MAX)
    assert not is_coherent(report_of(VALIDATORS[0], BAD_MODEL, INT64_MIN), found, TERMS)


@pytest.mark.parametrize("verdict", [Verdict.NO_MODEL, Verdict.NO_TEST, Verdict.NONE])
@pytest.mark.parametrize("metric", [NO_MODEL, NO_TEST, 950_000])
def test_a_code_is_paid_iff_it_is_the_verdict(verdict: Verdict, metric: int) -> None:
    named = {Verdict.NO_MODEL: NO_MODEL, Verdict.NO_TEST: NO_TEST}.get(verdict)
    assert is_coherent(report_of(VALIDATORS[0], metric), Tally(verdict), TERMS) == (metric == named)


def test_only_silence_is_slashed_and_only_coherence_is_paid() -> None:
    seats = dict(enumerate(VALIDATORS[:3]))
    reports = {VALIDATORS[0]: report_of(VALIDATORS[0]), VALIDATORS[1]: report_of(VALIDATORS[1], 0)}
    results = assess(seats, reports, Tally(Verdict.PASS, 950_000, 123_456_789), TERMS, Wei(74))
    assert [(r.fee_wei, r.slash_wei, r.is_dissolved) for r in results] == [(2, 0, False), (0, 0, False), (0, 14, True)]


def test_a_round_cut_short_neither_pays_nor_slashes() -> None:
    results = excuse(dict(enumerate(VALIDATORS[:3])), Wei(70))
    assert [(r.fee_wei, r.slash_wei, r.is_dissolved) for r in results] == [(0, 0, False)] * 3
