"""The price rule, checked exhaustively on small grids against an oracle that sorts."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.auction import Bid, Standing, eligible_bid, enter, price_of
from morphware.protocol.units import Address, Wei
from tests.protocol.market_world import WORKERS, opening_of, terms_of

RESERVE = Wei(4)
TERMS = terms_of(reserve_wei=RESERVE)


def bid_of(price: int, sequence: int) -> Bid:
    return Bid(Wei(price), sequence, WORKERS[sequence % 4], 40, bytes(32))


def outcome(bids: list[Bid]) -> tuple[int, Wei] | None:
    """Which sequence wins and what it is paid, by the incremental rule."""
    standing = Standing()
    for bid in bids:
        standing = enter(standing, bid)
    return None if standing.best is None else (standing.best.sequence, price_of(standing, RESERVE))


def oracle(prices: list[int]) -> tuple[int, int] | None:
    """The rule as one would say it: sort, take the first, pay the second."""
    ranked = sorted((price, sequence) for sequence, price in enumerate(prices))
    if not ranked:
        return None
    return ranked[0][1], min(RESERVE, ranked[1][0]) if len(ranked) > 1 else RESERVE


@pytest.mark.parametrize("bidders", range(5))
def test_the_cheapest_wins_at_the_second_lowest_price_whatever_the_order(bidders: int) -> None:
    for prices in product(range(1, RESERVE + 1), repeat=bidders):
        bids = [bid_of(price, sequence) for sequence, price in enumerate(prices)]
        expected = oracle(list(prices))
        for order in permutations(bids):
            assert outcome(list(order)) == expected, (prices, order)


@given(st.lists(st.integers(1, 2**96 - 1), max_size=30), st.randoms(use_true_random=False))
def test_many_bids_in_any_order_agree_with_sorting(prices: list[int], random: object) -> None:
    bids = [bid_of(price, sequence) for sequence, price in enumerate(prices)]
    random.shuffle(bids)  # type: ignore[attr-defined]
    expected = oracle(prices)
    assert outcome(bids) == expected


@pytest.mark.parametrize(
    ("price", "is_authentic", "estimated_s", "is_eligible"),
    [
        (1, True, 1, True),
        (4, True, 50, True),
        (0, True, 40, False),
        (5, True, 40, False),
        (3, False, 40, False),
        (3, True, 0, False),
        (3, True, 51, False),
    ],
)
def test_a_bid_is_eligible_within_reserve_and_training_time(
    price: int, is_authentic: bool, estimated_s: int, is_eligible: bool
) -> None:
    opening = opening_of(WORKERS[0], price, is_authentic, estimated_s)
    assert (eligible_bid(TERMS, opening, 0) is not None) == is_eligible


def test_a_tie_goes_to_the_earlier_commitment_at_that_same_price() -> None:
    assert outcome([bid_of(3, 1), bid_of(3, 0)]) == (0, 3)


def test_a_lone_bid_is_paid_the_reserve() -> None:
    assert outcome([bid_of(1, 0)]) == (0, RESERVE)


def rent(cost: int, own: int, others: tuple[int, ...]) -> int:
    """What a worker with this cost gains by bidding ``own`` first; a price above the reserve is no bid."""
    bids = [bid_of(price, sequence + 1) for sequence, price in enumerate(others)]
    bids += [bid_of(own, 0)] if own <= RESERVE else []
    won = outcome(bids)
    return won[1] - cost if won is not None and won[0] == 0 else 0


def test_no_bid_does_better_than_ones_own_cost() -> None:
    for others in product(range(1, RESERVE + 1), repeat=2):
        for cost in range(1, RESERVE + 2):
            truthful = rent(cost, cost, others)
            assert truthful >= 0
            assert all(rent(cost, own, others) <= truthful for own in range(1, RESERVE + 2))


def test_a_second_identity_does_not_do_better_than_ones_own_cost() -> None:
    def gain(cost: int, names: tuple[int, ...], others: tuple[int, ...]) -> int:
        bids = [bid_of(price, sequence) for sequence, price in enumerate((*names, *others)) if price <= RESERVE]
        won = outcome(bids)
        return won[1] - cost if won is not None and won[0] < 2 else 0

    grid = range(1, RESERVE + 2)
    for others in product(range(1, RESERVE + 1), repeat=2):
        for cost in grid:
            truthful = rent(cost, cost, others)
            assert all(gain(cost, names, others) <= truthful for names in product(grid, repeat=2))


def test_bids_know_nothing_but_price_and_sequence_when_they_compete() -> None:
    early = Bid(Wei(3), 0, Address(b"\xff" * 20), 1, b"\xff" * 32)
    late = Bid(Wei(3), 1, Address(bytes(20)), 50, bytes(32))
    assert early < late
