"""What the campaign's steps are, and what their parts: walks by seed, proofs by name, mutants one by one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final
from xml.etree import ElementTree as ET

from morphware.contracts import build
from morphware.contracts.checks import mutation, proofs, static_analysis, workbench

ROOT: Final = build.FOLDER.parent
WALKS: Final = 20
WALK_RUNS: Final = 125  # of foundry.toml's 400 calls each: a million calls in all walks
MACHINES: Final = 20
MACHINE_EXAMPLES: Final = 500
DIFFERENTIALS: Final = 20
DIFFERENTIAL_TRACES: Final = 250
PART_SECONDS: Final = 4 * 3_600
PROOF_SECONDS: Final = 3_600


@dataclass(frozen=True, slots=True)
class Figures:
    """What a part did. ``violations`` are what has to be zero."""

    runs: int
    calls: int
    violations: int
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


Part = Callable[[str], Figures]


@dataclass(frozen=True, slots=True)
class Step:
    """Parts by their names, which may run side by side once all is prepared."""

    names: tuple[str, ...]
    run: Part
    prepare: Callable[[], object] = lambda: None


def invariants(sources: str) -> Step:
    """Forge's handlers, honest and hostile, call the market at random; every invariant is checked after every call."""
    bench = workbench.folder("invariants")

    def prepare() -> None:
        workbench.lay("invariants", ("src", "test", "artifacts"))
        _forge(bench, "--list")

    def walk(name: str) -> Figures:
        # Every version of the sources is walked by other dice.
        seed = f"0x{sources[:16]}{int(name.split()[1]):04x}"
        said = _forge(
            bench, "--match-test", "invariant_", "--fuzz-seed", seed, "--json", failures=name.replace(" ", "-")
        )
        line = next((each for each in said.splitlines() if each.startswith('{"test/')), None)
        if line is None:
            raise RuntimeError(f"forge did not run:\n{said[-3_000:]}")
        results = [
            (test, result) for suite in json.loads(line).values() for test, result in suite["test_results"].items()
        ]
        counts = [(test, result, result["kind"]["Invariant"]) for test, result in results]
        calls = sum(count["calls"] for _, _, count in counts)
        if not calls:
            raise RuntimeError("forge found no invariant tests")
        wrong = {test: result["reason"] for test, result, _ in counts if result["status"] != "Success"}
        details: dict[str, Any] = {"seed": seed, "reverts": sum(count["reverts"] for _, _, count in counts)}
        return Figures(sum(c["runs"] for _, _, c in counts), calls, len(wrong), details | wrong)

    return Step(tuple(f"walk {number}" for number in range(1, WALKS + 1)), walk, prepare)


def _forge(bench: Path, *arguments: str, failures: str = "none") -> str:
    """Forge's own failures of one walk must not be tried in the next: each keeps them apart."""
    extra = {
        "FOUNDRY_PROFILE": "campaign",
        "FOUNDRY_INVARIANT_RUNS": str(WALK_RUNS),
        "FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR": f"cache/failures/{failures}",
    }
    completed = subprocess.run(
        [str(workbench.FORGE), "test", "--root", str(bench), "--match-contract", "^InvariantTest$", *arguments],
        cwd=bench,
        env=workbench.environment(bench, extra),
        capture_output=True,
        text=True,
        check=False,
        timeout=PART_SECONDS,
    )
    return completed.stdout + completed.stderr


def machine(_sources: str) -> Step:
    """Hypothesis on the pure market, under the same invariants; and lives by a die of its own."""
    file = "tests/protocol/test_market_machine.py"

    def run(name: str) -> Figures:
        if name == "lives":
            return _pytest(file, "lives", {}, "-k", "not TestMarketMachine")
        number = name.split()[1]
        environment = {"MORPHWARE_MACHINE_EXAMPLES": str(MACHINE_EXAMPLES)}
        return _pytest(file, number, environment, "-k", "TestMarketMachine", f"--hypothesis-seed={number}")

    return Step(("lives", *(f"examples {number}" for number in range(1, MACHINES + 1))), run)


