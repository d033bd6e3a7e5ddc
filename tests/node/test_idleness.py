"""Not while I play: the hours over midnight, programs by name, loads with hysteresis, and one sentence for each."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.errors import BadInput
from morphware.node.idleness import (
    DAY_MINUTES,
    FREE,
    Availability,
    Hours,
    Observation,
    Rules,
    clock_text,
    decide,
    parse_hours,
)

NIGHT = parse_hours(["22:00-08:00"])
GAMER = Rules(programs=("eldenring.exe", "blender"), quiet_s=60)
LOADED = Rules(other_load_percent=40, busy_after_s=15, quiet_s=60)

minutes = st.integers(0, DAY_MINUTES - 1)
spans = st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1])


def at(text: str) -> int:
    hours, minute = text.split(":")
    return int(hours) * 60 + int(minute)


def seen(minute: int = 0, at_s: float = 0.0, **others: object) -> Observation:
    return Observation(at_s, minute, **others)  # type: ignore[arg-type]


# --- hours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minute", ["22:00", "23:59", "00:00", "07:59"])
def test_hours_over_midnight_hold_on_both_sides_of_it(minute: str) -> None:
    assert decide(Rules(work_hours=NIGHT), seen(at(minute))) == FREE


@pytest.mark.parametrize("minute", ["08:00", "12:00", "21:59"])
def test_outside_of_the_hours_the_reason_says_when_they_begin(minute: str) -> None:
    answer = decide(Rules(work_hours=NIGHT), seen(at(minute)))
    assert (answer.is_free, answer.reason) == (False, "until 22:00 by your hours")


def test_of_several_hours_the_next_one_is_named() -> None:
    rules = Rules(work_hours=parse_hours(["22:00-08:00", "12:30-13:30"]))
    assert decide(rules, seen(at("09:00"))).reason == "until 12:30 by your hours"
    assert decide(rules, seen(at("13:00"))).is_free
    assert decide(rules, seen(at("13:30"))).reason == "until 22:00 by your hours"


@given(spans, st.integers(0, 2 * DAY_MINUTES))
def test_hours_hold_as_a_calendar_has_them(span: tuple[int, int], offset: int) -> None:
    """The oracle puts the hours on a calendar: yesterday's, today's and tomorrow's."""
    start, end = span
    first = datetime(2026, 11, 22, tzinfo=UTC)
    now = first + timedelta(days=1, minutes=offset)
    held = False
    for day in range(5):
        opens = first + timedelta(days=day, minutes=start)
        closes = first + timedelta(days=day, minutes=end) + (timedelta(days=1) if end <= start else timedelta())
        held = held or opens <= now < closes
    minute = now.hour * 60 + now.minute
    hours = parse_hours([f"{clock_text(start)}-{clock_text(end)}"])
    assert hours == (Hours(start, end),)
    answer = decide(Rules(work_hours=hours), seen(minute))
    assert answer.is_free is held
    assert answer.reason == ("" if held else f"until {clock_text(start)} by your hours")


@given(spans)
def test_hours_and_their_complement_share_the_day(span: tuple[int, int]) -> None:
    inside, outside = Hours(*span), Hours(span[1], span[0])
    assert all(inside.holds(minute) is not outside.holds(minute) for minute in range(DAY_MINUTES))


def test_a_day_ends_at_midnight_in_both_spellings() -> None:
    for text in ("22:00-24:00", "22:00-00:00"):
        [hours] = parse_hours([text])
        assert [hours.holds(at(minute)) for minute in ("21:59", "22:00", "23:59", "00:00")] == [
            False,
            True,
            True,
            False,
        ]
    assert all(parse_hours(["00:00-24:00"])[0].holds(minute) for minute in range(DAY_MINUTES))


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-08", "25:00-08:00", "22:60-08:00", "24:00-08:00", "a:b-c:d", "٢٢:00-08:00"]
)
def test_what_names_no_two_times_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="write them like 22:00-08:00"):
        parse_hours([text])


def test_hours_that_begin_when_they_end_are_refused() -> None:
    with pytest.raises(BadInput, match="begins when it ends"):
        parse_hours(["08:00-08:00"])


# --- programs -------------------------------------------------------------------------------------------------------


def test_a_program_of_the_list_makes_the_machine_busy_at_once() -> None:
    answer = decide(GAMER, seen(programs=frozenset({"sh", "eldenring.exe"})))
    assert (answer.is_free, answer.reason) == (False, "busy: the program eldenring.exe runs")


def test_another_program_does_not() -> None:
    assert decide(GAMER, seen(programs=frozenset({"eldenring", "sh"}))) == FREE


