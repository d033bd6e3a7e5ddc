"""The three brains play whole jobs in virtual time, and every account ends as the table of PROTOCOL.md 5.3 says."""

import dataclasses

import pytest

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.messages import BidKey, BidSealed
from morphware.protocol.metrics import KNOWN_METRICS, Direction, metric_to_e6
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Timestamp, Wei
from morphware.protocol.verdicts import Accept, Reject
from morphware.protocol.worker import WorkerBrain, hand_in_s
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, SUBMISSION, Faults, account_of

SEEDS = range(6)
FEES = [2, 2, 2, 2, 2]
LIFE = (
    State.BIDDING,
    State.REVEALING,
    State.AWARDED,
    State.KEYED,
    State.TRAINING,
    State.SEED,
    State.KEYING,
    State.VCOMMIT,
    State.VREVEAL,
    State.TALLIED,
    State.CLAIMABLE,
)


def validator_gains(place: Marketplace) -> list[int]:
    return sorted(gain for name, gain in place.gains().items() if name in place.validators)


def party_gains(place: Marketplace) -> dict[str, int]:
    return {name: gain for name, gain in place.gains().items() if name not in place.validators}


def settled(place: Marketplace) -> tuple[Outcome, dict[str, int], list[int], int]:
    """How a job ended for everybody; nobody alive is left waiting, and the job holds nothing."""
    assert place.is_over, {node.name: node.brain.deadline for node in place.nodes.values() if not node.is_finished}
    assert place.market.ledger.held(place.job_id) == 0
    return place.outcome, party_gains(place), validator_gains(place), place.burned


