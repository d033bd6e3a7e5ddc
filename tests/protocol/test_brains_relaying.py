"""Nodes that share transactions: who collects, who falls back on its own, and that nothing is lost or done twice.

Whole jobs in virtual time, as in ``test_brains``; there everybody relays as well, unless a test says otherwise.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.brain import Identity, Relaying
from morphware.protocol.calls import Multicall, SignedBid
from morphware.protocol.commitments import keccak
from morphware.protocol.effects import Effect
from morphware.protocol.events import Moment
from morphware.protocol.messages import BidsSigned, ReportSigned
from morphware.protocol.relaying import BIDDERS_MOST, BIDS_MOST, BidCollector, own_from
from morphware.protocol.signatures import commit_digest, commit_report_digest, is_signed_by, sign_digest
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Timestamp, Wei
from morphware.protocol.user import UserBrain
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, DOMAIN, SUBMISSION, Faults, account_of, private_key_of
from tests.protocol.test_brains import FEES, settled

PAID = (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
PROMPT = Faults(delay_s=0, message_delay_s=0)
OWN_S = 2 * SUBMISSION.bidding_s // 3


def committed_bids(place: Marketplace) -> Counter[tuple[bytes, bytes]]:
    return Counter((event.bidder, event.commitment) for _, event in place.history if isinstance(event, ce.BidCommitted))


def bidding_began(place: Marketplace) -> int:
    return next(at for at, event in place.history if isinstance(event, ce.JobPosted))


def calls_by(place: Marketplace, kind: type) -> list[str]:
    return [name for name, send, result in place.sent if isinstance(send.call, kind) and isinstance(result, list)]


def keep_quiet(effect: Effect) -> Effect:
    """A validator that collects, and never brings anything: what it sends instead is refused."""
    is_batch = isinstance(effect, fx.Send) and isinstance(effect.call, calls.CommitReportBatch)
    return fx.Send(effect.id, calls.Cancel(effect.call.job_id)) if is_batch else effect  # type: ignore[union-attr]


# --- together -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_job_takes_thirteen_transactions_however_many_bid_and_report(seed: int) -> None:
    place = Marketplace(seed, costs=(30, 40, 55, 60, 70), decoy_chance_256=256, faults=PROMPT).run()
    assert place.outcome is Outcome.PAID
    assert len(place.view.bids) >= 10
    assert all(isinstance(result, list) for _, _, result in place.sent)
    sent = [type(send.call).__name__ for _, send, _ in place.sent]
    assert sent[:7] == ["Post", "CommitBatch", "Multicall", "PostKeys", "Acknowledge", "SubmitModel", "RevealSeed"]
    assert sorted(sent[7:9]) == ["PostModelKeys", "PostTestKeys"]
    assert sent[9:] == ["CommitReportBatch", "RevealReports", "Multicall", "Poke"]


@pytest.mark.parametrize("seed", range(4))
def test_alone_and_together_end_the_same(seed: int) -> None:
    together = Marketplace(seed, decoy_chance_256=128).run()
    alone = Marketplace(seed, decoy_chance_256=128, relaying=ALONE).run()
    assert settled(together) == settled(alone) == PAID
    assert not {"CommitBatch", "CommitReportBatch", "Multicall"} & {
        type(send.call).__name__ for _, send, _ in alone.sent
    }
    assert len(together.sent) < len(alone.sent) - 5


@pytest.mark.parametrize("seed", range(8))
def test_any_mixture_of_those_who_share_and_those_who_do_not_ends_the_same(seed: int) -> None:
    everybody = Marketplace(seed).names
    some = frozenset(name for index, name in enumerate(everybody) if keccak(bytes([seed, index]))[0] % 2)
    place = Marketplace(seed, decoy_chance_256=128, relaying=some).run()
    assert settled(place) == PAID
    assert set(committed_bids(place).values()) == {1}


def test_one_transaction_ends_the_bidding_and_opens_every_bid() -> None:
    place = Marketplace(1, faults=PROMPT).run()
    [(name, send)] = [(name, send) for name, send, _ in place.sent if send.id == "poke+reveal"]
    assert name == "user"
    assert isinstance(send.call, Multicall)
    poke, reveal = send.call.calls
    assert isinstance(poke, calls.Poke)
    assert isinstance(reveal, calls.RevealBids)
    assert len(reveal.openings) == 3
    assert "RevealBids" not in place.transactions_of("user")


def test_one_transaction_ends_the_time_for_appeals_and_claims() -> None:
    place = Marketplace(1, faults=PROMPT).run()
    assert place.calls_of("worker 0")[-2:] == ["Poke", "Claim"]
    assert place.transactions_of("worker 0")[-1] == "Multicall"
    assert place.calls_of("user").count("Poke") == 2, "the bidding's end, and the payment"


# --- with some of them gone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_workers_commit_themselves_at_two_thirds_if_the_end_user_does_not(seed: int) -> None:
    mute = {"user": frozenset[type]({fx.Appraise})}
    place = Marketplace(seed, decoy_chance_256=128, faults=Faults(delay_s=0, mute=mute)).run()
    assert settled(place) == PAID
    assert set(committed_bids(place).values()) == {1}
    assert not calls_by(place, calls.CommitBatch)
    when = [at - bidding_began(place) for at, event in place.history if isinstance(event, ce.BidCommitted)]
    assert min(when) == OWN_S + 1, "the block after two thirds of the window"
    assert max(when) < SUBMISSION.bidding_s


@pytest.mark.parametrize("seed", range(4))
def test_nobody_s_bid_is_lost_without_gossip(seed: int) -> None:
    place = Marketplace(seed, decoy_chance_256=128, faults=Faults(lose=1.0)).run()
    assert settled(place) == PAID
    assert set(committed_bids(place).values()) == {1}
    assert not calls_by(place, calls.CommitBatch) + calls_by(place, calls.CommitReportBatch)


@pytest.mark.parametrize("seed", range(6))
def test_a_worker_that_is_gone_once_it_signed_has_bid_all_the_same(seed: int) -> None:
    """What it signed is on chain without it; only its key is missing then, and its bond burns, as ever."""
    place = Marketplace(seed, faults=PROMPT)
    while not any(isinstance(body, BidsSigned) for name, body, _ in place.verdicts if name == "user"):
        place.step()
    place.nodes["worker 2"].is_dead = True
    place.run()
    assert (place.outcome, place.winner) == (Outcome.PAID, "worker 0")
    assert account_of("worker 2") in {bid.bidder for bid in place.view.bids}
    assert place.gains()["worker 2"] == -50


@pytest.mark.parametrize("gone", [1, 2])
def test_the_next_of_the_committee_collects_if_the_first_does_not(gone: int) -> None:
    drawn = Marketplace(3, faults=PROMPT).run().committee
    alter: dict[str, Callable[[Effect], Effect]] = dict.fromkeys(drawn[:gone], keep_quiet)
    place = Marketplace(3, faults=Faults(delay_s=0, message_delay_s=0, alter=alter)).run()
    assert place.committee == drawn
    assert settled(place) == PAID
    assert calls_by(place, calls.CommitReportBatch) == [drawn[gone]]
    assert "CommitReport" not in {type(send.call).__name__ for _, send, _ in place.sent}


def test_validators_commit_themselves_at_two_thirds_if_nobody_collects() -> None:
    everybody = [f"validator {index}" for index in range(11)]
    alter: dict[str, Callable[[Effect], Effect]] = dict.fromkeys(everybody, keep_quiet)
    place = Marketplace(3, faults=Faults(delay_s=0, alter=alter)).run()
    assert settled(place) == PAID
    assert sorted(calls_by(place, calls.CommitReport)) == sorted(place.committee)
    drawn_at = next(
        at for at, event in place.history if isinstance(event, ce.StateChanged) and event.state is State.VCOMMIT
    )
    when = [at - drawn_at for at, event in place.history if isinstance(event, ce.ReportCommitted)]
    assert min(when) == 2 * SUBMISSION.testing_s // 3 + 1


def test_a_committee_with_a_silent_member_brings_the_others_after_a_third_of_its_time() -> None:
    drawn = Marketplace(5, faults=PROMPT).run().committee
    faults = Faults(delay_s=0, message_delay_s=0, vanish={drawn[2]: State.VCOMMIT})
    place = Marketplace(5, faults=faults).run()
    assert place.outcome is Outcome.PAID
    assert place.committee == drawn
    [collector] = calls_by(place, calls.CommitReportBatch)
    assert collector == drawn[0]
    assert len(place.view.rounds[0].committed) == 4


@pytest.mark.parametrize("seed", range(6))
def test_nodes_that_crash_again_and_again_bid_and_report_exactly_once(seed: int) -> None:
    """Killed between signing, saying, collecting, sending and seeing: the harness loses answers at each of them."""
    place = Marketplace(seed, decoy_chance_256=200, faults=Faults(crash=0.15, lose=0.1)).run()
    assert sum(node.life for node in place.nodes.values()) > 10, "they did crash"
    assert settled(place) == PAID
    assert set(committed_bids(place).values()) == {1}
    drawn_up = {
        (node.account, bid.commitment) for node in place.nodes.values() for bid in getattr(node.brain, "bids", ())
    }
    assert set(committed_bids(place)) == drawn_up
    reports = Counter(event.validator for _, event in place.history if isinstance(event, ce.ReportCommitted))
    assert set(reports.values()) == {1}


# --- what is signed -------------------------------------------------------------------------------------------------


def test_what_is_said_to_be_signed_is_stored_with_its_signature_before_it_is_said() -> None:
    """The engine stores an effect before it performs it; the same brain, reborn, wants the same bytes."""
    place = Marketplace(2, decoy_chance_256=256).run()
    for name in place.workers:
        node = place.nodes[name]
        effect = node.effects["signed"]
        assert isinstance(effect, fx.Publish)
        assert isinstance(effect.body, BidsSigned)
        assert [bid.commitment for bid in effect.body.bids] == [bid.commitment for bid in node.brain.bids]  # type: ignore[attr-defined]
        for bid in effect.body.bids:
            assert is_signed_by(
                node.account, commit_digest(DOMAIN, place.job_id, node.account, bid.commitment), bid.signature
            )
    for name in place.committee:
        node = place.nodes[name]
        effect = node.effects["signed|0|0"]
        assert isinstance(effect, fx.Publish)
        assert isinstance(effect.body, ReportSigned)
        digest = commit_report_digest(DOMAIN, place.job_id, 0, 0, node.account, effect.body.sealed.commitment)
        assert is_signed_by(node.account, digest, effect.body.sealed.signature)


def test_decoys_and_bids_are_signed_alike_and_come_in_the_order_of_a_worker_s_own_calls() -> None:
    places = set()
    for seed in range(8):
        place = Marketplace(seed, decoy_chance_256=256, faults=PROMPT).run()
        for name in place.workers:
            brain = place.nodes[name].brain
            bids = brain.bids  # type: ignore[attr-defined]
            on_chain = [bid.commitment for bid in place.view.bids if bid.bidder == account_of(name)]
            assert on_chain == [bid.commitment for bid in bids]
            places.add(next(index for index, bid in enumerate(bids) if bid.opening.is_authentic))
    assert len(places) > 1, "the authentic bid's place must not tell which it is"


def test_a_validator_does_not_sign_what_it_could_not_measure() -> None:
    """Keys may yet be disclosed: an old signature would bring the old code back."""
    mute = {name: frozenset[type]({fx.FetchBundle}) for name in (f"validator {index}" for index in range(11))}
    place = Marketplace(1, faults=Faults(mute=mute)).run_to(State.VREVEAL)
    assert not [body for _, body, _ in place.verdicts if isinstance(body, ReportSigned)]
    assert len(calls_by(place, calls.CommitReport)) == 5


# --- what an end user pays for --------------------------------------------------------------------------------------


def collecting(free_wei: int, bids_each: tuple[int, ...]) -> tuple[UserBrain, list[Effect], Moment]:
    """An end user that heard signed bids, was told what their bidders have, and acted at half of the window."""
    place = Marketplace(1, costs=()).run_to(State.BIDDING)
    user = place.makers["user"]()
    assert isinstance(user, UserBrain)
    for at, event in place.history:
        user.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    start = place.view.deadline - SUBMISSION.bidding_s
    early = Moment(Timestamp(start + 1), place.block + 1)
    for number, count in enumerate(bids_each):
        bidder = account_of(f"bidder {number}")
        bids = tuple(SignedBid(bidder, keccak(bytes([number, index])), bytes(65)) for index in range(count))
        assert not [each for each in user.handle(ev.SignedBidsHeard(bids), early) if isinstance(each, fx.Appraise)]
    half = Moment(Timestamp(start + SUBMISSION.bidding_s // 2), place.block + 5)
    wanted = list(user.handle(ev.TimePassed(), half))
    questions = [effect for effect in wanted if isinstance(effect, fx.Appraise)]
    for question in questions:
        free = tuple(Wei(free_wei) for _ in question.accounts)
        wanted += user.handle(ev.Appraised(question.id, free), half)
    return user, wanted, half


def brought(wanted: list[Effect]) -> list[SignedBid]:
    sends = [effect.call for effect in wanted if isinstance(effect, fx.Send)]
    return [bid for call in sends if isinstance(call, calls.CommitBatch) for bid in call.bids]


def test_an_end_user_brings_what_its_bidders_can_cover() -> None:
    assert len(brought(collecting(1_000, (1, 1, 3))[1])) == 5
    assert Counter(bid.bidder for bid in brought(collecting(149, (1, 1, 3))[1]))[account_of("bidder 2")] == 2
    assert brought(collecting(49, (1, 1, 3))[1]) == []


def test_an_end_user_does_not_bring_a_lone_bid() -> None:
    """It costs as much as its bidder's own transaction would."""
    _, wanted, _ = collecting(1_000, (1,))
    assert not [effect for effect in wanted if isinstance(effect, fx.Appraise)]


