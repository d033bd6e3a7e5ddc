"""Slither finds nothing in the contracts that is not accepted with a reason, and nothing is accepted for nothing."""

import re

import pytest

from morphware.contracts.checks import static_analysis
from morphware.contracts.checks.static_analysis import Acceptance, Finding, Verdict


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return static_analysis.run()


@pytest.mark.contracts
def test_slither_finds_no_fault(verdict: Verdict) -> None:
    assert verdict.detectors > 90
    assert [f"{each.check} at {each.where}: {each.text}" for each in verdict.faults] == []


@pytest.mark.contracts
def test_nothing_is_accepted_that_slither_does_not_say(verdict: Verdict) -> None:
    assert verdict.idle == ()


def test_every_acceptance_gives_a_reason() -> None:
    for each in static_analysis.load():
        assert len(each.reason.split()) > 5, each
        re.compile(each.where)


def test_an_acceptance_covers_its_check_and_place_only() -> None:
    acceptance = Acceptance("timestamp", "Trial\\.poke", "why not")
    assert acceptance.covers(Finding("timestamp", "Low", "Trial.poke", ""))
    assert not acceptance.covers(Finding("timestamp", "Low", "Trial.pokeAll", ""))
    assert not acceptance.covers(Finding("weak-prng", "High", "Trial.poke", ""))
