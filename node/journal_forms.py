"""The forms that the journal has had, and the way from each to the next.

A journal says which form it has.  A new file goes the whole way from nothing, so that a journal that has grown with
the program and one that was made yesterday are the same.  Each step is one transaction, in which the form is written
down, too: a program that dies in the middle finds the form from which it set out.  Steps are never changed once a
version that made them is out; what has to be different is another step.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from morphware.node.journal_points import pack_old_points

Change = str | Callable[[sqlite3.Connection], None]
STEPS: Final[tuple[tuple[Change, ...], ...]] = (
    (  # form 1: what a node must not forget
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
        """CREATE TABLE IF NOT EXISTS machines (
            job_id BLOB NOT NULL, role TEXT NOT NULL, seed BLOB NOT NULL, config TEXT NOT NULL, outcome TEXT,
            PRIMARY KEY (job_id, role)) STRICT""",
        """CREATE TABLE IF NOT EXISTS events (
            sequence INTEGER PRIMARY KEY, job_id BLOB NOT NULL, role TEXT, timestamp INTEGER NOT NULL,
            block INTEGER NOT NULL, is_behind INTEGER NOT NULL, body TEXT NOT NULL) STRICT""",
        "CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, sequence)",
        """CREATE TABLE IF NOT EXISTS effects (
            job_id BLOB NOT NULL, role TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
            is_done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job_id, role, id)) STRICT""",
        "CREATE TABLE IF NOT EXISTS nodes (account BLOB PRIMARY KEY, body TEXT NOT NULL) STRICT",
        """CREATE TABLE IF NOT EXISTS files (
            job_id BLOB NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, path TEXT NOT NULL,
            PRIMARY KEY (job_id, name)) STRICT""",
        """CREATE TABLE IF NOT EXISTS points (
            job_id BLOB NOT NULL, step INTEGER NOT NULL, time_s REAL NOT NULL, series TEXT NOT NULL,
            value REAL NOT NULL) STRICT""",
        "CREATE INDEX IF NOT EXISTS points_by_job ON points (job_id, series, step)",
        """CREATE TABLE IF NOT EXISTS costs (
            job_id BLOB NOT NULL, role TEXT NOT NULL, effect_id TEXT NOT NULL, call TEXT NOT NULL, gas INTEGER NOT NULL,
            fee_wei TEXT NOT NULL, PRIMARY KEY (job_id, role, effect_id)) STRICT""",
    ),
    (  # form 2: what jobs wrote is kept, too
        """CREATE TABLE output (
            job_id BLOB NOT NULL, sequence INTEGER NOT NULL, time_s REAL NOT NULL, text TEXT NOT NULL,
            size_bytes INTEGER NOT NULL, PRIMARY KEY (job_id, sequence)) STRICT""",
        """CREATE TABLE output_sums (
            job_id BLOB PRIMARY KEY, pieces INTEGER NOT NULL, kept_bytes INTEGER NOT NULL,
            dropped_bytes INTEGER NOT NULL) STRICT""",
    ),
    (  # form 3: which transactions the timeline and the costs come from; nobody knows it of older rows
        "ALTER TABLE events ADD COLUMN transaction_hash BLOB",
        "ALTER TABLE costs ADD COLUMN transaction_hash BLOB",
    ),
    (pack_old_points,),  # form 4: a million points are read in a moment
    (  # form 5: what moved the account's own money outside of jobs
        """CREATE TABLE account_events (
            sequence INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, block INTEGER NOT NULL, body TEXT NOT NULL,
            transaction_hash BLOB) STRICT""",
    ),
)
NEWEST: Final = len(STEPS)


def form_of(connection: sqlite3.Connection) -> str:
    """The form that the journal says it has; ``0`` is a new file. The first version wrote none into fresh folders."""
    has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    if has_meta is None:
        return "0"
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return "1" if row is None else str(row[0])


def is_known(form: str) -> bool:
    """Whether this program can bring a journal of that form to its own."""
    return form in map(str, range(NEWEST + 1))


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a journal of a known form to the newest one, step by step; one of an unknown form is left as it is."""
    while is_known(form := form_of(connection)) and int(form) < NEWEST:
        with transaction(connection):
            if form_of(connection) == form:  # else another program was faster
                for change in STEPS[int(form)]:
                    if isinstance(change, str):
                        connection.execute(change)
                    else:
                        change(connection)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(int(form) + 1),))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; on disk when the block is left."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # it did not come to its end; a full disk may have ended it already
            connection.execute("ROLLBACK")
