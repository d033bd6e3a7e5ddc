"""Halmos over ``contracts/proofs``: what holds for all arguments at once, on code compiled as it is shipped."""

import json
import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from morphware.contracts import build
from morphware.contracts.checks import toolbox, workbench

FOLDERS: Final = ("src", "proofs")
# What the proofs import is compiled, and nothing else; through the IR, as the artifacts are.
FORGE: Final = {"FOUNDRY_SRC": "proofs", "FOUNDRY_TEST": "proofs", "FOUNDRY_VIA_IR": "true"}
LOOP: Final = 4  # the longest loop of a proof goes over three bids or seats; halmos says where a loop was cut
BRANCH_MILLISECONDS: Final = 50  # for z3 to find out that a branch cannot be taken, before cvc5 is asked
ASSERTION_SECONDS: Final = 120
BUILD: Final = ("--ast", "--extra-output", "storageLayout", "metadata")  # as halmos asks for it
START: Final = Path(__file__).resolve().with_name("halmos_start.py")
SOLVER: Final = Path(__file__).resolve().with_name("halmos_solver.py")
_CHECK: Final = re.compile(r"^    function (check_\w+)\(", re.MULTILINE)
_running: set[int] = set()
_FATES: Final = {0: "proved", 1: "refuted", 2: "out of time", 3: "stuck", 4: "no path succeeds", 5: "failed"}


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of one check: ``fate`` is "proved", or why it is not."""

    name: str
    fate: str
    paths: int
    seconds: float


def names() -> tuple[str, ...]:
    """All checks, in the order of the files."""
    files = sorted((build.FOLDER / "proofs").glob("*.sol"))
    return tuple(name for file in files for name in _CHECK.findall(file.read_text("utf-8")))


def prepare() -> Path:
    """Lay out the proofs' folder and compile it, so that several can be tried in it side by side.

    Raises:
        RuntimeError: it does not compile, with the compiler's messages.
    """
    bench = workbench.lay("proofs", FOLDERS)
    completed = subprocess.run(
        [str(workbench.FORGE), "build", "--root", str(bench), *BUILD],
        cwd=bench,
        env=workbench.environment(bench, FORGE),
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise RuntimeError(f"the proofs do not compile:\n{(completed.stdout + completed.stderr)[-3_000:]}")
    toolbox.ensure("halmos")
    return bench


def run(prefix: str = "check_", limit_s: float = 3_600) -> tuple[Proof, ...]:
    """Try the checks whose names begin so, one after the other.

    Raises:
        RuntimeError: halmos did not run: it could not build, or found no such check.
    """
    prepare()
    return tuple(prove(name, limit_s) for name in names() if name.startswith(prefix))


def prove(name: str, limit_s: float) -> Proof:
    """Try one check, in the folder that is prepared. What takes longer than ``limit_s`` is not proved.

    Raises:
        RuntimeError: halmos did not run, or found no such check.
    """
    bench = workbench.folder("proofs")
    report = bench / f"{name}.json"
    report.unlink(missing_ok=True)
    python = str(toolbox.ensure("halmos") / "python")
    process = subprocess.Popen(
        [
            *(python, "-P", str(START)),
            *("--match-test", f"^{name}\\(", "--json-output", report.name),
            *("--loop", str(LOOP), "--solver-timeout-branching", str(BRANCH_MILLISECONDS)),
            *("--solver-timeout-assertion", f"{ASSERTION_SECONDS}s", "--solver-threads", "1", "--no-status"),
            *("--solver-command", shlex.join((python, "-P", str(SOLVER)))),
        ],
        cwd=bench,
        env=workbench.environment(bench, FORGE),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _running.add(process.pid)
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its solvers, too
        process.communicate()
        return Proof(name, _FATES[2], 0, limit_s)
    finally:
        _running.discard(process.pid)
    if not report.exists():
        raise RuntimeError(f"halmos did not run:\n{said[-3_000:]}")
    contracts = json.loads(report.read_text("utf-8"))["test_results"]
    found = [_proof(each) for tests in contracts.values() for each in tests]
    if len(found) != 1:
        raise RuntimeError(f"halmos tried {len(found)} checks of the name {name}, not one")
    return found[0]


def stop() -> None:
    """End what is being tried, with its solvers, which would go on without it."""
    for group in tuple(_running):
        os.killpg(group, signal.SIGKILL)


def _proof(test: dict[str, Any]) -> Proof:
    fate = _FATES.get(test["exitcode"], "failed")
    if fate == "proved" and test["num_bounded_loops"]:
        fate = "a loop was cut"
    return Proof(test["name"].split("(")[0], fate, (test["num_paths"] or [0])[0], round((test["time"] or [0.0])[0], 1))
