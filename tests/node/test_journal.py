"""The journal: all or nothing, its owner's alone, and never mistaken for another's."""

import sqlite3
import stat
from pathlib import Path

import pytest

from morphware.node import journal as journal_module
from morphware.node.journal import (
    OUTPUT_ROW_BYTES,
    ForeignDataFolder,
    Journal,
    JournalUnusable,
    OutputSums,
    StoredEvent,
)
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Poke
from morphware.protocol.chain_events import StateChanged
from morphware.protocol.effects import Send
from morphware.protocol.events import Moment, TimePassed
from morphware.protocol.states import State
from morphware.protocol.units import JobId, Timestamp

JOB, OTHER = JobId(b"j" * 32), JobId(b"o" * 32)
NOW = Moment(Timestamp(5), 7)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_a_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    def fail() -> None:
        with journal.transaction():
            journal.add_machine(JOB, "worker", bytes(32), None)
            journal.add_event(JOB, None, TimePassed(), NOW, is_behind=False)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert journal.machines() == []
    assert list(journal.events(JOB)) == []
    with journal.transaction():
        journal.add_machine(JOB, "worker", bytes(32), None)
    assert len(journal.machines()) == 1
    journal.close()


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.connection.execute("PRAGMA max_page_count = 20")

    def fill() -> None:
        with journal.transaction():
            for number in range(10_000):
                journal.put(str(number), "x" * 1000)

    with pytest.raises(sqlite3.Error):
        fill()
    assert not journal.connection.in_transaction
    with journal.transaction():
        journal.put("small", "value")
    journal.close()


def test_what_was_stored_is_there_in_a_copy_of_the_files(journal: Journal, tmp_path: Path) -> None:
    """A process that is killed leaves its files as they are; a copy taken now is what the next start finds."""
    event = StateChanged(JOB, State.BIDDING, Timestamp(9))
    with journal.transaction():
        journal.add_machine(JOB, "user", b"s" * 32, None)
        journal.add_event(JOB, None, event, NOW, is_behind=True)
        assert journal.add_effect(JOB, "user", Send("poke", Poke(JOB)))
        assert not journal.add_effect(JOB, "user", Send("poke", Poke(JOB)))
    journal.connection.execute("BEGIN IMMEDIATE")
    journal.finish_effect(JOB, "user", "poke")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("journal.sqlite*"):
        (copy / path.name).write_bytes(path.read_bytes())
    found = Journal(copy / "journal.sqlite")
    (record,) = found.events(JOB)
    assert (record.role, record.event, record.now, record.is_behind) == (None, event, NOW, True)
    assert found.pending_effects(JOB, "user") == [Send("poke", Poke(JOB))]
    assert found.machines()[0].seed == b"s" * 32
    found.close()
    journal.connection.execute("ROLLBACK")
    journal.close()


def test_effects_that_are_done_are_not_pending(journal: Journal) -> None:
    for name in ("a", "b"):
        journal.add_effect(JOB, "user", Send(name, Poke(JOB)))
        journal.add_effect(OTHER, "user", Send(name, Poke(OTHER)))
    journal.finish_effect(JOB, "user", "a")
    assert [effect.id for effect in journal.pending_effects(JOB, "user")] == ["b"]
    assert [effect.id for effect in journal.pending_effects(OTHER, "user")] == ["a", "b"]
    journal.close()


def test_the_journal_and_its_companions_are_their_owners_alone(journal: Journal, tmp_path: Path) -> None:
    journal.put("key", "value")
    paths = list(tmp_path.glob("journal.sqlite*"))
    assert len(paths) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    journal.close()


def test_a_folder_belongs_to_one_network_and_one_account(tmp_path: Path) -> None:
    for _ in range(2):
        journal = Journal(tmp_path / "journal.sqlite")
        journal.belongs_to("chain 1")
        with pytest.raises(ForeignDataFolder, match=r"chain 1.*chain 2"):
            journal.belongs_to("chain 2")
        journal.close()


def test_a_journal_of_another_form_is_not_touched(journal: Journal) -> None:
    journal.belongs_to("chain 1")
    journal.put("schema", "99")
    with pytest.raises(ForeignDataFolder, match="form 99"):
        journal.belongs_to("chain 1")
    journal.close()


def test_a_file_that_is_no_journal_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(JournalUnusable, match="backup"):
        Journal(path)


def test_points_come_in_pages(journal: Journal) -> None:
    points = [(step, float(step), "loss", 1 / (step + 1)) for step in range(10)]
    journal.add_points(JOB, points)
    journal.add_points(OTHER, points[:3])
    assert journal.points(JOB) == points
    assert journal.points(JOB, after=4, most=3) == points[4:7]
    assert journal.points(JOB, after=10, most=3) == []
    assert journal.count_points(OTHER) == {"loss": 3}
    journal.close()