def test_a_bidder_s_bids_are_bounded_and_its_first_word_counts() -> None:
    user, wanted, half = collecting(10**6, (2, BIDS_MOST + 3))
    assert Counter(bid.bidder for bid in brought(wanted))[account_of("bidder 1")] == BIDS_MOST
    more = tuple(SignedBid(account_of("bidder 0"), keccak(bytes([9, index])), bytes(65)) for index in range(4))
    assert user.handle(ev.SignedBidsHeard(more), half) == ()


def test_bids_of_several_bidders_in_one_message_are_passed_over() -> None:
    user, _, half = collecting(10**6, ())
    mixed = tuple(SignedBid(account_of(f"bidder {number}"), keccak(b"c"), bytes(65)) for number in range(2))
    user.handle(ev.SignedBidsHeard(mixed), half)
    later = Moment(Timestamp(half.timestamp + 1), half.block + 1)
    assert not [effect for effect in user.handle(ev.TimePassed(), later) if isinstance(effect, fx.Appraise)]


def test_what_an_end_user_keeps_of_strangers_is_bounded() -> None:
    user, _, half = collecting(0, ())
    collector = user._collector
    assert isinstance(collector, BidCollector)
    for number in range(BIDDERS_MOST + 9):
        bid = SignedBid(account_of(f"bidder {number}"), keccak(b"c"), bytes(65))
        user.handle(ev.SignedBidsHeard((bid,)), half)
    assert len(collector._heard) == BIDDERS_MOST


