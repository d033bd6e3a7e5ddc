"""Decides a query of halmos, which runs it by the Python of its own environment: ``halmos_solver.py FILE.smt2``.

Our proofs are about sums of amounts that never come near 2**256.  Bit by bit a solver takes minutes for one of them, or
never ends; cvc5 reads the numbers as whole numbers with remainders (``solve-bv-as-int``, which is exact), and needs a
tenth of a second.  What it does not know in time yices decides bit by bit.

It needs small factors: z3 has made 3 x = y into x = c y before, c being a third modulo 2**256, and of x - y a sum with
2**256 - 1 times y.  So sums are written as what is added less what is subtracted, and of all ways to write an equation
the one with the smallest factors is taken.

While division is any function at all (halmos' first attempt), there is little time: what it is decides most queries.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cvc5  # type: ignore[import-not-found]
import z3  # type: ignore[import-not-found]

OPTIONS = {
    "solve-bv-as-int": "sum",
    "bv-print-consts-as-indexed-symbols": "true",  # as halmos reads them
    "produce-models": "true",
}
FIRST_MILLISECONDS, REFINED_MILLISECONDS = 3_000, 30_000


def main(file: str) -> None:
    """Prints sat, unsat or unknown; if sat, a model."""
    query = z3.Solver()
    query.add(z3.parse_smt2_file(file))
    is_first = "(declare-fun f_evm_" in Path(file).read_text("utf-8")
    milliseconds = FIRST_MILLISECONDS if is_first else REFINED_MILLISECONDS
    said = decide(filter(is_plain, query.assertions()), milliseconds)
    if said != "unsat":
        said = decide(query.assertions(), milliseconds)
    if said == "unknown" and not is_first:
        yices = str(Path(sys.executable).with_name("yices-smt2"))
        os.execv(yices, (yices, "--smt2-model-format", "--bvconst-in-decimal", file))  # noqa: S606 - our own
    print(said)


def decide(terms: Iterable[Any], milliseconds: int) -> str:
    """What cvc5 says of these together: "unsat", "unknown", or "sat" and a model."""
    query = z3.Solver()
    known: dict[int, tuple[Any, Any]] = {}
    query.add([_smaller(term, known) for term in terms])
    solver = cvc5.Solver(cvc5.TermManager())
    for name, value in OPTIONS.items():
        solver.setOption(name, value)
    solver.setOption("tlimit-per", str(milliseconds))
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, f"(set-logic ALL)\n{query.to_smt2()}\n(get-model)\n", "query")
    symbols = parser.getSymbolManager()
    answer = ""
    while not (command := parser.nextCommand()).isNull():
        answer += str(command.invoke(solver, symbols))
        if answer.startswith(("unsat", "unknown")):
            return answer.split()[0]
    return answer


def is_plain(term: Any) -> bool:
    """Whether it is about numbers only, and neither of hashes nor of storage."""
    seen, pending = set(), [term]
    while pending:
        each = pending.pop()
        if each.get_id() in seen:
            continue
        seen.add(each.get_id())
        if z3.is_array(each) or (each.num_args() and each.decl().name().startswith(("f_sha3", "f_inv_sha3"))):
            return False
        pending.extend(each.children())
    return True


def _smaller(term: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    if (found := known.get(term.get_id())) is not None:
        return found[1]

    def mend(sums: dict[Any, int]) -> dict[Any, int]:
        mended: Counter[Any] = Counter()
        for part, times in sums.items():
            mended[_smaller(part, known)] += times
        return mended

    if z3.is_app_of(term, z3.Z3_OP_BADD) or _is_multiple(term):
        mended = total(mend(parts((term, 1))))
    elif z3.is_eq(term) and z3.is_bv(term.arg(0)):
        sums = mend(parts((term.arg(0), 1), (term.arg(1), -1)))
        mended = _side(sums, 1) == _side(sums, -1)
    else:
        mended = term.decl()(*(_smaller(each, known) for each in term.children())) if term.num_args() else term
    known[term.get_id()] = term, mended  # both are kept: a number is given to another term when its own is gone
    return mended


def _is_multiple(term: Any) -> bool:
    return bool(z3.is_app_of(term, z3.Z3_OP_BMUL) and term.num_args() == 2 and z3.is_bv_value(term.arg(0)))


def parts(*sums: tuple[Any, int]) -> dict[Any, int]:
    """What is added up modulo 2**n, with how often: of an equation (two sums) in the way that has the least of it."""
    factors: Counter[Any] = Counter()
    pending = list(sums)
    while pending:
        term, times = pending.pop()
        if z3.is_app_of(term, z3.Z3_OP_BADD):
            pending += [(each, times) for each in term.children()]
        elif _is_multiple(term):
            pending.append((term.arg(1), times * term.arg(0).as_long()))
        elif z3.is_bv_value(term):
            factors[z3.BitVecVal(1, term.size(), term.ctx)] += times * term.as_long()
        else:
            factors[term] += times
    modulus = 1 << sums[0][0].size()
    ways = [1, *(pow(factor, -1, modulus) for factor in factors.values() if factor % 2)] if len(sums) > 1 else [1]

    def written(way: int) -> dict[Any, int]:
        numbers = {part: factor * way % modulus for part, factor in factors.items()}
        return {part: number - modulus if 2 * number > modulus else number for part, number in numbers.items()}

    return min(map(written, ways), key=lambda sums: sum(map(abs, sums.values())))


def total(sums: dict[Any, int]) -> Any:
    """What is added less what is subtracted."""
    return _side(sums, 1) - _side(sums, -1) if min(sums.values()) < 0 else _side(sums, 1)


def _side(sums: dict[Any, int], sign: int) -> Any:
    """The sum of what is added (1) or subtracted (-1)."""
    one = next(iter(sums))
    terms = [
        part if abs(times) == 1 else z3.BitVecVal(abs(times), one.size(), one.ctx) * part
        for part, times in sums.items()
        if times * sign > 0
    ]
    return sum(terms[1:], terms[0]) if terms else z3.BitVecVal(0, one.size(), one.ctx)


if __name__ == "__main__":
    main(sys.argv[1])
