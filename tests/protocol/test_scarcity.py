"""Nobody gains by keeping other people's seats busy: it is dear, draws wait for them, and no committee is short."""

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.chain_events import Appealed, AppealUnheard, Audited, CommitteeDrawn, JobClosed, StateChanged
from morphware.protocol.commitments import next_seed_of
from morphware.protocol.drawing import MOST_WAITS
from morphware.protocol.job import NOBODY
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import JobId, Timestamp, Wei
from tests.protocol.market_crowds import SCARCE_SEATS, occupy, reported, scarce, scarce_later
from tests.protocol.market_world import (
    BAD,
    DOMAIN,
    GOOD,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    await_chance,
    blockhash,
    only,
    started,
    states,
    terms_of,
)
from tests.protocol.scarcity_scenarios import (
    an_unheard_appeal_that_costs_its_bond,
    an_unlucky_draw,
    seats_of_one_owner,
)


def waiting() -> tuple[World, JobId, list[JobId]]:
    """A job whose first committee waits for seats."""
    world = World()
    return (world, *scarce(world))


def doubted() -> tuple[World, JobId, list[JobId]]:
    """A finding in TALLIED, just before which most seats were drawn for other jobs."""
    world = World()
    return (world, *scarce_later(world))


def poke_on(world: World, job_id: JobId) -> list[object]:
    """Poke as long as the draw waits; all that was said."""
    said: list[object] = []
    while world.job(job_id).state is State.DRAWING:
        said += world.poke(job_id)
    return said


def let_all_leave(world: World) -> None:
    """No free seat stays."""
    for number, seat in list(world.market.registry.seats.items()):
        if seat.is_free:
            world.do(seat.owner, calls.RequestUnstake(number))


