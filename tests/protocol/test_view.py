"""The view is a total fold of a job's events; openings cross the wire in 49 bytes."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Opening
from morphware.protocol.crypto import BID_PLAIN_BYTES
from morphware.protocol.interests import appeal_seats, is_appeal_left
from morphware.protocol.job import NOBODY
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import WEI_MAX, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, opening_bytes, opening_from_bytes, view_of
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import account_of

BIDDER = account_of("bidder")


def view_after(place: Marketplace, count: int | None = None) -> JobView:
    events = [event for _, event in place.history]
    assert isinstance(events[0], ce.JobPosted)
    view = view_of(events[0])
    for event in events[1:count]:
        view.apply(event)
    return view


def test_a_whole_life_folds_into_one_view() -> None:
    place = Marketplace(1).run()
    view = view_after(place)
    assert (view.state, view.outcome, view.verdict, view.is_over) == (State.CLOSED, Outcome.PAID, Verdict.PASS, True)
    assert (view.winner, view.bond_wei) == (account_of("worker 0"), 50)
    assert set(view.committed) == set(view.revealed) == set(view.settled) == set(view.validators)
    assert view.unopened == []
    assert [bid.sequence for bid in view.bids] == [0, 1, 2]


def test_a_new_job_has_no_winner_verdict_or_outcome() -> None:
    view = view_after(Marketplace(1).run(), 1)
    assert (view.winner, view.validators, view.verdict, view.outcome, view.is_over) == (
        None, (), Verdict.NONE, Outcome.NONE, False,
    )  # fmt: skip


def test_events_told_twice_change_nothing() -> None:
    place = Marketplace(2, decoy_chance_256=256).run()
    view = view_after(place)
    before = copy.deepcopy(view)
    for _, event in place.history:
        if not isinstance(event, ce.StateChanged):
            view.apply(event)
    assert view == before


def test_an_appeal_that_was_not_heard_takes_no_appeal_away_and_an_audit_counts_no_more() -> None:
    place = Marketplace(1).run_to(State.TALLIED)
    view, user = view_after(place), account_of("user")
    assert (appeal_seats(view), is_appeal_left(view)) == (11, True)
    view.apply(ce.Audited(place.job_id, 3, Wei(6)))
    view.apply(ce.AppealUnheard(place.job_id, NOBODY, Wei(6), Wei(6)))
    assert (view.audit, view.audited) == (None, None)
    for _ in range(3):
        view.apply(ce.Appealed(place.job_id, user, 11, Wei(22)))
        view.apply(ce.AppealUnheard(place.job_id, user, Wei(22), Wei(10)))
    assert (view.appeals, len(view.unheard)) == ([], 4)
    assert (appeal_seats(view), is_appeal_left(view)) == (11, True)


def test_draws_that_failed_are_counted_until_one_does_not() -> None:
    place = Marketplace(1).run_to(State.SEED)
    view = view_after(place)
    counts = []
    states = (State.DRAWING, State.DRAWING, State.KEYING, State.TALLIED, State.DRAWING, State.DRAWING, State.VCOMMIT)
    for second, state in enumerate(states):
        for _ in range(2):  # told twice, it is the same
            view.apply(ce.StateChanged(place.job_id, state, Timestamp(second)))
        counts.append(view.failed_draws)
    assert counts == [1, 2, 0, 0, 0, 1, 0]


def test_a_copied_commitment_does_not_hide_the_bid_that_it_copies() -> None:
    place = Marketplace(1).run_to(State.BIDDING)
    view = view_after(place)
    owner, copier, commitment = account_of("owner"), account_of("copier"), bytes([7] * 32)
    for sequence, bidder in enumerate((copier, owner, copier, owner)):
        view.apply(ce.BidCommitted(place.job_id, bidder, commitment, sequence))
    assert [bid.bidder for bid in view.bids] == [copier, owner]
    assert view.has_bid(owner, commitment)
    assert not view.has_bid(BIDDER, commitment)
    view.apply(ce.BidOpened(place.job_id, owner, commitment, Wei(30), True, 20))
    assert [bid.bidder for bid in view.unopened] == [copier]
    assert set(view.opened) == {(owner, commitment)}


def test_another_job_s_events_and_node_records_change_nothing() -> None:
    one, other = Marketplace(1).run(), Marketplace(2).run()
    view = view_after(one, 5)
    before = copy.deepcopy(view)
    for _, event in other.history:
        view.apply(event)
    view.apply(ce.NodePublished(BIDDER, bytes(32), bytes(32), ()))
    view.apply(ce.StateChanged(JobId(bytes(32)), State.CLOSED, Timestamp(0)))
    assert view == before


@given(
    st.builds(
        Opening,
        bidder=st.just(BIDDER),
        price_wei=st.integers(0, WEI_MAX).map(Wei),
        is_authentic=st.booleans(),
        estimated_s=st.integers(0, 2**32 - 1),
        salt=st.binary(min_size=32, max_size=32),
    )
)
def test_an_opening_survives_its_journey_with_or_without_padding(opening: Opening) -> None:
    data = opening_bytes(opening)
    assert len(data) == 49
    assert opening_from_bytes(data, BIDDER) == opening
    assert opening_from_bytes(data.ljust(BID_PLAIN_BYTES, b"\xff"), BIDDER) == opening


@given(st.binary(min_size=BID_PLAIN_BYTES, max_size=BID_PLAIN_BYTES))
def test_any_opened_bytes_read_as_some_opening_of_their_bidder(data: bytes) -> None:
    opening = opening_from_bytes(data, Address(bytes(20)))
    assert opening.bidder == bytes(20)
    assert 0 <= opening.price_wei <= WEI_MAX
