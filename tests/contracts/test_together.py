"""Calls that share a transaction do the same on the compiled contract as in the pure market: all of them, or none."""

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.calls import JobCall, Multicall
from morphware.protocol.states import State
from morphware.protocol.units import JobId
from tests.contracts.test_differential import Comparison, both
from tests.protocol.market_world import STRANGER, USER, VALIDATORS, WORKERS, opening_of, secret, states

pytestmark = pytest.mark.contracts


def posted() -> tuple[Comparison, JobId]:
    """A job that two workers bid on, on both markets, once bidding is over; nobody has said so."""
    comparison = both()
    world = comparison.world.found(VALIDATORS[:20])
    job_id = world.post()
    for worker, price in zip(WORKERS, (30, 40), strict=False):
        world.bid(job_id, opening_of(worker, price))
    world.now = world.job(job_id).deadline
    return comparison, job_id


def together(job_id: JobId, *inside: JobCall) -> Multicall:
    return Multicall(job_id, inside)


def test_one_transaction_ends_the_bidding_and_awards_the_job() -> None:
    comparison, job_id = posted()
    world = comparison.world
    reveal = calls.RevealBids(job_id, tuple(world.openings[job_id]))
    events = world.do(USER, together(job_id, calls.Poke(job_id), reveal))
    assert states(events) == [State.REVEALING, State.AWARDED]
    assert world.job(job_id).winner == WORKERS[0]
    comparison.everything()


def test_one_transaction_ends_the_time_for_appeals_and_claims() -> None:
    comparison, job_id = posted()
    world = comparison.world.advance(job_id, State.TALLIED)
    world.now = world.job(job_id).deadline
    claim = world.claim(job_id)
    events = world.do(world.job(job_id).winner, together(job_id, calls.Poke(job_id), claim))
    assert states(events) == [State.CLAIMABLE, State.INSPECT]
    world.close(job_id)
    comparison.everything()


def test_what_one_of_them_is_refused_undoes_the_others() -> None:
    comparison, job_id = posted()
    world = comparison.world
    unknown = calls.RevealBids(job_id, (opening_of(WORKERS[2], 35),))
    refused = world.ask(STRANGER, together(job_id, calls.Poke(job_id), unknown))
    assert isinstance(refused, refusals.UnknownCommitment)
    assert world.job(job_id).state is State.BIDDING
    early = world.ask(STRANGER, together(job_id, calls.Poke(job_id), calls.Poke(job_id)))
    assert isinstance(early, refusals.TooEarly)
    assert world.job(job_id).state is State.BIDDING
    late = world.ask(WORKERS[3], together(job_id, calls.Commit(job_id, secret("late")), calls.Poke(job_id)))
    assert isinstance(late, refusals.TooLate)
    comparison.everything()


def test_the_caller_of_all_of_them_is_whoever_sends_the_transaction() -> None:
    comparison, job_id = posted()
    world = comparison.world
    reveal = calls.RevealBids(job_id, tuple(world.openings[job_id]))
    keys = calls.PostKeys(job_id, b"box")
    refused = world.ask(STRANGER, together(job_id, calls.Poke(job_id), reveal, keys))
    assert refused == refusals.WrongCaller(STRANGER, USER)
    events = world.do(USER, together(job_id, calls.Poke(job_id), reveal, keys))
    assert states(events)[-1] is State.KEYED
    comparison.everything()
