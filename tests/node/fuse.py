"""How a node of the world dies: at any statement of its journal, and before and after every effect."""

import sqlite3
from collections.abc import Callable
from typing import Any

from morphware.node.machines import Machine
from morphware.node.performer import Performer
from morphware.protocol.commitments import keccak
from morphware.protocol.effects import Effect
from morphware.protocol.events import LocalEvent
from morphware.protocol.units import Timestamp
from morphware.protocol.view import JobView


class Killed(BaseException):
    """The process is gone, here and now; nothing may catch it and go on."""


class Fuse:
    """Counts the instants at which a process may die, and kills it at the chosen one."""

    def __init__(self) -> None:
        self.count = 0
        self.kill_at: int | None = None
        self.places: list[str] = []

    def burn(self, place: str) -> None:
        self.count += 1
        self.places.append(place)
        if self.kill_at is not None and self.count >= self.kill_at:
            self.kill_at = None
            raise Killed(place)


class FusedConnection:
    """A database connection whose every statement may be the last thing that the process did."""

    def __init__(self, connection: sqlite3.Connection, fuse: Fuse) -> None:
        self._connection = connection
        self._fuse = fuse

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        is_write = not statement.startswith(("SELECT", "PRAGMA", "ROLLBACK"))
        if is_write:
            self._fuse.burn(f"before {statement.split(maxsplit=3)[:3]}")
        cursor = self._connection.execute(statement, *arguments)
        if statement == "COMMIT":
            self._fuse.burn("after COMMIT")
        return cursor

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        self._fuse.burn(f"before {statement.split(maxsplit=3)[:3]}")
        return self._connection.executemany(statement, rows)

    def close(self) -> None:
        self._connection.close()


class FusedPerformer(Performer):
    """The real performer, that may die before and after every effect, or be told to fail."""

    fuse: Fuse
    bug: Callable[[Machine, Effect], None]

    async def perform(
        self, machine: Machine, effect: Effect, view: JobView | None, chain_time: Callable[[], Timestamp]
    ) -> LocalEvent | None:
        self.bug(machine, effect)
        self.fuse.burn(f"before {effect.id}")
        answer = await super().perform(machine, effect, view, chain_time)
        self.fuse.burn(f"after {effect.id}")
        return answer


class SequentialEntropy:
    """Chance that differs between calls and nodes, and can be told apart in a journal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def token(self, size_bytes: int) -> bytes:
        self._count += 1
        return keccak(f"{self._name} {self._count}".encode())[:size_bytes]
