"""What recent auctions paid, as an estimate for the next one."""

from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.submitting import PriceEstimate, PriceQuery, RecentPrice
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.describe import read_names

AUCTIONS_MOST: Final = 20
AUCTIONS_LEAST: Final = 3
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class EstimateRequests:
    """Answers from the engine's views."""

    node: Running

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/estimate", "estimate_price", "What recent auctions paid, scaled to a job's estimated time.",
                  self.estimate, PriceEstimate, query=PriceQuery),
        ]  # fmt: skip

    async def estimate(self, call: Call) -> PriceEstimate:
        """From memory."""
        return estimate(self._recent(), call.query.estimated_s)

    def _recent(self) -> list[RecentPrice]:
        recent: list[RecentPrice] = []
        for job_id, view in reversed(self.node.engine.views.items()):
            if view.award is None:
                continue
            recent.append(
                RecentPrice(
                    job_id=job_id.hex(),
                    time_s=self.node.engine.journal.first_moment(job_id) or 0,
                    metric=read_names(view)[1],
                    estimated_s=view.terms.estimated_s,
                    price_wei=str(view.award.price_wei),
                    reserve_wei=str(view.terms.reserve_wei),
                    bids=len(view.bids),
                )
            )
            if len(recent) == AUCTIONS_MOST:
                break
        return recent


def estimate(recent: list[RecentPrice], estimated_s: int) -> PriceEstimate:
    """Median and quartiles of the prices an hour, times the hours; nothing of fewer than three auctions."""
    if len(recent) < AUCTIONS_LEAST:
        sentence = (
            f"Only {len(recent)} auctions were seen, too few for an estimate: offer what a model is worth to you."
        )
        return PriceEstimate(
            auctions=len(recent), low_wei=None, middle_wei=None, high_wei=None, recent=recent, sentence=sentence
        )
    hourly = [int(price.price_wei) * HOUR_S // max(1, price.estimated_s) for price in recent]
    low, middle, high = (int(part) * estimated_s // HOUR_S for part in quantiles(hourly, n=4, method="inclusive"))
    sentence = (
        f"Half of the last {len(recent)} auctions would have paid {_shown(low)} to {_shown(high)} tokens for "
        f"{estimated_s} s: a reserve above that draws bids."
    )
    return PriceEstimate(
        auctions=len(recent), low_wei=str(low), middle_wei=str(middle), high_wei=str(high), recent=recent,
        sentence=sentence,
    )  # fmt: skip


def _shown(amount_wei: int) -> str:
    """An amount with three digits that count."""
    digits = len(str(amount_wei))
    return format_tokens(round(amount_wei, 3 - digits) if digits > 3 else amount_wei)
