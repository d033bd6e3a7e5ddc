"""What recent auctions paid: every number is the chain's, and a range is only given where there are enough of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from morphware.node.journal import Journal
from morphware.node.recent_prices import NEWEST_MOST, AuctionPrice, PriceEstimate, estimate, recent_prices
from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Terms
from morphware.protocol.events import Moment
from morphware.protocol.states import State
from morphware.protocol.units import TOKEN, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, view_of
from tests.protocol.marketplace import Marketplace

USER, WORKER, OTHER = (Address(bytes([number]) * 20) for number in (1, 2, 3))
TERMS = Terms(Wei(100 * TOKEN), Wei(1), 5, 0, 0, 0, 1, 1, 1, 7_200, bytes(32), bytes(32), bytes(32))


def job(number: int, price_wei: int, estimated_s: int = 7_200) -> JobView:
    job_id = JobId(number.to_bytes(32, "big"))
    view = view_of(ce.JobPosted(job_id, USER, replace(TERMS, estimated_s=estimated_s), b"no specification"))
    for bidder, is_authentic in ((WORKER, True), (OTHER, True), (OTHER, False)):
        view.apply(ce.BidOpened(job_id, bidder, bytes([is_authentic]) * 32, Wei(price_wei), is_authentic, 60))
    view.apply(ce.JobAwarded(job_id, WORKER, Wei(price_wei // 2), Wei(price_wei), 0))
    return view


def listed(*views: JobView) -> dict[JobId, JobView]:
    return {view.job_id: view for view in views}


def test_an_auction_is_told_with_what_it_was_about() -> None:
    place = Marketplace(1).run_to(State.AWARDED)
    view = place.view
    assert view.award is not None
    [price] = recent_prices({place.job_id: view}, {place.job_id: Timestamp(77)})
    assert price == AuctionPrice(
        job_id=place.job_id,
        when=Timestamp(77),
        price_wei=view.award.price_wei,
        reserve_wei=view.terms.reserve_wei,
        estimated_s=view.terms.estimated_s,
        metric="accuracy",
        authentic_bids=sum(bid.is_authentic for bid in view.opened.values()),
    )


def test_decoys_are_no_bids_and_what_does_not_read_as_a_specification_names_no_metric() -> None:
    [price] = recent_prices(listed(job(1, 10 * TOKEN)))
    assert (price.authentic_bids, price.metric, price.when) == (2, "", None)
    assert price.per_hour_wei == 5 * TOKEN


def test_an_auction_without_a_winner_has_no_price() -> None:
    assert recent_prices({JobId(bytes(32)): view_of(ce.JobPosted(JobId(bytes(32)), USER, TERMS, b""))}) == []


def test_the_newest_come_first_and_only_so_many() -> None:
    views = listed(*(job(number, number) for number in range(1, NEWEST_MOST + 50)))
    prices = recent_prices(views)
    assert [price.price_wei for price in prices] == list(range(NEWEST_MOST + 49, 49, -1))
    oldest = next(iter(views))
    assert recent_prices(views, {oldest: Timestamp(5)})[0].job_id == oldest


def test_an_estimate_is_the_quartiles_of_the_price_of_an_hour() -> None:
    prices = recent_prices(listed(*(job(number, number * 2 * TOKEN) for number in (1, 2, 3, 4, 5))))
    assert estimate(prices, 3_600) == PriceEstimate(5, Wei(2 * TOKEN), Wei(3 * TOKEN), Wei(4 * TOKEN))
    assert estimate(prices, 900) == PriceEstimate(5, Wei(TOKEN // 2), Wei(3 * TOKEN // 4), Wei(TOKEN))
    even = estimate(prices[:4], 3_600)
    assert even == PriceEstimate(4, Wei(275 * TOKEN // 100), Wei(35 * TOKEN // 10), Wei(425 * TOKEN // 100))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_few_auctions_nothing_is_said(count: int) -> None:
    prices = recent_prices(listed(*(job(number, TOKEN) for number in range(count))))
    assert estimate(prices, 60) is None


def test_an_estimate_is_of_some_time() -> None:
    prices = recent_prices(listed(*(job(number, TOKEN) for number in range(3))))
    assert estimate(prices, 60) is not None
    assert estimate(prices, 0) is None


def test_a_job_without_an_estimate_breaks_nothing() -> None:
    prices = recent_prices(listed(*(job(number, 10, estimated_s=0) for number in range(3))))
    assert estimate(prices, 1) == PriceEstimate(3, Wei(10), Wei(10), Wei(10))


def test_the_journal_knows_when_jobs_were_awarded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    view = job(1, 10)
    assert view.award is not None
    journal.add_event(view.job_id, None, view.award, Moment(Timestamp(99), 7), is_behind=False)
    journal.add_event(
        view.job_id, None, ce.SplitDrawn(view.job_id, bytes(32)), Moment(Timestamp(100), 8), is_behind=False
    )
    assert journal.awards() == {view.job_id: Timestamp(99)}
    journal.close()
