"""Random audits: who can be caught, what it costs, and that nothing else changes by them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.audits import AUDIT_SEATS
from morphware.protocol.chain_events import Appealed, AppealUnheard, Audited, CommitteeDrawn, SeatSettled
from morphware.protocol.commitments import audit_word, keccak
from morphware.protocol.job import NOBODY, Appellant
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import JobId, Wei
from tests.protocol.market_world import (
    BAD,
    DOMAIN,
    GOOD,
    SEAT_STAKE_WEI,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    appealed,
    await_chance,
    blockhash,
    crowded,
    only,
    report_of,
    started,
    states,
)

POOL_WEI = 100
FEE_WEI = 2
BOND_WEI = 3 * FEE_WEI


def tallied(metrics: Sequence[int | None] = (GOOD,) * 5, pool_wei: int = POOL_WEI) -> tuple[World, JobId]:
    """A finding that nobody has doubted yet, and an audit pool."""
    world, job_id = crowded(State.VCOMMIT)
    world.do(WORKERS[3], calls.FundAudits(Wei(pool_wei)))
    world.report(job_id, metrics)
    assert world.job(job_id).state is State.TALLIED
    return world, job_id


def audited(
    metrics: Sequence[int | None] = (GOOD,) * 5, found: Sequence[int | None] = (GOOD,) * 3
) -> tuple[World, JobId]:
    """A finding that was audited, and what the audit's committee reported."""
    world, job_id = tallied(metrics)
    await_chance(world, job_id)
    world.poke(job_id)
    world.poke(job_id)
    world.report(job_id, found)
    return world, job_id


# --- whether there is one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_audited", [True, False])
def test_a_block_after_the_last_report_decides_whether_a_finding_is_audited(is_audited: bool) -> None:
    world, job_id = tallied()
    job = world.job(job_id)
    assert job.audit_block == world.block + TIMING.seed_blocks, "nobody could know it while reports were committed"
    await_chance(world, job_id, is_audited=is_audited)
    said = world.poke(job_id)
    assert states(said) == [State.DRAWING if is_audited else State.CLAIMABLE]
    assert job.is_audited is is_audited


