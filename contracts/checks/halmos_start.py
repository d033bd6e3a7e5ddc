"""Halmos 0.3.3, with some things mended: run by the Python of halmos' own environment, in the place of its program.

``blockhash``: halmos hands its own kind of number to the z3 function that stands for all block hashes, and z3 fails.

Division: halmos first tries with a function that is any function, and if that does not prove it, writes the division
out in bits, a hundred subtractions one after the other, which no solver gets through with our amounts.  For a divisor
that is a number, Euclid says the same of the quotient with one multiplication: q * c <= x, x - q * c < c, and q * c
does not overflow.  That is no more and no less than division.  It is tried, too, where the solver does not say in a few
seconds that the function of any kind is enough (``halmos_solver.py``).
"""

import sys
from pathlib import Path
from typing import Any

import z3  # type: ignore[import-not-found]
from halmos import __main__, sevm, solve  # type: ignore[import-not-found]

sys.path.append(str(Path(__file__).parent))
import halmos_solver  # type: ignore[import-not-found]

DIVISION = "f_evm_bvudiv_256"
MOST = 2**256 - 1
BRANCH_MILLISECONDS = 1_000
f_blockhash = sevm.f_blockhash
refine = solve.refine
solve_end_to_end = solve.solve_end_to_end
check = sevm.Path.check


def blockhash(number: Any) -> Any:
    """The hash of a block, any at all."""
    return f_blockhash(number.as_z3())


def may_go_on(path: Any, condition: Any) -> Any:
    """Whether a branch can be taken, which z3 often cannot say of sums."""
    answer = check(path, condition)
    if answer != z3.unknown:
        return answer
    terms = [*filter(halmos_solver.is_plain, path.solver.assertions()), condition]
    facts = [fact for each in _divisions(terms) for fact in _facts(each, *each.children())]
    said = halmos_solver.decide([*terms, *facts], BRANCH_MILLISECONDS)
    return z3.unsat if said == "unsat" else z3.unknown


def divide(query: Any) -> Any:
    """The query, with what division is."""
    context = z3.Context()  # halmos asks from several threads, and goes on in its own meanwhile
    solver = z3.Solver(ctx=context)
    solver.add(z3.parse_smt2_string(query.smtlib, ctx=context))
    for quotient in _divisions(solver.assertions()):
        solver.add(*_facts(quotient, *quotient.children()))
    # By another name, as halmos takes its own for a function that is any function.
    text = solver.to_smt2().replace("(check-sat)", "").replace(DIVISION, "quotient_256")
    return refine(solve.SMTQuery(text, query.assertions))


def decide(context: Any) -> Any:
    """A query, with what division is unless it needs none."""
    output = solve_end_to_end(context)
    is_refinable = output.result == z3.unknown and not context.is_refined
    return solve_end_to_end(context.refine()) if is_refinable else output


def _facts(quotient: Any, dividend: Any, divisor: Any) -> list[Any]:
    """What is true of a quotient, and enough to know it: of a product by a part of it, as Solidity looks for an
    overflow; else by a number; by anything else, in bits."""
    if (known := _multiple(dividend, divisor)) is not None:
        number, factor, answer = known
        is_small = z3.ULE(factor, MOST // number)
        return [
            z3.Implies(z3.And(is_small, divisor != 0), quotient == answer),
            z3.Implies(z3.And(z3.Not(is_small), divisor != 0), z3.ULT(quotient, answer)),
        ]
    if z3.is_bv_value(divisor) and (number := divisor.as_long()):
        return [
            z3.ULE(quotient, MOST // number),
            z3.ULE(divisor * quotient, dividend),
            z3.ULT(dividend - divisor * quotient, divisor),
        ]
    return [quotient == z3.If(divisor == 0, divisor, z3.UDiv(dividend, divisor))]


def _multiple(dividend: Any, divisor: Any) -> tuple[int, Any, Any] | None:
    """The number and the factor whose product, modulo 2**256, the dividend is, and the one that the divisor is not."""
    sums = halmos_solver.parts((dividend, 1))
    if z3.is_bv_value(divisor):
        number = divisor.as_long()
        if number == 0 or any(each % number for each in sums.values()):
            return None
        factor = halmos_solver.total({part: each // number for part, each in sums.items()})
        return number, factor, factor
    of = halmos_solver.parts((divisor, 1))
    part, once = next(iter(of.items()))
    number = sums.get(part, 0) // once if once else 0
    is_multiple = number > 0 and sums == {each: number * times for each, times in of.items()}
    return (number, divisor, z3.BitVecVal(number, divisor.size(), divisor.ctx)) if is_multiple else None


def _divisions(terms: Any) -> list[Any]:
    found, seen, pending = [], set(), list(terms)
    while pending:
        term = pending.pop()
        if term.get_id() in seen:
            continue
        seen.add(term.get_id())
        pending.extend(term.children())
        if z3.is_app(term) and term.decl().name() == DIVISION:
            found.append(term)
    return found


if __name__ == "__main__":
    sevm.f_blockhash = blockhash
    sevm.Path.check = may_go_on
    solve.refine = divide
    __main__.solve_end_to_end = decide
    sys.exit(__main__.main())
