"""What was measured: one entry a transaction, and sums of them. No figure here is computed from anything else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

BATCH_BIDS: Final = 16
"""The batch that the target of an opening is about."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The gas of one transaction, base fee of 21,000 and calldata included, refunds taken off."""

    call: str
    """The functions that it calls, joined by + where several share it."""
    gas: int
    items: int = 1
    """How many bids, openings or reports are in it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """All transactions of one kind in one run."""

    call: str
    transactions: int
    items: int
    gas: int


@dataclass(frozen=True, slots=True)
class Run:
    """One auction, or one whole job, in the order in which it went."""

    bids: int
    spent: tuple[Spent, ...]

    @property
    def gas(self) -> int:
        """All of it."""
        return sum(each.gas for each in self.spent)

    def gas_of(self, calls: Iterable[str]) -> int:
        """The transactions of some kinds; those that did not happen cost nothing."""
        wanted = frozenset(calls)
        return sum(each.gas for each in self.spent if each.call in wanted)

    def kinds(self) -> tuple[Kind, ...]:
        """Summed by kind, in the order of first appearance."""
        names = dict.fromkeys(each.call for each in self.spent)
        return tuple(self._kind(name) for name in names)

    def _kind(self, name: str) -> Kind:
        same = [each for each in self.spent if each.call == name]
        return Kind(name, len(same), sum(each.items for each in same), sum(each.gas for each in same))


@dataclass(frozen=True, slots=True)
class Auctions:
    """Every way to run the same bids."""

    relayed: Run
    """A whole job on the market: others bring commitments and openings on chain, many a transaction."""
    self_sent: Run
    """A whole job on the market: everybody sends what is its own."""
    blind: Run
    """The auction alone, in the way of Solidity's documentation."""
    naive: Run
    """The auction alone, everything on chain."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """All that a bench measured, and what it was run on."""

    seats: int
    by_bids: dict[int, Auctions]
    first: Run
    """A relayed job of the fewest bids, the first of all: by seats that have never served."""
    batch: Run | None
    """A relayed job of 16 bids whose openings have a transaction of their own."""
    batches: Run | None
    """A relayed job of 64 bids whose openings come in four transactions."""
    deployments: dict[str, int]
    """Gas that putting each contract on the chain took."""
    chain: str
    compiler: str
    hardfork: str
