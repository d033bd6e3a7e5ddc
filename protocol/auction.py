"""A sealed-bid, second-price, reverse auction: the cheapest authentic worker wins and is paid the second-lowest price.

A bid is eligible iff it is authentic (no decoy), was opened, 0 < price <= reserve, and 0 < estimated run time <= what
the terms allow.  The winner is the eligible bid with the least (price, sequence): a tie goes to the earlier commitment.
It is paid min(reserve, second-lowest eligible price), and the reserve if it is alone.  Bidding one's cost is therefore
the best that a worker can do (Vickrey 1961).

The market sees the bids one by one, in whatever order they are opened, and keeps only the best bid and the second
price (``Standing``): the result does not depend on the order, and one opening costs the same however many there are.
"""

from dataclasses import dataclass

from morphware.protocol.calls import Opening, Terms
from morphware.protocol.units import Address, Wei


@dataclass(frozen=True, slots=True, order=True)
class Bid:
    """An eligible bid; bids compare by price, then by the order of their commitments."""

    price_wei: Wei
    sequence: int
    bidder: Address
    estimated_s: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the auction remembers of the bids opened so far."""

    best: Bid | None = None
    second_wei: Wei | None = None


def eligible_bid(terms: Terms, opening: Opening, sequence: int) -> Bid | None:
    """The bid that an opening enters into the auction, or None: an ineligible opening only gets its bond back."""
    if not opening.is_authentic:
        return None
    if not 0 < opening.price_wei <= terms.reserve_wei:
        return None
    if not 0 < opening.estimated_s <= terms.training_s:
        return None
    return Bid(opening.price_wei, sequence, opening.bidder, opening.estimated_s, opening.salt)


def enter(standing: Standing, bid: Bid) -> Standing:
    """The standing after one more eligible bid: it dethrones the best, or may lower the second price."""
    if standing.best is None:
        return Standing(bid)
    if bid < standing.best:
        return Standing(bid, standing.best.price_wei)
    if standing.second_wei is None or bid.price_wei < standing.second_wei:
        return Standing(standing.best, bid.price_wei)
    return standing


def price_of(standing: Standing, reserve_wei: Wei) -> Wei:
    """What the winner is paid: the second-lowest price, and the reserve where there is none."""
    return reserve_wei if standing.second_wei is None else min(reserve_wei, standing.second_wei)
