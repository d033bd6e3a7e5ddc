"""What was signed is on disk before it is sent: after a crash the same transaction is looked up, not sent twice.

One row a signed transaction (a replacement with a higher fee is a further row), and one row a finished effect.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from morphware.node.ports import Receipt, Refused

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS signed_transactions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    effect_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    raw BLOB NOT NULL,
    draft BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS signed_transactions_by_effect ON signed_transactions (effect_id);
CREATE TABLE IF NOT EXISTS finished_effects (
    effect_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    gas_used INTEGER NOT NULL,
    fee_wei TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction; ``draft`` is what it was signed from, so that its fee can be raised."""

    effect_id: str
    kind: str
    nonce: int
    hash: bytes
    raw: bytes
    draft: bytes


@dataclass(frozen=True, slots=True)
class GasUse:
    """What the mined transactions of one kind of call used."""

    transactions: int = 0
    gas_used: int = 0
    fee_wei: int = 0


class SqliteTransactionLog:
    """Keeps signed transactions in two tables of a database.

    Args:
        connection: one of its own, since every method commits: a transaction that the engine has open on the same
            connection would be committed along.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # a lost row could mean a second payment, so every commit reaches the disk; WAL needs one write for it
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with connection:
            connection.executescript(SCHEMA)

    def record(self, signed: Signed) -> None:
        """Keep a signed transaction; must return before it is broadcast."""
        row = (signed.effect_id, signed.kind, signed.nonce, signed.hash, signed.raw, signed.draft)
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO signed_transactions (effect_id, kind, nonce, hash, raw, draft)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )

    def discard(self, transaction_hash: bytes) -> None:
        """Forget a transaction that the chain certainly did not take."""
        with self._connection:
            self._connection.execute("DELETE FROM signed_transactions WHERE hash = ?", (transaction_hash,))

    def pending(self) -> list[Signed]:
        """Every signed transaction whose effect is not finished, oldest first."""
        rows = self._connection.execute(
            "SELECT effect_id, kind, nonce, hash, raw, draft FROM signed_transactions ORDER BY sequence"
        )
        return [Signed(*row) for row in rows]

    def finished(
        self, effect_id: str, kind: str, outcome: Receipt | Refused, *, gas_used: int = 0, fee_wei: int = 0
    ) -> None:
        """Keep how an effect ended, and forget its signed bytes."""
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO finished_effects (effect_id, kind, outcome, gas_used, fee_wei)"
                " VALUES (?, ?, ?, ?, ?)",
                (effect_id, kind, _encode(outcome), gas_used, str(fee_wei)),
            )
            self._connection.execute("DELETE FROM signed_transactions WHERE effect_id = ?", (effect_id,))

    def outcome(self, effect_id: str) -> Receipt | Refused | None:
        """How an effect ended, or None while it has not."""
        query = "SELECT outcome FROM finished_effects WHERE effect_id = ?"
        row = self._connection.execute(query, (effect_id,)).fetchone()
        return None if row is None else _decode(row[0])

    def gas(self) -> dict[str, GasUse]:
        """Gas and fees of all mined transactions by kind of call."""
        ledger: dict[str, GasUse] = {}
        rows = self._connection.execute("SELECT kind, gas_used, fee_wei FROM finished_effects WHERE gas_used > 0")
        for kind, gas_used, fee_wei in rows:
            use = ledger.get(kind, GasUse())
            ledger[kind] = GasUse(use.transactions + 1, use.gas_used + gas_used, use.fee_wei + int(fee_wei))
        return ledger


def _encode(outcome: Receipt | Refused) -> str:
    match outcome:
        case Receipt(transaction_hash, block_number, gas_used, fee_wei):
            return json.dumps({"receipt": [transaction_hash.hex(), block_number, gas_used, fee_wei]})
        case Refused(error, values, sentence):
            return json.dumps({"refused": [error, _pack(values), sentence]})


def _decode(text: str) -> Receipt | Refused:
    kept = json.loads(text)
    if "receipt" in kept:
        transaction_hash, block_number, gas_used, fee_wei = kept["receipt"]
        return Receipt(bytes.fromhex(transaction_hash), block_number, gas_used, fee_wei)
    error, values, sentence = kept["refused"]
    return Refused(error, _unpack(values), sentence)


def _pack(value: Any) -> Any:
    """JSON has no bytes: they become an object with one key."""
    match value:
        case bytes():
            return {"": value.hex()}
        case dict():
            return {key: _pack(each) for key, each in value.items()}
        case list() | tuple():
            return [_pack(each) for each in value]
    return value


def _unpack(value: Any) -> Any:
    match value:
        case {"": digits}:
            return bytes.fromhex(digits)
        case dict():
            return {key: _unpack(each) for key, each in value.items()}
        case list():
            return tuple(_unpack(each) for each in value)
    return value
