"""The market's rules, one by one: who may do what, until when, and who ends with what."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.protocol import calls, refusals
from morphware.protocol.chain_events import (
    BidCommitted,
    Claimed,
    CommitteeDrawn,
    JobAwarded,
    JobClosed,
    JobPosted,
    ModelSubmitted,
    RoundTallied,
    SeatSettled,
    StateChanged,
)
from morphware.protocol.commitments import bid_commitment
from morphware.protocol.digest import digest
from morphware.protocol.job import LATER, TABLE, Party, Row
from morphware.protocol.market import WINDOW_MOST_S
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import NO_MODEL, NO_TEST, JobId, Timestamp, Wei
from tests.protocol.market_world import (
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    opening_of,
    report_of,
    secret,
    terms_of,
    user_seed,
    worker_seed,
    y_of,
)


def started(until: State = State.BIDDING) -> tuple[World, JobId]:
    world = World().found()
    job_id = world.post()
    return world.advance(job_id, until), job_id


def closing(events: object) -> JobClosed:
    assert isinstance(events, list)
    [closed] = [event for event in events if isinstance(event, JobClosed)]
    return closed


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_state_but_closed_has_a_row_for_poke() -> None:
    poked = {row.state for row in TABLE if row.call is calls.Poke}
    poked |= {row.state for row in LATER if row.call == "poke"}
    assert poked == set(State) - {State.NONE, State.CLOSED}


def test_closed_has_no_row_and_each_row_stands_once() -> None:
    assert all(row.state is not State.CLOSED for row in TABLE)
    assert len({(row.state, row.call) for row in TABLE}) == len(TABLE)


def test_every_call_on_a_job_has_a_row() -> None:
    on_a_job = set(calls.JobCall.__args__) - {calls.Post}
    assert {row.call for row in TABLE} == on_a_job


def test_an_honest_job_is_paid_and_says_so_in_order() -> None:
    world, job_id = started()
    said: list[object] = []
    world.observers.append(lambda _caller, _call, result: said.extend(result if isinstance(result, list) else []))
    world.advance(job_id, State.CLOSED)
    states = [event.state for event in said if isinstance(event, StateChanged)]
    assert states == [
        State.REVEALING, State.AWARDED, State.KEYED, State.TRAINING, State.SEED, State.KEYING, State.VCOMMIT,
        State.VREVEAL, State.TALLIED, State.CLAIMABLE, State.CLOSED,
    ]  # fmt: skip
    assert said[-1] == JobClosed(job_id, Outcome.PAID, WORKERS[0], Wei(40), Wei(0))
    assert [event.sequence for event in said if isinstance(event, BidCommitted)] == [0, 1]
    assert JobAwarded(job_id, WORKERS[0], Wei(30), Wei(40), 0) in said
    assert RoundTallied(job_id, 0, Verdict.PASS, 950_000, 123_456_789) in said
    assert Claimed(job_id, y_of()) in said


# --- posting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("reserve", {"reserve_wei": 0}),
        ("seats", {"seats": 4}),
        ("seats", {"seats": 13}),
        ("seats", {"seats": 0}),
        ("biddingSeconds", {"bidding_s": 0}),
        ("trainingSeconds", {"training_s": 0}),
        ("testingSeconds", {"testing_s": 0}),
        ("reserve", {"reserve_wei": 106}),
    ],
)
def test_bad_terms_are_refused_by_field(field: str, changes: dict[str, int]) -> None:
    world = World().found()
    assert world.ask(USER, calls.Post(terms_of("job", **changes), b"")) == refusals.BadTerms(field)


def test_nobody_takes_stakes_through_a_testing_window_that_is_too_short() -> None:
    world = World().found()
    for seconds in (1, TIMING.report_reveal_s - 1):
        refused = world.ask(USER, calls.Post(terms_of(testing_s=seconds), b""))
        assert refused == refusals.BadTerms("testingSeconds")
    world.post(testing_s=TIMING.report_reveal_s)


@pytest.mark.parametrize(
    ("field", "name"),
    [("biddingSeconds", "bidding_s"), ("trainingSeconds", "training_s"), ("testingSeconds", "testing_s")],
)
def test_no_window_freezes_bonds_or_seats_for_years(field: str, name: str) -> None:
    world = World().found()
    for seconds in (WINDOW_MOST_S + 1, 2**32 - 1):
        assert world.ask(USER, calls.Post(terms_of("job", **{name: seconds}), b"")) == refusals.BadTerms(field)
    world.post("job", **{name: WINDOW_MOST_S})


def test_the_largest_reserve_that_the_stakes_back_is_accepted() -> None:
    world = World().found()
    assert isinstance(world.ask(USER, calls.Post(terms_of(reserve_wei=105), b"")), list)


def test_post_needs_as_many_free_seats_as_validators() -> None:
    world = World().found(VALIDATORS[:4])
    assert world.ask(USER, calls.Post(terms_of(), b"")) == refusals.NotEnoughSeats(4, 5)


def test_post_escrows_reserve_fees_and_bond_and_needs_them_free() -> None:
    world = World().found()
    world.do(USER, calls.Withdraw(Wei(world.free(USER) - 159)))
    assert world.ask(USER, calls.Post(terms_of(), b"")) == refusals.InsufficientBalance(USER, Wei(159), Wei(160))
    world.do(USER, calls.Deposit(Wei(1)))
    job_id = world.post()
    assert (world.free(USER), world.market.ledger.held(job_id)) == (0, 160)


def test_a_seed_commitment_names_at_most_one_job() -> None:
    world, job_id = started()
    assert world.ask(USER, calls.Post(terms_of(), b"")) == refusals.JobExists(job_id)


def test_an_oversized_specification_is_refused() -> None:
    world = World().found()
    assert not isinstance(world.ask(USER, calls.Post(terms_of(), bytes(8 * 1024 + 1))), list)
    posted = world.do(USER, calls.Post(terms_of(), bytes(8 * 1024)))
    assert isinstance(posted[0], JobPosted)


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [row.state for row in TABLE if row.call is calls.Poke])
def test_at_every_instant_either_the_action_or_the_poke_is_valid(state: State) -> None:
    world, job_id = started(state)
    job = world.job(job_id)
    deadline = job.deadline
    world.now = deadline - 1
    assert world.ask(STRANGER, calls.Poke(job_id)) == refusals.TooEarly(job_id, deadline, Timestamp(deadline - 1))
    action = {
        State.BIDDING: (USER, calls.Cancel(job_id)),
        State.REVEALING: (STRANGER, calls.RevealBids(job_id, ())),
        State.AWARDED: (USER, calls.PostKeys(job_id, b"")),
        State.KEYED: (job.winner, calls.Acknowledge(job_id)),
        State.TRAINING: (job.winner, world.submission(job_id)) if job.standing.best else None,
        State.SEED: (USER, calls.RevealSeed(job_id, user_seed())),
        State.KEYING: (USER, calls.PostTestKeys(job_id, world.boxes(job_id))),
        State.VCOMMIT: (VALIDATORS[0], calls.CommitReport(job_id, secret("c"))),
        State.VREVEAL: (STRANGER, calls.RevealReports(job_id, ())),
        State.CLAIMABLE: (STRANGER, calls.Claim(job_id, y_of())),
    }.get(state)
    world.now = deadline
    if action is not None:
        assert world.ask(*action) == refusals.TooLate(job_id, deadline, deadline)
    assert isinstance(world.ask(STRANGER, calls.Poke(job_id)), list)


def test_closed_is_absorbing() -> None:
    world, job_id = started(State.CLOSED)
    before = digest(world.market, job_id)
    world.wait(10**6)
    for caller in (USER, STRANGER, WORKERS[0]):
        assert world.ask(caller, calls.Poke(job_id)) == refusals.WrongState(job_id, State.CLOSED)
        assert world.ask(caller, calls.Claim(job_id, y_of())) == refusals.WrongState(job_id, State.CLOSED)
    assert digest(world.market, job_id) == before


def test_an_unknown_job_is_in_state_none() -> None:
    unknown = JobId(secret("nothing"))
    assert World().ask(USER, calls.Poke(unknown)) == refusals.WrongState(unknown, State.NONE)


# --- bidding -----------------------------------------------------------------------------------------------------


def test_a_job_without_bids_can_be_cancelled_and_costs_nothing() -> None:
    world, job_id = started()
    assert closing(world.do(USER, calls.Cancel(job_id))).outcome is Outcome.CANCELLED
    assert world.free(USER) == 10_000


def test_a_job_with_a_bid_cannot_be_cancelled() -> None:
    world, job_id = started()
    world.bid(job_id, opening_of(WORKERS[0], 30))
    assert world.ask(USER, calls.Cancel(job_id)) == refusals.AlreadyBid(1)


def test_the_end_user_may_not_bid() -> None:
    world, job_id = started()
    assert world.ask(USER, calls.Commit(job_id, secret("c"))) == refusals.UserMayNotBid(USER)


def test_a_bidder_makes_a_commitment_once_and_may_bid_often() -> None:
    world, job_id = started()
    commitment = secret("c")
    world.do(WORKERS[0], calls.Commit(job_id, commitment))
    world.do(WORKERS[1], calls.Commit(job_id, commitment))
    for bidder in WORKERS[:2]:
        assert world.ask(bidder, calls.Commit(job_id, commitment)) == refusals.CommitmentExists(commitment)
    world.do(WORKERS[0], calls.Commit(job_id, secret("d")))
    assert world.free(WORKERS[0]) == 10_000 - 2 * 50


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["original first", "copy first"])
def test_a_copied_commitment_does_not_keep_the_original_out(order: tuple[int, int]) -> None:
    world, job_id = started()
    opening = opening_of(WORKERS[0], 30)
    commitment = bid_commitment(world.market.domain, job_id, opening)
    for index in order:
        world.do(WORKERS[index], calls.Commit(job_id, commitment))
    world.poke(job_id)
    own = dataclasses.replace(opening, bidder=WORKERS[1])
    assert isinstance(world.ask(WORKERS[1], calls.RevealBids(job_id, (own,))), refusals.UnknownCommitment)
    world.do(STRANGER, calls.RevealBids(job_id, (opening, opening)))
    assert (world.job(job_id).state, world.job(job_id).unopened) == (State.REVEALING, 1)
    world.poke(job_id)
    assert (world.job(job_id).state, world.job(job_id).winner) == (State.AWARDED, WORKERS[0])
    assert world.free(WORKERS[1]) == 10_000 - 50
    assert world.market.ledger.burned_by(job_id) == 50, "the copy's bond"


def test_a_copied_commitment_cannot_be_opened_by_the_copier_nor_into_a_price() -> None:
    world, job_id = started()
    opening = opening_of(WORKERS[1], 30)
    commitment = bid_commitment(world.market.domain, job_id, opening)
    world.do(WORKERS[0], calls.Commit(job_id, commitment))
    world.poke(job_id)
    assert world.ask(STRANGER, calls.RevealBids(job_id, (opening,))) == refusals.UnknownCommitment(commitment)
    assert not isinstance(
        world.ask(STRANGER, calls.RevealBids(job_id, (dataclasses.replace(opening, bidder=WORKERS[0]),))), list
    )


def test_one_unknown_opening_spoils_its_batch_and_changes_nothing() -> None:
    world, job_id = started(State.REVEALING)
    good = world.openings[job_id][0]
    bad = opening_of(WORKERS[2], 1)
    before = digest(world.market, job_id)
    result = world.ask(STRANGER, calls.RevealBids(job_id, (good, bad)))
    assert result == refusals.UnknownCommitment(bid_commitment(world.market.domain, job_id, bad))
    assert digest(world.market, job_id) == before


def test_an_opening_twice_is_skipped() -> None:
    world, job_id = started(State.REVEALING)
    good = world.openings[job_id][1]
    world.do(STRANGER, calls.RevealBids(job_id, (good, good)))
    assert world.do(STRANGER, calls.RevealBids(job_id, (good,))) == []
    assert world.free(WORKERS[1]) == 10_000 - 50  # the best so far keeps its bond locked


def test_an_opening_of_another_job_does_not_fit() -> None:
    world, job_id = started()
    other = world.post("other")
    world.bid(job_id, opening_of(WORKERS[0], 30))
    world.bid(other, opening_of(WORKERS[1], 30))
    world.poke(job_id)
    assert isinstance(
        world.ask(STRANGER, calls.RevealBids(job_id, (world.openings[other][0],))), refusals.UnknownCommitment
    )


def test_a_dethroned_best_gets_its_bond_back_at_once() -> None:
    world, job_id = started(State.REVEALING)
    low, high = world.openings[job_id]
    world.do(STRANGER, calls.RevealBids(job_id, (high,)))
    world.do(STRANGER, calls.RevealBids(job_id, (low,)))
    assert (world.free(WORKERS[0]), world.free(WORKERS[1])) == (9_950, 10_000)
    assert world.job(job_id).state is State.AWARDED


def test_the_bids_own_run_time_is_the_training_deadline() -> None:
    world, job_id = started(State.TRAINING)
    assert world.job(job_id).deadline == world.now + 40


def test_unopened_bonds_burn_and_reach_nobody() -> None:
    world, job_id = started()
    for price in (30, 40, 50):
        world.bid(job_id, opening_of(WORKERS[0], price))
    world.bid(job_id, opening_of(WORKERS[1], 60))
    world.poke(job_id)
    world.do(STRANGER, calls.RevealBids(job_id, (world.openings[job_id][3],)))
    world.poke(job_id)
    assert world.market.ledger.burned_by(job_id) == 150
    assert world.job(job_id).price_wei == 100
    assert world.free(WORKERS[0]) == 9_850


# --- parties -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in TABLE if row.party in (Party.USER, Party.WINNER)], ids=str)
def test_only_the_named_party_can_move_a_state(row: Row) -> None:
    world, job_id = started(row.state)
    job = world.job(job_id)
    by_type: dict[type, calls.JobCall] = {
        calls.Cancel: calls.Cancel(job_id),
        calls.PostKeys: calls.PostKeys(job_id, b""),
        calls.Acknowledge: calls.Acknowledge(job_id),
        calls.Decline: calls.Decline(job_id),
        calls.SubmitModel: calls.SubmitModel(job_id, secret("m"), secret("x"), secret("y"), secret("s"), b""),
        calls.RevealSeed: calls.RevealSeed(job_id, user_seed()),
        calls.PostTestKeys: calls.PostTestKeys(job_id, world.boxes(job_id)),
        calls.PostModelKeys: calls.PostModelKeys(job_id, world.boxes(job_id)),
    }
    call = by_type[row.call]
    wanted = job.user if row.party is Party.USER else job.winner
    for caller in {USER, STRANGER, *WORKERS, *VALIDATORS} - {wanted}:
        before = digest(world.market, job_id)
        assert world.ask(caller, call) == refusals.WrongCaller(caller, wanted)
        assert digest(world.market, job_id) == before


def test_the_worker_seed_must_be_the_one_that_the_bid_committed_to() -> None:
    world, job_id = started(State.TRAINING)
    stolen = dataclasses.replace(world.submission(job_id), worker_seed=worker_seed(WORKERS[1]))
    assert isinstance(world.ask(WORKERS[0], stolen), refusals.WrongPreimage)


def test_the_committee_is_drawn_only_after_the_seed_block() -> None:
    world, job_id = started(State.TRAINING)
    [submitted] = [
        event for event in world.do(WORKERS[0], world.submission(job_id)) if isinstance(event, ModelSubmitted)
    ]
    assert submitted.seed_block == world.block + TIMING.seed_blocks
    world.block = submitted.seed_block
    reveal = calls.RevealSeed(job_id, user_seed())
    assert world.ask(USER, reveal) == refusals.SeedBlockPending(submitted.seed_block, submitted.seed_block)
    for _ in range(2):  # a wrong seed is wrong before the block and after it
        assert isinstance(world.ask(USER, calls.RevealSeed(job_id, secret("no"))), refusals.WrongPreimage)
        world.block += 1
    [drawn] = [event for event in world.do(USER, reveal) if isinstance(event, CommitteeDrawn)]
    assert len(set(drawn.validators)) == 5


def test_waiting_for_the_evm_to_forget_the_seed_block_offers_one_new_draw_in_256_blocks() -> None:
    seeds = set()
    for late in (1, 2, 256, 257, 300, 512, 513):
        world, job_id = started(State.TRAINING)
        world.do(WORKERS[0], world.submission(job_id))
        model = world.job(job_id).model
        assert model is not None
        world.block = model.seed_block + late
        [drawn] = [e for e in world.do(USER, calls.RevealSeed(job_id, user_seed())) if isinstance(e, CommitteeDrawn)]
        seeds.add((-(-late // 256), drawn.seed))
    assert len(seeds) == 3


def test_boxes_come_once_and_one_for_each_seat() -> None:
    world, job_id = started(State.KEYING)
    boxes = world.boxes(job_id)
    assert world.ask(USER, calls.PostTestKeys(job_id, boxes[1:])) == refusals.WrongBoxCount(4, 5)
    world.do(USER, calls.PostTestKeys(job_id, boxes))
    assert world.ask(USER, calls.PostTestKeys(job_id, boxes)) == refusals.AlreadyDone(job_id, USER)
    assert world.job(job_id).state is State.KEYING
    world.do(WORKERS[0], calls.PostModelKeys(job_id, boxes))
    assert world.job(job_id).state is State.VCOMMIT


def test_only_drawn_validators_report_and_each_commits_once() -> None:
    world, job_id = started(State.VCOMMIT)
    drawn = world.job(job_id).committee
    outsiders = {STRANGER, USER, *WORKERS, *VALIDATORS} - set(drawn)
    for outsider in outsiders:
        report = calls.CommitReport(job_id, secret("c"))
        assert world.ask(outsider, report) == refusals.NotOnCommittee(outsider)
    world.commit_report(job_id, report_of(drawn[0]))
    assert world.commit_report(job_id, report_of(drawn[0], 1)) == refusals.AlreadyDone(job_id, drawn[0])


def test_a_report_is_opened_only_as_it_was_committed() -> None:
    world, job_id = started(State.VREVEAL)
    validator = world.job(job_id).committee[0]
    changed = dataclasses.replace(world.reports[job_id][validator], metric_e6=0)
    assert isinstance(world.ask(validator, calls.RevealReports(job_id, (changed,))), refusals.UnknownCommitment)
    good = world.reports[job_id][validator]
    assert len(world.do(STRANGER, calls.RevealReports(job_id, (good, good)))) == 1
    assert world.do(STRANGER, calls.RevealReports(job_id, (good,))) == []


def test_a_claim_needs_the_preimage_and_anybody_may_relay_it() -> None:
    world, job_id = started(State.CLAIMABLE)
    assert isinstance(world.ask(WORKERS[0], calls.Claim(job_id, secret("guess"))), refusals.WrongPreimage)
    world.do(STRANGER, calls.Claim(job_id, y_of()))
    assert world.worth(WORKERS[0]) == 10_040


def test_a_draw_without_any_eligible_seat_is_inconclusive_at_once() -> None:
    world = World().found(validators=())
    for _ in range(5):
        world.do(USER, calls.Stake(1))
    world.wait(1)
    job_id = world.post()
    world.advance(job_id, State.SEED)
    world.wait(1, blocks=3)
    closed = closing(world.do(USER, calls.RevealSeed(job_id, user_seed())))
    assert closed.outcome is Outcome.INCONCLUSIVE
    assert len(world.market.registry.free) == 5
    assert world.worth(USER) == world.worth(WORKERS[0]) == 10_000


# --- who loses what when somebody vanishes: PROTOCOL.md 5.3 to the wei --------------------------------------------


def ledger_of(world: World, job_id: JobId) -> tuple[Outcome, int, int, list[int], int]:
    """Outcome, gains of the end user, of the winner, of the validators (sorted), and what was burned."""
    return (
        world.job(job_id).outcome,
        world.worth(USER) - 10_000,
        world.worth(WORKERS[0]) - 10_000,
        sorted(gain for who in VALIDATORS if (gain := world.worth(who) - 10_000)),
        world.market.ledger.burned_by(job_id),
    )


def test_nobody_bids() -> None:
    world, job_id = started()
    world.poke(job_id)
    assert ledger_of(world, job_id) == (Outcome.NO_BIDS, 0, 0, [], 0)


def test_two_commit_and_nobody_opens() -> None:
    world, job_id = started(State.REVEALING)
    world.poke(job_id)
    assert ledger_of(world, job_id) == (Outcome.NO_BIDS, 0, -50, [], 100)
    assert world.worth(WORKERS[1]) == 10_000 - 50


@pytest.mark.parametrize(
    ("silent_in", "row"),
    [
        (State.AWARDED, (Outcome.USER_FAULT, -50, 25, [], 25)),
        (State.KEYED, (Outcome.MUTUAL_ABORT, -12, -12, [], 24)),
        (State.TRAINING, (Outcome.WORKER_FAULT, 25, -50, [], 25)),
        (State.KEYING, (Outcome.MUTUAL_ABORT, -12, -12, [], 24)),
        (State.CLAIMABLE, (Outcome.WORKER_FAULT, 15, -50, [2] * 5, 25)),
    ],
)
def test_silence_closes_the_job_and_costs_the_silent(silent_in: State, row: object) -> None:
    world, job_id = started(silent_in)
    world.poke(job_id)
    assert ledger_of(world, job_id) == row


def test_a_winner_that_declines_burns_as_much_as_a_silent_one() -> None:
    world, job_id = started(State.KEYED)
    world.do(WORKERS[0], calls.Decline(job_id))
    assert ledger_of(world, job_id) == (Outcome.MUTUAL_ABORT, -12, -12, [], 24)


def test_an_end_user_that_hides_its_seed_pays_the_price_and_burns_its_bond() -> None:
    world, job_id = started(State.SEED)
    world.poke(job_id)
    assert world.job(job_id).state is State.CLAIMABLE
    world.advance(job_id, State.CLOSED)
    assert ledger_of(world, job_id) == (Outcome.PAID, -90, 40, [], 50)


def test_an_end_user_that_hides_the_test_key_pays_the_price_and_burns_its_bond() -> None:
    world, job_id = started(State.KEYING)
    world.do(WORKERS[0], calls.PostModelKeys(job_id, world.boxes(job_id)))
    world.poke(job_id)
    world.advance(job_id, State.CLOSED)
    assert ledger_of(world, job_id) == (Outcome.PAID, -90, 40, [], 50)


def test_a_worker_that_hides_the_model_key_is_at_fault() -> None:
    world, job_id = started(State.KEYING)
    world.do(USER, calls.PostTestKeys(job_id, world.boxes(job_id)))
    world.poke(job_id)
    assert ledger_of(world, job_id) == (Outcome.WORKER_FAULT, 25, -50, [], 25)


def closed_after(metrics: list[int | None], fingerprints: list[int] | None = None) -> tuple[World, JobId]:
    """A job whose validators, in committee order, found these metrics; None is a silent one."""
    world, job_id = started(State.VCOMMIT)
    for index, (validator, metric) in enumerate(zip(world.job(job_id).committee, metrics, strict=True)):
        if metric is not None:
            fingerprint = 123_456_789 if fingerprints is None else fingerprints[index]
            world.commit_report(job_id, report_of(validator, metric, fingerprint))
    for _ in range(4):
        if world.job(job_id).state is State.VREVEAL and len(world.job(job_id).reports) == 0:
            world.do(STRANGER, calls.RevealReports(job_id, tuple(world.reports[job_id].values())))
        elif world.job(job_id).state in (State.VCOMMIT, State.VREVEAL, State.TALLIED):
            world.poke(job_id)
    if world.job(job_id).state is State.CLAIMABLE:
        world.advance(job_id, State.CLOSED)
    assert world.job(job_id).state is State.CLOSED
    return world, job_id


GOOD, POOR = 950_000, 800_000


@pytest.mark.parametrize(
    ("metrics", "row"),
    [
        ([GOOD] * 5, (Outcome.PAID, -50, 40, [2] * 5, 0)),
        ([POOR] * 5, (Outcome.REJECTED, -10, -15, [2] * 5, 15)),
        # One outlier keeps its stake in this version; the silent one loses a fifth of 70.
        ([GOOD, GOOD, GOOD, POOR, None], (Outcome.PAID, -46, 40, [-14, 2, 2, 2], 14)),
        ([None] * 5, (Outcome.INCONCLUSIVE, 0, 40, [-14] * 5, 30)),
        ([GOOD, GOOD, None, None, None], (Outcome.INCONCLUSIVE, 0, 40, [-14] * 3, 2)),
        ([GOOD, GOOD, GOOD, None, None], (Outcome.PAID, -46, 40, [-14, -14, 2, 2, 2], 28)),
        ([NO_MODEL] * 3 + [GOOD] * 2, (Outcome.WORKER_FAULT, 19, -50, [2] * 3, 25)),
        ([NO_TEST] * 3 + [GOOD] * 2, (Outcome.PAID, -96, 40, [2] * 3, 50)),
        ([NO_TEST] * 2 + [NO_MODEL] * 2 + [GOOD], (Outcome.PAID, -42, 40, [2], 0)),
        ([NO_TEST, NO_TEST, NO_MODEL, NO_MODEL, None], (Outcome.INCONCLUSIVE, 0, 14, [-14], 0)),
    ],
    ids=["pass", "fail", "outlier and silent", "all silent", "no quorum", "bare quorum", "no model", "no test",
         "split codes and one metric", "split codes"],
)  # fmt: skip
def test_a_round_costs_and_pays_to_the_wei(metrics: list[int | None], row: object) -> None:
    world, job_id = closed_after(metrics)
    assert ledger_of(world, job_id) == row
    assert world.market.ledger.is_conserved()


def test_a_guessed_fingerprint_is_not_paid() -> None:
    world, job_id = closed_after([GOOD] * 5, [123_456_789] * 4 + [123_500_000])
    assert ledger_of(world, job_id) == (Outcome.PAID, -48, 40, [2] * 4, 0)


def test_silent_seats_are_dissolved_and_the_others_return_to_the_end_of_the_list_in_order() -> None:
    world, job_id = started(State.VCOMMIT)
    undrawn = list(world.market.registry.free)
    seats = list(world.job(job_id).seats)
    for validator in world.job(job_id).committee[:4]:
        world.commit_report(job_id, report_of(validator))
    world.poke(job_id)
    world.advance(job_id, State.CLOSED)
    assert world.market.registry.free == [*undrawn, *seats[:4]]
    assert seats[4] not in world.market.registry.seats


def test_each_drawn_seat_is_settled_once() -> None:
    world, job_id = started(State.CLAIMABLE)
    events = world.do(STRANGER, calls.Claim(job_id, y_of()))
    settled = [event for event in events if isinstance(event, SeatSettled)]
    assert [event.validator for event in settled] == list(world.job(job_id).committee)
    assert {(event.fee_wei, event.slash_wei) for event in settled} == {(2, 0)}


# --- accounts ----------------------------------------------------------------------------------------------------


def test_only_free_balance_can_be_withdrawn_or_staked() -> None:
    world = World()
    world.do(USER, calls.Deposit(Wei(69)))
    assert world.ask(USER, calls.Stake(1)) == refusals.InsufficientBalance(USER, Wei(69), Wei(70))
    assert world.ask(USER, calls.Withdraw(Wei(70))) == refusals.InsufficientBalance(USER, Wei(69), Wei(70))
    assert world.ask(USER, calls.Stake(0)) == refusals.BadTerms("count")
    world.do(USER, calls.Withdraw(Wei(69)))
    assert world.free(USER) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 103), st.booleans(), st.integers(0, 52)), min_size=1, max_size=5),
    st.data(),
)
def test_the_result_depends_neither_on_the_order_of_openings_nor_on_their_batches(
    bids: list[tuple[int, bool, int]], data: st.DataObject
) -> None:
    digests = set()
    for shuffled in (False, True):
        world, job_id = started()
        for index, (price, is_authentic, estimated_s) in enumerate(bids):
            world.bid(job_id, opening_of(WORKERS[index % 4], price, is_authentic, estimated_s))
        world.poke(job_id)
        openings = list(dict.fromkeys(world.openings[job_id]))
        if shuffled:
            openings = data.draw(st.permutations(openings))
            for opening in openings:
                if world.job(job_id).state is State.REVEALING:
                    world.do(STRANGER, calls.RevealBids(job_id, (opening,)))
        else:
            world.do(STRANGER, calls.RevealBids(job_id, tuple(openings)))
        digests.add((digest(world.market, job_id), *(world.free(who) for who in (USER, *WORKERS))))
    assert len(digests) == 1
