"""Halmos over ``contracts/proofs``: what holds for all arguments at once, on code compiled as it is shipped."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from morphware.contracts.checks import toolbox, workbench

FOLDERS: Final = ("src", "proofs")
# What the proofs import is compiled, and nothing else; through the IR, as the artifacts are.
FORGE: Final = {"FOUNDRY_SRC": "proofs", "FOUNDRY_TEST": "proofs", "FOUNDRY_VIA_IR": "true"}
LOOP: Final = 4  # the longest loop of a proof goes over three bids or seats; halmos says where a loop was cut
BRANCH_MILLISECONDS: Final = 200  # to find out that a branch cannot be taken; the default of 1 explores what cannot be
ASSERTION_SECONDS: Final = 120
_FATES: Final = {0: "proved", 1: "refuted", 2: "out of time", 3: "stuck", 4: "no path succeeds", 5: "failed"}


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of one check: ``fate`` is "proved", or why it is not."""

    name: str
    fate: str
    paths: int
    seconds: float


def run(prefix: str = "check_", limit_s: float = 3_600) -> tuple[Proof, ...]:
    """Try the checks whose names begin so.

    Raises:
        RuntimeError: halmos did not run: it could not build, or found no such check.
        subprocess.TimeoutExpired: all of it took longer than ``limit_s``.
    """
    bench = workbench.lay("proofs", FOLDERS)
    report = bench / "halmos.json"
    report.unlink(missing_ok=True)
    completed = subprocess.run(
        [
            *(str(toolbox.ensure("halmos") / "halmos"), "--function", prefix, "--json-output", report.name),
            *("--loop", str(LOOP), "--solver-timeout-branching", str(BRANCH_MILLISECONDS)),
            *("--solver-timeout-assertion", f"{ASSERTION_SECONDS}s", "--solver-threads", "1", "--no-status"),
        ],
        cwd=bench,
        env=workbench.environment(bench, FORGE),
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )
    if not report.exists():
        raise RuntimeError(f"halmos did not run:\n{(completed.stdout + completed.stderr)[-3_000:]}")
    contracts = json.loads(report.read_text("utf-8"))["test_results"]
    return tuple(_proof(each) for tests in contracts.values() for each in tests)


def _proof(test: dict[str, Any]) -> Proof:
    fate = _FATES.get(test["exitcode"], "failed")
    if fate == "proved" and test["num_bounded_loops"]:
        fate = "a loop was cut"
    return Proof(test["name"].split("(")[0], fate, (test["num_paths"] or [0])[0], round((test["time"] or [0.0])[0], 1))