def differential(_sources: str) -> Step:
    """The same random traces through the pure market and the compiled one, compared after every call."""
    file = "tests/contracts/test_differential.py"

    def run(name: str) -> Figures:
        if name == "rows":
            return _pytest(file, "rows", {}, "-k", "who_loses_what")
        number = int(name.split()[1])
        environment = {
            "MORPHWARE_DIFFERENTIAL_TRACES": str(DIFFERENTIAL_TRACES),
            "MORPHWARE_DIFFERENTIAL_FIRST": str((number - 1) * DIFFERENTIAL_TRACES),
        }
        return _pytest(file, str(number), environment, "-k", "not who_loses_what")

    return Step(("rows", *(f"traces {number}" for number in range(1, DIFFERENTIALS + 1))), run)


def prove(_sources: str) -> Step:
    """All proofs; a run is a proof, its calls are its paths."""

    def run(name: str) -> Figures:
        found = proofs.prove(name, PROOF_SECONDS)
        return Figures(1, found.paths, int(found.fate != "proved"), {"fate": found.fate})

    return Step(proofs.names(), run, proofs.prepare)


def slither(_sources: str) -> Step:
    """Static analysis; a run is a detector, and a violation is what is not accepted, or accepted for nothing."""

    def run(_name: str) -> Figures:
        verdict = static_analysis.run()
        wrong = [each.text for each in verdict.faults] + [
            f"needless: {each.check}: {each.where}" for each in verdict.idle
        ]
        accepted = len(verdict.findings) - len(verdict.faults)
        return Figures(verdict.detectors, len(verdict.findings), len(wrong), {"accepted": accepted, "wrong": wrong})

    return Step(("slither",), run)


def mutants(_sources: str) -> Step:
    """All mutants, dearly compiled: each of those that run side by side has a laboratory of its own."""
    known = {each.name: each for each in mutation.load()}
    idle: SimpleQueue[mutation.Laboratory] = SimpleQueue()
    numbers = iter(range(len(known)))

    def run(name: str) -> Figures:
        try:
            laboratory = idle.get_nowait()
        except Empty:
            laboratory = mutation.Laboratory(next(numbers), known.values())
        try:
            result = laboratory.run(known[name])
        finally:
            idle.put(laboratory)
        is_alive = result.fate != "killed" and not known[name].equivalent
        return Figures(1, 0, int(is_alive), {"fate": result.fate, "by": result.by})

    return Step(tuple(known), run)


def _pytest(file: str, part: str, environment: dict[str, str], *arguments: str) -> Figures:
    """Tests of a file; tests/counting.py tells their runs and calls as properties of the test suite."""
    result = workbench.folder("pytest") / f"{Path(file).stem}-{part}.xml"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.counting", "-p", "no:cacheprovider", file]
    completed = subprocess.run(
        [*command, f"--junitxml={result}", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PART_SECONDS,
    )
    if completed.returncode not in (0, 1) or not result.exists():
        raise RuntimeError(f"pytest did not run:\n{(completed.stdout + completed.stderr)[-3_000:]}")
    suite = ET.parse(result).getroot().find("testsuite")  # noqa: S314 - pytest has just written it
    assert suite is not None
    told = {each.get("name"): each.get("value", "0") for each in suite.iter("property")}
    wrong = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    details = {} if completed.returncode == 0 else {"said": completed.stdout[-3_000:]}
    return Figures(int(told.get("runs", "0")), int(told.get("calls", "0")), wrong, details)


STEPS: Final[dict[str, Callable[[str], Step]]] = {
    "slither": slither,
    "proofs": prove,
    "machine": machine,
    "differential": differential,
    "invariants": invariants,
    "mutants": mutants,
}
PURE: Final = ("machine", "differential")  # they run protocol/ too
