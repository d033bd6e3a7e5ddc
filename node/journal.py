"""What a node must not forget: state and outgoing effects, stored in one transaction before any effect is performed.

The rule (from magic-wormhole's journal): a brain's state changes only by an event, and the event, the effects that it
led to and the chain's cursor are stored together.  A node that is killed at any instant therefore either has not seen
the event, and will see it again, or has it with all its effects, and performs those that are not done.  Replaying the
events rebuilds every brain.

One SQLite file, write-ahead log, ``synchronous=FULL``: a commit is on disk when it returns.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from morphware.node.errors import BadInput, MorphwareError
from morphware.node.plain import from_json, to_json
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment
from morphware.protocol.units import Address, JobId, Timestamp

SCHEMA_VERSION: Final = "1"
SCHEMA: Final = """
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


class ForeignDataFolder(BadInput):
    """The data folder belongs to another network or account: use another folder, or its own configuration."""


class JournalUnusable(MorphwareError):
    """The node's journal cannot be read or written: make room on the disk, or restore the data folder's backup."""


@dataclass(frozen=True, slots=True)
class StoredMachine:
    """One role in one job, as the journal has it. ``config`` is what the brain was made with."""

    job_id: JobId
    role: str
    seed: bytes
    config: Any
    outcome: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the moment at which it was handled; ``role`` is None for what the chain said to everybody."""

    role: str | None
    event: Event
    now: Moment
    is_behind: bool


class Journal:
    """The node's memory. Writes happen inside ``transaction()``; nothing is performed before it has ended."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # before SQLite makes its two companions after its likeness: they hold secrets, too
        path.chmod(0o600)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            self.connection.close()
            msg = f"The node's journal {path} cannot be used ({error}): make room, or restore the folder's backup."
            raise JournalUnusable(msg) from error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on disk when the block is left."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # a full disk may have ended it already
                self.connection.execute("ROLLBACK")
            raise

    # --- meta -------------------------------------------------------------------------------------------------------

    def belongs_to(self, network: str) -> None:
        """Claim the folder for a network and account, or raise ``ForeignDataFolder`` if it is another's."""
        stored = self.get("network")
        if stored is None:
            with self.transaction():
                self.put("network", network)
                self.put("schema", SCHEMA_VERSION)
        elif (schema := self.get("schema")) != SCHEMA_VERSION:
            msg = (
                f"This data folder was written in form {schema}, and this program writes form {SCHEMA_VERSION}: "
                "run the version that wrote it, or use another --data-folder."
            )
            raise ForeignDataFolder(msg)
        elif stored != network:
            msg = (
                f"This data folder belongs to {stored}, and the configuration says {network}: "
                "use another --data-folder, or the configuration that the folder was made with."
            )
            raise ForeignDataFolder(msg)

    def get(self, key: str) -> str | None:
        """A value of the node as a whole."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, value: str) -> None:
        """Store a value of the node as a whole."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # --- machines, events, effects ----------------------------------------------------------------------------------

    def add_machine(self, job_id: JobId, role: str, seed: bytes, config: object) -> None:
        """Store a new brain's seed and configuration, before it handles anything."""
        self.connection.execute("INSERT INTO machines VALUES (?, ?, ?, ?, NULL)", (job_id, role, seed, to_json(config)))

    def change_machine(self, job_id: JobId, role: str, config: object) -> None:
        """Store what a brain is made with from now on; what it handled so far must not have depended on it."""
        self.connection.execute(
            "UPDATE machines SET config = ? WHERE job_id = ? AND role = ?", (to_json(config), job_id, role)
        )

    def finish_machine(self, job_id: JobId, role: str, outcome: str) -> None:
        """The role is done with the job; its brain is not woken again."""
        self.connection.execute(
            "UPDATE machines SET outcome = ? WHERE job_id = ? AND role = ?", (outcome, job_id, role)
        )

    def machines(self) -> list[StoredMachine]:
        """All machines, oldest first."""
        rows = self.connection.execute("SELECT job_id, role, seed, config, outcome FROM machines ORDER BY rowid")
        return [StoredMachine(JobId(row[0]), row[1], row[2], from_json(row[3]), row[4]) for row in rows]

    def add_event(self, job_id: JobId, role: str | None, event: Event, now: Moment, *, is_behind: bool) -> None:
        """Store an event that was handled."""
        self.connection.execute(
            "INSERT INTO events (job_id, role, timestamp, block, is_behind, body) VALUES (?, ?, ?, ?, ?, ?)",
            (job_id, role, now.timestamp, now.block, int(is_behind), to_json(event)),
        )

    def events(self, job_id: JobId) -> Iterator[StoredEvent]:
        """A job's events in the order in which they were handled."""
        rows = self.connection.execute(
            "SELECT role, body, timestamp, block, is_behind FROM events WHERE job_id = ? ORDER BY sequence", (job_id,)
        )
        for role, body, timestamp, block, is_behind in rows.fetchall():
            yield StoredEvent(role, from_json(body), Moment(Timestamp(timestamp), block), bool(is_behind))

    def jobs(self) -> list[JobId]:
        """Every job that the journal knows, oldest first."""
        rows = self.connection.execute("SELECT job_id FROM events GROUP BY job_id ORDER BY min(sequence)")
        return [JobId(row[0]) for row in rows]

    def add_effect(self, job_id: JobId, role: str, effect: Effect) -> bool:
        """Store an effect before it is performed; False if it is stored already."""
        cursor = self.connection.execute(
            "INSERT OR IGNORE INTO effects (job_id, role, id, body) VALUES (?, ?, ?, ?)",
            (job_id, role, effect.id, to_json(effect)),
        )
        return cursor.rowcount == 1

    def finish_effect(self, job_id: JobId, role: str, effect_id: str) -> None:
        """The effect was performed; after a restart it is not performed again."""
        self.connection.execute(
            "UPDATE effects SET is_done = 1 WHERE job_id = ? AND role = ? AND id = ?", (job_id, role, effect_id)
        )

    def pending_effects(self, job_id: JobId, role: str) -> list[Effect]:
        """Effects that were stored and not performed to their end."""
        rows = self.connection.execute(
            "SELECT body FROM effects WHERE job_id = ? AND role = ? AND is_done = 0 ORDER BY rowid", (job_id, role)
        )
        return [from_json(row[0]) for row in rows.fetchall()]

    # --- what else is worth keeping ---------------------------------------------------------------------------------

    def put_node(self, record: NodePublished) -> None:
        """Keep an account's newest keys and addresses."""
        self.connection.execute("INSERT OR REPLACE INTO nodes VALUES (?, ?)", (record.account, to_json(record)))

    def nodes(self) -> dict[Address, NodePublished]:
        """The newest keys and addresses of every account."""
        rows = self.connection.execute("SELECT account, body FROM nodes")
        return {Address(account): from_json(body) for account, body in rows.fetchall()}

    def put_file(self, job_id: JobId, name: str, file: SealedFile, path: Path) -> None:
        """Keep where a sealed file lies, to serve it again after a restart."""
        self.connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (job_id, name, to_json(file), str(path))
        )

    def files(self) -> list[tuple[JobId, str, SealedFile, Path]]:
        """Every sealed file that this node serves."""
        rows = self.connection.execute("SELECT job_id, name, file, path FROM files")
        return [(JobId(row[0]), row[1], from_json(row[2]), Path(row[3])) for row in rows.fetchall()]

    def drop_file(self, job_id: JobId, name: str) -> None:
        """The file is served no longer."""
        self.connection.execute("DELETE FROM files WHERE job_id = ? AND name = ?", (job_id, name))

    def last_moments(self) -> dict[JobId, Timestamp]:
        """The chain time of the last event of every job."""
        rows = self.connection.execute("SELECT job_id, max(timestamp) FROM events GROUP BY job_id")
        return {JobId(job_id): Timestamp(timestamp) for job_id, timestamp in rows.fetchall()}

    def add_points(self, job_id: JobId, points: list[tuple[int, float, str, float]]) -> None:
        """Keep logged scalars: (step, seconds since the epoch, series, value)."""
        self.connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", [(job_id, *point) for point in points])

    def count_points(self, job_id: JobId) -> int:
        """How many scalars are kept of a job."""
        row = self.connection.execute("SELECT count(*) FROM points WHERE job_id = ?", (job_id,)).fetchone()
        return int(row[0])

    def points(self, job_id: JobId, *, after: int = 0, most: int = -1) -> list[tuple[int, float, str, float]]:
        """The kept scalars of a job, in the order in which they came: at most so many, after so many (-1: all)."""
        rows = self.connection.execute(
            "SELECT step, time_s, series, value FROM points WHERE job_id = ? ORDER BY rowid LIMIT ? OFFSET ?",
            (job_id, most, after),
        )
        return rows.fetchall()

    def add_cost(self, job_id: JobId, role: str, effect_id: str, call: str, gas: int, fee_wei: int) -> None:
        """Keep what a transaction cost."""
        self.connection.execute(
            "INSERT OR REPLACE INTO costs VALUES (?, ?, ?, ?, ?, ?)", (job_id, role, effect_id, call, gas, str(fee_wei))
        )

    def costs(self) -> list[dict[str, str | int]]:
        """What this node's transactions for jobs cost, in the order in which they were done."""
        rows = self.connection.execute("SELECT job_id, role, call, gas, fee_wei FROM costs ORDER BY rowid")
        return [
            {"job_id": job_id.hex(), "role": role, "call": call, "gas": gas, "fee_wei": fee_wei}
            for job_id, role, call, gas, fee_wei in rows.fetchall()
        ]
