"""What a person is told of a price that the market would not take, with the price that it would."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.errors import BadInput
from morphware.node.pricing import check_price, least_fee_wei, least_reserve_wei, most_reserve_wei
from morphware.protocol import calls
from morphware.protocol.market import Market
from morphware.protocol.refusals import BadTerms
from morphware.protocol.turn import Parameters
from morphware.protocol.units import TOKEN, Wei
from tests.protocol.market_world import DOMAIN, TIMING, USER, World, blockhash, terms_of

STAKE = Wei(100 * TOKEN)


def tokens(amount: float) -> Wei:
    return Wei(round(amount * TOKEN))


@pytest.mark.parametrize(
    ("reserve", "fee", "seats", "sentence"),
    [
        (151, None, 5, "vouch for a reserve of at most 150 tokens: lower the reserve, or ask for more validators."),
        (18.7, None, 5, "has a reserve of at least 18.75 tokens: raise the reserve, or ask for 3 of them."),
        (13, None, 5, "has a reserve of at least 18.75 tokens: raise the reserve, or ask for 3 of them."),
        (12.4, None, 5, "has a reserve of at least 18.75 tokens: raise the reserve, or ask for 1 of them."),
        (6.2, None, 5, "has a reserve of at least 18.75 tokens: raise the reserve."),
        (30, None, 11, "has a reserve of at least 37.5 tokens: raise the reserve, or ask for 7 of them."),
        (100, 0.99, 5, "gets a fee of at least 1 tokens: raise the fee, or leave it to the node."),
    ],
)
def test_a_price_that_the_market_would_not_take_is_refused_with_the_one_that_it_would(
    reserve: float, fee: float | None, seats: int, sentence: str
) -> None:
    with pytest.raises(BadInput) as caught:
        check_price(tokens(reserve), None if fee is None else tokens(fee), seats, STAKE)
    assert str(caught.value).endswith(sentence)


@pytest.mark.parametrize(("reserve", "fee", "seats"), [(150, 1, 5), (18.75, None, 5), (37.5, 3, 11), (6.25, 90, 1)])
def test_a_price_at_either_end_is_none_to_complain_of(reserve: float, fee: float | None, seats: int) -> None:
    check_price(tokens(reserve), None if fee is None else tokens(fee), seats, STAKE)


@given(st.integers(1, 10**6), st.sampled_from((1, 3, 5, 7, 9, 11)))
def test_the_bounds_are_those_of_the_market(stake: int, seats: int) -> None:
    least, most, fee = (
        least_reserve_wei(Wei(stake), seats),
        most_reserve_wei(Wei(stake), seats),
        least_fee_wei(Wei(stake)),
    )
    world = World(Market(DOMAIN, Parameters(TIMING, Wei(stake)), blockhash))
    terms = terms_of(seats=seats, reserve_wei=least, fee_wei=fee)
    for reserve in {least, most} if least <= most else set():
        assert not isinstance(world.ask(USER, calls.Post(replace(terms, reserve_wei=reserve), b"")), BadTerms)
    for outside in (least - 1, most + 1):
        refused = world.ask(USER, calls.Post(replace(terms, reserve_wei=Wei(outside)), b""))
        assert refused == BadTerms("reserve")
    if least <= most:
        cheap = replace(terms, fee_wei=Wei(fee - 1))
        assert world.ask(USER, calls.Post(cheap, b"")) == BadTerms("fee")
