"""Whoever copies a commitment, or is late with a key, harms itself: everybody else's bids are committed to and opened.

The chain's events are told to the brains by hand here: a copier is no node that behaves.
"""

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.crypto import seal_bid
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Timestamp, Wei
from morphware.protocol.user import UserBrain
from morphware.protocol.view import opening_bytes
from morphware.protocol.worker import Bid, WorkerBrain
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, TIMING, account_of

COPIER = account_of("copier")
WINDOW_S = TIMING.revealing_s


def calls_in(effects: tuple[Effect, ...], kind: type) -> list[fx.Send]:
    return [effect for effect in effects if isinstance(effect, fx.Send) and isinstance(effect.call, kind)]


def bids_of(place: Marketplace, name: str) -> tuple[Bid, ...]:
    brain = place.nodes[name].brain
    assert isinstance(brain, WorkerBrain)
    return brain.bids


def sealed_and_key(place: Marketplace, name: str, bid: Bid) -> tuple[Event, Event]:
    """What a worker gossips of a bid."""
    account = account_of(name)
    sealed = seal_bid(opening_bytes(bid.opening), bid.key, bid.nonce, place.job_id + bid.commitment)
    return ev.BidHeard(account, bid.commitment, bid.nonce, sealed), ev.BidKeyHeard(account, bid.commitment, bid.key)


def user_before_any_gossip(place: Marketplace) -> UserBrain:
    """A new brain of the end user, that knows what the chain said up to now, and nothing else."""
    user = place.makers["user"]()
    assert isinstance(user, UserBrain)
    for at, event in place.history:
        user.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    return user


# --- copies ---------------------------------------------------------------------------------------------------------


