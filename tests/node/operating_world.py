"""A small market in memory, whose worker's owner has something to say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from morphware.node.machines import WORKER
from morphware.protocol.units import JobId
from morphware.protocol.worker import WorkerBrain
from tests.node.world import BLOCK_S, Node, World


def lonely_market(folder: Path, *, cost: int = 30, capacity: int = 1) -> World:
    """One worker, so that its bids are all there are."""
    world = World(folder)
    Node(world, "user", "user").enrol()
    Node(world, "worker0", "worker", cost=cost, capacity=capacity).enrol()
    for index in range(5):
        Node(world, f"validator{index}", "validator").enrol(seats=4)
    return world


async def start_all(world: World, nursery: trio.Nursery) -> Node:
    nursery.start_soon(world.tick)
    for node in world.nodes.values():
        await node.start(nursery)
    return world.nodes["worker0"]


@asynccontextmanager
async def working(world: World) -> AsyncIterator[Node]:
    """All nodes run while the block lasts; the worker."""
    async with trio.open_nursery() as nursery:
        yield await start_all(world, nursery)
        nursery.cancel_scope.cancel()


def bids_of(node: Node, job_id: JobId) -> int:
    """Bids that the node's worker has drawn up, whoever brings them on chain in the end."""
    machine = node.engine.machines.get((job_id, WORKER))
    if machine is None:
        return 0
    assert isinstance(machine.brain, WorkerBrain)
    return len(machine.brain.bids)


async def blocks(count: int) -> None:
    await trio.sleep(count * BLOCK_S)
