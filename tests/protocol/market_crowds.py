"""Other people's jobs, in which so many seats sit that the draws of a job wait for them."""

from collections.abc import Sequence

from morphware.protocol import calls
from morphware.protocol.market import Market
from morphware.protocol.states import State
from morphware.protocol.units import JobId, Wei
from tests.protocol.market_world import GOOD, RICH_WEI, USER, VALIDATORS, WORKERS, World, opening_of

SCARCE_SEATS = 43
"""Where two committees of eleven sit, less than half of these are free: no draw of another job finds any."""


FILLER = "filler"
"""How jobs are called that are there to keep seats busy."""


def post_fillers(world: World, count: int = 2, seats: int = 11) -> list[JobId]:
    """Jobs whose committees are drawn as soon as ``occupy`` says so."""
    testing_s = max(15, world.market.parameters.timing.report_reveal_s)
    fillers = [world.post(f"{FILLER} {number}", seats=seats, testing_s=testing_s) for number in range(count)]
    bid_for(world, fillers)
    for job_id in fillers:
        world.advance(job_id, State.TRAINING)
    return fillers


def bid_for(world: World, jobs: Sequence[JobId]) -> None:
    """The usual bids for jobs that are advanced one after another, so that none of them ends without a bid."""
    for job_id in jobs:
        for worker, price in zip(WORKERS, world.prices, strict=False):
            world.bid(job_id, opening_of(worker, price))


def occupy(world: World, fillers: Sequence[JobId]) -> None:
    """Their committees are drawn, within this very second."""
    for job_id in fillers:
        world.do(world.job(job_id).winner, world.submission(job_id))
    world.wait(0, blocks=3)
    for job_id in fillers:
        world.do(USER, world.seed(job_id))


class Crowd:
    """Other people's jobs in a market that somebody else lives in, by a clock of their own.

    Draws wait from when their committees ``come``, which are drawn one after another, until they ``leave``.
    """

    def __init__(self, market: Market, now: int, block: int, *, jobs: int, seats: int) -> None:
        self._world = World(market, now, block)
        for each in (USER, *WORKERS):
            self._world.do(each, calls.Deposit(Wei(RICH_WEI * self._world.scale)))
        self._jobs = post_fillers(self._world, jobs, seats)

    def come(self) -> None:
        occupy(self._world, self._jobs)
        assert all(self._world.job(job_id).committee for job_id in self._jobs)

    def leave(self) -> None:
        for job_id in self._jobs:
            self._world.close(job_id)


def scarce(world: World, until: State = State.DRAWING) -> tuple[JobId, list[JobId]]:
    """A job whose first committee waits, or is about to, and two others in which most seats sit for a little while."""
    world.found(VALIDATORS[:SCARCE_SEATS])
    fillers = post_fillers(world)
    job_id = world.post(bidding_s=4)
    world.advance(job_id, State.SEED)
    occupy(world, fillers)
    if until is State.DRAWING:
        world.do(USER, world.seed(job_id))
    assert world.job(job_id).state is until
    return job_id, fillers


def reported(world: World, metrics: Sequence[int | None] = (GOOD,) * 5) -> tuple[JobId, list[JobId]]:
    """A job whose committee has reported, and two others that may ``occupy`` most seats whenever they like."""
    world.found(VALIDATORS[:SCARCE_SEATS])
    fillers = post_fillers(world)
    job_id = world.post(bidding_s=4)
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, metrics)
    return job_id, fillers


def scarce_later(world: World, metrics: Sequence[int | None] = (GOOD,) * 5) -> tuple[JobId, list[JobId]]:
    """A job whose committee has reported, and two others in which most seats sit since then."""
    job_id, fillers = reported(world, metrics)
    occupy(world, fillers)
    return job_id, fillers
