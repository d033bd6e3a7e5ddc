"""The long checks of the contracts: ``make contracts-campaign``.

Six steps, hours together.  Each writes its figures to ``contracts/campaign.json`` as soon as it has them, with the hash
of the sources that they are of; a step that has them for these sources is not run again, so that a campaign that was
ended goes on where it was.  At last the table in ``contracts/README.md`` is written from the figures.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from morphware.contracts import build
from morphware.contracts.checks import mutation, proofs, report, static_analysis, workbench

ROOT: Final = build.FOLDER.parent
MACHINE_EXAMPLES: Final = 10_000
DIFFERENTIAL_TRACES: Final = 5_000
STEP_SECONDS: Final = 6 * 3_600


@dataclass(frozen=True, slots=True)
class Figures:
    """What one step did. ``violations`` are what has to be zero."""

    runs: int
    calls: int
    violations: int
    seconds: float = 0.0
    sources: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> None:
    """Run what has no figures yet, and exit with 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="make contracts-campaign", description="The long checks of the contracts.")
    parser.add_argument("--only", action="append", choices=STEPS, help="this step (may be given more than once)")
    parser.add_argument("--again", action="store_true", help="also what has its figures for these sources already")
    options = parser.parse_args(arguments)
    sources = build.hash_of(workbench.sources())
    violated = []
    for name in options.only or STEPS:
        known = report.load().get(name)
        if not options.again and known is not None and known["sources"] == sources and known["violations"] == 0:
            say(f"{name}: done already")
            continue
        say(f"{name} …")
        started = time.monotonic()
        figures = STEPS[name]()
        seconds = round(time.monotonic() - started, 1)
        report.save(name, asdict(replace(figures, seconds=seconds, sources=sources)))
        say(
            f"{name}: {figures.runs:,} runs, {figures.calls:,} calls, {figures.violations} violations, {seconds:,.0f} s"
        )
        if figures.violations:
            violated.append(name)
    report.write_table()
    if violated:
        sys.exit(f"Violated: {', '.join(violated)}. The details are in {report.FILE.relative_to(ROOT)}.")


def say(text: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def invariants() -> Figures:
    """Forge's handlers, honest and hostile, call the market at random; every invariant is checked after every call."""
    bench = workbench.lay("invariants", ("src", "test", "artifacts"))
    completed = subprocess.run(
        [str(workbench.FORGE), "test", "--root", str(bench), "--match-contract", "Invariant", "--json"],
        cwd=bench,
        env=workbench.environment(bench, {"FOUNDRY_PROFILE": "campaign"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS,
    )
    line = next((each for each in completed.stdout.splitlines() if each.startswith("{")), None)
    if line is None:
        raise RuntimeError(f"forge did not run:\n{(completed.stdout + completed.stderr)[-3_000:]}")
    runs = calls = violations = 0
    details = {}
    for suite in json.loads(line).values():
        for test, result in suite["test_results"].items():
            counts = result["kind"].get("Invariant")
            if counts is None:
                continue
            runs += counts["runs"]
            calls += counts["calls"]
            violations += result["status"] != "Success"
            details[test] = counts | {"status": result["status"]}
    if not calls:
        raise RuntimeError("forge found no invariant tests")
    return Figures(runs, calls, violations, details=details)


def machine() -> Figures:
    """Hypothesis on the pure market, under the same invariants."""
    return _pytest("tests/protocol/test_market_machine.py", {"MORPHWARE_MACHINE_EXAMPLES": str(MACHINE_EXAMPLES)})


def differential() -> Figures:
    """The same random traces through the pure market and the compiled one, compared after every call."""
    return _pytest("tests/contracts/test_differential.py", {"MORPHWARE_DIFFERENTIAL_TRACES": str(DIFFERENTIAL_TRACES)})


def prove() -> Figures:
    """All proofs; a run is a proof, its calls are its paths."""
    found = proofs.run(limit_s=STEP_SECONDS)
    for each in found:
        say(f"  {each.name}: {each.fate}, {each.paths} paths, {each.seconds} s")
    details = {each.name: {"fate": each.fate, "paths": each.paths, "seconds": each.seconds} for each in found}
    unproved = sum(each.fate != "proved" for each in found)
    return Figures(len(found), sum(each.paths for each in found), unproved, details=details)


def slither() -> Figures:
    """Static analysis; a run is a detector, and a violation is what is not accepted, or accepted for nothing."""
    verdict = static_analysis.run()
    wrong = [each.text for each in verdict.faults] + [f"needless: {each.check}: {each.where}" for each in verdict.idle]
    for each in wrong:
        say(f"  {each}")
    accepted = len(verdict.findings) - len(verdict.faults)
    return Figures(verdict.detectors, len(verdict.findings), len(wrong), details={"accepted": accepted, "wrong": wrong})


def mutants() -> Figures:
    """All mutants; those with a fate for these sources are not planted again."""
    sources = build.hash_of(workbench.sources())
    all_mutants = mutation.load()
    names = {each.name for each in all_mutants}
    half_done = report.load().get("mutants (not finished)", {"sources": sources, "details": {}})
    details = dict(half_done["details"]) if half_done["sources"] == sources else {}
    details = {name: fate for name, fate in details.items() if name in names}
    for result in mutation.run(each for each in all_mutants if each.name not in details):
        details[result.mutant] = {"fate": result.fate, "by": result.by, "seconds": result.seconds}
        report.save("mutants (not finished)", {"sources": sources, "details": details})
        say(f"  {len(details)}/{len(all_mutants)} {result.mutant}: {result.fate} {result.by} ({result.seconds:.0f} s)")
    report.drop("mutants (not finished)")
    explained = {each.name for each in all_mutants if each.equivalent}
    survivors = [name for name, result in details.items() if result["fate"] != "killed" and name not in explained]
    return Figures(len(details), 0, len(survivors), details=details)


def _pytest(file: str, environment: dict[str, str]) -> Figures:
    """The tests of a file; tests/counting.py tells their runs and calls as properties of the test suite."""
    result = workbench.folder("pytest") / f"{Path(file).stem}.xml"
    result.unlink(missing_ok=True)
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.counting", file, f"--junitxml={result}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_SECONDS,
    )
    if completed.returncode not in (0, 1) or not result.exists():
        raise RuntimeError(f"pytest did not run:\n{(completed.stdout + completed.stderr)[-3_000:]}")
    suite = ET.parse(result).getroot().find("testsuite")  # noqa: S314 - pytest has just written it
    assert suite is not None
    told = {each.get("name"): each.get("value", "0") for each in suite.iter("property")}
    wrong = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    details = {} if completed.returncode == 0 else {"said": completed.stdout[-3_000:]}
    return Figures(int(told.get("runs", "0")), int(told.get("calls", "0")), wrong, details=details)


STEPS: Final[dict[str, Callable[[], Figures]]] = {
    "slither": slither,
    "proofs": prove,
    "machine": machine,
    "differential": differential,
    "invariants": invariants,
    "mutants": mutants,
}

if __name__ == "__main__":
    main()
