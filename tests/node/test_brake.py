"""Standing still costs time and never the bond: a wish counts only while the rest of the work still fits."""

from hypothesis import given
from hypothesis import strategies as st

from morphware.node.brake import CAUTION, LAG_S, Brake

seconds = st.floats(min_value=0, max_value=1e6)


def test_a_wish_is_obeyed_while_there_is_time() -> None:
    brake = Brake(100.0, lambda: True)
    assert brake.holds(0.0, 1_000.0)
    assert brake.holds(10.0, 990.0)
    assert (brake.frozen_s, brake.ran_s, brake.spare_s) == (10.0, 0.0, 990.0 - (150.0 + LAG_S))


def test_without_a_wish_a_training_runs() -> None:
    brake = Brake(100.0, lambda: False)
    assert not brake.holds(0.0, 1_000.0)
    assert not brake.holds(10.0, 990.0)
    assert (brake.frozen_s, brake.ran_s) == (0.0, 10.0)


def test_what_has_run_already_needs_no_time_any_more_but_some_is_always_kept() -> None:
    brake = Brake(100.0, lambda: False)
    brake.holds(60.0, 1_000.0)
    assert brake.needed_s == CAUTION * 40.0 + LAG_S
    brake.holds(600.0, 400.0)
    assert brake.needed_s == CAUTION * 25.0 + LAG_S


def test_once_its_time_is_up_a_training_runs_and_is_not_stopped_again() -> None:
    brake = Brake(100.0, lambda: True)
    assert brake.holds(0.0, 200.0)
    assert not brake.holds(21.0, 179.0)
    assert not brake.holds(90.0, 89.0), "less is left to do, and still it is not stopped again"
    assert (brake.must_run, brake.spare_s) == (True, 0.0)


@given(seconds, seconds, st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=100)), max_size=60))
def test_a_training_never_stands_still_with_less_time_than_it_is_given(
    estimated_s: float, window_s: float, steps: list[tuple[bool, float]]
) -> None:
    wishes = False
    brake = Brake(estimated_s, lambda: wishes)
    left_s, total_s = window_s, 0.0
    for wish, passed_s in steps:
        wishes = wish
        left_s, total_s = left_s - passed_s, total_s + passed_s
        if brake.holds(passed_s, left_s):
            assert wish
            assert left_s > CAUTION * max(estimated_s - brake.ran_s, estimated_s / 4) + LAG_S
    assert abs(brake.ran_s + brake.frozen_s - total_s) < 1e-6
