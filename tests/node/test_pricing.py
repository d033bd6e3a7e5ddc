"""What a person is told before a job is posted that the market would not take, with what it would."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.errors import BadInput
from morphware.node.pricing import check_price, check_seats, least_fee_wei, least_reserve_wei, most_reserve_wei
from morphware.protocol import calls
from morphware.protocol.market import Market
from morphware.protocol.refusals import BadTerms, NotEnoughSeats
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


@pytest.mark.parametrize(
    ("free", "busy", "sentence"),
    [
        (15, 0, "16 seats have to be free, and 15 are, while 0 sit in jobs: ask for fewer, or wait."),
        (16, 17, "17 seats of validators sit in jobs, and only 16 are free: the market lets in no job"),
    ],
)
def test_a_job_that_the_market_has_no_seats_for_is_refused_with_how_many_are_free_and_busy(
    free: int, busy: int, sentence: str
) -> None:
    with pytest.raises(BadInput) as caught:
        check_seats(5, free=free, busy=busy)
    assert sentence in str(caught.value)


@given(seats=st.sampled_from((1, 3, 5)), free=st.integers(0, 30), busy=st.integers(0, 30))
def test_the_seats_that_a_person_is_told_of_are_those_that_the_market_wants(seats: int, free: int, busy: int) -> None:
    """Where every free seat was staked, so that there are not too many numbers without one."""
    world = World().found(validators=())
    world.market.registry.busy_seats = busy
    world.market.registry.free_seats = world.market.registry.next_seat = free
    posted = world.ask(USER, calls.Post(terms_of(seats=seats, reserve_wei=35), b""))
    try:
        check_seats(seats, free=free, busy=busy)
    except BadInput:
        assert isinstance(posted, NotEnoughSeats)
    else:
        assert isinstance(posted, list)
