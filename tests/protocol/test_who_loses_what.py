"""The table "who loses what when somebody vanishes" (PROTOCOL.md 5.3), row by row and to the wei.

R = 100, the price is 40 (the lowest bid is 30), k F = 10 (k = 5, F = 2), B = D = 50, a seat holds 70.  Gains count free
balances and stakes; the worker's cost is not in them.

The document's table is older than the audit pool, which lives on what jobs pay: ``fed`` says what a row gives to it,
and who pays that.  At these small amounts a hundredth of the price is nothing; so the rows that give something are
played at a hundred times as much, too.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from morphware.protocol import calls
from morphware.protocol.chain_events import PokeRewarded
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import JobId, Wei
from tests.protocol.market_world import (
    BAD,
    DOMAIN,
    EVERYBODY,
    GOOD,
    SEAT_STAKE_WEI,
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    blockhash,
    opening_of,
)

OUTLIER = 1
"""A metric so far away that nobody has it by mistake."""


@dataclass(frozen=True)
class Row:
    """What happens, how the job ends, and what that brings to whom, before anything is for audits."""

    moment: str
    happens: Callable[[World, JobId], object]
    outcome: Outcome
    user: int
    workers: tuple[int, ...]
    validators: dict[int, int] = field(default_factory=dict)
    """How many of them gain how much, without those who gain nothing."""
    burned: int = 0
    strangers: int = 0


def nobody_bids(_world: World, _job_id: JobId) -> None:
    pass


def nobody_opens(world: World, job_id: JobId) -> None:
    for worker, price in zip(WORKERS[:2], world.prices, strict=True):
        world.bid(job_id, opening_of(worker, price))


def until(state: State) -> Callable[[World, JobId], object]:
    """All do their duty until the state, and nobody does anything in it."""
    return lambda world, job_id: world.advance(job_id, state)


def declined(world: World, job_id: JobId) -> None:
    world.advance(job_id, State.KEYED)
    world.do(WORKERS[0], calls.Decline(job_id))


def claimed_without_test(state: State) -> Callable[[World, JobId], object]:
    """The end user stays silent in the state, and the worker claims."""

    def happens(world: World, job_id: JobId) -> None:
        world.advance(job_id, state)
        if state is State.KEYING:
            world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
        world.poke(job_id)
        world.do(STRANGER, world.claim(job_id))

    return happens


def worker_hides_model_key(world: World, job_id: JobId) -> None:
    world.advance(job_id, State.KEYING)
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))


def worker_ignores_validators(world: World, job_id: JobId) -> None:
    world.advance(job_id, State.VCOMMIT)
    world.do(world.job(job_id).committee[0], calls.ComplainKeys(job_id, against_user=False))


def reported(*metrics: int | None) -> Callable[[World, JobId], object]:
    """The first committee reports these metrics, and all else is as it should be."""

    def happens(world: World, job_id: JobId) -> None:
        world.advance(job_id, State.VCOMMIT)
        world.report(job_id, metrics)
        if world.job(job_id).state is State.TALLIED:
            world.poke(job_id)
        if world.job(job_id).state is State.CLAIMABLE:
            world.do(STRANGER, world.claim(job_id))

    return happens


def silent_twice(world: World, job_id: JobId) -> None:
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (None,) * 5)
    world.poke(job_id)
    world.report(job_id, (None,) * 5)


def liars_are_appealed(world: World, job_id: JobId) -> None:
    world.advance(job_id, State.VCOMMIT)
    world.report(job_id, (GOOD, GOOD, GOOD, BAD, BAD))
    world.do(STRANGER, calls.Appeal(job_id))
    world.poke(job_id)
    world.report(job_id, (BAD,) * 11)


def inspected(finding: int) -> Callable[[World, JobId], object]:
    """The end user appeals after the claim, and the larger committee finds this."""

    def happens(world: World, job_id: JobId) -> None:
        world.advance(job_id, State.INSPECT)
        world.do(USER, calls.InspectAppeal(job_id))
        world.poke(job_id)
        world.report(job_id, (finding,) * 11)

    return happens


TABLE = (
    Row("nobody bids", nobody_bids, Outcome.NO_BIDS, 0, ()),
    Row("two commit, nobody opens", nobody_opens, Outcome.NO_BIDS, 0, (-50, -50), burned=100),
    Row("user posts no data key", until(State.AWARDED), Outcome.USER_FAULT, -50, (25,), burned=25),
    Row("user ignores the winner's complaint", until(State.KEY_DISPUTE), Outcome.USER_FAULT, -50, (25,), burned=25),
    Row("winner silent after keys", until(State.KEYED), Outcome.MUTUAL_ABORT, -12, (-12,), burned=24),
    Row("winner declines after keys", declined, Outcome.MUTUAL_ABORT, -12, (-12,), burned=24),
    Row("worker never submits", until(State.TRAINING), Outcome.WORKER_FAULT, 25, (-50,), burned=25),
    Row("user hides seed share", claimed_without_test(State.SEED), Outcome.PAID, -90, (40,), burned=50),
    Row("user hides test key", claimed_without_test(State.KEYING), Outcome.PAID, -90, (40,), burned=50),
    Row("user ignores validators", claimed_without_test(State.DISCLOSE), Outcome.PAID, -90, (40,), burned=50),
    Row("worker hides model key", worker_hides_model_key, Outcome.WORKER_FAULT, 25, (-50,), burned=25),
    Row("worker ignores the user's complaint", until(State.X_DISPUTE), Outcome.WORKER_FAULT, 25, (-50,), burned=25),
    Row("worker ignores validators", worker_ignores_validators, Outcome.WORKER_FAULT, 25, (-50,), burned=25),
    Row("both silent in KEYING", until(State.KEYING), Outcome.MUTUAL_ABORT, -12, (-12,), burned=24),
    Row(
        "one validator outlier, one silent",
        reported(GOOD, OUTLIER, GOOD, None, GOOD),
        Outcome.PAID, -46, (40,), {-35: 1, -14: 1, 2: 3}, burned=49,
    ),
    Row("all validators silent twice", silent_twice, Outcome.INCONCLUSIVE, 0, (40,), {-14: 10}, burned=100),
    Row("worker never claims", until(State.CLAIMABLE), Outcome.WORKER_FAULT, 15, (-50,), {2: 5}, burned=25),
    Row("normal pass", reported(*(GOOD,) * 5), Outcome.PAID, -50, (40,), {2: 5}),
    Row("honest fail", reported(*(BAD,) * 5), Outcome.REJECTED, -10, (-15,), {2: 5}, burned=15),
    Row(
        "false pass, appealed, overturned",
        liars_are_appealed, Outcome.REJECTED, -10, (-15,), {-35: 3, 2: 13}, burned=104,
    ),
    Row(
        "false pass, found in INSPECT, overturned",
        inspected(BAD), Outcome.REJECTED, -10, (-15,), {-35: 5, 2: 11}, burned=178,
    ),
    Row("frivolous INSPECT appeal", inspected(GOOD), Outcome.PAID, -72, (40,), {2: 16}),
)  # fmt: skip


PRICE, RESERVE = 40, 100
PAID_BY_BOND = {"user hides seed share", "user hides test key", "user ignores validators"}
"""Paid without a test: the end user loses its whole bond, and the hundredth is of what burns of it."""


def fed(row: Row, scale: int) -> tuple[int, int]:
    """What the audit pool gets of a row, and how much of it the end user pays beside the row's figure.

    A hundredth of the price where it is paid, on top of it: a market whose jobs are paid has to pay for being watched.
    Then a fifth of all slashes, which would burn: who is caught pays for those who look.  Of both together only what
    leaves a quarter of the reserve to burn, where nobody is paid: a failure that two friends agree on must stay dear.
    """
    percent = PRICE * scale // 100 if row.outcome is Outcome.PAID else 0
    by_user = 0 if row.moment in PAID_BY_BOND else percent
    fifth = sum(-gain * count for gain, count in row.validators.items() if gain < 0) * scale // 5
    spared = 0 if row.outcome is Outcome.PAID else RESERVE * scale // 4
    burns = row.burned * scale + by_user
    return min(percent + fifth, max(0, burns - spared)), by_user


GIVING = tuple(row for row in TABLE if fed(row, 100)[0])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.moment)
def test_who_loses_what(row: Row) -> None:
    lived_as_specified(row, 1)


@pytest.mark.parametrize("row", GIVING, ids=lambda row: row.moment)
def test_who_pays_for_audits(row: Row) -> None:
    lived_as_specified(row, 100)


def lived_as_specified(row: Row, scale: int) -> None:
    market = Market(DOMAIN, Parameters(TIMING, Wei(SEAT_STAKE_WEI * scale)), blockhash)
    world = World(market, prices=(30 * scale, 40 * scale)).found(VALIDATORS[:20])
    rewards: list[int] = []
    world.observers.append(lambda _caller, _call, said: rewards.extend(rewards_in(said)))
    before = {who: world.worth(who) for who in EVERYBODY}
    job_id = world.post(reserve_wei=RESERVE * scale, fee_wei=2 * scale)
    row.happens(world, job_id)
    world.close(job_id)
    gained = {who: world.worth(who) - before[who] for who in EVERYBODY}
    audits, by_user = fed(row, scale)
    rewarded = sum(rewards)
    assert world.job(job_id).outcome is row.outcome
    assert gained[USER] == row.user * scale - by_user
    assert tuple(gained[worker] for worker in WORKERS if gained[worker]) == tuple(gain * scale for gain in row.workers)
    assert Counter(gained[each] for each in VALIDATORS if gained[each]) == {
        gain * scale: count for gain, count in row.validators.items()
    }
    assert gained[STRANGER] == row.strangers * scale + rewarded
    assert market.ledger.audit_pool() == audits
    assert market.ledger.burned_by(job_id) == row.burned * scale + by_user - audits - rewarded
    assert sum(gained.values()) + audits + market.ledger.burned_by(job_id) == 0


def rewards_in(said: object) -> list[int]:
    """What a stranger earned by poking, which would have burned."""
    return [event.amount_wei for event in said if isinstance(event, PokeRewarded)] if isinstance(said, list) else []


def test_the_pool_gets_its_part_of_those_rows_and_of_no_others() -> None:
    assert {row.moment: fed(row, 100) for row in GIVING} == {
        "user hides seed share": (40, 0),
        "user hides test key": (40, 0),
        "user ignores validators": (40, 0),
        "one validator outlier, one silent": (40 + 980, 40),
        "all validators silent twice": (2800, 0),
        "normal pass": (40, 40),
        "false pass, appealed, overturned": (2100, 0),
        "false pass, found in INSPECT, overturned": (3500, 0),
        "frivolous INSPECT appeal": (40, 40),
    }
