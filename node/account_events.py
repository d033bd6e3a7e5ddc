"""What the market says of one account alone: its money in and out, and its seats.

No brain decides by it, so these are no part of the protocol.  They are named and ordered as the contract's events, and
a node follows those of its own account only.
"""

from dataclasses import dataclass

from morphware.protocol.units import Address, Timestamp, Wei


@dataclass(frozen=True, slots=True)
class Deposited:
    """Tokens came from the account's wallet."""

    account: Address
    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Tokens went to the account's wallet."""

    account: Address
    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class AuditsFunded:
    """The account gave tokens to the audit pool, for good."""

    account: Address
    amount_wei: Wei


@dataclass(frozen=True, slots=True)
class SeatsStaked:
    """The account took validator seats, each for the market's stake."""

    account: Address
    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SeatLeaving:
    """A seat is not drawn any more; its stake can be had back from then on."""

    account: Address
    seat: int
    free_at: Timestamp


@dataclass(frozen=True, slots=True)
class SeatReleased:
    """A seat is no more: its stake went back to the account, less what the seat was slashed in the same transaction."""

    account: Address
    seat: int


AccountEvent = Deposited | Withdrawn | AuditsFunded | SeatsStaked | SeatLeaving | SeatReleased
