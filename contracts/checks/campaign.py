"""The long checks of the contracts: ``make contracts-campaign``.

Six steps (``steps.py``), each in parts that run side by side, as many as there are cores.  A part's figures are in
``campaign.json`` here as soon as it has them, with the hash of the sources that they are of; a part that has them for
these sources, and violated nothing, is not run again, so that a campaign that was ended goes on where it was.  At last
the table in ``contracts/README.md`` is written from the figures, whether they are all there or not.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from morphware.contracts import build
from morphware.contracts.checks import proofs, report, workbench
from morphware.contracts.checks.steps import PURE, STEPS, Figures, Part

ROOT: Final = build.FOLDER.parent
PROTOCOL: Final = ROOT / "protocol"


def main(arguments: list[str] | None = None) -> None:
    """Run what has no figures yet, and exit with 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="make contracts-campaign", description="The long checks of the contracts.")
    parser.add_argument("--only", action="append", choices=STEPS, help="this step (may be given more than once)")
    parser.add_argument("--again", action="store_true", help="also what has its figures for these sources already")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="parts at the same time")
    parser.add_argument("--parts", type=int, help="end after so many parts of each step, to see how long they take")
    options = parser.parse_args(arguments)
    violated = []
    try:
        for name in options.only or STEPS:
            if options.again:
                report.drop(name)
            if run(name, sources_of(name), options.jobs, options.parts)["violations"]:
                violated.append(name)
    finally:
        report.write_table()
    if violated:
        sys.exit(f"Violated: {', '.join(violated)}. The details are in {relative(report.FILE)}.")


def sources_of(name: str) -> str:
    """The hash of what a step's figures are of: the contracts, and the pure market where it runs beside them."""
    sources = workbench.sources()
    if name in PURE:
        sources |= {f"protocol/{file.name}": file.read_text("utf-8") for file in sorted(PROTOCOL.glob("*.py"))}
    return build.hash_of(sources)


def run(name: str, sources: str, jobs: int, most: int | None = None) -> dict[str, Any]:
    """One step: its parts that have no figures for these sources, or violated something; all figures together.

    Raises:
        RuntimeError: a part could not be run; those that had begun are finished, and their figures kept.
    """
    known = report.load().get(name, {})
    parts: dict[str, Any] = known["parts"] if known.get("sources") == sources else {}
    spent_s = known["seconds"] if parts else 0.0
    step = STEPS[name](sources)
    parts = {part: figures for part, figures in parts.items() if part in step.names and not figures["violations"]}
    missing = [part for part in step.names if part not in parts][:most]
    if not missing:
        say(f"{name}: done already")
        return _together(parts, sources, spent_s, len(step.names))
    say(f"{name} …")
    started = time.monotonic()
    step.prepare()
    faults: list[BaseException] = []
    pool = ThreadPoolExecutor(jobs)
    waiting = {pool.submit(_timed, step.run, part): part for part in missing}
    try:
        for done in as_completed(waiting):
            if done.cancelled():
                continue
            if fault := done.exception():
                faults.append(fault)
                pool.shutdown(wait=False, cancel_futures=True)
                continue
            part, figures = waiting[done], done.result()
            parts[part] = asdict(figures)
            elapsed = spent_s + time.monotonic() - started
            report.save(name, _together(parts, sources, elapsed, len(step.names)))
            say(f"  {len(parts)}/{len(step.names)} {part}: {_told(figures)}, {figures.seconds:,.0f} s")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever ends a campaign does not wait for all of it
        proofs.stop()
    if faults:
        raise faults[0]
    together = report.load()[name]
    say(f"{name}: {_told(Figures(together['runs'], together['calls'], together['violations']))}")
    return dict(together)


def say(text: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def relative(path: Path) -> str:
    """The path as seen from the checkout."""
    return str(path.relative_to(ROOT))


def _timed(part: Part, name: str) -> Figures:
    started = time.monotonic()
    figures = part(name)
    return Figures(
        figures.runs, figures.calls, figures.violations, figures.details, round(time.monotonic() - started, 1)
    )


def _together(parts: Mapping[str, Any], sources: str, seconds: float, of: int) -> dict[str, Any]:
    sums = {key: sum(figures[key] for figures in parts.values()) for key in ("runs", "calls", "violations")}
    return sums | {"seconds": round(seconds, 1), "sources": sources, "of": of, "parts": dict(parts)}


def _told(figures: Figures) -> str:
    told = f"{figures.runs:,} runs, {figures.calls:,} calls, {figures.violations} violations"
    return told + "".join(f", {key} {value}" for key, value in figures.details.items() if key in ("fate", "by"))


if __name__ == "__main__":
    main()
