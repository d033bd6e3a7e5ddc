"""The engine lives through a draw that waits for seats: several pokes of one state are several calls."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.protocol.calls import Poke
from morphware.protocol.states import State
from tests.node.engine_runs import all_ended, assert_paid
from tests.node.world import market_of, no_threads
from tests.protocol.market_crowds import Crowd

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


async def test_a_job_whose_first_committee_waits_for_seats_is_poked_on_through_crashes_and_paid(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    crowd = Crowd(world.market, world.now, world.number, jobs=3, seats=5)  # of five validators with four seats each
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        user = world.nodes["user"]
        job_id = await user.submit()
        await world.until(lambda: world.state(job_id) is State.TRAINING)
        crowd.come()
        await world.until(lambda: world.state(job_id) is State.DRAWING)
        for failed in range(1, 4):
            await world.until(lambda failed=failed: world.market.jobs[job_id].waits == failed)  # type: ignore[misc]
            await user.kill()
            await user.start(nursery)
        crowd.leave()
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_paid(world, job_id)
    pokes = {sent.effect_id for sent in world.sent if isinstance(sent.call, Poke) and "DRAWING" in sent.effect_id}
    assert len({effect_id.split("DRAWING")[1] for effect_id in pokes}) == 4, "one for each time it waited"
