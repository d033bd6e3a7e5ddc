"""A scenario is as specified only if everything is: path, outcome, and every wei of everybody."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from morphware.node.testnet.comparison import Comparison, Played, compare, render, render_all
from morphware.node.testnet.rehearsal import Specified, rehearse
from morphware.node.testnet.scenarios import find
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Wei
from tests.node.testnet.test_rehearsal import INPUTS

SCENARIO = find("captured-committee")
SMALL = replace(INPUTS, reserve_wei=Wei(60))
"""A committee of three can vouch for no more."""
SPECIFIED: Specified = rehearse(SCENARIO, SMALL)
ROUNDS = (
    ("validator-5", "validator-3", "validator-9"),
    ("validator-1", "validator-2", "validator-4", "validator-6", "validator-7", "validator-8", "validator-10"),
)


def as_specified() -> Played:
    """A chain on which everything went as specified; worker-2, who is no party, was the first to poke."""
    gains = {f"validator-{number + 1}": 0 for number in range(10)} | dict(SPECIFIED.gains_wei) | {"stranger": 0}
    for names, each in zip(ROUNDS, SPECIFIED.seats_wei, strict=True):
        gains |= dict(zip(names, each, strict=True))
    rewards = tuple(("worker-2", amount) for amount in SPECIFIED.rewards_wei)
    gains["worker-2"] += sum(SPECIFIED.rewards_wei)
    return Played(
        outcome=SPECIFIED.outcome,
        states=SPECIFIED.states,
        winner=SPECIFIED.winner,
        price_wei=SPECIFIED.price_wei,
        gains_wei=gains,
        rounds=ROUNDS,
        rewards_wei=rewards,
        burned_wei=SPECIFIED.burned_wei,
        audits_wei=SPECIFIED.audits_wei,
    )


def compared(**changes: Any) -> Comparison:
    return compare(SCENARIO, SMALL, replace(as_specified(), **changes), SPECIFIED)


def test_what_went_as_specified_has_no_problems_whoever_poked() -> None:
    comparison = compared()
    assert comparison.is_as_specified, comparison.problems
    assert all(row.is_equal for row in comparison.rows)
    assert comparison.to_plain()["is_as_specified"] is True


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"outcome": Outcome.PAID}, "outcome"),
        ({"winner": "worker-2"}, "winner"),
        ({"price_wei": Wei(1)}, "price"),
        ({"states": (State.BIDDING, State.CLOSED)}, "way"),
        ({"rounds": ROUNDS[:1]}, "committees"),
        ({"burned_wei": 1}, "burned"),
        ({"rewards_wei": (("user-1", 5),)}, "rewards"),
        ({"gains_wei": {**as_specified().gains_wei, "validator-9": 3}}, "validator-9"),
        ({"gains_wei": {**as_specified().gains_wei, "user-1": 0}}, "user-1"),
        ({"gains_wei": {**as_specified().gains_wei, "stranger": 1}}, "stranger"),
    ],
)
def test_any_difference_is_named(changes: dict[str, Any], word: str) -> None:
    comparison = compared(**changes)
    assert not comparison.is_as_specified
    assert any(word in problem for problem in comparison.problems), comparison.problems


def test_liars_that_swap_their_losses_with_the_honest_are_found() -> None:
    gains = dict(as_specified().gains_wei)
    gains["validator-5"], gains["validator-9"] = gains["validator-9"], gains["validator-5"]
    assert not compared(gains_wei=gains).is_as_specified, "the sum is right, and the seats are not"


def test_people_read_who_lost_what_beside_what_is_specified() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(compared()))
    console.print(render_all([compared(), compared(outcome=Outcome.PAID)]))
    text = console.export_text()
    assert "As specified, to the wei." in text
    assert "validator, round 0, seat 1" in text
    assert "captured-committee" in text