def test_waiting_is_worth_one_more_throw_each_256_blocks() -> None:
    answers = []
    for waited in (0, 255, 256, 511, 512):
        world, job_id = tallied()
        world.block = world.job(job_id).audit_block + 1 + waited
        word = audit_word(blockhash(world.job(job_id).audit_block + waited // 256 * 256), job_id)
        is_audited = bool([event for event in world.poke(job_id) if isinstance(event, Audited)])
        assert is_audited is (word % TIMING.audit_one_in == 0), waited
        answers.append(is_audited)
    assert set(answers) == {True, False}
    assert answers[0] is answers[1]
    assert answers[2] is answers[3]


@pytest.mark.parametrize(("one_in", "expected"), [(0, 0), (1, 40), (4, 10), (2**32 - 1, 0)])
def test_so_many_findings_are_audited_as_the_deployment_says(one_in: int, expected: int) -> None:
    count = 0
    for number in range(40):
        timing = replace(TIMING, audit_one_in=one_in)
        world = World(Market(DOMAIN, Parameters(timing, SEAT_STAKE_WEI), blockhash)).found(VALIDATORS[:4])
        world.do(STRANGER, calls.FundAudits(Wei(POOL_WEI)))
        job_id = world.post(f"job {number}", seats=1, reserve_wei=35)
        world.advance(job_id, State.TALLIED, prices=(10, 20))
        world.block = world.job(job_id).audit_block + 1
        count += bool([event for event in world.poke(job_id) if isinstance(event, Audited)])
    assert abs(count - expected) <= 5


def test_the_word_that_decides_is_fixed_for_all_time() -> None:
    word = audit_word(bytes(range(32)), JobId(bytes(range(32, 64))))
    assert word == int.from_bytes(keccak(bytes(range(64)) + b"audit" + bytes(27)), "big")


def test_there_is_no_audit_without_means() -> None:
    world, job_id = tallied(pool_wei=BOND_WEI - 1)
    await_chance(world, job_id)
    assert states(world.poke(job_id)) == [State.CLAIMABLE]
    world, job_id = tallied(pool_wei=BOND_WEI)
    await_chance(world, job_id)
    assert states(world.poke(job_id)) == [State.DRAWING]
    assert world.market.ledger.audit_pool() == 0


def test_there_is_no_audit_without_three_free_seats() -> None:
    for leaving, state in ((9, State.CLAIMABLE), (8, State.DRAWING)):
        world = World().found(VALIDATORS[:16])
        job_id = world.post()
        world.advance(job_id, State.TALLIED)
        world.do(STRANGER, calls.FundAudits(Wei(POOL_WEI)))
        free = [number for number, seat in world.market.registry.seats.items() if seat.is_free]
        for number in free[:leaving]:
            world.do(world.market.registry.seats[number].owner, calls.RequestUnstake(number))
        assert world.market.registry.free_seats == 11 - leaving
        await_chance(world, job_id)
        assert states(world.poke(job_id)) == [state]


@pytest.mark.parametrize("metrics", [(-(2**63),) * 5, (-(2**63) + 1,) * 5])
def test_only_findings_about_a_metric_are_audited(metrics: Sequence[int]) -> None:
    world, job_id = tallied(metrics)
    await_chance(world, job_id)
    assert not [event for event in world.poke(job_id) if isinstance(event, Audited)]


def test_whoever_appeals_spares_the_market_the_audit_and_there_is_one_at_most() -> None:
    world, job_id = tallied()
    appealed(world, job_id, (GOOD,) * 11)
    await_chance(world, job_id)
    assert states(world.poke(job_id)) == [State.CLAIMABLE]
    world, job_id = audited()
    await_chance(world, job_id)
    assert states(world.poke(job_id)) == [State.CLAIMABLE]


def test_what_a_second_committee_found_because_the_first_was_silent_may_be_audited() -> None:
    world, job_id = crowded(State.VCOMMIT)
    world.do(STRANGER, calls.FundAudits(Wei(POOL_WEI)))
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 5)
    await_chance(world, job_id)
    assert only(Audited, world.poke(job_id)) == Audited(job_id, 3, Wei(BOND_WEI))
    assert world.job(job_id).appellants == [Appellant(NOBODY, 3, Verdict.PASS, 1)]


def test_a_young_chain_has_no_block_before_its_first() -> None:
    market = Market(DOMAIN, Parameters(TIMING, SEAT_STAKE_WEI), blockhash)
    world = World(market, block=1).found(VALIDATORS[:20])
    job_id = world.post()
    world.advance(job_id, State.TALLIED)
    world.do(STRANGER, calls.FundAudits(Wei(POOL_WEI)))
    world.block = world.job(job_id).audit_block
    is_due = audit_word(bytes(32), job_id) % TIMING.audit_one_in == 0
    assert bool([event for event in world.poke(job_id) if isinstance(event, Audited)]) is is_due


# --- what it does ---------------------------------------------------------------------------------------------------


def test_an_audit_is_an_appeal_that_the_pool_pays() -> None:
    world, job_id = tallied()
    await_chance(world, job_id)
    said = world.poke(job_id)
    assert said[0] == Audited(job_id, AUDIT_SEATS, Wei(BOND_WEI))
    assert world.market.ledger.audit_pool() == POOL_WEI - BOND_WEI
    drawn = only(CommitteeDrawn, world.poke(job_id))
    job = world.job(job_id)
    assert (drawn.round, len(drawn.validators), job.state) == (1, 3, State.VCOMMIT)
    assert not set(drawn.validators) & set(job.rounds[0].validators)
    world.report(job_id, (GOOD,) * 3)
    assert job.state is State.TALLIED, "whoever is wronged by the audit may appeal"


def test_an_audit_that_agrees_pays_its_validators_and_costs_the_parties_nothing() -> None:
    world, job_id = audited()
    world.advance(job_id, State.CLOSED)
    assert (world.worth(USER), world.worth(WORKERS[0])) == (10_000 - 50, 10_000 + 40)
    drawn = [owner for each in world.job(job_id).rounds for owner in each.validators]
    assert [world.worth(who) - 10_000 for who in drawn] == [FEE_WEI] * 8
    assert world.market.ledger.audit_pool() == POOL_WEI - BOND_WEI
    assert world.market.ledger.burned_by(job_id) == 0


def test_a_lazy_committee_is_slashed_its_verdict_corrected_and_the_pool_gets_its_bond_back() -> None:
    world, job_id = audited((GOOD,) * 5, (BAD,) * 3)
    world.close(job_id)
    job, ledger = world.job(job_id), world.market.ledger
    assert (job.outcome, job.verdict) == (Outcome.REJECTED, Verdict.FAIL)
    assert [world.worth(who) - 10_000 for who in job.rounds[0].validators] == [-35] * 5
    assert [world.worth(who) - 10_000 for who in job.rounds[1].validators] == [FEE_WEI] * 3
    slashes = 5 * 35
    assert ledger.audit_pool() == POOL_WEI + slashes // 5, "the bond came back, and a fifth of the slashes with it"
    assert (world.worth(USER), world.worth(WORKERS[0])) == (10_000 - 6, 10_000 - 15)
    assert ledger.burned_by(job_id) == 15 + slashes - slashes // 5


def test_an_audit_that_finds_another_metric_but_the_same_verdict_slashes_and_keeps_its_bond_in_the_job() -> None:
    world, job_id = audited((GOOD,) * 5, (GOOD + 20_000,) * 3)
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.market.ledger.audit_pool() == POOL_WEI - BOND_WEI + 5 * 35 // 5


def test_a_wrong_audit_is_overturned_by_the_committee_that_an_appeal_would_have_had_anyway() -> None:
    world, job_id = audited((GOOD,) * 5, (BAD,) * 3)
    said = world.do(STRANGER, calls.Appeal(job_id))
    assert said[0] == Appealed(job_id, STRANGER, 11, Wei(22)), "twice the committee of five and one, not of three"
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 11)
    world.advance(job_id, State.CLOSED)
    job = world.job(job_id)
    assert job.outcome is Outcome.PAID
    assert world.worth(STRANGER) == 10_000, "right, so the bond comes back"
    assert [world.worth(who) - 10_000 for who in job.rounds[1].validators] == [-35] * 3
    assert {world.worth(who) - 10_000 for who in (*job.rounds[0].validators, *job.rounds[2].validators)} == {FEE_WEI}


