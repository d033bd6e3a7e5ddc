"""Slither over the sources: every finding is a fault, or is accepted with its reason in ``accepted.toml``.

Slither wants a native solc or forge's build.  We give it what it needs of either: the syntax trees, from our own solc.
"""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from morphware.contracts import build
from morphware.contracts.checks import toolbox, workbench

ACCEPTED: Final = Path(__file__).resolve().with_name("accepted.toml")
SECONDS: Final = 600
_NO_CODE: Final = {"bytecode": {"object": "", "sourceMap": ""}, "deployedBytecode": {"object": "", "sourceMap": ""}}


@dataclass(frozen=True, slots=True)
class Finding:
    """What slither says of one place."""

    check: str
    impact: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Why findings of this check in these places are no faults."""

    check: str
    where: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return finding.check == self.check and re.fullmatch(self.where, finding.where) is not None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is left to mend, and how much was looked at."""

    findings: tuple[Finding, ...]
    faults: tuple[Finding, ...]
    idle: tuple[Acceptance, ...]
    detectors: int


def load(path: Path = ACCEPTED) -> tuple[Acceptance, ...]:
    """All acceptances of the file."""
    return tuple(Acceptance(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["accepted"])


def run() -> Verdict:
    """Slither's findings in our sources (not in OpenZeppelin's), held against what is accepted.

    Raises:
        RuntimeError: slither or solc did not run.
    """
    bench = workbench.lay("slither", ("src",))
    _write_build(bench)
    report = bench / "slither.json"
    report.unlink(missing_ok=True)
    completed = subprocess.run(
        [
            *(str(toolbox.ensure("slither") / "slither"), "."),
            *("--ignore-compile", "--filter-paths", "@openzeppelin|node_modules"),
            *("--json", report.name),
        ],
        cwd=bench,
        env=workbench.environment(bench),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if not report.exists():
        raise RuntimeError(f"slither did not run:\n{completed.stderr[-2_000:]}")
    answer = json.loads(report.read_text("utf-8"))
    if not answer["success"]:
        raise RuntimeError(f"slither did not run: {answer['error']}")
    findings = tuple(_finding(each) for each in answer["results"].get("detectors", ()))
    accepted = load()
    detectors = re.search(r"with (\d+) detectors", completed.stderr)
    return Verdict(
        findings=findings,
        faults=tuple(each for each in findings if not any(entry.covers(each) for entry in accepted)),
        idle=tuple(entry for entry in accepted if not any(entry.covers(each) for each in findings)),
        detectors=int(detectors[1]) if detectors else 0,
    )


def _write_build(bench: Path) -> None:
    """The syntax trees, in the form of forge's build-info. Code is of no interest: it is left out."""
    sources = workbench.sources()
    settings = build.SETTINGS | {"outputSelection": {"*": {"": ["ast"], "*": ["abi"]}}}
    output = workbench.solc(sources, settings)
    for contracts in output["contracts"].values():
        for contract in contracts.values():
            contract["evm"] = _NO_CODE
    folder = bench / "out" / "build-info"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    request = {"language": "Solidity", "sources": {name: {"content": text} for name, text in sources.items()}}
    answer = {
        "solcVersion": json.loads((build.FOLDER / "node_modules" / "solc" / "package.json").read_text("utf-8"))[
            "version"
        ],
        "input": request | {"settings": settings},
        "output": output,
    }
    (folder / "build.json").write_text(json.dumps(answer), "utf-8")


def _finding(detector: dict[str, Any]) -> Finding:
    """The place is the first element's: a function or variable with its contract."""
    names = []
    element: dict[str, Any] | None = detector["elements"][0] if detector["elements"] else None
    while element is not None and element["type"] in ("contract", "function", "variable"):
        names.append(element["name"])
        element = element.get("type_specific_fields", {}).get("parent")
    return Finding(
        check=detector["check"],
        impact=detector["impact"],
        where=".".join(reversed(names)),
        text=" ".join(detector["description"].split()),
    )