def test_after_two_thirds_an_end_user_leaves_bids_to_their_bidders() -> None:
    user, _, half = collecting(10**6, ())
    late = Moment(Timestamp(half.timestamp + SUBMISSION.bidding_s // 6 + 1), half.block + 9)
    for number in range(3):
        bid = SignedBid(account_of(f"bidder {number}"), keccak(b"c"), bytes(65))
        wanted = user.handle(ev.SignedBidsHeard((bid,)), late)
        assert not [effect for effect in wanted if isinstance(effect, fx.Appraise)]


# --- time -----------------------------------------------------------------------------------------------------------


def test_what_a_transaction_takes_is_kept_of_the_window() -> None:
    assert own_from(1_000, 60, 0) == 1_040
    assert own_from(1_000, 60, 12) == 1_028
    assert own_from(1_000, 30, 36) < 1_000, "in a window that is too short nobody waits for anybody"


def test_on_a_slow_chain_a_worker_commits_at_once() -> None:
    place = Marketplace(1).run_to(State.BIDDING)
    identity = place.identity("worker 0")
    slow = Relaying(lambda digest: sign_digest(private_key_of("worker 0"), digest), lag_s=SUBMISSION.bidding_s)
    make = place.makers["worker 0"]
    brain = make.func(_with(identity, slow), *make.args[1:])  # type: ignore[attr-defined]
    for at, event in place.history:
        brain.handle(event, Moment(Timestamp(at), 0), is_behind=True)
    wanted = brain.handle(ev.Started(Wei(1_000), is_busy=False), place.moment)
    assert [type(effect.call) for effect in wanted if isinstance(effect, fx.Send)] == [calls.Commit]


def _with(identity: Identity, relaying: Relaying) -> Identity:
    return dataclasses.replace(identity, relaying=relaying)