def test_a_copier_s_wrong_key_does_not_keep_the_bid_shut() -> None:
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    user = user_before_any_gossip(place)
    for name in place.workers:
        [bid] = bids_of(place, name)
        copy = ce.BidCommitted(place.job_id, COPIER, bid.commitment, 9)
        wrong_bid = ev.BidHeard(COPIER, bid.commitment, bytes(24), bytes(144))
        wrong_key = ev.BidKeyHeard(COPIER, bid.commitment, bytes(32))
        for event in (copy, wrong_bid, wrong_key, *sealed_and_key(place, name, bid)):
            user.handle(event, place.moment, is_behind=True)
    half = Moment(Timestamp(place.view.deadline - WINDOW_S // 2), place.block + 9)
    [reveal] = calls_in(user.handle(ev.TimePassed(), half), calls.RevealBids)
    assert isinstance(reveal.call, calls.RevealBids)
    expected = {bid.opening for name in place.workers for bid in bids_of(place, name)}
    assert set(reveal.call.openings) == expected


def test_a_copier_of_the_whole_bid_opens_nothing_in_its_own_name() -> None:
    """It repeats ciphertext and key: the opening names its bidder within the commitment, and the copy does not fit."""
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    user = user_before_any_gossip(place)
    [bid] = bids_of(place, "worker 0")
    user.handle(ce.BidCommitted(place.job_id, COPIER, bid.commitment, 9), place.moment, is_behind=True)
    sealed, _ = sealed_and_key(place, "worker 0", bid)
    assert isinstance(sealed, ev.BidHeard)
    user.handle(ev.BidHeard(COPIER, bid.commitment, sealed.nonce, sealed.sealed), place.moment, is_behind=True)
    user.handle(ev.BidKeyHeard(COPIER, bid.commitment, bid.key), place.moment, is_behind=True)
    assert user.view is not None
    assert user.openings(user.view) == {}


def test_a_worker_does_not_take_a_copy_of_its_commitment_for_its_own() -> None:
    """Else it would never commit, and show a ciphertext and a key for a bid that it did not make."""
    place = Marketplace(1, relaying=ALONE).run_to(State.BIDDING)
    worker = place.makers["worker 0"]()
    assert isinstance(worker, WorkerBrain)
    for at, event in place.history:
        worker.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    [commit] = calls_in(worker.handle(ev.Started(Wei(1_000), is_busy=False), place.moment), calls.Commit)
    [bid] = worker.bids
    copied = worker.handle(ce.BidCommitted(place.job_id, COPIER, bid.commitment, 0), place.moment)
    assert not [effect for effect in copied if isinstance(effect, fx.Publish)]
    again = worker.handle(ev.CallRefused(commit.id, "Congested", "The call was dropped."), place.moment)
    later = Moment(Timestamp(place.now + 3), place.block + 3)
    assert calls_in(again + worker.handle(ev.TimePassed(), later), calls.Commit), "it still wants its own"
    end = Timestamp(place.now + 50)
    worker.handle(ce.StateChanged(place.job_id, State.REVEALING, end), later)
    assert not worker.handle(ev.TimePassed(), Moment(Timestamp(end - 1), place.block + 40)), "it has nothing to open"
    assert not worker.is_concerned


def test_a_job_whose_every_commitment_is_copied_ends_as_without_copies() -> None:
    """On the market itself, with the copier first: it is in nobody's way, and what it staked on copies is burned."""
    place = Marketplace(1, relaying=ALONE)
    copier = place.validators[6]
    copied: set[bytes] = set()
    while place.state is not State.REVEALING:
        for _, _, node, send in list(place._transactions):
            if isinstance(send.call, calls.Commit) and send.call.commitment not in copied:
                copied.add(send.call.commitment)
                assert node.name in place.workers
                result = place.market.execute(account_of(copier), send.call, Timestamp(place.now), place.block)
                assert isinstance(result, list), result
                place.history += [(place.now, event) for event in result]
                for brain in place.nodes.values():
                    for event in result:
                        place._handle(brain, event, is_behind=True)
                        place.view.apply(event)
        place.step()
    place.run()
    assert len(copied) == 3
    assert (place.outcome, place.burned) == (Outcome.PAID, 3 * place.view.bond_wei)
    gains = place.gains()
    assert (gains["user"], gains["worker 0"]) == (-50, 40)
    assert gains[copier] < -2 * place.view.bond_wei


# --- late keys ------------------------------------------------------------------------------------------------------


def test_a_key_that_comes_after_half_of_the_window_is_not_too_late() -> None:
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    user = user_before_any_gossip(place)
    start, block = place.view.deadline - WINDOW_S, place.block

    def revealed(effects: tuple[Effect, ...]) -> list[tuple[str, int]]:
        sends = calls_in(effects, calls.RevealBids)
        return [(send.id, len(send.call.openings)) for send in sends if isinstance(send.call, calls.RevealBids)]

    def pass_to(second: int) -> list[tuple[str, int]]:
        return revealed(user.handle(ev.TimePassed(), Moment(Timestamp(start + second), block + second)))

    def hear(index: int, second: int) -> list[tuple[str, int]]:
        name = place.workers[index]
        [bid] = bids_of(place, name)
        moment = Moment(Timestamp(start + second), block + second)
        sealed, key = sealed_and_key(place, name, bid)
        return revealed(user.handle(sealed, moment)) + revealed(user.handle(key, moment))

    assert hear(0, 1) == []
    assert pass_to(WINDOW_S // 2) == [("reveal|half", 1)]
    assert hear(1, WINDOW_S // 2 + 1) == []
    assert user.deadline == start + 5 * WINDOW_S // 6
    assert pass_to(5 * WINDOW_S // 6) == [("reveal|last", 2)]
    assert pass_to(5 * WINDOW_S // 6 + 1) == []


def test_without_a_late_key_the_last_occasion_is_let_pass() -> None:
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    user = user_before_any_gossip(place)
    [bid] = bids_of(place, "worker 0")
    for event in sealed_and_key(place, "worker 0", bid):
        user.handle(event, place.moment, is_behind=True)
    start = place.view.deadline - WINDOW_S
    sent = []
    for second in range(WINDOW_S):
        effects = user.handle(ev.TimePassed(), Moment(Timestamp(start + second), place.block + second))
        sent += [send.id for send in calls_in(effects, calls.RevealBids)]
    assert sent == ["reveal|sixth", "reveal|half"]
