"""What auctions paid of late, and what that says of a job that is about to be posted.

An auction says how much a winner will be paid for a job that its end user, or the winner itself, thinks to take so many
seconds.  Those estimates are words, and prices hang on much else; so what is said of another job is a range, and with
few auctions nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from morphware.node.describe import read_names
from morphware.protocol.units import JobId, Timestamp, Wei
from morphware.protocol.view import JobView

NEWEST_MOST: Final = 200
AUCTIONS_LEAST: Final = 3
"""With fewer, a range would be somebody's own price."""
HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class AuctionPrice:
    """One auction that found a winner. ``when`` is its award, in seconds since the epoch; None if nobody told.

    ``estimated_s`` is the end user's estimate; ``authentic_bids`` counts the opened bids that were no decoys.
    """

    job_id: JobId
    when: Timestamp | None
    price_wei: Wei
    reserve_wei: Wei
    estimated_s: int
    metric: str
    authentic_bids: int

    @property
    def per_hour_wei(self) -> Wei:
        """The price of an hour of estimated training, rounded down."""
        return Wei(self.price_wei * HOUR_S // max(1, self.estimated_s))


@dataclass(frozen=True, slots=True)
class PriceEstimate:
    """What a job of so many estimated seconds would have been paid: half of the auctions lie between the quartiles."""

    auctions: int
    lower_wei: Wei
    median_wei: Wei
    upper_wei: Wei


def recent_prices(
    views: Mapping[JobId, JobView], awarded_at: Mapping[JobId, Timestamp] | None = None
) -> list[AuctionPrice]:
    """The newest auctions that found a winner, the newest first.

    Args:
        views: all jobs that the node knows, the oldest first, as the engine has them.
        awarded_at: when they were awarded, where that is known.
    """
    when = awarded_at or {}
    awarded = [view for view in views.values() if view.award is not None][::-1]
    awarded.sort(key=lambda view: when.get(view.job_id) or 0, reverse=True)  # stable: else the job posted last is first
    return [_price(view, when.get(view.job_id)) for view in awarded[:NEWEST_MOST]]


def estimate(prices: Iterable[AuctionPrice], estimated_s: int) -> PriceEstimate | None:
    """What such auctions would have paid for so many seconds; None where there are too few to say."""
    per_hour = [each.per_hour_wei for each in prices]
    if len(per_hour) < AUCTIONS_LEAST or estimated_s <= 0:
        return None
    lower, median, upper = (_scaled(quartile, estimated_s) for quartile in _quartiles(per_hour))
    return PriceEstimate(len(per_hour), lower, median, upper)


def _quartiles(values: list[Wei]) -> list[int]:
    """In integers: amounts in wei are larger than a float is exact."""
    ordered = sorted(values)
    quartiles = []
    for quarter in (1, 2, 3):
        whole, rest = divmod((len(ordered) - 1) * quarter, 4)
        upper = ordered[min(whole + 1, len(ordered) - 1)]
        quartiles.append(ordered[whole] + (upper - ordered[whole]) * rest // 4)
    return quartiles


def _scaled(per_hour_wei: int, estimated_s: int) -> Wei:
    return Wei(per_hour_wei * estimated_s // HOUR_S)


def _price(view: JobView, when: Timestamp | None) -> AuctionPrice:
    assert view.award is not None
    return AuctionPrice(
        job_id=view.job_id,
        when=when,
        price_wei=view.award.price_wei,
        reserve_wei=view.terms.reserve_wei,
        estimated_s=view.terms.estimated_s,
        metric=read_names(view)[1],
        authentic_bids=sum(opened.is_authentic for opened in view.opened.values()),
    )
