"""Lives that random ones rarely or never reach, as scripts: the pure market plays them under watch, and the EVM too."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from morphware.protocol import calls
from morphware.protocol.calls import Option
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import NO_MODEL, NO_TEST, JobId, Wei
from tests.protocol.market_world import (
    BAD,
    CHUNKS,
    GOOD,
    STRANGER,
    TEST_CHUNKS,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    await_chance,
    code_key,
    disclosure,
    exam_keys,
    opening_of,
    report_of,
    secret,
)
from tests.protocol.scarcity_scenarios import WITH_SCARCE_SEATS


def all_appeals(world: World) -> None:
    """Committees of 5, 11, 23 and 47, each of which finds the opposite, and the settlement of 86 seats."""
    world.found(VALIDATORS)
    job_id = world.post()
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (BAD,) * 5)
    for metric, size in ((GOOD, 11), (BAD, 23)):
        world.do(STRANGER, calls.Appeal(job_id))
        world.poke(job_id)
        world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
        world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
        world.report(job_id, (metric,) * size)
    world.ask(STRANGER, calls.Appeal(job_id))
    world.close(job_id)


def last_look(world: World) -> None:
    """Two appeals, the claim, the end user's own appeal, and none beyond 47 seats."""
    world.found(VALIDATORS)
    job_id = world.post()
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (GOOD,) * 4 + (None,))
    for metrics in ((GOOD,) * 10 + (NO_TEST,), (GOOD,) * 20 + (BAD, NO_MODEL, None)):
        world.do(WORKERS[1], calls.Appeal(job_id))
        world.poke(job_id)
        world.report(job_id, metrics)
        world.ask(STRANGER, calls.InspectAppeal(job_id))
    world.advance(job_id, State.INSPECT)
    world.do(USER, calls.InspectAppeal(job_id))
    world.poke(job_id)
    world.report(job_id, (BAD,) * 40 + (GOOD,) * 7)
    world.ask(USER, calls.Appeal(job_id))
    first = world.poke(job_id)
    assert world.job(job_id).state is not State.CLOSED, first
    world.ask(STRANGER, calls.Appeal(job_id))
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.REJECTED


def strikes(world: World) -> None:
    """Wrong codes until seats are dissolved for them, whose numbers others get."""
    world.found(VALIDATORS[:16])
    successors, lost = iter(VALIDATORS[16:]), 0
    for number in range(9):
        while world.market.registry.free_seats < 16:
            world.do(next(successors), calls.Stake(1))
            lost += 1
        if number == 6:
            world.wait(29 * 24 * 3600)
        job_id = world.post(f"job {number}")
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, (GOOD, GOOD, GOOD, NO_MODEL, NO_TEST))
        world.advance(job_id, State.INSPECT)
        world.poke(job_id)
    assert lost or world.market.registry.freed, "nobody had bad luck"
    world.do(STRANGER, calls.Stake(len(world.market.registry.freed) + 1))


