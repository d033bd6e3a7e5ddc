"""Halmos proves what is quick to prove; the campaign proves the rest (all orders of openings, all settlements)."""

import subprocess
from pathlib import Path

import pytest

from morphware.contracts.checks import proofs, toolbox

LIMIT_S = 1_200
THIRD = pow(3, -1, 2**256)
QUICK = (
    "check_three_bids_opened_at_once_in_order_012",
    "check_a_seat_gives_back",
    "check_award_without_a_winner",
    "check_award_with_unopened_bids",
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


@pytest.mark.contracts
def test_what_is_false_is_refuted() -> None:
    proofs.prepare()
    assert proofs.prove("false_award_without_a_winner_burns_whole_bonds", LIMIT_S).fate == "refuted"


@pytest.mark.contracts
@pytest.mark.parametrize(("times", "answer"), [(3, "unsat"), (5, "sat")])
def test_the_solver_sees_through_an_equation_that_was_divided(times: int, answer: str, tmp_path: Path) -> None:
    query = tmp_path / "query.smt2"
    query.write_text(
        f"""(declare-const x (_ BitVec 87))
        (define-fun product () (_ BitVec 96) (bvmul (_ bv{times} 96) ((_ zero_extend 9) x)))
        (assert (not (= ((_ zero_extend 169) x) (bvmul (_ bv{THIRD} 256) ((_ zero_extend 160) product)))))
        (check-sat)""",
        "utf-8",
    )
    python = toolbox.ensure("halmos") / "python"
    said = subprocess.run([python, "-P", proofs.SOLVER, query], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.split("\n")[0] == answer
    assert ("define-fun x" in said.stdout) == (answer == "sat")
