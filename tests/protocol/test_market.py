"""The market's rules, one by one: who may do what, until when, and who ends with what."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.protocol import calls, refusals
from morphware.protocol.chain_events import (
    BidCommitted,
    BidOpened,
    Claimed,
    JobAwarded,
    JobClosed,
    JobPosted,
    RoundTallied,
    StateChanged,
)
from morphware.protocol.commitments import bid_commitment
from morphware.protocol.digest import digest
from morphware.protocol.job import TABLE, Party, Row
from morphware.protocol.market import WINDOW_MOST_S
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from tests.protocol.market_world import (
    STRANGER,
    TIMING,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    opening_of,
    secret,
    started,
    terms_of,
    worker_seed,
    y_of,
)


def closing(events: object) -> JobClosed:
    assert isinstance(events, list)
    [closed] = [event for event in events if isinstance(event, JobClosed)]
    return closed


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_state_but_closed_has_a_row_for_poke() -> None:
    poked = {row.state for row in TABLE if row.call is calls.Poke}
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
        State.VREVEAL, State.TALLIED, State.CLAIMABLE, State.INSPECT, State.CLOSED,
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
        ("reserve", {"reserve_wei": 13}),
        ("reserve", {"reserve_wei": 1, "fee_wei": 0}),
        ("reserve", {"seats": 11, "reserve_wei": 26}),
        ("reserve", {"seats": 1, "reserve_wei": 4}),
        ("fee", {"fee_wei": 0}),
        ("fee", {"fee_wei": 0, "options": 8}),
        ("options", {"options": 5}),
        ("options", {"options": 7}),
        ("options", {"options": 8}),
        ("options", {"options": 255}),
        ("baseline", {"baseline_e6": 1}),
        ("baseline", {"options": 1, "baseline_e6": -1}),
        ("baseline", {"options": 2, "baseline_e6": 900_000}),
        ("baseline", {"options": 3, "baseline_e6": 2**63 - 1}),
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


@pytest.mark.parametrize(("seats", "reserve"), [(5, 105), (5, 14), (1, 35), (1, 5)])
def test_the_largest_reserve_that_the_stakes_back_and_the_smallest_are_accepted(seats: int, reserve: int) -> None:
    world = World().found()
    assert isinstance(world.ask(USER, calls.Post(terms_of(seats=seats, reserve_wei=reserve), b"")), list)


def test_post_needs_seats_for_a_committee_and_for_its_first_appeal() -> None:
    world = World().found(VALIDATORS[:15])
    assert world.ask(USER, calls.Post(terms_of(), b"")) == refusals.NotEnoughSeats(15, 16)
    world.do(VALIDATORS[15], calls.Stake(1))
    world.wait(1)
    job_id = world.post()
    world.advance(job_id, State.TALLIED)
    world.do(STRANGER, calls.Appeal(job_id))


def test_post_needs_an_eighth_of_all_seat_numbers_to_be_free() -> None:
    world = World().found(VALIDATORS)
    for validator in VALIDATORS[:2]:
        world.do(validator, calls.Stake(100))
    for seat in range(290 - 36):
        owner = world.market.registry.seats[seat].owner
        world.do(owner, calls.RequestUnstake(seat))
    terms = terms_of(seats=1, reserve_wei=35)
    assert world.ask(USER, calls.Post(terms, b"")) == refusals.NotEnoughSeats(36, 37)
    world.do(VALIDATORS[2], calls.Stake(1))
    assert world.market.registry.next_seat == 291
    world.post(seats=1, reserve_wei=35)


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
    actions: dict[State, tuple[Address, Callable[[], calls.JobCall]]] = {
        State.BIDDING: (USER, lambda: calls.Cancel(job_id)),
        State.REVEALING: (STRANGER, lambda: calls.RevealBids(job_id, ())),
        State.AWARDED: (USER, lambda: calls.PostKeys(job_id, b"")),
        State.KEYED: (job.winner, lambda: calls.Acknowledge(job_id)),
        State.KEY_DISPUTE: (USER, lambda: world.disclose_key(job_id)),
        State.TRAINING: (job.winner, lambda: world.submission(job_id)),
        State.SEED: (USER, lambda: world.seed(job_id)),
        State.KEYING: (USER, lambda: calls.PostTestKeys(job_id, world.boxes(job_id))),
        State.X_DISPUTE: (job.winner, lambda: world.disclose_x(job_id)),
        State.VCOMMIT: (VALIDATORS[0], lambda: calls.CommitReport(job_id, secret("c"))),
        State.DISCLOSE: (STRANGER, lambda: world.disclose_test(job_id)),
        State.VREVEAL: (STRANGER, lambda: calls.RevealReports(job_id, ())),
        State.TALLIED: (STRANGER, lambda: calls.Appeal(job_id)),
        State.CLAIMABLE: (STRANGER, lambda: world.claim(job_id)),
        State.INSPECT: (USER, lambda: calls.InspectAppeal(job_id)),
    }
    world.wait(1, blocks=TIMING.seed_blocks + 1)
    assert world.now == deadline
    assert (state in actions) == (state is not State.DRAWING), "a draw only waits"
    if state in actions:
        caller, call = actions[state]
        assert world.ask(caller, call()) == refusals.TooLate(job_id, deadline, deadline)
    assert isinstance(world.ask(STRANGER, calls.Poke(job_id)), list)


def test_closed_is_absorbing() -> None:
    world, job_id = started(State.CLOSED)
    before = digest(world.market, job_id)
    world.wait(10**6)
    for caller in (USER, STRANGER, WORKERS[0]):
        assert world.ask(caller, calls.Poke(job_id)) == refusals.WrongState(job_id, State.CLOSED)
        assert world.ask(caller, world.claim(job_id)) == refusals.WrongState(job_id, State.CLOSED)
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


def test_nobody_commits_to_zero() -> None:
    world, job_id = started()
    assert world.ask(WORKERS[0], calls.Commit(job_id, bytes(32))) == refusals.BadTerms("commitment")


def test_anybody_may_bring_signed_bids_and_what_the_bidder_could_not_do_is_passed_over() -> None:
    world, job_id = started()
    world.do(WORKERS[3], calls.Withdraw(Wei(world.free(WORKERS[3]) - 49)))
    good = world.sealed_bid(job_id, opening_of(WORKERS[0], 30))
    other = world.sealed_bid(job_id, opening_of(WORKERS[1], 40))
    users = world.sign_bid(job_id, opening_of(USER, 30))
    poor = world.sign_bid(job_id, opening_of(WORKERS[3], 30))
    stolen = dataclasses.replace(good, bidder=WORKERS[2])
    changed = dataclasses.replace(good, commitment=secret("other"))
    elsewhere = world.sign_bid(JobId(secret("another job")), opening_of(WORKERS[2], 30))
    useless = (users, poor, stolen, changed, elsewhere, dataclasses.replace(good, signature=b""))
    said = world.do(STRANGER, calls.CommitBatch(job_id, (*useless, good, good, other)))
    assert said == [
        BidCommitted(job_id, WORKERS[0], good.commitment, 0),
        BidCommitted(job_id, WORKERS[1], other.commitment, 1),
    ]
    assert [world.free(worker) for worker in WORKERS] == [9_950, 9_950, 10_000, 49]
    for batch in ((), useless, (good,)):
        assert world.ask(STRANGER, calls.CommitBatch(job_id, batch)) == refusals.NothingTaken(job_id)
    assert world.ask(STRANGER, calls.CommitBatch(job_id, (good,) * 65)) == refusals.BoxTooLarge(65, 64)
    world.poke(job_id)
    world.advance(job_id, State.AWARDED)
    assert (world.job(job_id).winner, world.job(job_id).price_wei) == (WORKERS[0], 40)


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


def test_what_is_unknown_or_open_already_is_passed_over_and_cannot_spoil_a_batch() -> None:
    world, job_id = started(State.REVEALING)
    low, high = world.openings[job_id]
    unknown = opening_of(WORKERS[2], 1)
    opened = world.do(STRANGER, calls.RevealBids(job_id, (unknown, high, high)))
    assert [event.bidder for event in opened if isinstance(event, BidOpened)] == [WORKERS[1]]
    assert world.free(WORKERS[1]) == 10_000 - 50  # the best so far keeps its bond locked
    world.do(STRANGER, calls.RevealBids(job_id, (high, low)))
    assert world.job(job_id).state is State.AWARDED


def test_a_batch_that_opens_nothing_is_refused_and_changes_nothing() -> None:
    world, job_id = started(State.REVEALING)
    high, unknown = world.openings[job_id][1], opening_of(WORKERS[2], 1)
    world.do(STRANGER, calls.RevealBids(job_id, (high,)))
    before = digest(world.market, job_id)
    for batch in ((unknown,), (high,), (high, unknown)):
        first = bid_commitment(world.market.domain, job_id, batch[0])
        assert world.ask(STRANGER, calls.RevealBids(job_id, batch)) == refusals.UnknownCommitment(first)
    assert world.ask(STRANGER, calls.RevealBids(job_id, ())) == refusals.UnknownCommitment(bytes(32))
    assert world.ask(STRANGER, calls.RevealBids(job_id, (high,) * 65)) == refusals.BoxTooLarge(65, 64)
    assert digest(world.market, job_id) == before


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


NAMED = [row for row in TABLE if row.party in (Party.USER, Party.WINNER)]


@pytest.mark.parametrize("row", NAMED, ids=lambda row: f"{row.state.name} {row.call.__name__}")
def test_only_the_named_party_can_move_a_state(row: Row) -> None:
    world, job_id = started(row.state)
    if row.state is State.VCOMMIT:  # boxes for a later committee
        world, job_id = started(State.DRAWING)
        world.poke(job_id)
    job = world.job(job_id)
    by_type: dict[type, Callable[[], calls.JobCall]] = {
        calls.Cancel: lambda: calls.Cancel(job_id),
        calls.PostKeys: lambda: calls.PostKeys(job_id, b""),
        calls.Acknowledge: lambda: calls.Acknowledge(job_id),
        calls.Decline: lambda: calls.Decline(job_id),
        calls.ComplainKey: lambda: calls.ComplainKey(job_id),
        calls.DiscloseKey: lambda: world.disclose_key(job_id),
        calls.SubmitModel: lambda: world.submission(job_id),
        calls.RevealSeed: lambda: world.seed(job_id),
        calls.ComplainX: lambda: calls.ComplainX(job_id),
        calls.DiscloseX: lambda: world.disclose_x(job_id),
        calls.PostTestKeys: lambda: calls.PostTestKeys(job_id, world.boxes(job_id)),
        calls.PostModelKeys: lambda: calls.PostModelKeys(job_id, world.boxes(job_id)),
        calls.InspectAppeal: lambda: calls.InspectAppeal(job_id),
    }
    call = by_type[row.call]()
    wanted = job.user if row.party is Party.USER else job.winner
    for caller in {USER, STRANGER, *WORKERS, *VALIDATORS[:15]} - {wanted}:
        before = digest(world.market, job_id)
        assert world.ask(caller, call) == refusals.WrongCaller(caller, wanted)
        assert digest(world.market, job_id) == before
    world.wait(0, blocks=TIMING.seed_blocks + 1)
    assert isinstance(world.ask(wanted, call), list), "and the named one can"


def test_the_worker_seed_must_be_the_one_that_the_bid_committed_to() -> None:
    world, job_id = started(State.TRAINING)
    stolen = dataclasses.replace(world.submission(job_id), worker_seed=worker_seed(WORKERS[1]))
    assert isinstance(world.ask(WORKERS[0], stolen), refusals.UnknownCommitment)


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


def test_nothing_of_a_bid_shows_before_bidding_is_over() -> None:
    """I23: two lives that differ in their openings only say the same until then, but for the commitments' hashes."""
    said = []
    for opening in (opening_of(WORKERS[0], 1), opening_of(WORKERS[0], 99, is_authentic=False, estimated_s=7)):
        world, job_id = started()
        bidding = world.bid(job_id, opening)
        assert isinstance(bidding, list)
        shown = [dataclasses.replace(event, commitment=b"") for event in bidding]
        said.append(([*shown, *world.poke(job_id)], dict(world.market.ledger.buckets)))
    assert said[0] == said[1]
