"""Who paid whom in one job: everybody's books (``job_money.py``) side by side, and closed.

What is locked stays its owner's until it is paid or lost.  The chain does not say what the audit pool got of a job; but
whatever came into the market went out again, so that what nobody else got is the pool's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from morphware.node.job_money import Entry, Kind, job_entries
from morphware.node.journal import StoredEvent
from morphware.protocol import chain_events as ce
from morphware.protocol.ledger import Part
from morphware.protocol.units import Address, Wei
from morphware.protocol.view import JobView, view_of

MoveKind = Literal["locked", "returned", "paid", "lost", "burned"]
Party = Address | Literal["market", "audits", "nobody"]
NET: Final = ("paid", "lost", "burned")
"""What changes what somebody has; the others only bind and free it."""


@dataclass(frozen=True, slots=True)
class Move:
    """So much went from one party to another; ``reason`` says what for."""

    kind: MoveKind
    payer: Party
    payee: Party
    amount_wei: Wei
    reason: str


def job_moves(events: Sequence[StoredEvent]) -> list[Move]:
    """Every movement of a job's money, in the order of its blocks.

    Args:
        events: everything that the chain said of the job, in its order, from its posting on (``Journal.timeline``).
    """
    view = _view_of(events)
    if view is None:
        return []
    found = [(entry.block, party, entry) for party in _parties(view, events) for entry in job_entries(events, party)]
    moves = [
        move for _, party, entry in sorted(found, key=lambda each: each[0]) if (move := _move(entry, party, view.user))
    ]
    if view.closed is not None:
        if view.closed.burned_wei:
            moves.append(Move("burned", "market", "nobody", view.closed.burned_wei, "burned"))
        moves.extend(_audits(moves))
    return moves


def balance(moves: Sequence[Move], party: Party) -> int:
    """What a party gained by these moves, or lost (below 0)."""
    net = [move for move in moves if move.kind in NET]
    gained = sum(move.amount_wei for move in net if move.payee == party)
    return gained - sum(move.amount_wei for move in net if move.payer == party)


def _view_of(events: Sequence[StoredEvent]) -> JobView | None:
    view: JobView | None = None
    for stored in events:
        if isinstance(stored.event, ce.JobPosted):
            view = view or view_of(stored.event)
        elif view is not None:
            view.apply(stored.event)  # type: ignore[arg-type]
    return view


def _parties(view: JobView, events: Sequence[StoredEvent]) -> dict[Address, None]:
    """Everybody whose money the job may have moved, each once."""
    winner = [] if view.award is None else [view.award.winner]
    doubting = [*(each.appellant for each in view.appeals), *(each.appellant for each in view.unheard)]
    appellants = [each for each in doubting if any(each)]  # the market's own doubt, an audit, has none
    pokers = [stored.event.poker for stored in events if isinstance(stored.event, ce.PokeRewarded)]
    bidders = [bid.bidder for bid in view.bids]
    return dict.fromkeys([view.user, *winner, *view.everybody_drawn, *bidders, *appellants, *pokers])


def _move(entry: Entry, own: Address, user: Address) -> Move | None:
    """A movement as seen from whom it is good for; what is paid is told by who receives it."""
    match entry.kind:
        case Kind.ESCROWED | Kind.BOND_LOCKED:
            move = Move("locked", own, "market", Wei(-entry.free_wei), entry.reason)
        case Kind.REFUNDED | Kind.BOND_RETURNED:
            move = Move("returned", "market", own, Wei(entry.free_wei), entry.reason)
        case Kind.PRICE_RECEIVED:
            move = Move("paid", user, own, Wei(entry.net_wei), entry.reason)
        case Kind.FEE_EARNED:
            payer: Party = "market" if entry.part is Part.POOL else user
            move = Move("paid", payer, own, Wei(entry.net_wei), entry.reason)
        case Kind.AUDIT_FEE_PAID:
            move = Move("paid", own, "audits", Wei(-entry.net_wei), entry.reason)
        case Kind.COMPENSATED | Kind.REWARDED:
            move = Move("paid", "market", own, Wei(entry.net_wei), entry.reason)
        case Kind.SLASHED | Kind.BOND_LOST:
            move = Move("lost", own, "market", Wei(-entry.net_wei), entry.reason)
        case _:
            return None
    return move if move.amount_wei > 0 else None


def _audits(moves: Sequence[Move]) -> Iterator[Move]:
    left_wei = balance(moves, "market")
    if left_wei > 0:
        yield Move("paid", "market", "audits", Wei(left_wei), "a part of what others lost, for random audits")
    elif left_wei < 0:
        yield Move("paid", "audits", "market", Wei(-left_wei), "the validators of a random audit")
