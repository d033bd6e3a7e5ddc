"""Kill -9 at every phase boundary: a node that is started again on its folder leads the job to the same outcome."""

from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import to_builtins

from morphware.node.errors import MorphwareError
from tests.e2e.market import Market, clouds_wish, open_market

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]

BOUNDARIES = [
    "BIDDING",
    "REVEALING",
    "AWARDED",
    "KEYED",
    "TRAINING",
    "SEED",
    "KEYING",
    "VCOMMIT",
    "VREVEAL",
    "TALLIED",
    "CLAIMABLE",
    "CLOSED",
]


@pytest.mark.parametrize("role", ["user", "worker", "validator"])
async def test_a_node_killed_at_every_phase_boundary_leads_to_the_same_outcome(tmp_path: Path, role: str) -> None:
    async with open_market(tmp_path / "net", workers=2, validators=5) as market:
        before = await market.tokens()
        wish = clouds_wish(tmp_path / "data", training_s=90, testing_s=90)
        job_id = await market.submit(wish)
        watcher = "worker-2" if role == "user" else "user-1"
        killed_at = await _kill_at_every_boundary(market, job_id, role, watcher)
        job = await market.until_over(job_id)
        after = await market.tokens()

        assert job["outcome"] == "PAID"
        assert len(killed_at) >= 8, f"a boundary may pass while the victim starts, but not most of them: {killed_at}"
        prices = sorted(int(bid["price_wei"]) for bid in job["bids"] if bid["is_authentic"])
        assert len(prices) == 2, "a worker that was killed still bids once, and authentically"
        assert int(job["price_wei"]) == prices[1]
        winner = market.name(job["winner"]["account"])
        assert after[winner] - before[winner] == prices[1], "nobody is paid twice"
        assert [report["metric"] for report in job["reports"]] == [job["metric_value"]] * 5
        assert sum(before.values()) == sum(after.values())


async def _kill_at_every_boundary(market: Market, job_id: str, role: str, watcher: str) -> list[str]:
    """Follow the job through another node, and restart the victim as soon as the job enters a state."""
    killed_at: list[str] = []
    while "CLOSED" not in killed_at:
        job = await _described(market, watcher, job_id)
        state = job["state"] if job else "NONE"
        if state in BOUNDARIES and state not in killed_at:
            killed_at.append(state)
            for victim in _victims(market, role, job or {}):
                await market.restart(victim)
        await trio.sleep(0.05)
    return killed_at


def _victims(market: Market, role: str, job: dict[str, Any]) -> list[str]:
    """Whom to kill: the end user; the winner, or before it is known the cheapest; a drawn validator."""
    if role == "user":
        return ["user-1"]
    if role == "worker":
        return [market.name(job["winner"]["account"])] if job.get("winner") else ["worker-1"]
    return [market.name(job["committee"][0])] if job.get("committee") else ["validator-1"]


async def _described(market: Market, node: str, job_id: str) -> dict[str, Any] | None:
    try:
        return dict(to_builtins(await market.network.nodes[node].client.job(job_id)))
    except MorphwareError:
        return None  # it does not know the job yet, or is being started