def strikes_in_a_long_settlement(world: World) -> None:
    """A third strike that is settled in a later call is judged by the time of the first."""
    world.found(VALIDATORS[:60])
    for number in range(8):
        job_id = world.post(f"job {number}", seats=11)
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, (GOOD,) * 6 + (NO_MODEL,) * 5)
        world.do(STRANGER, calls.Appeal(job_id))
        world.poke(job_id)
        size = len(world.job(job_id).committee)
        world.report(job_id, (GOOD,) * (size // 2 + 1) + (NO_TEST,) * (size // 2))
        world.advance(job_id, State.INSPECT)
        world.poke(job_id)
        world.wait(7 * 24 * 3600)
        world.close(job_id)


def silent_committees(world: World) -> None:
    """A silent committee, a second one that is not paid for, and fees that shrink alike."""
    world.found(VALIDATORS[:40])
    for number, second in enumerate(((GOOD,) * 5, (None,) * 5, (NO_TEST, NO_TEST, NO_MODEL, NO_MODEL, None))):
        job_id = world.post(f"job {number}", fee_wei=90 * world.scale)
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, (GOOD, GOOD, None, None, None))
        world.ask(STRANGER, calls.Poke(job_id))
        world.poke(job_id)
        world.report(job_id, second)
        world.close(job_id)


def aborted_appeals(world: World) -> None:
    """A party's default in an appeal's round, with the refusals around disputes."""
    world.found(VALIDATORS[:40])
    for number, against_user in enumerate((True, False)):
        job_id = world.post(f"job {number}", options=Option.PUBLIC if against_user else 0)
        world.advance(job_id, State.KEYED)
        world.ask(WORKERS[0], calls.ComplainKey(job_id))
        if world.job(job_id).state is State.KEY_DISPUTE:
            world.ask(USER, replace(world.disclose_key(job_id), keys=exam_keys()))
            world.do(USER, world.disclose_key(job_id))
            world.ask(WORKERS[0], calls.ComplainKey(job_id))
        world.advance(job_id, State.VCOMMIT)
        world.ask(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
        world.ask(STRANGER, calls.ComplainKeys(job_id, against_user))
        world.advance(job_id, State.TALLIED)
        world.do(STRANGER, calls.Appeal(job_id))
        world.poke(job_id)
        accuser = world.job(job_id).committee[3]
        world.commit_report(job_id, report_of(accuser))
        world.ask(accuser, calls.ComplainKeys(job_id, against_user))
        if world.job(job_id).state is State.DISCLOSE:
            world.ask(STRANGER, world.disclose_model(job_id) if against_user else world.disclose_test(job_id))
            world.do(STRANGER, world.disclose_test(job_id) if against_user else world.disclose_model(job_id))
        world.ask(accuser, calls.ComplainKeys(job_id, against_user))
        world.do(accuser, calls.ComplainKeys(job_id, not against_user))
        world.poke(job_id)
        if world.job(job_id).state is State.CLAIMABLE:
            world.do(STRANGER, world.claim(job_id))
        world.close(job_id)


def relays(world: World) -> None:
    """Batches in which some elements are good, some not, and whole batches in which none is."""
    world.found(VALIDATORS[:20])
    job_id = world.post()
    good = [world.sealed_bid(job_id, opening_of(worker, 30 + index)) for index, worker in enumerate(WORKERS)]
    users = world.sign_bid(job_id, opening_of(USER, 30))
    world.do(WORKERS[3], calls.Withdraw(Wei(world.free(WORKERS[3]))))
    world.do(STRANGER, calls.CommitBatch(job_id, (users, *good, good[0], replace(good[1], bidder=STRANGER))))
    world.ask(STRANGER, calls.CommitBatch(job_id, (users, *good)))
    world.ask(STRANGER, calls.CommitBatch(job_id, (good[0],) * 65))
    world.poke(job_id)
    openings = world.openings[job_id]
    world.ask(STRANGER, calls.RevealBids(job_id, (openings[3],)))
    world.do(STRANGER, calls.RevealBids(job_id, (openings[3], openings[2], openings[2])))
    world.ask(STRANGER, calls.RevealBids(job_id, (openings[2],)))
    world.advance(job_id, State.VCOMMIT)
    drawn = world.job(job_id).committee
    sealed = [world.sealed_report(job_id, report_of(each)) for each in drawn]
    world.do(STRANGER, calls.CommitReportBatch(job_id, (*sealed[:2], replace(sealed[2], validator=STRANGER))))
    world.ask(STRANGER, calls.CommitReportBatch(job_id, (*sealed[:2], replace(sealed[2], commitment=secret("no")))))
    world.ask(drawn[0], calls.CommitReport(job_id, sealed[0].commitment))
    world.do(STRANGER, calls.CommitReportBatch(job_id, tuple(sealed)))
    reports = world.reports_now(job_id)
    world.do(STRANGER, calls.RevealReports(job_id, (replace(reports[0], metric_e6=1), reports[1], reports[1])))
    world.ask(STRANGER, calls.RevealReports(job_id, (reports[1],)))
    world.advance(job_id, State.CLOSED)


def seats_come_and_go(world: World) -> None:
    """Leaving while free and while drawn, with all refusals, and numbers that are used again."""
    world.found(VALIDATORS[:18])
    world.ask(STRANGER, calls.RequestUnstake(0))
    world.ask(VALIDATORS[0], calls.Unstake(0))
    world.do(VALIDATORS[0], calls.RequestUnstake(0))
    world.ask(VALIDATORS[0], calls.RequestUnstake(0))
    world.ask(VALIDATORS[0], calls.Unstake(0))
    job_id = world.post()
    world.advance(job_id, State.KEYING)
    seat, owner = next(iter(world.job(job_id).rounds[0].seats.items()))
    world.do(owner, calls.RequestUnstake(seat))
    world.now += TIMING.unbonding_s
    world.ask(owner, calls.Unstake(seat))
    world.do(VALIDATORS[0], calls.Unstake(0))
    world.close(job_id)
    world.do(owner, calls.Unstake(seat))
    world.ask(owner, calls.Unstake(seat))
    world.do(STRANGER, calls.Stake(3))
    world.ask(USER, calls.Post(world.job(job_id).terms, b""))


def linear(world: World) -> None:
    """All parts of a price, to the ends of 64 bits."""
    world.found(VALIDATORS[:16])
    low, high = -(2**63), 2**63 - 1
    cases = (
        (800_000, 950_000, 949_999),
        (800_000, 950_000, 800_001),
        (800_000, 950_000, 800_000),
        (low, high, high),
        (low, high, 0),
        (-1, 0, high),
    )
    for number, (baseline, threshold, metric) in enumerate(cases):
        job_id = world.post(
            f"job {number}", options=Option.LINEAR, baseline_e6=baseline, threshold_e6=threshold, tolerance_e6=0
        )
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, (metric,) * 5)
        world.poke(job_id)
        if world.job(job_id).state is State.CLAIMABLE:
            world.do(STRANGER, world.claim(job_id))
        world.close(job_id)


def split(world: World) -> None:
    """Chunks that a block picks: before it, past what the EVM remembers of it, and with both disputes about keys."""
    world.found(VALIDATORS)
    plain = world.post("plain")
    world.advance(plain, State.AWARDED)
    world.ask(USER, calls.DrawSplit(plain))
    for late, name in enumerate(("early", "late")):
        job_id = world.post(name, options=int(Option.SPLIT))
        world.ask(USER, calls.DrawSplit(job_id))
        world.advance(job_id, State.AWARDED)
        world.ask(WORKERS[0], calls.DrawSplit(job_id))
        world.ask(USER, calls.PostKeys(job_id, b"too early"))
        world.wait(1, blocks=3 + 700 * late)
        world.do((STRANGER, USER)[late], calls.DrawSplit(job_id))
        world.ask(USER, calls.DrawSplit(job_id))
        world.advance(job_id, State.KEY_DISPUTE)
        tested = world.tested(job_id)
        right = world.disclose_key(job_id)
        for wrong in (
            disclosure(name, tested),
            disclosure(name, range(CHUNKS)),
            disclosure(name, ()),
            disclosure(name, [chunk for chunk in range(CHUNKS) if chunk not in tested], TEST_CHUNKS + 1),
            right.keys[:-32],
            right.keys[:-1],
            right.keys + bytes(32),
            code_key(name),
            b"",
        ):
            world.ask(USER, replace(right, keys=wrong))
        world.ask(USER, replace(right, seed_hash=secret("no seed")))
        world.do(USER, right)
        world.advance(job_id, State.DISCLOSE)
        answer = world.disclose_test(job_id)
        world.ask(STRANGER, replace(answer, keys=right.keys))
        world.ask(STRANGER, replace(answer, keys=exam_keys(name)))
        world.do(STRANGER, answer)
        world.advance(job_id, State.CLOSED)
        assert world.job(job_id).outcome is Outcome.PAID
    withheld = world.post("withheld", options=int(Option.SPLIT | Option.LINEAR), baseline_e6=800_000)
    world.advance(withheld, State.AWARDED)
    world.close(withheld)
    assert world.job(withheld).outcome is Outcome.USER_FAULT


def random_audits(world: World) -> None:
    """Audits that agree, that correct, that are silent, appealed, or followed by the end user's last look."""
    world.found(VALIDATORS)
    scale = world.scale
    world.do(STRANGER, calls.FundAudits(Wei(61 * scale)))
    world.ask(STRANGER, calls.FundAudits(Wei(10**12)))
    lives: tuple[tuple[Sequence[int | None], Sequence[int | None], Sequence[int]], ...] = (
        ((GOOD,) * 5, (GOOD,) * 3, ()),
        ((GOOD,) * 5, (BAD,) * 3, ()),
        ((GOOD, GOOD, BAD, None, GOOD), (BAD, BAD, None), (GOOD,)),
        ((BAD,) * 5, (NO_TEST, NO_MODEL, GOOD), (GOOD, BAD)),
        ((GOOD,) * 5, (None,) * 3, ()),
        ((BAD, BAD, BAD, NO_MODEL, NO_TEST), (None,) * 3, (GOOD, GOOD)),
    )
    for number, (first, second, later) in enumerate(lives):
        for is_audited in (True, False):
            name = f"job {2 * number + is_audited}"
            job_id = world.post(name)
            world.advance(job_id, State.VCOMMIT, prices=(30 * scale, 41 * scale))
            world.report(job_id, first)
            await_chance(world, job_id, is_audited=is_audited)
            world.poke(job_id)
            _look_again(world, job_id, second, later)
            seated = {seat.owner for seat in world.market.registry.seats.values()}
            for validator in (each for each in VALIDATORS if each not in seated):
                world.ask(validator, calls.Stake(1))
            world.wait(1)


def _look_again(world: World, job_id: JobId, second: Sequence[int | None], later: Sequence[int]) -> None:
    """What follows an audit, if there is one: its reports, then appeals, the last of them after the claim."""
    job = world.job(job_id)
    if job.is_audited:
        world.poke(job_id)
        world.report(job_id, second)
    if job.state is State.DRAWING:
        world.poke(job_id)
        world.report(job_id, (BAD, BAD, GOOD))
    for metric in later if job.is_audited else ():
        world.do(WORKERS[2], calls.Appeal(job_id))
        world.poke(job_id)
        world.report(job_id, (metric,) * len(job.committee))
    if job.state is State.TALLIED and job.verdict is Verdict.PASS:
        world.advance(job_id, State.INSPECT)
        world.ask(USER, calls.InspectAppeal(job_id))
    world.close(job_id)


def an_audit_in_a_long_settlement(world: World) -> None:
    """Committees of 11, 3 and 23: 37 seats, settled in two calls; the pool gets its part with the last."""
    world.found(VALIDATORS[:60])
    world.do(STRANGER, calls.FundAudits(Wei(6 * world.scale)))
    job_id = world.post(seats=11)
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (GOOD,) * 11)
    await_chance(world, job_id)
    world.poke(job_id)
    world.poke(job_id)
    world.report(job_id, (BAD,) * 3)
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, (BAD,) * 22 + (None,))
    world.poke(job_id)
    assert world.job(job_id).state is not State.CLOSED
    world.close(job_id)