def test_after_a_program_the_machine_is_free_once_it_was_quiet_for_long_enough() -> None:
    answer = decide(GAMER, seen(at_s=0, programs=frozenset({"blender"})))
    answer = decide(GAMER, seen(at_s=3), answer)
    assert (answer.is_free, answer.reason) == (False, "busy: the program blender ran until just now")
    assert not decide(GAMER, seen(at_s=62), answer).is_free
    again = decide(GAMER, seen(at_s=50, programs=frozenset({"blender"})), answer)
    assert not decide(GAMER, seen(at_s=70), again).is_free, "the quiet begins anew"
    assert decide(GAMER, seen(at_s=63), answer).is_free


def test_a_program_that_leaves_the_list_is_forgotten_at_once() -> None:
    answer = decide(GAMER, seen(programs=frozenset({"blender"})))
    assert decide(Rules(programs=("eldenring.exe",)), seen(at_s=1), answer) == FREE


# --- loads ----------------------------------------------------------------------------------------------------------


def watched(rules: Rules, loads: Sequence[float | None], step_s: float = 5.0) -> list[Availability]:
    answers, answer = [], FREE
    for index, load in enumerate(loads):
        answer = decide(rules, seen(at_s=index * step_s, load_percent=load), answer)
        answers.append(answer)
    return answers


def test_a_load_counts_once_it_has_lasted() -> None:
    answers = watched(LOADED, [90, 90, 90, 90])
    assert [answer.is_free for answer in answers] == [True, True, True, False]
    assert answers[-1].reason == "busy: other programs take more than 40 % of the processor"


def test_a_short_load_does_not_count() -> None:
    assert all(answer.is_free for answer in watched(LOADED, [90, 90, 10, 90, 90, 10, 90, 90]))


def test_a_busy_machine_is_free_after_its_quiet_and_not_at_the_first_pause() -> None:
    answers = watched(LOADED, [90] * 4 + [10] * 11 + [90] + [10] * 14)
    assert [answer.is_free for answer in answers[3:]].index(True) == 1 + 11 + 1 + 12
    assert answers[-1].is_free


def test_what_could_not_be_measured_changes_nothing() -> None:
    assert not watched(LOADED, [90] * 4 + [None] * 40)[-1].is_free
    assert all(answer.is_free for answer in watched(LOADED, [None] * 40))


def test_a_gpu_has_its_own_limit() -> None:
    rules = Rules(gpu_load_percent=30, busy_after_s=0)
    answer = decide(rules, seen(gpu_percent=31))
    assert answer.reason == "busy: other programs take more than 30 % of a GPU"
    assert decide(rules, seen(gpu_percent=30)).is_free


def test_a_limit_that_is_taken_back_frees_at_once() -> None:
    answer = watched(LOADED, [90] * 4)[-1]
    assert decide(Rules(), seen(at_s=100, load_percent=90), answer) == FREE


@given(st.lists(st.floats(min_value=30.1, max_value=100), max_size=40), st.booleans())
def test_a_load_about_its_limit_never_makes_the_answer_flap(loads: list[float], starts_busy: bool) -> None:
    """Above three quarters of the limit a machine may become busy once, and does not become free."""
    first = [90.0] * 5 if starts_busy else []
    answers = [answer.is_free for answer in watched(LOADED, [*first, *loads])]
    assert answers == sorted(answers, reverse=True)


@given(st.lists(st.tuples(st.floats(0, 30), st.one_of(st.none(), st.floats(0, 100)), st.booleans()), max_size=60))
def test_the_answer_turns_no_oftener_than_its_times_allow(steps: list[tuple[float, float | None, bool]]) -> None:
    rules = Rules(programs=("game",), other_load_percent=40, busy_after_s=15, quiet_s=60)
    answer, now_s, freed_s = FREE, 0.0, None
    busy_since_s: float | None = None
    for passed_s, load, plays in steps:
        now_s += passed_s
        programs = frozenset({"game"}) if plays else frozenset[str]()
        before, answer = answer, decide(rules, seen(at_s=now_s, load_percent=load, programs=programs), answer)
        assert answer.is_free is not bool(answer.reason)
        assert not (plays and answer.is_free)
        if before.is_free and not answer.is_free:
            busy_since_s = now_s
        if not before.is_free and answer.is_free:
            assert busy_since_s is not None
            assert now_s - busy_since_s >= rules.quiet_s
            freed_s = now_s
        if freed_s is not None and not plays and not answer.is_free and before.is_free:
            assert now_s - freed_s >= rules.busy_after_s


def test_of_several_reasons_the_hours_come_first() -> None:
    rules = Rules(work_hours=NIGHT, programs=("game",))
    answer = decide(rules, seen(at("12:00"), programs=frozenset({"game"})))
    assert answer.reason == "until 22:00 by your hours"
    assert decide(rules, seen(at("23:00"), 1.0), answer).reason == "busy: the program game ran until just now"
