"""Plant a fault, and see whether a test notices: ``mutants.toml`` holds the faults, this finds the survivors.

The tests deploy the committed artifacts.  So a copy of the folder is laid out whose artifacts are compiled from mutated
sources; forge itself compiles once, as the tests do not change.  The forge tests that a mutant names come first, then
all of them, and if it lives still, the differential test, which holds it against the pure market.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from morphware.contracts import build
from morphware.contracts.checks import workbench

MUTANTS: Final = Path(__file__).resolve().with_name("mutants.toml")
ROOT: Final = build.FOLDER.parent
FOLDERS: Final = ("src", "test", "artifacts")
# Without the optimizer solc takes 20 s instead of 35 for a mutant. The code then exceeds EIP-170's limit, which forge
# does not apply to tests; the differential test's EVM does, so that what gets there is compiled as it is shipped.
QUICK: Final = build.SETTINGS | {"optimizer": {"enabled": False}}
# Gas is measured on what is shipped.
NOT_FOR_QUICK: Final = "Gas"
FORGE_SECONDS: Final = 900
DIFFERENTIAL_SECONDS: Final = 900

Fate = Literal["killed", "survived", "does not compile"]


class BadMutant(ValueError):
    """The mutant does not fit the sources: mend its entry in mutants.toml."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: in ``file``, ``replace`` stands for ``find``."""

    name: str
    file: str
    find: str
    replace: str
    tests: str
    equivalent: str = ""

    def apply(self, sources: Mapping[str, str]) -> dict[str, str]:
        """The sources with the fault.

        Raises:
            BadMutant: there is no such file, or the text to find does not stand in it exactly once.
        """
        text = sources.get(self.file)
        if text is None:
            raise BadMutant(f"{self.name}: no {self.file}")
        if (count := text.count(self.find)) != 1:
            raise BadMutant(f"{self.name}: {self.find!r} stands {count} times in {self.file}, not once")
        return {**sources, self.file: text.replace(self.find, self.replace)}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant, who killed it, and how long that took."""

    mutant: str
    fate: Fate
    by: str
    seconds: float


def load(path: Path = MUTANTS) -> tuple[Mutant, ...]:
    """All mutants of the file."""
    return tuple(Mutant(**entry) for entry in tomllib.loads(path.read_text("utf-8"))["mutant"])


def bench_name(number: int) -> str:
    """What a laboratory's folder is called; what forge has compiled there stays."""
    return f"mutation-{number}"


def run(mutants: Iterable[Mutant]) -> Iterator[Result]:
    """What becomes of each mutant, one after the other.

    Raises:
        BadMutant: one does not fit the sources; nothing has been run then.
        RuntimeError: the tests fail on the sources as they are, so that they could not tell a mutant.
    """
    chosen = tuple(mutants)
    if not chosen:
        return
    laboratory = Laboratory(0, chosen)
    for mutant in chosen:
        yield laboratory.run(mutant)


class Laboratory:
    """A folder in which one mutant after the other is tried; several may be at work side by side, by their numbers."""

    def __init__(self, number: int, mutants: Iterable[Mutant]) -> None:
        """Lay it out, and see that the tests that these mutants name hold without a fault.

        Raises:
            BadMutant: one of them does not fit the sources.
            RuntimeError: the tests fail on the sources as they are.
        """
        self.sources = workbench.sources()
        mutants = tuple(mutants)
        for mutant in mutants:
            mutant.apply(self.sources)
        self.bench = workbench.lay(bench_name(number), FOLDERS)
        self.sound = _compile_into(self.bench, self.sources, QUICK)
        self.is_all_sound = False
        _expect_sound(self.bench, "|".join(sorted({mutant.tests for mutant in mutants})))

    def run(self, mutant: Mutant) -> Result:
        """What becomes of one mutant."""
        started = time.monotonic()
        text = mutant.apply(self.sources)
        fate, by = _try(self.bench, mutant, text)
        if fate == "survived":
            if not self.is_all_sound:
                faulty = _artifact(self.bench).read_text("utf-8")
                _artifact(self.bench).write_text(self.sound, "utf-8")
                _expect_sound(self.bench, "")
                _artifact(self.bench).write_text(faulty, "utf-8")
                self.is_all_sound = True
            fate, by = _try_long(self.bench, text)
        return Result(mutant.name, fate, by, round(time.monotonic() - started, 1))