def refusals(world: World) -> None:
    """What is refused on the way of an otherwise honest job, and leaves no trace in it."""
    world.found(VALIDATORS[:17])
    job_id = world.post()
    terms = world.job(job_id).terms
    world.ask(USER, calls.Post(terms, b""))
    world.ask(WORKERS[0], calls.Post(replace(terms, reserve_wei=Wei(10**28)), b""))
    world.ask(WORKERS[0], calls.Post(replace(terms, fee_wei=Wei(10**20)), b""))
    world.ask(STRANGER, calls.Stake(2**16 - 1))
    world.ask(USER, calls.Commit(job_id, secret("c")))
    world.ask(WORKERS[0], calls.Commit(job_id, bytes(32)))
    world.bid(job_id, opening_of(WORKERS[0], 30))
    world.bid(job_id, opening_of(WORKERS[0], 30))
    world.bid(job_id, opening_of(WORKERS[1], 40))
    world.ask(USER, calls.Cancel(job_id))
    world.ask(STRANGER, calls.Poke(job_id))
    world.poke(job_id)
    world.ask(WORKERS[0], calls.Commit(job_id, secret("late")))
    world.advance(job_id, State.TRAINING)
    world.ask(STRANGER, world.submission(job_id))
    world.ask(WORKERS[0], replace(world.submission(job_id), worker_seed=secret("not the bid's")))
    world.do(WORKERS[0], world.submission(job_id))
    world.ask(USER, world.seed(job_id))
    world.ask(USER, replace(world.seed(job_id), user_seed=secret("no")))
    world.ask(USER, replace(world.seed(job_id), model=replace(world.root(job_id), model_hash=secret("no"))))
    world.advance(job_id, State.KEYING)
    world.ask(USER, calls.PostTestKeys(job_id, world.boxes(job_id)[1:]))
    world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
    world.ask(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
    world.do(USER, calls.ComplainX(job_id))
    world.ask(WORKERS[0], replace(world.disclose_x(job_id), x=secret("no")))
    world.do(WORKERS[0], world.disclose_x(job_id))
    world.ask(USER, calls.ComplainX(job_id))
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    world.advance(job_id, State.TALLIED)
    world.ask(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.ask(STRANGER, replace(world.claim(job_id), y=secret("no")))
    world.advance(job_id, State.CLOSED)
    world.ask(STRANGER, calls.Poke(job_id))


SCENARIOS: Final[tuple[Callable[[World], None], ...]] = (
    all_appeals,
    last_look,
    strikes,
    strikes_in_a_long_settlement,
    silent_committees,
    aborted_appeals,
    relays,
    seats_come_and_go,
    linear,
    split,
    random_audits,
    an_audit_in_a_long_settlement,
    *WITH_SCARCE_SEATS,
    refusals,
)
