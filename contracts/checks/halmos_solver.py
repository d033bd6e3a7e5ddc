"""Decides a query of halmos, which runs it by the Python of its own environment: ``halmos_solver.py FILE.smt2``.

Our proofs are about sums of amounts that never come near 2**256.  Bit by bit a solver takes minutes for one of them, or
never ends; cvc5 reads the numbers as whole numbers with remainders (``solve-bv-as-int``, which is exact), and needs a
tenth of a second.  What it does not know in time yices decides bit by bit.

It needs small factors: z3 has made 3 x = y into x = c y before, c being a third modulo 2**256, which is huge.
Of all ways to write an equation the one with the smallest factors is taken.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cvc5  # type: ignore[import-not-found]
import z3  # type: ignore[import-not-found]

OPTIONS = {
    "solve-bv-as-int": "sum",
    "bv-print-consts-as-indexed-symbols": "true",  # as halmos reads them
    "produce-models": "true",
    "tlimit-per": "20000",  # milliseconds
}


def main(file: str) -> None:
    """Prints sat or unsat; if sat, a model."""
    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    for name, value in OPTIONS.items():
        solver.setOption(name, value)
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, small(file), file)
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        said = command.invoke(solver, symbols)
        if said.strip() == "unknown":
            yices = str(Path(sys.executable).with_name("yices-smt2"))
            os.execv(yices, [yices, "--smt2-model-format", "--bvconst-in-decimal", file])  # noqa: S606 - of this environment
        sys.stdout.write(said)
        if said.strip() == "unsat":
            return


def small(file: str) -> str:
    """The query, with the smallest factors in its equations."""
    solver = z3.Solver()
    solver.add(z3.parse_smt2_file(file))
    query = z3.Solver()
    for term in solver.assertions():
        query.add(z3.substitute(term, *((each, _smallest(each)) for each in _equations(term))))
    return f"(set-logic ALL)\n{query.to_smt2()}\n(get-model)\n"


def _equations(term: Any) -> list[Any]:
    found, seen, pending = [], set(), [term]
    while pending:
        each = pending.pop()
        if each.get_id() in seen:
            continue
        seen.add(each.get_id())
        pending.extend(each.children())
        if z3.is_eq(each) and z3.is_bv(each.arg(0)):
            found.append(each)
    return found


def _smallest(equation: Any) -> Any:
    left, right = equation.children()
    modulus = 1 << left.size()
    factors: Counter[Any] = Counter()
    _add(factors, left, 1)
    _add(factors, right, -1)

    def signed(number: int) -> int:
        number %= modulus
        return number - modulus if number > modulus // 2 else number

    ways = [1, *(pow(factor, -1, modulus) for factor in factors.values() if factor % 2)]
    best = min(ways, key=lambda way: sum(abs(signed(way * factor)) for factor in factors.values()))
    sides = {True: z3.BitVecVal(0, left.size()), False: z3.BitVecVal(0, left.size())}
    for part, factor in factors.items():
        number = signed(best * factor)
        sides[number > 0] = sides[number > 0] + part * abs(number)
    return sides[True] == sides[False]


def _add(factors: "Counter[Any]", term: Any, times: int) -> None:
    """Adds up how often each part occurs in a sum."""
    if z3.is_app_of(term, z3.Z3_OP_BADD):
        for each in term.children():
            _add(factors, each, times)
    elif z3.is_bv_value(term):
        factors[z3.BitVecVal(1, term.size())] += times * term.as_long()
    elif z3.is_app_of(term, z3.Z3_OP_BMUL) and term.num_args() == 2 and z3.is_bv_value(term.arg(0)):
        _add(factors, term.arg(1), times * term.arg(0).as_long())
    else:
        factors[term] += times


if __name__ == "__main__":
    main(sys.argv[1])