def test_an_audit_takes_nobodys_appeal_away() -> None:
    world, job_id = audited()
    for size in (11, 23):
        said = world.do(STRANGER, calls.Appeal(job_id))
        assert only(Appealed, said).seats == size
        world.poke(job_id)
        world.report(job_id, (GOOD,) * size)
    assert world.ask(STRANGER, calls.Appeal(job_id)) == refusals.NoAppealLeft(job_id)
    world.advance(job_id, State.INSPECT)
    assert only(Appealed, world.do(USER, calls.InspectAppeal(job_id))).seats == 47
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 47)
    world.close(job_id)
    assert world.job(job_id).outcome is Outcome.PAID


def test_after_an_audit_the_end_users_look_at_the_model_asks_for_twice_the_first_committee() -> None:
    world, job_id = audited()
    world.advance(job_id, State.INSPECT)
    assert only(Appealed, world.do(USER, calls.InspectAppeal(job_id))).seats == 11


def test_an_audit_whose_committee_is_silent_is_drawn_anew_once_and_then_the_finding_stands() -> None:
    world, job_id = audited(found=(None,) * 3)
    assert world.job(job_id).state is State.DRAWING
    world.poke(job_id)
    assert len(world.job(job_id).committee) == 3
    said = world.report(job_id, (None,) * 3)
    assert states(said) == [State.CLAIMABLE]
    world.advance(job_id, State.CLOSED)
    assert world.job(job_id).outcome is Outcome.PAID
    assert world.market.ledger.audit_pool() == POOL_WEI - BOND_WEI + 6 * 14 // 5


