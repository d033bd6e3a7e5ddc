"""Lives in which draws wait for seats, or find none, as scripts: the pure market plays them, and the EVM too."""

from collections.abc import Callable
from typing import Final

from morphware.protocol import calls
from morphware.protocol.commitments import next_seed_of, seed_of
from morphware.protocol.registry import draw
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Wei
from tests.protocol.market_crowds import SCARCE_SEATS, bid_for, occupy, post_fillers, scarce, scarce_later
from tests.protocol.market_world import (
    BAD,
    GOOD,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    await_chance,
    blockhash,
    user_seed,
    worker_seed,
)


def a_late_first_committee(world: World) -> None:
    """The first committee is drawn out of DRAWING, once another job has let go of its own; its appeal waits, too."""
    job_id, fillers = scarce(world)
    for _ in range(2):
        world.poke(job_id)
    world.ask(USER, calls.PostTestKeys(job_id, ()))
    world.close(fillers[0])
    world.poke(job_id)
    assert world.job(job_id).state is State.KEYING
    world.do(USER, calls.ComplainX(job_id))
    world.do(WORKERS[0], world.disclose_x(job_id))
    world.advance(job_id, State.VCOMMIT)
    world.ask(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    world.advance(job_id, State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 11)
    world.advance(job_id, State.CLOSED)


def a_first_committee_is_given_up(world: World) -> None:
    """After the last wait, both parties burn; and so they do out of SEED where there are no seats, free or busy."""
    job_id, fillers = scarce(world)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.MUTUAL_ABORT
    for each in fillers:
        world.close(each)
    seated = {seat.owner for seat in world.market.registry.seats.values()}
    for number, seat in list(world.market.registry.seats.items()):
        world.do(seat.owner, calls.RequestUnstake(number))
    assert seated
    world.do(USER, calls.Stake(16))
    world.wait(1)
    alone = world.post("alone")
    world.advance(alone, State.SEED)
    mine = [number for number, seat in world.market.registry.seats.items() if seat.is_free]
    for number in mine[4:]:
        world.do(USER, calls.RequestUnstake(number))
    world.wait(1, blocks=3)
    world.do(USER, world.seed(alone))
    assert world.job(alone).outcome is Outcome.MUTUAL_ABORT


def seats_of_one_owner(world: World) -> None:
    """A draw of 1,024 attempts finds one owner only: it waits for others, and is given up though seats are free."""
    world.found(VALIDATORS[:11])
    world.do(STRANGER, calls.Stake(60))
    world.wait(1)
    fillers = post_fillers(world)
    job_id = world.post()
    world.advance(job_id, State.SEED)
    occupy(world, fillers[:1])
    world.do(USER, world.seed(job_id))
    world.poke(job_id)
    assert world.job(job_id).state is State.DRAWING
    for number, seat in list(world.market.registry.seats.items()):
        if seat.owner != STRANGER:
            world.do(seat.owner, calls.RequestUnstake(number))
    world.close(fillers[0])
    world.close(fillers[1])
    while world.job(job_id).state is State.DRAWING:
        world.poke(job_id)
    assert world.job(job_id).outcome is Outcome.MUTUAL_ABORT


def an_unlucky_draw(world: World) -> None:
    """No other job holds a seat, but of 411 seats only eleven may serve, and all are wanted: most draws miss one."""
    world.found(VALIDATORS[:11])
    world.do(USER, calls.Deposit(Wei(40_000 * world.scale)))
    for _ in range(4):
        world.do(USER, calls.Stake(100))
    world.wait(1)
    job_id = world.post(seats=11)
    world.advance(job_id, State.TRAINING)

    def finds(seed: bytes) -> bool:
        """Whether a draw finds all of them."""
        return bool(draw(411, lambda number, picked: number < 11 and number not in picked, seed, 0, 11))

    def await_luck(*, is_lucky: bool) -> None:
        """Let blocks pass until the draw that comes after the next call is a lucky one, or an unlucky one."""
        while finds(next_seed_of(blockhash(world.block + TIMING.seed_blocks), job_id)) is not is_lucky:
            world.block += 1

    shares = user_seed(world.names[job_id]), worker_seed(world.job(job_id).winner)
    while finds(seed_of(*shares, blockhash(world.block + TIMING.seed_blocks), job_id)):
        world.block += 1
    world.do(world.job(job_id).winner, world.submission(job_id))
    world.wait(1, blocks=3)
    await_luck(is_lucky=False)
    world.do(USER, world.seed(job_id))
    assert world.job(job_id).state is State.DRAWING
    world.block = world.job(job_id).draw_block + 1
    await_luck(is_lucky=True)
    world.poke(job_id)
    assert world.job(job_id).state is State.DRAWING
    world.poke(job_id)
    assert world.job(job_id).state is State.KEYING
    world.advance(job_id, State.CLOSED)


def unheard_appeals(world: World) -> None:
    """An appeal that waits in vain is undone, and so is the next; the end user's own look is heard in the end."""
    job_id, fillers = scarce_later(world)
    job = world.job(job_id)
    world.do(STRANGER, calls.Appeal(job_id))
    while job.state is State.DRAWING:
        world.poke(job_id)
    world.do(STRANGER, world.claim(job_id))
    world.do(USER, calls.InspectAppeal(job_id))
    for _ in range(3):
        world.poke(job_id)
    world.close(fillers[1])
    world.poke(job_id)
    world.report(job_id, (BAD,) * 11)
    world.do(WORKERS[0], calls.Appeal(job_id))
    world.poke(job_id)
    world.close(fillers[0])
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 20 + (None,) * 3)
    world.close(job_id)


