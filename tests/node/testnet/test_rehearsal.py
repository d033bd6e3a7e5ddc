"""The specification of every scenario, from the pure market: it ends, it conserves, and it is PROTOCOL.md 5.3."""

from collections import Counter
from dataclasses import replace

import pytest

from morphware.node.errors import BadInput
from morphware.node.testnet.rehearsal import Inputs, Specified, rehearse
from morphware.node.testnet.scenarios import Box, Party, Scenario, Vanishing, all_names, find
from morphware.protocol.parameters import Timing
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Wei

TIMING = Timing(24, 24, 36, 30, 30, 36, 30, 24, 30, 48, 3, 3600, 1, audit_one_in=1)
INPUTS = Inputs(
    reserve_wei=Wei(100),
    fee_wei=Wei(2),
    seat_stake_wei=Wei(70),
    prices_wei={"worker-1": Wei(30), "worker-2": Wei(40)},
    timing=TIMING,
    testing_s=84,
)
"""The amounts of PROTOCOL.md 5.3."""
SMALL = replace(INPUTS, reserve_wei=Wei(35), fee_wei=Wei(1), prices_wei={"worker-1": Wei(15), "worker-2": Wei(20)})
"""A reserve that a committee of one can vouch for."""


def gains(specified: Specified) -> tuple[Outcome, int, int, Counter[int], int]:
    """Outcome, end user's and winner's gains, how many validators gained how much, and the burned amount."""
    seats = Counter(gain for each in specified.seats_wei for gain in each)
    users = specified.gains_wei["user-1"]
    winners = specified.gains_wei[specified.winner] if specified.winner else 0
    return specified.outcome, users, winners, seats, specified.burned_wei


@pytest.mark.parametrize("name", list(all_names()))
def test_every_scenario_ends_and_what_is_lost_is_burned(name: str) -> None:
    scenario = find(name)
    specified = rehearse(scenario, SMALL)
    seats = sum(sum(each) for each in specified.seats_wei)
    assert specified.outcome is not Outcome.NONE
    gained = sum(specified.gains_wei.values()) + seats + sum(specified.rewards_wei)
    assert gained + specified.audits_wei == -specified.burned_wei
    assert specified.states[-1] is State.CLOSED
    if scenario.vanishing is not None:
        assert scenario.vanishing.state in specified.states, "the scenario goes through the state that it names"


def five(name: str) -> Scenario:
    """The scenario with the committee of five that the table is about."""
    scenario = find(name)
    return Scenario(
        name,
        scenario.sentence,
        seats=5,
        validators=16,
        is_model_good=scenario.is_model_good,
        garbage=scenario.garbage,
        liars=5 if 0 < scenario.liars == scenario.seats else 3 if scenario.liars else 0,
        is_user_mistaken=scenario.is_user_mistaken,
        is_audited=scenario.is_audited,
        vanishing=scenario.vanishing,
    )


