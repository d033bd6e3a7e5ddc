"""What a node must not forget: state and outgoing effects, stored in one transaction before any effect is performed.

The rule (from magic-wormhole's journal): a brain's state changes only by an event, and the event, the effects that it
led to and the chain's cursor are stored together.  A node that is killed at any instant therefore either has not seen
the event, and will see it again, or has it with all its effects, and performs those that are not done.  Replaying the
events rebuilds every brain.

One SQLite file, write-ahead log, ``synchronous=FULL``: a commit is on disk when it returns.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from morphware.node import journal_points
from morphware.node.account_events import AccountEvent
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.journal_forms import NEWEST, form_of, is_known, migrate, transaction
from morphware.node.plain import from_json, to_json
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment
from morphware.protocol.units import Address, JobId, Timestamp

OUTPUT_MOST_BYTES: Final = 8 << 20
"""Of what a job wrote, so much is kept: the newest."""
OUTPUT_ROW_BYTES: Final = 64
"""What a piece takes up besides its text: many small pieces must not fill a disk either."""


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
    """An event with the moment at which it was handled; ``role`` is None for what the chain said to everybody.

    Then ``now`` is its block's time and number, and ``transaction_hash`` what caused it: None where it is not known.
    """

    role: str | None
    event: Event
    now: Moment
    is_behind: bool
    transaction_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class OutputSums:
    """How much a job wrote: ``pieces`` so far (the newest one's sequence), and what of them is no longer there."""

    pieces: int = 0
    kept_bytes: int = 0
    dropped_bytes: int = 0


class Journal:
    """The node's memory. Writes happen inside ``transaction()``; nothing is performed before it has ended."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # before SQLite makes its two companions after its likeness: they hold secrets, too
        path.chmod(0o600)
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            migrate(self.connection)
        except sqlite3.DatabaseError as error:
            self.connection.close()
            msg = f"The node's journal {path} cannot be used ({error}): make room, or restore the folder's backup."
            raise JournalUnusable(msg) from error
        try:
            self._require_known_form()
        except ForeignDataFolder:
            self.connection.close()
            raise

    def _require_known_form(self) -> None:
        form = form_of(self.connection)
        if not is_known(form):
            msg = (
                f"This data folder was written in form {form}, and this program writes form {NEWEST}: "
                "run the version that wrote it, or use another --data-folder."
            )
            raise ForeignDataFolder(msg)

    def reader(self) -> "Journal":
        """The same journal on a connection of its own that can only read: for work in a thread. Close it when done."""
        return Journal.reader_of(self.path)

    @classmethod
    def reader_of(cls, path: Path) -> "Journal":
        """A journal that is read beside the node that writes it, or without one. Raises ``sqlite3.Error``."""
        reader = object.__new__(cls)
        reader.path = path
        uri = path.resolve().as_uri() + "?mode=ro"
        reader.connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        return reader

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on disk when the block is left."""
        with transaction(self.connection):
            yield

    # --- meta -------------------------------------------------------------------------------------------------------

    def belongs_to(self, network: str) -> None:
        """Claim the folder for a network and account, or raise ``ForeignDataFolder`` if it is another's."""
        self._require_known_form()
        stored = self.get("network")
        if stored is None:
            with self.transaction():
                self.put("network", network)
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

    def add_event(
        self,
        job_id: JobId,
        role: str | None,
        event: Event,
        now: Moment,
        *,
        is_behind: bool,
        transaction_hash: bytes | None = None,
    ) -> None:
        """Store an event that was handled."""
        self.connection.execute(
            "INSERT INTO events (job_id, role, timestamp, block, is_behind, body, transaction_hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (job_id, role, now.timestamp, now.block, int(is_behind), to_json(event), transaction_hash),
        )

    def events(self, job_id: JobId) -> Iterator[StoredEvent]:
        """A job's events in the order in which they were handled."""
        yield from self._stored_events("WHERE job_id = ? ORDER BY sequence", job_id)

    def timeline(self, job_id: JobId) -> list[StoredEvent]:
        """What the chain said of a job, in its order: each with block, time and transaction."""
        return self._stored_events("WHERE job_id = ? AND role IS NULL ORDER BY sequence", job_id)

    def _stored_events(self, which: str, *values: bytes) -> list[StoredEvent]:
        rows = self.connection.execute(
            f"SELECT role, body, timestamp, block, is_behind, transaction_hash FROM events {which}",  # noqa: S608
            values,
        )
        return [
            StoredEvent(role, from_json(body), Moment(Timestamp(timestamp), block), bool(is_behind), transaction_hash)
            for role, body, timestamp, block, is_behind, transaction_hash in rows.fetchall()
        ]

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

    def file_names(self, hashes: Iterable[bytes]) -> dict[bytes, tuple[JobId, str]]:
        """Of which job, and called how, the sealed files with these SHA-256 are, so far as this node serves them.

        It looks at every file that is served: ask a ``reader()``.
        """
        rows = self.connection.execute(
            "SELECT json_extract(file, '$.sha256.hex') AS sha256, job_id, name FROM files"
            " WHERE sha256 IN (SELECT value FROM json_each(?))",
            (json.dumps([sha256.hex() for sha256 in hashes]),),
        )
        return {bytes.fromhex(sha256): (JobId(job_id), name) for sha256, job_id, name in rows.fetchall()}

    def drop_file(self, job_id: JobId, name: str) -> None:
        """The file is served no longer."""
        self.connection.execute("DELETE FROM files WHERE job_id = ? AND name = ?", (job_id, name))

    def first_moment(self, job_id: JobId) -> Timestamp | None:
        """The chain time of the first event of a job."""
        row = self.connection.execute(
            "SELECT timestamp FROM events WHERE job_id = ? ORDER BY sequence LIMIT 1", (job_id,)
        ).fetchone()
        return None if row is None else Timestamp(row[0])

    def last_moments(self) -> dict[JobId, Timestamp]:
        """The chain time of the last event of every job."""
        rows = self.connection.execute("SELECT job_id, max(timestamp) FROM events GROUP BY job_id")
        return {JobId(job_id): Timestamp(timestamp) for job_id, timestamp in rows.fetchall()}

    def add_account_event(self, event: AccountEvent, now: Moment, transaction_hash: bytes | None) -> None:
        """Store what the chain said of this account's own money and seats."""
        self.connection.execute(
            "INSERT INTO account_events (timestamp, block, body, transaction_hash) VALUES (?, ?, ?, ?)",
            (now.timestamp, now.block, to_json(event), transaction_hash),
        )

    def seat_events(self) -> list[AccountEvent]:
        """What the chain said of this account's own seats, in its order; it is asked for again and again."""
        rows = self.connection.execute(
            "SELECT body FROM account_events WHERE body GLOB ? ORDER BY sequence", ('{"_":"Seat*',)
        )
        return [from_json(body) for (body,) in rows.fetchall()]

    def account_events(self) -> list[tuple[AccountEvent, Moment, bytes | None]]:
        """What the chain said of this account's own money and seats, in its order, with the transactions' hashes."""
        rows = self.connection.execute(
            "SELECT body, timestamp, block, transaction_hash FROM account_events ORDER BY sequence"
        )
        return [
            (from_json(body), Moment(Timestamp(timestamp), block), transaction_hash)
            for body, timestamp, block, transaction_hash in rows.fetchall()
        ]

    def jobs_naming(self, account: Address) -> list[JobId]:
        """Jobs in whose events on the chain an account occurs, the oldest first."""
        rows = self.connection.execute(
            "SELECT job_id FROM events WHERE role IS NULL AND instr(body, ?) GROUP BY job_id ORDER BY min(sequence)",
            (account.hex(),),
        )
        return [JobId(row[0]) for row in rows.fetchall()]

    def awards(self) -> dict[JobId, Timestamp]:
        """When the auctions that found a winner ended, by the chain's time. It reads much: ask a ``reader()``."""
        rows = self.connection.execute(
            "SELECT job_id, timestamp FROM events WHERE role IS NULL AND body GLOB ?", ('{"_":"JobAwarded"*',)
        )
        return {JobId(job_id): Timestamp(timestamp) for job_id, timestamp in rows.fetchall()}

    def add_points(self, job_id: JobId, points: list[tuple[int, float, str, float]]) -> None:
        """Keep logged scalars: (step, seconds since the training began, series, value)."""
        journal_points.add_points(self.connection, job_id, points)

    def count_points(self, job_id: JobId) -> dict[str, int]:
        """How many scalars are kept of each of a job's series, the oldest series first."""
        return journal_points.count_points(self.connection, job_id)

    def points(self, job_id: JobId, *, after: int = 0, most: int = -1) -> list[tuple[int, float, str, float]]:
        """The kept scalars of a job, in the order in which they came: at most so many, after so many (-1: all)."""
        return journal_points.read_points(self.connection, job_id, after, most)

    def add_output(self, job_id: JobId, time_s: float, text: str) -> int:
        """Keep the next piece of what a job wrote, heard at ``time_s`` since the epoch; the oldest make room for it.

        Returns:
            The piece's sequence: 1, 2, 3 …
        """
        sums, size = self.output_sums(job_id), len(text.encode())
        sequence, kept, dropped = sums.pieces + 1, sums.kept_bytes + size, sums.dropped_bytes
        self.connection.execute("INSERT INTO output VALUES (?, ?, ?, ?, ?)", (job_id, sequence, time_s, text, size))
        while True:
            oldest, gone = self.connection.execute(
                "SELECT sequence, size_bytes FROM output WHERE job_id = ? ORDER BY sequence LIMIT 1", (job_id,)
            ).fetchone()
            pieces = sequence - oldest + 1
            if pieces == 1 or kept + pieces * OUTPUT_ROW_BYTES <= OUTPUT_MOST_BYTES:
                break
            self.connection.execute("DELETE FROM output WHERE job_id = ? AND sequence = ?", (job_id, oldest))
            kept, dropped = kept - gone, dropped + gone
        self.connection.execute(
            "INSERT OR REPLACE INTO output_sums VALUES (?, ?, ?, ?)", (job_id, sequence, kept, dropped)
        )
        return sequence

    def output_sums(self, job_id: JobId) -> OutputSums:
        """How much of a job's output there was, is kept, and was dropped; bytes are those of the text."""
        row = self.connection.execute(
            "SELECT pieces, kept_bytes, dropped_bytes FROM output_sums WHERE job_id = ?", (job_id,)
        ).fetchone()
        return OutputSums() if row is None else OutputSums(*row)

    def output(self, job_id: JobId, *, after: int = 0, most: int = -1) -> list[tuple[int, float, str]]:
        """What a job wrote, piece by piece: (sequence, seconds since the epoch, text), oldest first.

        Put together, the texts are the output; a line may go on in the next piece.

        Args:
            after: only pieces with a greater sequence.
            most: at most so many pieces (-1: all).
        """
        rows = self.connection.execute(
            "SELECT sequence, time_s, text FROM output WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (job_id, after, most),
        )
        return rows.fetchall()

    def add_cost(
        self,
        job_id: JobId,
        role: str,
        effect_id: str,
        call: str,
        gas: int,
        fee_wei: int,
        transaction_hash: bytes | None = None,
    ) -> None:
        """Keep what a transaction cost, in wei of the chain's own coin."""
        self.connection.execute(
            "INSERT OR REPLACE INTO costs (job_id, role, effect_id, call, gas, fee_wei, transaction_hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (job_id, role, effect_id, call, gas, str(fee_wei), transaction_hash),
        )

    def costs(self, job_id: JobId | None = None) -> list[dict[str, str | int | None]]:
        """What this node's transactions for jobs, or for one job, cost, in the order in which they were done."""
        which, values = ("", ()) if job_id is None else ("WHERE job_id = ?", (job_id,))
        rows = self.connection.execute(
            f"SELECT job_id, role, call, gas, fee_wei, transaction_hash FROM costs {which} ORDER BY rowid",  # noqa: S608
            values,
        )
        return [
            {
                "job_id": job_id.hex(),
                "role": role,
                "call": call,
                "gas": gas,
                "fee_wei": fee_wei,
                "transaction_hash": None if transaction_hash is None else "0x" + transaction_hash.hex(),
            }
            for job_id, role, call, gas, fee_wei, transaction_hash in rows.fetchall()
        ]

    def last_fees(self, role: str, most: int) -> list[int]:
        """What each of the newest jobs in which this node had a role cost it in the chain's coin, in wei."""
        rows = self.connection.execute(
            "SELECT job_id, fee_wei FROM costs WHERE role = ?1 AND job_id IN"
            " (SELECT job_id FROM costs WHERE role = ?1 GROUP BY job_id ORDER BY min(rowid) DESC LIMIT ?2)",
            (role, most),
        )
        fees: dict[bytes, int] = {}
        for job_id, fee_wei in rows.fetchall():  # added up here: SQLite's integers end at nine coins
            fees[job_id] = fees.get(job_id, 0) + int(fee_wei)
        return list(fees.values())
