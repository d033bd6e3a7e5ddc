"""Whole jobs on the in-memory world, and what is true of all of them at their end."""

from collections import Counter
from typing import Any

import trio

from morphware.protocol.calls import Poke
from morphware.protocol.states import Outcome
from morphware.protocol.units import JobId
from tests.node.fuse import Killed
from tests.node.world import World


def all_ended(world: World) -> bool:
    nodes = [node for node in world.nodes.values() if node.is_up]
    return len(nodes) == len(world.nodes) and all(
        node.engine.machines and all(machine.is_finished for machine in node.engine.machines.values()) for node in nodes
    )


async def run_to_end(world: World, **wishes: Any) -> JobId:
    """One job, by nodes that are started again whenever they die."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            nursery.start_soon(node.run_on, nursery)
        job_id = await submit(world, **wishes)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    return job_id


async def submit(world: World, **wishes: Any) -> JobId:
    """Submit through a node that may die meanwhile: whoever got no answer looks at the jobs, and asks again."""
    user = world.nodes["user"]
    while True:
        await world.until(lambda: user.is_live)
        if user.engine.machines:
            return next(iter(user.engine.machines))[0]
        try:
            return await user.submit(**wishes)
        except Killed:
            await user.kill()


def assert_nothing_was_sent_twice(world: World) -> None:
    """A poke may be wanted in several states, and says the same in each; every other call is made once."""
    meanings = Counter((sent.account, sent.call) for sent in world.sent if not isinstance(sent.call, Poke))
    assert [call for call, count in meanings.items() if count > 1] == []


def assert_paid(world: World, job_id: JobId) -> None:
    assert world.outcome(job_id) is Outcome.PAID
    job = world.market.jobs[job_id]
    assert (job.winner, job.price_wei) == (world.nodes["worker0"].account, 40)
    model = world.nodes["user"].folder / "jobs" / job_id.hex() / "user" / "model" / "model.txt"
    assert model.read_text() == "a model"
    assert_nothing_was_sent_twice(world)