# --- everybody honest -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_job_is_paid_at_the_second_lowest_price(seed: int) -> None:
    place = Marketplace(seed, decoy_chance_256=128).run()
    assert settled(place) == (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
    assert place.view.award is not None
    assert (place.view.award.bid_wei, place.view.award.price_wei, place.view.award.unopened) == (30, 40, 0)
    assert place.nodes["user"].brain.problem == ""
    assert all(isinstance(result, list) for _, _, result in place.sent), "nobody honest is refused anything"
    assert not [verdict for _, _, verdict in place.verdicts if isinstance(verdict, Reject)]


def test_the_end_user_takes_the_model_home_once_it_is_paid_for() -> None:
    place = Marketplace().run()
    user = place.nodes["user"]
    model = user.effects["model"]
    assert isinstance(model, fx.FetchBundle)
    assert place.sealed_with[model.file.sha256] == ("model", model.key, model.archive_sha256)
    assert "model" in user.done
    assert ev.BundleFetched("model") in [line.event for line in user.journal]


def test_a_lone_bidder_is_paid_the_reserve() -> None:
    place = Marketplace(costs=(20,)).run()
    assert settled(place) == (Outcome.PAID, {"user": -111, "worker 0": 100}, FEES, 0), "a hundredth is for audits"


def test_a_model_below_the_threshold_is_rejected() -> None:
    place = Marketplace(metric_e6=SUBMISSION.threshold_e6 - 1).run()
    assert settled(place) == (Outcome.REJECTED, {"user": -10, "worker 0": -15}, FEES, 15)


def test_a_model_at_the_threshold_is_paid() -> None:
    assert Marketplace(metric_e6=SUBMISSION.threshold_e6).run().outcome is Outcome.PAID


def test_a_job_without_workers_is_refunded() -> None:
    assert settled(Marketplace(costs=()).run()) == (Outcome.NO_BIDS, {}, [], 0)


def test_a_worker_whose_cost_is_above_the_reserve_stays_out() -> None:
    place = Marketplace(costs=(101, 102)).run()
    assert settled(place) == (Outcome.NO_BIDS, {}, [], 0)
    assert place.calls_of("worker 0") == []


def test_a_worker_whose_cost_is_the_reserve_bids() -> None:
    place = Marketplace(costs=(100,)).run()
    assert settled(place)[:2] == (Outcome.PAID, {"user": -111, "worker 0": 100})


def test_a_worker_that_cannot_cover_the_bond_stays_out() -> None:
    assert Marketplace(free_wei=49).run().outcome is Outcome.NO_BIDS
    assert Marketplace(free_wei=50, decoy_chance_256=256).run().outcome is Outcome.PAID


@pytest.mark.parametrize(("change", "reason"), [({"metric": "vibes"}, "metric"), ({"memory_bytes": 9 << 30}, "memory")])
def test_a_job_that_does_not_suit_a_worker_is_left_alone(change: dict[str, object], reason: str) -> None:
    place = Marketplace(submission=dataclasses.replace(SUBMISSION, **change)).run()  # type: ignore[arg-type]
    assert place.outcome is Outcome.NO_BIDS
    assert reason in place.nodes["worker 0"].brain.stays_out_because  # type: ignore[attr-defined]


def why_no_bids(**change: object) -> str:
    """The reason of a worker that stays out of a job with these terms; empty if it bids."""
    place = Marketplace(submission=dataclasses.replace(SUBMISSION, **change)).run_to(State.BIDDING)  # type: ignore[arg-type]
    place.step()
    brain = place.nodes["worker 0"].brain
    assert isinstance(brain, WorkerBrain)
    assert bool(brain.bids) is not bool(brain.stays_out_because)
    return brain.stays_out_because


@pytest.mark.parametrize(("estimated_s", "least_s"), [(0, 10), (1, 10), (10, 10), (20, 20), (3600, 3600)])
def test_a_worker_does_not_stake_its_bond_on_a_window_that_is_too_short(estimated_s: int, least_s: int) -> None:
    assert "too short" in why_no_bids(estimated_s=estimated_s, training_s=least_s - 1)
    assert why_no_bids(estimated_s=estimated_s, training_s=least_s) == ""


@pytest.mark.parametrize(("estimated_s", "most_s"), [(0, 3000), (60, 3000), (61, 3050), (3600, 180_000)])
def test_a_worker_does_not_work_for_days_at_the_price_of_an_estimate(estimated_s: int, most_s: int) -> None:
    assert "far longer" in why_no_bids(estimated_s=estimated_s, training_s=most_s + 1)
    assert why_no_bids(estimated_s=estimated_s, training_s=most_s) == ""


@pytest.mark.parametrize("window", ["bidding_s", "training_s", "testing_s"])
def test_a_worker_does_not_lock_its_bond_for_more_than_thirty_days(window: str) -> None:
    """A market that has no such rule of its own may still be out there."""
    days = 30 * 24 * 3600
    place = Marketplace(submission=dataclasses.replace(SUBMISSION, estimated_s=days // 10)).run_to(State.BIDDING)
    [posted] = [event for _, event in place.history if isinstance(event, ce.JobPosted)]
    for length_s, reason in ((days, ""), (days + 1, "a window is longer than 30 days")):
        brain = place.makers["worker 0"]()
        assert isinstance(brain, WorkerBrain)
        windows: dict[str, object] = {"training_s": days, window: length_s}
        terms = dataclasses.replace(posted.terms, **windows)  # type: ignore[arg-type]
        brain.handle(dataclasses.replace(posted, terms=terms), place.moment)
        brain.handle(ce.StateChanged(place.job_id, State.BIDDING, Timestamp(place.now + 9)), place.moment)
        brain.handle(ev.Started(Wei(1000), is_busy=False), place.moment)
        assert brain.stays_out_because == reason


@pytest.mark.parametrize("metric", KNOWN_METRICS)
def test_a_worker_does_not_bid_on_a_threshold_that_no_model_reaches(metric: str) -> None:
    best_e6 = metric_to_e6(metric, 1.0 if KNOWN_METRICS[metric].direction is Direction.HIGHER_IS_BETTER else 0.0)
    assert why_no_bids(metric=metric, threshold_e6=best_e6 + 1) == "no model can reach the threshold"
    assert why_no_bids(metric=metric, threshold_e6=best_e6) == ""


@pytest.mark.parametrize(
    ("training_s", "kept_s"), [(10, 3), (15, 5), (30, 10), (60, 12), (120, 12), (600, 60), (2_592_000, 259_200)]
)
def test_training_does_not_take_the_time_that_handing_in_needs(training_s: int, kept_s: int) -> None:
    assert hand_in_s(training_s) == kept_s


# --- decoys ---------------------------------------------------------------------------------------------------------


def test_decoys_are_opened_refunded_and_never_win() -> None:
    places = set()
    for seed in range(8):
        place = Marketplace(seed, decoy_chance_256=256).run()
        assert settled(place) == (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
        assert place.winner == "worker 0"
        opened = [place.view.opened[bid.bidder, bid.commitment] for bid in place.view.bids]
        assert sum(not bid.is_authentic for bid in opened) >= 3
        assert min(bid.price_wei for bid in opened if bid.is_authentic) == 30
        for name in place.workers:
            mine = [bid.opening.is_authentic for bid in place.nodes[name].brain.bids]  # type: ignore[attr-defined]
            assert sum(mine) == 1
            places.add(mine.index(True))
    assert len(places) > 1, "the authentic bid's place must not tell which it is"


def test_bids_are_alike_until_they_are_opened() -> None:
    place = Marketplace(2, costs=(1, 99), decoy_chance_256=256).run()
    sealed = {body.commitment: body for _, body, _ in place.verdicts if isinstance(body, BidSealed)}
    assert len(sealed) == len(place.view.bids) > 3
    assert {(len(body.nonce), len(body.sealed)) for body in sealed.values()} == {(24, 144)}
    assert len({body.nonce for body in sealed.values()}) == len(sealed)
    keys = {body.key for _, body, _ in place.verdicts if isinstance(body, BidKey)}
    assert len(keys) == len(sealed)


def test_no_key_of_a_bid_is_shown_before_the_auction_opens() -> None:
    place = Marketplace(4, decoy_chance_256=256)
    for _ in range(100):
        is_open = place.state is not State.NONE and (place.state > State.BIDDING or place.now >= place.view.deadline)
        shown = [body for _, body, _ in place.verdicts if isinstance(body, BidKey)]
        openings = [send for _, send, _ in place.sent if isinstance(send.call, calls.RevealBids)]
        assert is_open or not (shown or openings)
        place.step()
    assert place.outcome is Outcome.PAID


# --- somebody vanishes ----------------------------------------------------------------------------------------------

USER_GONE = {
    State.BIDDING: (Outcome.USER_FAULT, -50, 25, [], 25),
    State.REVEALING: (Outcome.USER_FAULT, -50, 25, [], 25),
    State.AWARDED: (Outcome.USER_FAULT, -50, 25, [], 25),
    State.KEYED: (Outcome.PAID, -90, 40, [], 50),
    State.TRAINING: (Outcome.PAID, -90, 40, [], 50),
    State.SEED: (Outcome.PAID, -90, 40, [], 50),
    State.KEYING: (Outcome.PAID, -90, 40, [], 50),
    State.VCOMMIT: (Outcome.PAID, -50, 40, FEES, 0),
    State.VREVEAL: (Outcome.PAID, -50, 40, FEES, 0),
    State.TALLIED: (Outcome.PAID, -50, 40, FEES, 0),
    State.CLAIMABLE: (Outcome.PAID, -50, 40, FEES, 0),
}
WINNER_GONE = {
    State.AWARDED: (Outcome.MUTUAL_ABORT, -12, -12, [], 24),
    State.KEYED: (Outcome.MUTUAL_ABORT, -12, -12, [], 24),
    State.TRAINING: (Outcome.WORKER_FAULT, 25, -50, [], 25),
    State.SEED: (Outcome.WORKER_FAULT, 25, -50, [], 25),
    State.KEYING: (Outcome.WORKER_FAULT, 25, -50, [], 25),
    State.VCOMMIT: (Outcome.WORKER_FAULT, 15, -50, FEES, 25),
    State.VREVEAL: (Outcome.WORKER_FAULT, 15, -50, FEES, 25),
    State.TALLIED: (Outcome.WORKER_FAULT, 15, -50, FEES, 25),
    State.CLAIMABLE: (Outcome.WORKER_FAULT, 15, -50, FEES, 25),
}


@pytest.mark.parametrize("state", LIFE, ids=lambda state: state.name)
def test_a_job_ends_when_its_end_user_vanishes(state: State) -> None:
    place = Marketplace(state, faults=Faults(vanish={"user": state})).run()
    outcome, user, winner, validators, burned = USER_GONE[state]
    assert settled(place) == (outcome, {"user": user, "worker 0": winner}, validators, burned)


@pytest.mark.parametrize("state", LIFE[2:], ids=lambda state: state.name)
def test_a_job_ends_when_its_winner_vanishes(state: State) -> None:
    place = Marketplace(state, faults=Faults(vanish={"worker 0": state}), relaying=ALONE).run()
    outcome, user, winner, validators, burned = WINNER_GONE[state]
    assert settled(place) == (outcome, {"user": user, "worker 0": winner}, validators, burned)


def test_a_worker_that_vanishes_before_it_bid_is_not_missed() -> None:
    place = Marketplace(faults=Faults(vanish={"worker 0": State.BIDDING})).run()
    assert settled(place) == (Outcome.PAID, {"user": -65, "worker 1": 55}, FEES, 0)


def test_a_worker_that_never_opens_its_bid_loses_its_bond_and_the_next_wins() -> None:
    place = Marketplace(faults=Faults(vanish={"worker 0": State.REVEALING}), relaying=ALONE).run()
    assert settled(place) == (Outcome.PAID, {"user": -65, "worker 0": -50, "worker 1": 55}, FEES, 50)


def test_bidders_that_all_vanish_burn_their_bonds_and_nobody_else_loses() -> None:
    gone = {f"worker {index}": State.REVEALING for index in range(3)}
    place = Marketplace(faults=Faults(vanish=gone), relaying=ALONE).run()
    lost = {"worker 0": -50, "worker 1": -50, "worker 2": -50}
    assert settled(place) == (Outcome.NO_BIDS, lost, [], 150)


@pytest.mark.parametrize("seat", range(5))
def test_one_silent_validator_is_slashed_and_the_job_still_paid(seat: int) -> None:
    committee = Marketplace(7).run().committee
    place = Marketplace(7, faults=Faults(vanish={committee[seat]: State.VCOMMIT})).run()
    outcome, parties, _, burned = settled(place)
    assert (outcome, parties["worker 0"]) == (Outcome.PAID, 40)
    if committee[seat] in place.committee:  # the draw depends on the blocks of this run
        assert (place.gains()[committee[seat]], parties["user"], burned) == (-14, -48, 12)
        assert place.market.ledger.audit_pool() == 2, "a fifth of what the silence cost"


def test_a_committee_that_vanishes_leaves_the_job_inconclusive() -> None:
    """A second one is drawn, and vanishes as well; the winner is compensated from what their silence costs them."""
    gone = {f"validator {index}": State.VCOMMIT for index in range(11)}
    place = Marketplace(faults=Faults(vanish=gone)).run()
    assert settled(place) == (Outcome.INCONCLUSIVE, {"worker 0": 40}, [-14] * 10, 100 - 28)
    assert place.market.ledger.audit_pool() == 10 * 14 // 5


def test_validators_end_a_job_that_both_parties_left() -> None:
    gone = {"user": State.KEYING, "worker 0": State.KEYING}
    place = Marketplace(faults=Faults(vanish=gone)).run()
    assert settled(place) == (Outcome.MUTUAL_ABORT, {"user": -12, "worker 0": -12}, [], 24)
    pokers = {name for name, send, _ in place.sent if isinstance(send.call, calls.Poke)}
    assert pokers & set(place.committee)


def test_a_loser_has_nothing_at_stake_and_does_not_poke() -> None:
    place = Marketplace(faults=Faults(vanish={"user": State.KEYED, "worker 0": State.KEYED})).run()
    assert place.state is State.KEYED, "nobody has an interest in moving it"
    assert "Poke" not in place.calls_of("worker 1") + place.calls_of("worker 2")
    assert not place.nodes["worker 1"].brain.is_concerned


# --- gossip is a convenience ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_without_gossip_bidders_open_their_own_bids(seed: int) -> None:
    place = Marketplace(seed, decoy_chance_256=128, faults=Faults(lose=1.0)).run()
    assert settled(place) == (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
    assert "RevealBids" in place.calls_of("worker 0")
    assert "RevealBids" not in place.calls_of("user")


@pytest.mark.parametrize("seed", SEEDS)
def test_gossip_may_be_late_doubled_reordered_and_lost(seed: int) -> None:
    faults = Faults(lose=0.3, duplicate=0.5, message_delay_s=8)
    place = Marketplace(seed, decoy_chance_256=128, faults=faults).run()
    assert settled(place) == (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
    assert not [verdict for _, _, verdict in place.verdicts if isinstance(verdict, Reject)]


def test_with_gossip_one_call_opens_every_bid() -> None:
    place = Marketplace(1, faults=Faults(delay_s=0), relaying=ALONE).run()
    openings = [(name, len(send.call.openings)) for name, send, _ in place.sent
                if isinstance(send.call, calls.RevealBids)]  # fmt: skip
    assert openings == [("user", 3)]
    assert all(isinstance(verdict, Accept) for _, _, verdict in place.verdicts)


def test_a_bid_heard_from_somebody_else_does_not_displace_its_bidder_s() -> None:
    """A copier may gossip a bid's commitment first, with a ciphertext that opens to nothing."""
    place = Marketplace(3, relaying=ALONE).run_to(State.BIDDING)
    place.step()
    user = place.nodes["user"]
    commitments = [
        effect.call.commitment
        for name in place.workers
        for effect in place.nodes[name].effects.values()
        if isinstance(effect, fx.Send) and isinstance(effect.call, calls.Commit)
    ]
    for commitment in commitments:
        place._handle(user, ev.BidHeard(account_of("copier"), commitment, bytes(24), bytes(144)))
    place.run()
    assert settled(place) == (Outcome.PAID, {"user": -50, "worker 0": 40}, FEES, 0)
    reveal = user.effects["reveal|all"]
    assert isinstance(reveal, fx.Send)
    assert isinstance(reveal.call, calls.RevealBids)
    assert len(commitments) == len(reveal.call.openings) == 3


def test_money_of_any_size_is_conserved() -> None:
    submission = dataclasses.replace(SUBMISSION, reserve_wei=Wei(101), fee_wei=Wei(3))
    place = Marketplace(costs=(33, 77), submission=submission).run()
    assert place.outcome is Outcome.PAID
    assert sum(place.gains().values()) + place.burned + place.market.ledger.audit_pool() == 0
