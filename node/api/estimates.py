"""What recent auctions paid, as an estimate for the next one."""

from dataclasses import dataclass
from typing import Final

import msgspec

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.submitting import PriceEstimate, PriceQuery, RecentPrice
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.journal import Journal
from morphware.node.pricing import least_reserve_wei, most_reserve_wei
from morphware.node.recent_prices import AuctionPrice, recent_prices
from morphware.node.recent_prices import estimate as estimate_of
from morphware.node.wording import counted

SHOWN_MOST: Final = 20
"""So many auctions are told one by one."""


@dataclass(frozen=True, slots=True)
class EstimateRequests:
    """Answers from the engine's views, and from the journal for when auctions ended."""

    node: Running

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/estimate", "estimate_price", "What recent auctions paid, scaled to a job's estimated time.",
                  self.estimate, PriceEstimate, query=PriceQuery),
        ]  # fmt: skip

    async def estimate(self, call: Call) -> PriceEstimate:
        """The journal is asked for every award that it knows."""
        awarded_at = await self.node.read(Journal.awards)
        stake_wei, seats = self.node.parameters.seat_stake_wei, call.query.seats
        return msgspec.structs.replace(
            told(recent_prices(self.node.engine.views, awarded_at), call.query.estimated_s),
            least_reserve_wei=str(int(least_reserve_wei(stake_wei, seats))),
            most_reserve_wei=str(int(most_reserve_wei(stake_wei, seats))),
        )


def told(prices: list[AuctionPrice], estimated_s: int) -> PriceEstimate:
    """Median and quartiles, in words, too; nothing where there are too few auctions."""
    found = estimate_of(prices, estimated_s)
    recent = [
        RecentPrice(
            job_id=price.job_id.hex(),
            time_s=price.when or 0,
            metric=price.metric,
            estimated_s=price.estimated_s,
            price_wei=str(int(price.price_wei)),
            reserve_wei=str(int(price.reserve_wei)),
            bids=price.authentic_bids,
        )
        for price in prices[:SHOWN_MOST]
    ]
    if found is None:
        seen = counted(len(prices), "auction")
        sentence = f"This node has seen {seen}, too few for an estimate: offer what a model is worth to you."
        return PriceEstimate(
            auctions=len(prices), low_wei=None, middle_wei=None, high_wei=None, recent=recent, sentence=sentence
        )
    sentence = (
        f"Half of the last {found.auctions} auctions would have paid {_shown(found.lower_wei)} to "
        f"{_shown(found.upper_wei)} tokens for {estimated_s} s: a reserve above that draws bids."
    )
    return PriceEstimate(
        auctions=found.auctions, low_wei=str(int(found.lower_wei)), middle_wei=str(int(found.median_wei)),
        high_wei=str(int(found.upper_wei)), recent=recent, sentence=sentence,
    )  # fmt: skip


def _shown(amount_wei: int) -> str:
    """An amount with three digits that count."""
    digits = len(str(amount_wei))
    return format_tokens(round(amount_wei, 3 - digits) if digits > 3 else amount_wei)