def test_after_a_silent_audit_that_was_drawn_anew_an_appeal_still_goes_by_the_first_committee() -> None:
    world, job_id = audited(found=(None,) * 3)
    world.poke(job_id)
    world.report(job_id, (GOOD,) * 3)
    assert only(Appealed, world.do(STRANGER, calls.Appeal(job_id))).seats == 11


def test_an_audit_that_cannot_be_drawn_leaves_the_finding_standing() -> None:
    world, job_id = started(State.TALLIED)
    world.do(STRANGER, calls.FundAudits(Wei(POOL_WEI)))
    await_chance(world, job_id)
    world.poke(job_id)
    for number, seat in world.market.registry.seats.items():
        if seat.is_free:
            world.do(seat.owner, calls.RequestUnstake(number))
    said = world.poke(job_id)
    assert said[0] == AppealUnheard(job_id, NOBODY, Wei(BOND_WEI), Wei(BOND_WEI))
    assert states(said) == [State.CLAIMABLE]
    assert (world.market.ledger.audit_pool(), world.job(job_id).is_audited) == (POOL_WEI, False)
    world.advance(job_id, State.INSPECT)
    world.poke(job_id)
    assert world.worth(USER) == 10_000 - 50, "as if there had been no audit"


# --- the pool -------------------------------------------------------------------------------------------------------


def test_anybody_may_fund_audits_and_nobody_has_it_back() -> None:
    world = World().found(VALIDATORS[:1])
    short = refusals.InsufficientBalance(STRANGER, Wei(10_000), Wei(10_001))
    assert world.ask(STRANGER, calls.FundAudits(Wei(10_001))) == short
    world.do(STRANGER, calls.FundAudits(Wei(10_000)))
    world.do(USER, calls.FundAudits(Wei(0)))
    assert world.market.ledger.audit_pool() == 10_000
    assert world.free(STRANGER) == 0
    assert world.market.ledger.is_conserved()


def test_a_hundred_jobs_pay_for_the_audits_of_ten() -> None:
    """The pool grows by a hundredth of each price, and an audit costs three fees of a fiftieth of the reserve."""
    scale = 10_000
    market = Market(DOMAIN, Parameters(TIMING, Wei(SEAT_STAKE_WEI * scale)), blockhash)
    world = World(market, prices=(60 * scale, 60 * scale)).found(VALIDATORS[:20])
    for number in range(3):
        job_id = world.post(f"job {number}", reserve_wei=100 * scale, fee_wei=2 * scale)
        world.advance(job_id, State.CLOSED)
    assert world.market.ledger.audit_pool() == 3 * 60 * scale // 100
    assert 10 * 60 * scale // 100 == 3 * 2 * scale, "ten prices of six tenths of the reserve pay for one audit"


def test_no_failure_gets_cheaper_by_what_the_pool_gets() -> None:
    world, job_id = crowded(State.VCOMMIT)
    world.report(job_id, (BAD, BAD, BAD, BAD, None))
    said = world.close(job_id)
    assert [event.slash_wei for event in said if isinstance(event, SeatSettled)].count(Wei(14)) == 1
    # 15 of the bond and 14 of the silent seat's stake: a fifth of that leaves more than 25 to burn
    assert (world.market.ledger.burned_by(job_id), world.market.ledger.audit_pool()) == (27, 2)


def test_a_report_that_was_paid_before_is_paid_after_an_audit_too() -> None:
    """An honest validator of the first round is never the poorer for an honest audit."""
    world, job_id = tallied((GOOD, GOOD, GOOD, BAD, BAD))
    await_chance(world, job_id)
    world.poke(job_id)
    world.poke(job_id)
    for validator in world.job(job_id).committee:
        world.commit_report(job_id, report_of(validator))
    world.do(STRANGER, calls.RevealReports(job_id, world.reports_now(job_id)))
    world.advance(job_id, State.CLOSED)
    gains = [world.worth(who) - 10_000 for who in world.job(job_id).rounds[0].validators]
    assert sorted(gains) == [-35, -35, 2, 2, 2]