# --- what it costs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seats", [1, 3, 5, 7, 9, 11])
def test_jobs_of_a_few_wei_cannot_take_other_peoples_seats(seats: int) -> None:
    world = World().found(VALIDATORS)
    for reserve, fee in ((1, 0), (1, 1), (-(-70 * (seats + 1) // 32) - 1, 1)):
        refused = world.ask(USER, calls.Post(terms_of(seats=seats, reserve_wei=reserve, fee_wei=fee), b""))
        assert refused == refusals.BadTerms("reserve")
    dear = -(-70 * (seats + 1) // 32)
    assert world.ask(USER, calls.Post(terms_of(seats=seats, reserve_wei=dear, fee_wei=0), b"")) == refusals.BadTerms(
        "fee"
    )
    assert isinstance(world.ask(USER, calls.Post(terms_of(seats=seats, reserve_wei=dear, fee_wei=1), b"")), list)


def test_whoever_has_a_committee_drawn_and_abandons_it_burns_a_quarter_of_a_dear_reserve() -> None:
    """At least a 128th of what as many seats, and one more, stake."""
    world = World(prices=(5, 10)).found()
    job_id = world.post(reserve_wei=16)
    world.advance(job_id, State.KEYING)
    closed = only(JobClosed, world.poke(job_id))
    assert (closed.outcome, closed.burned_wei) == (Outcome.MUTUAL_ABORT, 4)
    assert closed.burned_wei * 128 > 70 * 6


@pytest.mark.parametrize(("fee", "is_accepted"), [(6_999, False), (7_000, True)])
def test_the_smallest_fee_is_a_hundredth_of_a_seat(fee: int, is_accepted: bool) -> None:
    world = World(Market(DOMAIN, Parameters(TIMING, Wei(700_000)), blockhash)).found()
    posted = world.ask(USER, calls.Post(terms_of(reserve_wei=1_000_000, fee_wei=fee), b""))
    assert (posted if isinstance(posted, list) else [posted]).count(refusals.BadTerms("fee")) == (not is_accepted)


def test_whoever_stakes_and_leaves_closes_the_market_only_until_one_more_stakes() -> None:
    """The count of numbers never shrinks, but it takes seven seats for an honest one, and each new one counts."""
    world = World().found(VALIDATORS[:16])
    registry = world.market.registry
    world.do(STRANGER, calls.Stake(7 * 16 + 1))
    mine = [number for number, seat in registry.seats.items() if seat.owner == STRANGER]
    for number in mine:
        world.do(STRANGER, calls.RequestUnstake(number))
    world.wait(TIMING.unbonding_s)
    for number in mine:
        world.do(STRANGER, calls.Unstake(number))
    assert (world.worth(STRANGER), registry.free_seats, registry.next_seat) == (10_000, 16, 129)
    assert world.ask(USER, calls.Post(terms_of(), b"")) == refusals.NotEnoughSeats(16, 17)
    world.do(VALIDATORS[0], calls.Stake(1))
    world.wait(1)
    assert registry.next_seat == 129
    job_id = world.post()
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID


def test_nobody_posts_while_more_seats_are_busy_than_free() -> None:
    world = World()
    _, fillers = scarce(world)
    registry = world.market.registry
    assert (registry.free_seats, registry.busy_seats) == (SCARCE_SEATS - 22, 22)
    small = calls.Post(terms_of("small", seats=1, reserve_wei=35), b"")
    assert world.ask(USER, small) == refusals.NotEnoughSeats(21, 22)
    world.do(STRANGER, calls.Stake(1))
    assert registry.free_seats == registry.busy_seats
    world.do(USER, small)
    world.close(fillers[0])
    assert world.job(world.post("large", seats=9)).state is State.BIDDING


# --- the first committee -----------------------------------------------------------------------------------------


def test_a_draw_waits_while_most_seats_sit_in_other_jobs_and_takes_none_of_them() -> None:
    world = World()
    job_id, fillers = scarce(world, State.SEED)
    registry = world.market.registry
    assert (registry.free_seats, registry.busy_seats) == (SCARCE_SEATS - 22, 22), "there would be five of them"
    world.wait(1, blocks=3)
    said = world.do(USER, world.seed(job_id))
    assert said == [StateChanged(job_id, State.DRAWING, world.job(job_id).deadline)]
    assert (world.job(job_id).deadline, world.job(job_id).draw_block) == (
        world.now + TIMING.draw_s,
        world.block + TIMING.seed_blocks,
    )
    assert (registry.free_seats, registry.busy_seats) == (SCARCE_SEATS - 22, 22)
    world.close(fillers[0])
    assert states(world.poke(job_id)) == [State.KEYING]
    assert (registry.busy_seats, len(world.job(job_id).committee)) == (16, 5)


def test_there_are_five_waits_each_four_times_as_long_as_the_one_before_and_for_another_block() -> None:
    assert MOST_WAITS == 5
    world, job_id, _ = waiting()
    job, blocks = world.job(job_id), []
    for waits in range(MOST_WAITS + 1):
        assert job.waits == waits
        assert job.deadline == world.now + TIMING.draw_s * 4**waits
        assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.TooEarly(job_id, job.deadline, Timestamp(world.now))
        world.now = job.deadline
        assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.SeedBlockPending(job.draw_block, world.block)
        blocks.append(job.draw_block)
        world.poke(job_id)
    assert job.state is State.CLOSED
    assert len(set(blocks)) == MOST_WAITS + 1


@pytest.mark.parametrize("waits", [0, 1, MOST_WAITS])
def test_a_late_first_committee_gets_its_keys_as_ever_and_the_job_is_paid(waits: int) -> None:
    world, job_id, fillers = waiting()
    for _ in range(waits):
        assert states(world.poke(job_id)) == [State.DRAWING]
    world.close(fillers[0])
    draw_block = world.job(job_id).draw_block
    said = world.poke(job_id)
    drawn = only(CommitteeDrawn, said)
    assert drawn.seed == next_seed_of(blockhash(draw_block), job_id), "the end user's share is public by now"
    assert (drawn.round, len(drawn.validators), states(said)) == (0, 5, [State.KEYING])
    assert world.job(job_id).deadline == world.now + TIMING.keying_s
    assert isinstance(world.ask(STRANGER, calls.PostTestKeys(job_id, world.boxes(job_id))), refusals.WrongCaller)
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    assert states(world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))) == [State.VCOMMIT]
    refused = world.ask(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    assert refused == refusals.WrongState(job_id, State.VCOMMIT), "the first committee had them in KEYING"
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID


@pytest.mark.parametrize(("party", "outcome"), [(USER, Outcome.PAID), (WORKERS[0], Outcome.WORKER_FAULT)])
def test_whoever_keeps_its_keys_from_a_late_first_committee_is_at_fault(party: bytes, outcome: Outcome) -> None:
    world, job_id, fillers = waiting()
    world.close(fillers[0])
    world.poke(job_id)
    if party == USER:
        world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
        world.poke(job_id)
        world.do(STRANGER, world.claim(job_id))
    else:
        world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
        world.poke(job_id)
    assert world.job(job_id).outcome is outcome


def test_keeping_seats_busy_until_a_job_gives_up_is_no_free_way_out_of_it() -> None:
    """It was INCONCLUSIVE, which cost nothing: now both parties burn as where nobody can say whose fault it is."""
    world, job_id, _ = waiting()
    before = world.worth(USER), world.worth(WORKERS[0])
    held = 100 + 10 + 50, 50
    said = world.close(job_id)
    assert states(said) == [State.DRAWING] * MOST_WAITS + [State.CLOSED]
    closed = only(JobClosed, said)
    assert (closed.outcome, closed.burned_wei) == (Outcome.MUTUAL_ABORT, 24)
    assert world.worth(USER) - before[0] == held[0] - 12
    assert world.worth(WORKERS[0]) - before[1] == held[1] - 12


def test_a_job_for_whose_committee_nobody_is_there_ends_at_once_and_costs_both_parties() -> None:
    world = World().found(validators=())
    world.do(USER, calls.Stake(16))
    world.wait(1)
    job_id = world.post()
    world.advance(job_id, State.SEED)
    for number in range(12):
        world.do(USER, calls.RequestUnstake(number))
    world.wait(1, blocks=3)
    closed = only(JobClosed, world.do(USER, world.seed(job_id)))
    assert (closed.outcome, closed.burned_wei) == (Outcome.MUTUAL_ABORT, 24)
    assert world.market.registry.free_seats == 4
    assert world.worth(USER) == world.worth(WORKERS[0]) == 10_000 - 12


def test_an_unlucky_draw_is_made_again_though_no_other_job_holds_a_seat() -> None:
    world = World()
    said: list[object] = []
    world.observers.append(lambda _caller, _call, result: said.extend(result if isinstance(result, list) else ()))
    an_unlucky_draw(world)
    [job_id] = world.market.jobs
    assert states(said).count(State.DRAWING) == 2
    assert only(CommitteeDrawn, said).round == 0
    assert (len(world.job(job_id).committee), world.job(job_id).outcome) == (11, Outcome.PAID)


def test_an_unlucky_draw_is_given_up_after_as_many_waits_as_any_other() -> None:
    """Sixteen seats are free, but all are the end user's own."""
    world = World().found(validators=())
    world.do(USER, calls.Stake(16))
    world.wait(1)
    job_id = world.post()
    world.advance(job_id, State.SEED)
    world.wait(1, blocks=3)
    said = [*world.do(USER, world.seed(job_id)), *poke_on(world, job_id)]
    assert states(said) == [State.DRAWING] * (MOST_WAITS + 1) + [State.CLOSED]
    assert only(JobClosed, said).outcome is Outcome.MUTUAL_ABORT
    assert world.worth(USER) == world.worth(WORKERS[0]) == 10_000 - 12


def test_an_appeals_unlucky_draw_is_made_again_though_no_other_job_holds_a_seat() -> None:
    """Eleven seats are free, but all of them were staked after the job was posted."""
    world, job_id = started(State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    let_all_leave(world)
    world.do(VALIDATORS[30], calls.Stake(11))
    assert (world.market.registry.free_seats, world.market.registry.busy_seats) == (11, 5)
    said = poke_on(world, job_id)
    assert states(said) == [State.DRAWING] * MOST_WAITS + [State.CLAIMABLE]
    assert only(AppealUnheard, said).kept_wei == 10


def test_a_draw_that_finds_too_few_owners_takes_no_short_committee_but_waits_for_those_who_sit_elsewhere() -> None:
    world = World()
    sizes: list[int] = []
    world.observers.append(
        lambda _caller, _call, said: (
            sizes.extend(len(event.validators) for event in said if isinstance(event, CommitteeDrawn))
            if isinstance(said, list)
            else None
        )
    )
    seats_of_one_owner(world)
    assert sizes == [11]


def test_nothing_but_a_poke_can_be_done_while_a_first_committee_waits() -> None:
    world, job_id, _ = waiting()
    refused = refusals.WrongState(job_id, State.DRAWING)
    for caller, call in (
        (USER, world.seed(job_id)),
        (USER, calls.PostTestKeys(job_id, ())),
        (WORKERS[0], calls.PostModelKeys(job_id, ())),
        (USER, calls.ComplainX(job_id)),
        (STRANGER, calls.Appeal(job_id)),
        (WORKERS[0], world.claim(job_id)),
    ):
        assert world.ask(caller, call) == refused


# --- appeals -----------------------------------------------------------------------------------------------------


def test_an_appeal_does_not_need_its_seats_at_once_but_waits_for_them() -> None:
    world, job_id, fillers = doubted()
    registry = world.market.registry
    assert (registry.free_seats, registry.busy_seats) == (SCARCE_SEATS - 27, 27)
    world.do(STRANGER, calls.Appeal(job_id))
    assert states(world.poke(job_id)) == [State.DRAWING]
    world.close(fillers[1])
    said = world.poke(job_id)
    assert (states(said), len(only(CommitteeDrawn, said).validators)) == ([State.VCOMMIT], 11)
    world.report(job_id, (BAD,) * 11)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.REJECTED
    assert world.worth(STRANGER) == 10_000, "right, so the bond comes back"


def test_an_appeal_is_refused_only_if_seats_that_sit_elsewhere_are_too_few_as_well() -> None:
    world, job_id, _ = doubted()
    free = [number for number, seat in world.market.registry.seats.items() if seat.is_free]
    for number in free:
        world.do(world.market.registry.seats[number].owner, calls.RequestUnstake(number))
    assert world.market.registry.free_seats == 0
    world.do(STRANGER, calls.Appeal(job_id))
    world, job_id = started(State.TALLIED)
    let_all_leave(world)
    assert world.ask(STRANGER, calls.Appeal(job_id)) == refusals.NotEnoughSeats(0, 11)


def test_an_unheard_appeal_pays_a_fee_for_each_seat_that_waited_and_takes_no_appeal_away() -> None:
    world, job_id, fillers = doubted()
    world.do(STRANGER, calls.FundAudits(Wei(5)))
    job = world.job(job_id)
    world.do(STRANGER, calls.Appeal(job_id))
    assert world.free(STRANGER) == 10_000 - 5 - 22
    said = poke_on(world, job_id)
    assert states(said) == [State.DRAWING] * MOST_WAITS + [State.CLAIMABLE], "the verdict stands"
    assert only(AppealUnheard, said) == AppealUnheard(job_id, STRANGER, Wei(22), Wei(10))
    assert (world.free(STRANGER), job.appeals_made, job.verdict) == (10_000 - 5 - 10, 0, Verdict.PASS)
    assert world.market.ledger.audit_pool() == 5 + 10
    world.do(STRANGER, world.claim(job_id))
    world.close(fillers[0])
    assert only(Appealed, world.do(USER, calls.InspectAppeal(job_id))).seats == 11
    world.poke(job_id)
    world.report(job_id, (BAD,) * 11)
    world.close(job_id)
    assert job.outcome is Outcome.REJECTED


def test_an_appeal_for_whose_committee_nobody_is_there_is_undone_at_once() -> None:
    world, job_id = started(State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    let_all_leave(world)
    said = world.poke(job_id)
    assert said[0] == AppealUnheard(job_id, STRANGER, Wei(22), Wei(10))
    assert states(said) == [State.CLAIMABLE]
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.worth(STRANGER) == 10_000 - 10


def test_an_unheard_appeal_never_costs_more_than_its_bond() -> None:
    """Thirteen seats sat in the job, of two committees and of an audit; the appeal pays for eleven."""
    world = World()
    said: list[object] = []
    world.observers.append(lambda _caller, _call, result: said.extend(result if isinstance(result, list) else ()))
    an_unheard_appeal_that_costs_its_bond(world)
    unheard = only(AppealUnheard, said)
    assert (unheard.bond_wei, unheard.kept_wei) == (22, 22)
    assert world.worth(STRANGER) == 10_000 - 6 - 22


def test_appealing_everything_while_seats_are_scarce_is_not_free() -> None:
    """Whoever holds a committee's seats by an appeal that nobody hears pays for them, and does so each time anew."""
    world, job_id, _ = doubted()
    before, times = world.worth(USER), 0
    world.do(USER, calls.Appeal(job_id))
    poke_on(world, job_id)
    world.do(STRANGER, world.claim(job_id))
    held = world.market.registry.busy_seats
    world.do(USER, calls.InspectAppeal(job_id))
    while world.job(job_id).state is State.DRAWING:
        assert world.market.registry.busy_seats == held, "its five seats sit and wait"
        world.poke(job_id)
        times += 1
    assert times == MOST_WAITS + 1
    assert world.job(job_id).outcome is Outcome.PAID
    escrow_left = 100 + 10 + 50 - 40 - 10
    assert world.worth(USER) - before == escrow_left - 2 * 5 * 2


def test_an_end_users_last_look_that_finds_no_seats_ends_the_job_and_costs_it_what_waited() -> None:
    world, job_id = started(State.INSPECT)
    world.do(USER, calls.InspectAppeal(job_id))
    let_all_leave(world)
    said = world.poke(job_id)
    assert said[0] == AppealUnheard(job_id, USER, Wei(22), Wei(10))
    assert only(JobClosed, said).outcome is Outcome.PAID
    assert world.worth(USER) == 10_000 - 50 - 10


def test_an_appeal_whose_own_committee_was_silent_was_heard_even_if_there_is_no_second_one() -> None:
    world, job_id = started(State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    said = world.report(job_id, (GOOD,) * 5 + (None,) * 6)
    assert states(said) == [State.DRAWING]
    let_all_leave(world)
    said = world.poke(job_id)
    assert not [event for event in said if isinstance(event, AppealUnheard)]
    assert (states(said), world.job(job_id).appeals_made) == ([State.CLAIMABLE], 1)
    assert world.free(STRANGER) == 10_000 - 22


def test_a_silent_first_committee_that_is_not_drawn_anew_is_inconclusive() -> None:
    world, job_id = started(State.VCOMMIT)
    world.report(job_id, (GOOD, GOOD, None, None, None))
    let_all_leave(world)
    assert only(JobClosed, world.poke(job_id)).outcome is Outcome.INCONCLUSIVE


def test_every_committee_that_is_wanted_waits_anew_from_the_shortest_time_on() -> None:
    world, job_id, fillers = waiting()
    job = world.job(job_id)
    for _ in range(5):
        world.poke(job_id)
    world.close(fillers[0])
    world.advance(job_id, State.TALLIED)
    assert job.waits == 5
    world.do(STRANGER, calls.Appeal(job_id))
    assert (job.waits, job.deadline) == (0, world.now + TIMING.draw_s)


# --- audits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaving", "is_audited"), [(11, True), (12, False)])
def test_no_audit_is_made_while_it_would_have_to_wait(leaving: int, is_audited: bool) -> None:
    """Eleven seats sit in another job, whose end the audit would have to wait for if fewer were free."""
    world = World()
    job_id, fillers = reported(world)
    world.do(STRANGER, calls.FundAudits(Wei(100)))
    occupy(world, fillers[:1])
    registry = world.market.registry
    free = [number for number, seat in registry.seats.items() if seat.is_free]
    for number in free[: len(free) - 22 + leaving]:
        world.do(registry.seats[number].owner, calls.RequestUnstake(number))
    assert (registry.free_seats, registry.busy_seats) == (22 - leaving, 11 + 5)
    await_chance(world, job_id)
    assert states(world.poke(job_id)) == [State.DRAWING if is_audited else State.CLAIMABLE]
    assert world.market.ledger.audit_pool() == (94 if is_audited else 100)


def test_an_audit_whose_seats_are_taken_before_its_draw_waits_and_the_pool_has_its_bond_back_if_none_come() -> None:
    world = World()
    job_id, fillers = reported(world)
    world.do(STRANGER, calls.FundAudits(Wei(100)))
    await_chance(world, job_id)
    assert only(Audited, world.poke(job_id)).seats == 3
    assert world.market.ledger.audit_pool() == 94
    occupy(world, fillers)
    said = poke_on(world, job_id)
    assert states(said) == [State.DRAWING] * MOST_WAITS + [State.CLAIMABLE]
    assert only(AppealUnheard, said) == AppealUnheard(job_id, NOBODY, Wei(6), Wei(6))
    assert (world.market.ledger.audit_pool(), world.job(job_id).is_audited) == (100, False)
    world.advance(job_id, State.INSPECT)
    assert only(Appealed, world.do(USER, calls.InspectAppeal(job_id))).seats == 11
