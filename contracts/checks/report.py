"""The campaign's figures, in ``contracts/checks/campaign.json``, and their table in ``contracts/README.md``."""

import json
from collections import Counter
from typing import Any, Final

from morphware.contracts import build

FILE: Final = build.FOLDER / "checks" / "campaign.json"
README: Final = build.FOLDER / "README.md"
BEGIN: Final = "<!-- campaign: written by make contracts-campaign -->"
END: Final = "<!-- campaign: end -->"

_ROWS: Final = {
    "invariants": "invariants of the compiled market (forge): {runs:,} sequences, {calls:,} calls",
    "machine": "invariants of the pure market (hypothesis): {runs:,} examples, {calls:,} calls",
    "differential": "pure and compiled market compared after every call: {runs:,} traces, {calls:,} calls",
    "proofs": "proofs for all arguments (halmos): {runs:,} proofs, {calls:,} paths",
    "slither": "static analysis (slither): {runs:,} detectors; {calls:,} findings, accepted with reasons",
    "mutants": "mutants: {runs:,} planted faults",
}


def load() -> dict[str, Any]:
    """Figures by the step's name; none if there was no campaign."""
    if not FILE.exists():
        return {}
    steps: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return steps


def save(step: str, figures: dict[str, Any]) -> None:
    """Keep one step's figures beside the others'."""
    _write(load() | {step: figures})


def drop(step: str) -> None:
    """Forget one step's figures."""
    _write({name: figures for name, figures in load().items() if name != step})


def table() -> str:
    """The figures as Markdown, with the hash of the sources that they are of."""
    steps = {name: figures for name, figures in load().items() if name in _ROWS}
    lines = ["| check | violations | seconds | sources |", "|---|---|---|---|"]
    for name, row in _ROWS.items():
        if name not in steps:
            lines.append(f"| {name} | not run | | |")
            continue
        figures = steps[name]
        text = row.format(**figures)
        if len(figures["parts"]) < figures["of"]:
            text += f" (not finished: {len(figures['parts'])} of {figures['of']} parts)"
        lines.append(f"| {text} | {figures['violations']} | {figures['seconds']:,.0f} | `{figures['sources'][:12]}` |")
    lines += _unproved(steps.get("proofs"))
    lines += _survivors(steps.get("mutants"))
    return "\n".join(lines)


def write_table() -> None:
    """Renew the table in the README, between its two marks.

    Raises:
        ValueError: the README has no such marks.
    """
    text = README.read_text("utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README} has no place for the campaign's table: {BEGIN} … {END}")
    README.write_text(f"{head}{begin}\n\n{table()}\n\n{end}{tail}", "utf-8")


def _survivors(figures: dict[str, Any] | None) -> list[str]:
    if figures is None:
        return []
    fates = {name: part["details"] for name, part in figures["parts"].items()}
    killers = Counter(each["by"].split(":")[0] for each in fates.values() if each["fate"] == "killed")
    counts = ", ".join(f"{count} by {killer}" for killer, count in sorted(killers.items()))
    alive = [f"- {name}: {each['fate']}" for name, each in fates.items() if each["fate"] != "killed"]
    return ["", f"Mutants killed: {killers.total()} of {len(fates)} ({counts}).", *alive]


def _unproved(figures: dict[str, Any] | None) -> list[str]:
    if figures is None:
        return []
    fates = {name: part["details"]["fate"] for name, part in figures["parts"].items()}
    left = [f"- `{name}`: {fate}" for name, fate in fates.items() if fate != "proved"]
    return ["", f"Proved: {len(fates) - len(left)} of {len(fates)}.", *left]


def _write(steps: dict[str, Any]) -> None:
    FILE.write_text(json.dumps(steps, indent=1, sort_keys=True) + "\n", "utf-8")