def an_unheard_appeal_that_costs_its_bond(world: World) -> None:
    """Two committees of five and an audit's three sat in the job: more than the eleven that the appeal pays for."""
    world.found(VALIDATORS[: SCARCE_SEATS + 8])
    world.do(STRANGER, calls.FundAudits(Wei(6 * world.scale)))
    fillers = post_fillers(world)
    job_id = world.post(bidding_s=4)
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 5)
    await_chance(world, job_id)
    world.poke(job_id)
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 3)
    occupy(world, fillers)
    world.do(STRANGER, calls.Appeal(job_id))
    while world.job(job_id).state is State.DRAWING:
        world.poke(job_id)
    assert world.job(job_id).appeals_made == 0
    world.close(job_id)


def an_unheard_last_look(world: World) -> None:
    """Where y is public, an appeal that is not heard ends the job; a committee that was silent is not drawn anew."""
    job_id, _ = scarce_later(world)
    world.advance(job_id, State.INSPECT)
    world.do(USER, calls.InspectAppeal(job_id))
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.PAID


def a_silent_appeal_is_not_drawn_anew(world: World) -> None:
    """Its committee was drawn, so its bond stays; for a second one there are no seats."""
    world.found(VALIDATORS[:SCARCE_SEATS])
    fillers = post_fillers(world)
    job_id = world.post(bidding_s=4)
    world.advance(job_id, State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    occupy(world, fillers)
    world.report(job_id, (GOOD,) * 5 + (None,) * 6)
    while world.job(job_id).state is State.DRAWING:
        world.poke(job_id)
    assert len(world.job(job_id).appellants) == 1
    world.close(job_id)


def unheard_audits(world: World) -> None:
    """An audit whose seats are taken before its draw gives the pool its bond back, after a PASS and after a FAIL."""
    world.found(VALIDATORS[:SCARCE_SEATS])
    world.do(STRANGER, calls.FundAudits(Wei(12 * world.scale)))
    fillers = post_fillers(world)
    jobs = [world.post(name, bidding_s=4) for name in ("passes", "fails")]
    bid_for(world, jobs)
    for job_id, metric in zip(jobs, (GOOD, BAD), strict=True):
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, (metric,) * 5)
    for job_id in jobs:
        await_chance(world, job_id)
        world.poke(job_id)
        assert world.job(job_id).is_audited
    occupy(world, fillers)
    for job_id in reversed(jobs):
        while world.job(job_id).state is State.DRAWING:
            world.poke(job_id)
        assert not world.job(job_id).is_audited
    world.advance(jobs[0], State.INSPECT)
    world.do(USER, calls.InspectAppeal(jobs[0]))
    for each in (*fillers, *jobs):
        world.close(each)


WITH_SCARCE_SEATS: Final[tuple[Callable[[World], None], ...]] = (
    a_late_first_committee,
    a_first_committee_is_given_up,
    seats_of_one_owner,
    an_unlucky_draw,
    unheard_appeals,
    an_unheard_appeal_that_costs_its_bond,
    an_unheard_last_look,
    a_silent_appeal_is_not_drawn_anew,
    unheard_audits,
)
