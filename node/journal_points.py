"""Logged scalars on disk: packed by series, so that a million of them are read in a moment and not in seconds.

The points of a job are counted from 1, over all its series, in the order in which they came.  A row holds some
successive points of one series, each with its number.
"""

import math
import sqlite3
import struct
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import Final

POINT: Final = struct.Struct("<qqdd")
"""Number, step, seconds since the training began, value."""
POINTS_A_ROW: Final = 120
"""What fits one page of the file."""
TABLES: Final = (
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY, job_id BLOB NOT NULL, name TEXT NOT NULL, points INTEGER NOT NULL,
        UNIQUE (job_id, name)) STRICT""",
    """CREATE TABLE packed_points (
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL, last INTEGER NOT NULL, data BLOB NOT NULL) STRICT""",
    "CREATE INDEX packed_points_by_series ON packed_points (series, last)",
)

Point = tuple[int, float, str, float]
"""Step, seconds since the training began, series, value."""


def add_points(connection: sqlite3.Connection, job_id: bytes, points: list[Point]) -> None:
    """Append to a job's points, inside the caller's transaction."""
    packed: dict[str, list[bytes]] = {}
    lasts: dict[str, list[int]] = {}
    for number, (step, time_s, name, value) in enumerate(points, sum(count_points(connection, job_id).values()) + 1):
        packed.setdefault(name, []).append(POINT.pack(number, step, time_s, value))
        lasts.setdefault(name, []).append(number)
    for name, rows in packed.items():
        series = connection.execute(
            "INSERT INTO series (job_id, name, points) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET points = points + excluded.points RETURNING id",
            (job_id, name, len(rows)),
        ).fetchone()[0]
        for start in range(0, len(rows), POINTS_A_ROW):
            last = lasts[name][start : start + POINTS_A_ROW][-1]
            connection.execute(
                "INSERT INTO packed_points (series, last, data) VALUES (?, ?, ?)",
                (series, last, b"".join(rows[start : start + POINTS_A_ROW])),
            )


def count_points(connection: sqlite3.Connection, job_id: bytes) -> dict[str, int]:
    """How many points each of a job's series has, the oldest series first."""
    rows = connection.execute("SELECT name, points FROM series WHERE job_id = ? ORDER BY id", (job_id,))
    return dict(rows.fetchall())


def read_packed(connection: sqlite3.Connection, series: int, after: int) -> bytes:
    """The packed points of one series from the row on that holds the first with a number greater than ``after``."""
    rows = connection.execute(
        "SELECT data FROM packed_points WHERE series = ? AND last > ? ORDER BY last", (series, after)
    )
    return b"".join(data for (data,) in rows)


def last_values(connection: sqlite3.Connection, job_id: bytes) -> dict[str, tuple[int, float]]:
    """How many points each of a job's series has, and its newest finite value, the oldest series first.

    One without any finite value is left out.  Of a series its newest row is read, unless nothing in it is finite.
    """
    found = {}
    series = connection.execute("SELECT id, name, points FROM series WHERE job_id = ? ORDER BY id", (job_id,))
    for number, name, points in series.fetchall():
        rows = connection.execute("SELECT data FROM packed_points WHERE series = ? ORDER BY last DESC", (number,))
        values = (value for (data,) in rows for *_, value in reversed(list(POINT.iter_unpack(data))))
        newest = next(filter(math.isfinite, values), None)
        if newest is not None:
            found[name] = points, newest
    return found


def read_points(connection: sqlite3.Connection, job_id: bytes, after: int, most: int) -> list[Point]:
    """A job's points in the order in which they came: at most so many, after so many (-1: all)."""
    series = connection.execute("SELECT id, name FROM series WHERE job_id = ?", (job_id,)).fetchall()
    ordered = merge(*(_numbered(connection, number, name, after, most) for number, name in series))
    return [(step, time_s, name, value) for _, step, time_s, value, name in islice(ordered, None if most < 0 else most)]


def _numbered(
    connection: sqlite3.Connection, series: int, name: str, after: int, most: int
) -> Iterator[tuple[int, int, float, float, str]]:
    rows = connection.execute(
        "SELECT data FROM packed_points WHERE series = ? AND last > ? ORDER BY last LIMIT ?", (series, after, most)
    )
    for (data,) in rows:
        for number, step, time_s, value in POINT.iter_unpack(data):
            if number > after:
                yield number, step, time_s, value, name


def pack_old_points(connection: sqlite3.Connection) -> None:
    """From one row a point, in the table ``points``, to the packed form."""
    for table in TABLES:
        connection.execute(table)
    rows = connection.execute("SELECT job_id, step, time_s, series, value FROM points ORDER BY job_id, rowid")
    while page := rows.fetchmany(10_000):
        by_job: dict[bytes, list[Point]] = {}
        for job_id, *point in page:
            by_job.setdefault(job_id, []).append(tuple(point))
        for job_id, points in by_job.items():
            add_points(connection, job_id, points)
    connection.execute("DROP TABLE points")
