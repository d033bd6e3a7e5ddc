"""Halmos proves what is quick to prove; the campaign proves the rest (all orders of openings, all settlements)."""

import pytest

from morphware.contracts.checks import proofs

LIMIT_S = 1_200
QUICK = (
    "check_three_bids_opened_at_once_in_order_012",
    "check_a_seat_gives_back",
    "check_poke_never_moves",
    "check_actions_of_the_auction",
    "check_actions_of_the_verdict",
)


@pytest.mark.contracts
@pytest.mark.parametrize("name", QUICK)
def test_a_proof_holds(name: str) -> None:
    found = proofs.run(name, LIMIT_S)
    assert [(proof.name, proof.fate) for proof in found if proof.fate != "proved"] == []
    assert found
