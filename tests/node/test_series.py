"""What is drawn of a job's series: in order, each place once, thinned without losing a peak, and never in the way."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.node import journal_points
from morphware.node import series as series_module
from morphware.node.journal import Journal
from morphware.node.series import BUCKETS_MOST, Series, SeriesFacts, thinned
from morphware.protocol.units import JobId

JOB, OTHER = JobId(b"j" * 32), JobId(b"o" * 32)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "with blank?#%.sqlite")
    journal.connection.execute("PRAGMA synchronous=OFF")
    yield journal
    journal.close()


async def drawn(series: Series, name: str = "loss", **wanted: object) -> list[tuple[float, float]]:
    window = (await series.window(JOB, [name], **wanted))[name]  # type: ignore[arg-type]
    return list(zip(window.x.tolist(), window.values.tolist(), strict=True))


async def test_a_list_shows_what_each_series_is(journal: Journal) -> None:
    series = Series(journal)
    assert await series.names(JOB) == []
    journal.add_points(JOB, [(3, 1.0, "loss", 0.5), (7, 2.0, "accuracy", 0.25), (5, 1.5, "loss", 0.75)])
    journal.add_points(OTHER, [(1, 1.0, "loss", 9.0)])
    loss = SeriesFacts("loss", 2, 0.75)
    accuracy = SeriesFacts("accuracy", 1, 0.25)
    assert await series.names(JOB) == [loss, accuracy]
    journal.add_points(JOB, [(1, 0.5, "loss", 0.1)])
    assert await series.names(JOB) == [SeriesFacts("loss", 3, 0.1), accuracy]


async def test_a_series_grows_with_the_journal(journal: Journal) -> None:
    series = Series(journal)
    wanted = []
    for start in range(0, 3_000, 77):
        points = [(step, step / 10, "loss", float(step % 13)) for step in range(start, start + 77)]
        journal.add_points(JOB, points)
        wanted += [(step, value) for step, _, _, value in points]
        assert await drawn(series, buckets=BUCKETS_MOST) == wanted


async def test_of_a_repeated_place_the_newest_value_is_shown_and_all_are_in_order(journal: Journal) -> None:
    first = [(step, step * 1.0, "loss", 1.0) for step in range(6)]
    again = [(step, step * 1.0 + 0.5, "loss", 2.0) for step in range(3)]
    journal.add_points(JOB, [*first, *again, (2, 9.0, "loss", 3.0)])
    series = Series(journal)
    assert await drawn(series) == [(0, 2.0), (1, 2.0), (2, 3.0), (3, 1.0), (4, 1.0), (5, 1.0)]
    by_time = await drawn(series, axis="time")
    assert [x for x, _ in by_time] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 9.0]
    journal.add_points(JOB, [(0, 9.0, "loss", 4.0)])
    assert (await drawn(series))[0] == (0, 4.0)
    assert (await drawn(series, axis="time"))[-1] == (9.0, 4.0)


async def test_a_window_has_what_lies_in_it_and_its_neighbours_if_they_are_wanted(journal: Journal) -> None:
    journal.add_points(JOB, [(step, step / 4, "loss", float(step)) for step in range(0, 100, 10)])
    series = Series(journal)
    assert await drawn(series, first=20, last=40) == [(20, 20.0), (30, 30.0), (40, 40.0)]
    assert await drawn(series, first=20.5, last=29) == []
    assert await drawn(series, first=20.5, last=29, has_neighbours=True) == [(20, 20.0), (30, 30.0)]
    assert await drawn(series, first=5.0, last=7.5, axis="time") == [(5.0, 20.0), (7.5, 30.0)]
    assert await drawn(series, last=10) == [(0, 0.0), (10, 10.0)]
    assert await drawn(series, first=85, has_neighbours=True) == [(80, 80.0), (90, 90.0)]
    assert await drawn(series, first=10**18) == []


async def test_a_long_series_is_thinned_and_keeps_its_ends_and_peaks(journal: Journal) -> None:
    values = np.sin(np.arange(50_000) / 3_000)
    values[31_234], values[7] = 40.0, -40.0
    journal.add_points(JOB, [(step, float(step), "loss", float(value)) for step, value in enumerate(values)])
    window = (await Series(journal).window(JOB, ["loss"], buckets=500))["loss"]
    assert (len(window.x), window.count) == (500, 50_000)
    assert np.all(np.diff(window.x) > 0)
    assert (window.x[0], window.x[-1]) == (0, 49_999)
    assert {31_234, 7} <= set(window.x.tolist())
    assert np.array_equal(window.values, values[window.x])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**53), st.floats(allow_nan=False, allow_infinity=False)), max_size=200),
    st.integers(3, 60),
)
def test_whatever_is_thinned_is_a_part_of_it_with_its_ends(points: list[tuple[int, float]], buckets: int) -> None:
    by_step = dict(sorted(points))
    x, values = np.array(list(by_step), np.int64), np.array(list(by_step.values()), np.float64)
    window = thinned(x, values, buckets)
    assert window.count == len(by_step)
    assert len(window.x) == min(buckets, len(by_step))
    assert np.all(window.x[1:] > window.x[:-1])
    assert all(by_step[step] == value for step, value in zip(window.x.tolist(), window.values.tolist(), strict=True))
    if by_step:
        assert (window.x[0], window.x[-1]) == (min(by_step), max(by_step))


async def test_what_is_no_number_is_not_drawn(journal: Journal) -> None:
    values = [1.0, math.inf, 2.0, -math.inf, math.nan, 3.0]
    journal.add_points(JOB, [(step, 1.0 * step, "loss", value) for step, value in enumerate(values)])
    journal.add_points(JOB, [(9, math.nan, "loss", 1.0), (9, 1.0, "empty", math.nan)])
    series = Series(journal)
    assert await drawn(series) == [(0, 1.0), (2, 2.0), (5, 3.0)]
    assert await drawn(series, "empty") == []
    assert await series.names(JOB) == [SeriesFacts("loss", 7, 1.0)]
    journal.add_points(JOB, [(9, 1.0, "loss", math.nan)] * (2 * journal_points.POINTS_A_ROW))
    assert [facts.last_value for facts in await series.names(JOB)] == [1.0]


async def test_a_list_reads_no_more_than_it_shows(journal: Journal) -> None:
    journal.add_points(JOB, [(step, 1.0, "loss", 1.0) for step in range(1_000)])
    series = Series(journal)
    assert await series.names(JOB) == [SeriesFacts("loss", 1_000, 1.0)]
    assert not series._kept


async def test_unknown_jobs_and_series_are_left_out(journal: Journal) -> None:
    journal.add_points(JOB, [(1, 1.0, "loss", 1.0)])
    series = Series(journal)
    assert list(await series.window(JOB, ["loss", "none", "loss"])) == ["loss"]
    assert await series.window(OTHER, ["loss"]) == {}
    assert [piece async for piece in series.csv(OTHER)] == [series_module.CSV_HEAD.encode()]


@pytest.mark.parametrize("wrong", [{"buckets": 2}, {"buckets": BUCKETS_MOST + 1}, {"axis": "series"}])
async def test_a_picture_that_cannot_be_drawn_is_refused(wrong: dict[str, object], journal: Journal) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        await Series(journal).window(JOB, ["loss"], **wrong)  # type: ignore[arg-type]


async def test_what_was_not_asked_for_longest_is_forgotten_and_found_again(journal: Journal) -> None:
    names = [f"series {number}" for number in range(6)]
    journal.add_points(JOB, [(step, 1.0 * step, name, 1.0) for step in range(1_000) for name in names])
    series = Series(journal, bytes_most=3 * 70 * 1_000)
    for name in [*names, *names]:
        assert len(await drawn(series, name)) == 1_000
        assert sum(growing.size_bytes for growing in series._kept.values()) <= (3 * 70 + 16) * 1_000
    assert len(await series.window(JOB, names)) == 6  # what is asked for at once is answered at once
    assert (JOB, names[-1]) in series._kept


async def test_a_writer_and_a_reader_do_not_wait_for_each_other(journal: Journal) -> None:
    journal.add_points(JOB, [(1, 1.0, "loss", 1.0)])
    series = Series(journal)
    with trio.fail_after(60), journal.transaction():
        journal.add_points(JOB, [(2, 2.0, "loss", 2.0)])
        assert await drawn(series) == [(1, 1.0)]  # what is not written to the end is not seen
    assert await drawn(series) == [(1, 1.0), (2, 2.0)]


async def test_many_questions_at_once_are_answered_alike(journal: Journal) -> None:
    journal.add_points(JOB, [(step, 1.0 * step, "loss", 1.0) for step in range(5_000)])
    series = Series(journal)
    counts: list[int] = []

    async def ask() -> None:
        counts.append((await series.window(JOB, ["loss"], buckets=100))["loss"].count)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
    assert counts == [5_000] * 20


async def test_nobody_can_write_through_a_series(journal: Journal) -> None:
    import sqlite3

    with Series(journal)._connect() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM series")


async def test_the_file_has_every_point_in_the_order_in_which_they_came(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_module, "CSV_POINTS", 7)
    names = ["loss", 'with "quotes", and a comma', "=1+1", "line"]
    points = [(step, step / 3, names[step % 4], math.pi * step) for step in range(1_000)]
    for start in range(0, 1_000, 10):
        journal.add_points(JOB, points[start : start + 10])
        journal.add_points(OTHER, [(1, 1.0, "other", 1.0)])
    text = b"".join([piece async for piece in Series(journal).csv(JOB)]).decode()
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == ["step", "seconds", "series", "value"]
    shown = [(int(step), float(time_s), name.removeprefix("'"), float(value)) for step, time_s, name, value in rows]
    assert shown == points
    assert "'=1+1" in text


def test_points_are_counted_over_all_series_in_the_order_in_which_they_came(journal: Journal) -> None:
    names = ["a", "b", "c"]
    points = [(step, 1.0, names[step * step % 3], 1.0) for step in range(1_000)]
    for start in range(0, 1_000, 333):
        journal.add_points(JOB, points[start : start + 333])
    assert journal.points(JOB) == points
    for after in (0, 1, 119, 120, 121, 332, 333, 999, 1_000):
        assert journal.points(JOB, after=after, most=50) == points[after : after + 50]
    sizes = journal.connection.execute("SELECT max(length(data)) FROM packed_points").fetchone()[0]
    assert sizes <= journal_points.POINTS_A_ROW * journal_points.POINT.size < 4_000