TABLE = {
    "vanish:AWARDED:user": (Outcome.USER_FAULT, -50, 25, {}, 25),
    "vanish:KEY_DISPUTE:user": (Outcome.USER_FAULT, -50, 25, {}, 25),
    "vanish:KEYED:winner": (Outcome.MUTUAL_ABORT, -12, -12, {}, 24),
    "vanish:TRAINING:winner": (Outcome.WORKER_FAULT, 25, -50, {}, 25),
    "vanish:SEED:user": (Outcome.PAID, -90, 40, {}, 50),
    "vanish:KEYING:user": (Outcome.PAID, -90, 40, {0: 5}, 50),
    "vanish:DISCLOSE:user": (Outcome.PAID, -90, 40, {0: 5}, 50),
    "vanish:KEYING:winner": (Outcome.WORKER_FAULT, 25, -50, {0: 5}, 25),
    "vanish:X_DISPUTE:winner": (Outcome.WORKER_FAULT, 25, -50, {0: 5}, 25),
    "vanish:DISCLOSE:winner": (Outcome.WORKER_FAULT, 25, -50, {0: 5}, 25),
    "vanish:KEYING:both": (Outcome.MUTUAL_ABORT, -12, -12, {0: 5}, 24),
    "vanish:VCOMMIT:validator": (Outcome.PAID, -48, 40, {-14: 1, 2: 4}, 14 - 2),
    "vanish:VCOMMIT:validators": (Outcome.INCONCLUSIVE, 0, 40, {-14: 10}, 100 - 28),
    "vanish:CLAIMABLE:winner": (Outcome.WORKER_FAULT, 15, -50, {2: 5}, 25),
    "bad-keys": (Outcome.PAID, -50, 40, {2: 5}, 0),
    "captured-committee": (Outcome.REJECTED, -10, -15, {-35: 3, 2: 13}, 104 - 21),
    "appeal": (Outcome.REJECTED, -10, -15, {-35: 5, 2: 11}, 178 - 35),
    "appeal:mistaken": (Outcome.PAID, -72, 40, {2: 16}, 0),
    "audit": (Outcome.PAID, -50, 40, {2: 8}, 0),
    "lazy-committee": (Outcome.REJECTED, -6, -15, {-35: 5, 2: 3}, 15 + 175 - 35),
}
"""Outcome, end user, winner, validators, burned: rows of PROTOCOL.md 5.3, a silent validator and the audits apart.

A fifth of all slashes is for audits, and does not burn; a hundredth of these small prices is nothing."""


@pytest.mark.parametrize("name", TABLE)
def test_the_rehearsal_is_the_table_of_who_loses_what(name: str) -> None:
    outcome, user, winner, seats, burned = TABLE[name]
    assert gains(rehearse(five(name), INPUTS)) == (outcome, user, winner, Counter(seats), burned)


def test_an_audit_costs_the_pool_three_fees_unless_it_finds_the_committee_wrong() -> None:
    assert rehearse(five("audit"), INPUTS).audits_wei == -6
    assert rehearse(five("lazy-committee"), INPUTS).audits_wei == 175 // 5
    for name in ("audit", "lazy-committee"):
        assert State.DRAWING in rehearse(find(name), SMALL).states


def test_only_a_scenario_about_audits_has_one() -> None:
    for name in all_names():
        states = rehearse(find(name), SMALL).states
        has_larger_rounds = any(word in name for word in ("appeal", "captured", "DRAWING", "validator"))
        assert has_larger_rounds or find(name).is_audited or State.DRAWING not in states


def test_a_vanished_winner_leaves_the_price_to_those_who_stay() -> None:
    specified = rehearse(find("vanish:REVEALING:winner"), SMALL)
    assert specified.winner == "worker-2"
    assert specified.price_wei == SMALL.reserve_wei, "nobody else is there to set it"
    assert specified.gains_wei["worker-1"] == -17, "an unopened bond burns"


def test_a_party_that_vanishes_after_its_part_is_done_loses_nothing_by_it() -> None:
    honest = rehearse(find("bad-keys:test"), SMALL)
    for state in ("VREVEAL", "TALLIED", "CLAIMABLE", "INSPECT"):
        assert rehearse(find(f"vanish:{state}:user"), SMALL).gains_wei == honest.gains_wei


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("vanish", "vanish:STATE:PARTY"),
        ("vanish:NONE:user", "BIDDING"),
        ("vanish:CLOSED:user", "BIDDING"),
        ("vanish:AWARDED:nobody", "winner"),
        ("vanish:AWARDED:validator", "KEYING"),
        ("bad-keys:all", "bad-keys"),
        ("captured-committee:none", "captured-committee"),
        ("", "appeal"),
    ],
)
def test_an_unknown_scenario_is_answered_with_those_that_there_are(name: str, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        find(name)


def test_a_dispute_is_entered_by_the_garbage_of_its_own_side() -> None:
    assert find("vanish:DISCLOSE:user").garbage == {Box.TEST}
    assert find("vanish:DISCLOSE:winner").garbage == {Box.MODEL}
    assert find("vanish:KEY_DISPUTE:winner").garbage == {Box.DATA}
    assert find("vanish:x_dispute:user").vanishing == Vanishing(State.X_DISPUTE, Party.USER)
