"""The journal's forms: an old one is brought to the newest with all that it holds, and a newer one is left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from morphware.node import journal_forms
from morphware.node.journal import ForeignDataFolder, Journal, JournalUnusable
from morphware.node.plain import to_json
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Poke
from morphware.protocol.chain_events import NodePublished, StateChanged
from morphware.protocol.effects import Send
from morphware.protocol.events import Moment
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp

FORM_1 = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS machines (
    job_id BLOB NOT NULL, role TEXT NOT NULL, seed BLOB NOT NULL, config TEXT NOT NULL, outcome TEXT,
    PRIMARY KEY (job_id, role)) STRICT;
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY, job_id BLOB NOT NULL, role TEXT, timestamp INTEGER NOT NULL, block INTEGER NOT NULL,
    is_behind INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, sequence);
CREATE TABLE IF NOT EXISTS effects (
    job_id BLOB NOT NULL, role TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, is_done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, role, id)) STRICT;
CREATE TABLE IF NOT EXISTS nodes (account BLOB PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS files (
    job_id BLOB NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (job_id, name)) STRICT;
CREATE TABLE IF NOT EXISTS points (
    job_id BLOB NOT NULL, step INTEGER NOT NULL, time_s REAL NOT NULL, series TEXT NOT NULL,
    value REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS points_by_job ON points (job_id, series, step);
CREATE TABLE IF NOT EXISTS costs (
    job_id BLOB NOT NULL, role TEXT NOT NULL, effect_id TEXT NOT NULL, call TEXT NOT NULL, gas INTEGER NOT NULL,
    fee_wei TEXT NOT NULL, PRIMARY KEY (job_id, role, effect_id)) STRICT;
"""
"""Word for word what the program wrote before there was a second form."""
JOB, OTHER = JobId(b"j" * 32), JobId(b"o" * 32)
RECORD = NodePublished(Address(b"a" * 20), b"e" * 32, b"p" * 32, ("/ip4/127.0.0.1/tcp/1",))
FILE = SealedFile("magnet:?", 2**40, bytes(32))
EVENT = StateChanged(JOB, State.BIDDING, Timestamp(9))
POINTS = [(step, float(step), name, 1 / (step + 1)) for step in range(11_000) for name in ("loss", "accuracy")]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal as the first version left it, with something in every table."""
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(FORM_1)
        write = connection.execute
        write("BEGIN")
        for key, value in (("network", "chain 1"), ("schema", "1"), ("cursor", '{"block": 7}')):
            write("INSERT INTO meta VALUES (?, ?)", (key, value))
        write("INSERT INTO machines VALUES (?, 'worker', ?, 'null', 'paid')", (JOB, b"s" * 32))
        write(
            "INSERT INTO events (job_id, role, timestamp, block, is_behind, body) VALUES (?, NULL, 5, 7, 0, ?)",
            (JOB, to_json(EVENT)),
        )
        write("INSERT INTO effects VALUES (?, 'worker', 'poke', ?, 0)", (JOB, to_json(Send("poke", Poke(JOB)))))
        write("INSERT INTO nodes VALUES (?, ?)", (RECORD.account, to_json(RECORD)))
        write("INSERT INTO files VALUES (?, 'train', ?, '/where')", (JOB, to_json(FILE)))
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", [(JOB, *point) for point in POINTS])
        write("INSERT INTO points VALUES (?, 1, 2.0, 'loss', 3.0)", (OTHER,))
        write("INSERT INTO costs VALUES (?, 'worker', 'poke', 'Poke', 90000, '7')", (JOB,))
        write("COMMIT")
    return path


def check(journal: Journal) -> None:
    """All that the first version wrote is there."""
    journal.belongs_to("chain 1")
    assert journal.get("cursor") == '{"block": 7}'
    (machine,) = journal.machines()
    assert (machine.job_id, machine.role, machine.seed, machine.outcome) == (JOB, "worker", b"s" * 32, "paid")
    (stored,) = journal.events(JOB)
    assert (stored.role, stored.event, stored.now, stored.is_behind) == (None, EVENT, Moment(Timestamp(5), 7), False)
    assert journal.pending_effects(JOB, "worker") == [Send("poke", Poke(JOB))]
    assert journal.nodes() == {RECORD.account: RECORD}
    assert journal.files() == [(JOB, "train", FILE, Path("/where"))]
    assert journal.points(JOB) == POINTS
    assert journal.points(OTHER) == [(1, 2.0, "loss", 3.0)]
    (cost,) = journal.costs()
    assert (cost["job_id"], cost["call"], cost["gas"], cost["fee_wei"]) == (JOB.hex(), "Poke", 90_000, "7")
    assert cost["transaction_hash"] is None
    assert stored.transaction_hash is None


def test_a_journal_of_the_first_form_is_brought_to_the_newest_with_all_that_it_holds(old: Path) -> None:
    for _ in range(2):  # and the second start finds nothing left to do
        with closing(Journal(old)) as journal:
            check(journal)
            assert journal.get("schema") == str(journal_forms.NEWEST)


def test_a_new_journal_has_the_same_tables_as_one_that_grew(old: Path, tmp_path: Path) -> None:
    def shape(path: Path) -> set[tuple[str, str]]:
        with closing(Journal(path)) as journal:
            rows = journal.connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {(name, "".join(sql.split())) for name, sql in rows}

    assert shape(old) == shape(tmp_path / "new.sqlite")


def test_a_journal_from_before_its_folder_was_claimed_is_of_the_first_form(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FORM_1)
    with closing(Journal(path)) as journal:
        journal.belongs_to("chain 2")
        assert journal_forms.form_of(journal.connection) == str(journal_forms.NEWEST)


def test_a_step_that_fails_leaves_the_form_from_which_it_set_out(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ("CREATE TABLE half (key TEXT)", "DELETE FROM points", "INSERT INTO nowhere VALUES (1)")
    steps = (journal_forms.STEPS[0], broken)
    with monkeypatch.context() as patched:
        patched.setattr(journal_forms, "STEPS", steps)
        patched.setattr(journal_forms, "NEWEST", len(steps))
        with pytest.raises(JournalUnusable, match="nowhere"):
            Journal(old)
    with closing(sqlite3.connect(old)) as connection:
        assert journal_forms.form_of(connection) == "1"
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone() is None
    with closing(Journal(old)) as journal:
        check(journal)


@pytest.mark.parametrize("form", [str(journal_forms.NEWEST + 1), "99", "", "-1", "1.0", "one", "٢"])
def test_a_newer_or_unreadable_form_is_refused_and_not_touched(form: str, old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (form,))
    with pytest.raises(ForeignDataFolder, match=f"form {form}, and this program writes form {journal_forms.NEWEST}"):
        Journal(old)
    with closing(sqlite3.connect(old)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"meta", "machines", "events", "effects", "nodes", "files", "points", "costs"}
        assert journal_forms.form_of(connection) == form