def test_output_comes_in_pages_and_in_order(journal: Journal) -> None:
    for number in range(1, 6):
        assert journal.add_output(JOB, number / 2, f"{number}\n") == number
    assert journal.add_output(OTHER, 9.0, "é") == 1
    assert journal.output(JOB, after=1, most=2) == [(2, 1.0, "2\n"), (3, 1.5, "3\n")]
    assert journal.output(JOB, after=4) == [(5, 2.5, "5\n")]
    assert journal.output(JOB, after=5) == []
    assert journal.output_sums(JOB) == OutputSums(5, 10, 0)
    assert journal.output_sums(OTHER) == OutputSums(1, 2, 0)
    assert journal.output_sums(JobId(bytes(32))) == OutputSums()
    journal.close()


def test_of_a_jobs_output_the_newest_stays(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "OUTPUT_MOST_BYTES", 10 * (50 + OUTPUT_ROW_BYTES))
    for number in range(1, 101):
        journal.add_output(JOB, 1.0, f"{number:050}")
    assert [(sequence, int(text)) for sequence, _, text in journal.output(JOB)] == [(n, n) for n in range(91, 101)]
    assert journal.output_sums(JOB) == OutputSums(100, 500, 90 * 50)
    journal.add_output(JOB, 1.0, "x" * 100_000)  # larger than everything: the newest stays whatever it is
    assert [sequence for sequence, _, _ in journal.output(JOB)] == [101]
    assert journal.output_sums(JOB) == OutputSums(101, 100_000, 100 * 50)
    for _ in range(50):
        journal.add_output(JOB, 1.0, "")  # pieces without text take up room, too
    assert len(journal.output(JOB)) <= 20
    journal.close()


def test_the_timeline_is_what_the_chain_said_with_its_transactions(journal: Journal) -> None:
    event = StateChanged(JOB, State.BIDDING, Timestamp(9))
    journal.add_event(JOB, None, event, NOW, is_behind=True, transaction_hash=b"t" * 32)
    journal.add_event(JOB, "user", TimePassed(), NOW, is_behind=False)
    journal.add_event(OTHER, None, event, NOW, is_behind=False)
    journal.add_event(JOB, None, event, NOW, is_behind=False)
    assert journal.timeline(JOB) == [
        StoredEvent(None, event, NOW, is_behind=True, transaction_hash=b"t" * 32),
        StoredEvent(None, event, NOW, is_behind=False, transaction_hash=None),
    ]
    assert [stored.role for stored in journal.events(JOB)] == [None, "user", None]
    journal.close()


def test_files_and_costs_are_kept_once(journal: Journal, tmp_path: Path) -> None:
    file = SealedFile("magnet:?", 2**40, bytes(32))
    for _ in range(2):
        journal.put_file(JOB, "train", file, tmp_path)
        journal.add_cost(JOB, "user", "post", "Post", 90_000, 2**80, b"t" * 32)
    assert journal.files() == [(JOB, "train", file, tmp_path)]
    assert journal.costs() == [
        {
            "job_id": JOB.hex(),
            "role": "user",
            "call": "Post",
            "gas": 90_000,
            "fee_wei": str(2**80),
            "transaction_hash": "0x" + "74" * 32,
        }
    ]
    journal.drop_file(JOB, "train")
    assert journal.files() == []
    journal.close()


def test_the_costs_of_one_job_are_its_own(journal: Journal) -> None:
    journal.add_cost(JOB, "user", "post", "Post", 1, 10)
    journal.add_cost(OTHER, "user", "post", "Post", 2, 20)
    journal.add_cost(JOB, "worker", "bid", "Bid", 3, 30)
    assert [cost["gas"] for cost in journal.costs(JOB)] == [1, 3]
    assert [cost["gas"] for cost in journal.costs()] == [1, 2, 3]
    assert journal.costs(JobId(b"n" * 32)) == []
    journal.close()


def test_the_fees_of_the_newest_jobs_are_added_up_by_job(journal: Journal) -> None:
    for number in range(5):
        for effect in ("post", "key"):
            journal.add_cost(JobId(bytes([number]) * 32), "user", effect, "Post", 1, 2**70 + number)
        journal.add_cost(JobId(bytes([number]) * 32), "worker", "bid", "Bid", 1, 1)
    assert journal.last_fees("user", 2) == [2**71 + 6, 2**71 + 8]
    assert len(journal.last_fees("user", 20)) == 5
    assert journal.last_fees("validator", 20) == []
    journal.close()


def test_a_file_is_named_by_its_hash(journal: Journal, tmp_path: Path) -> None:
    for number in range(3):
        journal.put_file(JOB, f"file {number}", SealedFile("magnet:?", 1, bytes([number]) * 32), tmp_path)
    reader = journal.reader()
    asked = (bytes([1]) * 32, bytes([2]) * 32, bytes([9]) * 32)
    assert reader.file_names(asked) == {bytes([number]) * 32: (JOB, f"file {number}") for number in (1, 2)}
    assert reader.file_names([]) == {}
    reader.close()
    journal.close()


def test_the_last_moment_of_a_job_is_the_chains(journal: Journal) -> None:
    for timestamp in (5, 9, 7):
        journal.add_event(JOB, None, TimePassed(), Moment(Timestamp(timestamp), 1), is_behind=False)
    assert journal.last_moments() == {JOB: 9}
    journal.close()