def _expect_sound(bench: Path, pattern: str) -> None:
    if failed := _forge(bench, pattern):
        raise RuntimeError(f"the tests fail without a mutant: {failed}")


def _try(bench: Path, mutant: Mutant, sources: dict[str, str]) -> tuple[Fate, str]:
    """The tests that are most likely to notice."""
    try:
        _compile_into(bench, sources, QUICK)
    except RuntimeError as error:
        return "does not compile", str(error)[:300]
    failed = _forge(bench, mutant.tests)
    return ("killed", failed) if failed else ("survived", "")


def _try_long(bench: Path, sources: dict[str, str]) -> tuple[Fate, str]:
    """All others."""
    if failed := _forge(bench, ""):
        return "killed", failed
    _compile_into(bench, sources, build.SETTINGS)
    if failed := _differential(bench):
        return "killed", failed
    return "survived", ""


def _artifact(bench: Path) -> Path:
    return bench / "artifacts" / "Market.json"


def _compile_into(bench: Path, sources: dict[str, str], settings: Mapping[str, Any]) -> str:
    """Write the market's artifact; only the bytecode can differ, as no mutant changes the interface."""
    selection = {"src/Market.sol": {"Market": ["evm.bytecode.object", "evm.deployedBytecode.object"]}}
    output = workbench.solc(sources, {**settings, "outputSelection": selection})
    code = output["contracts"]["src/Market.sol"]["Market"]["evm"]
    artifact = json.loads(_artifact(bench).read_text("utf-8"))
    artifact["bytecode"] = "0x" + code["bytecode"]["object"]
    artifact["deployedBytecode"] = "0x" + code["deployedBytecode"]["object"]
    text = json.dumps(artifact)
    _artifact(bench).write_text(text, "utf-8")
    return text


def _forge(bench: Path, pattern: str) -> str:
    """The first test that fails, or nothing; ``pattern`` chooses the test contracts."""
    command = [str(workbench.FORGE), "test", "--root", str(bench), "--color", "never", "--fail-fast"]
    command += ["--no-match-contract", NOT_FOR_QUICK]
    if pattern:
        command += ["--match-contract", pattern]
    try:
        completed = subprocess.run(
            command,
            cwd=bench,
            env=workbench.environment(bench),
            capture_output=True,
            text=True,
            check=False,
            timeout=FORGE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"forge took more than {FORGE_SECONDS} s"
    if completed.returncode == 0:
        return ""
    if "[FAIL" not in completed.stdout:
        raise RuntimeError(f"forge failed without a failed test:\n{(completed.stdout + completed.stderr)[-2_000:]}")
    failed = re.search(r"^\[FAIL.*\] (\w+)\(", completed.stdout, re.MULTILINE)
    return f"forge: {failed[1] if failed else 'an invariant'}"


def _differential(bench: Path) -> str:
    """Whether the pure market notices: the same tests, with the mutant's artifacts in the contracts' place."""
    package = bench / "package" / "morphware"
    shutil.rmtree(package.parent, ignore_errors=True)
    package.mkdir(parents=True)
    for each in (ROOT / ".dev" / "morphware").iterdir():
        (package / each.name).symlink_to(bench / "contracts" if each.name == "contracts" else each.resolve())
    contracts = bench / "contracts"
    shutil.rmtree(contracts, ignore_errors=True)
    contracts.mkdir()
    for each in build.FOLDER.glob("*.py"):
        shutil.copy2(each, contracts)
    shutil.copytree(bench / "artifacts", contracts / "artifacts")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "tests/contracts/test_differential.py",
    ]
    try:
        completed = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=DIFFERENTIAL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"the differential test took more than {DIFFERENTIAL_SECONDS} s"
    if completed.returncode == 0:
        return ""
    if completed.returncode != 1:
        raise RuntimeError(f"the differential test did not run:\n{completed.stdout[-2_000:]}")
    failed = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", completed.stdout, re.MULTILINE)
    return f"differential: {failed[1] if failed else '?'}"
