"""The installed ``morphware`` program as a person starts it, and what of it is still alive afterwards.

A process is recognised by its number and its start time, as numbers are given out again.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("morphware")
PATIENCE_S = 300
"""Far more than any command takes here: a busy machine must not fail a test."""


@dataclass(frozen=True, slots=True, order=True)
class Living:
    """One process of this machine."""

    pid: int
    started: int
    parent: int = field(compare=False)
    command: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.pid} {self.command or '(a kernel task or another user)'}"


def command(*arguments: object) -> list[str]:
    """The program with these arguments, able to be interrupted although our own caller may ignore interrupts."""
    return [shutil.which("env") or "env", "--default-signal=INT", str(PROGRAM), *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would configure the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MORPHWARE_")}
    anvil = os.environ.get("MORPHWARE_ANVIL")
    return kept | ({"MORPHWARE_ANVIL": anvil} if anvil else {}) | changes


def finish(*arguments: object, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@dataclass
class Started:
    """The program, running: its output goes to two files."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path
    seen: set[Living] = field(default_factory=set)

    def family(self) -> set[Living]:
        """Its process and all that came from it, now; remembered for ``survivors``."""
        everybody = living()
        known = {self.process.pid}
        found: set[Living] = set()
        while new := {each for each in everybody if each not in found and (each.pid in known or each.parent in known)}:
            found |= new
            known |= {each.pid for each in new}
        self.seen |= found
        return found

    def survivors(self) -> list[Living]:
        """Whoever of the family that was seen so far, or with the program's own environment, still lives."""
        return sorted(each for each in living() if each in self.seen or _is_marked(each.pid, self.mark))

    @property
    def mark(self) -> str:
        """What stands in the environment of the program and of its children."""
        return f"TEST_MARK={self.out}"

    def interrupt(self) -> None:
        """Ctrl-C in the program's terminal: its whole foreground group hears it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status."""
        return self.process.wait(patience_s)

    def until(self, is_so: Any, patience_s: float = PATIENCE_S) -> Any:
        """Wait until something is so (and return it), while the program runs."""
        give_up_at = time.monotonic() + patience_s
        while not (found := is_so()):
            assert self.process.poll() is None, f"the program ended: {self.err.read_text()[-2000:]}"
            assert time.monotonic() < give_up_at, f"in vain: {self.err.read_text()[-2000:]}"
            time.sleep(0.1)
        return found

    def until_alone(self, patience_s: float) -> None:
        """Wait until nothing of the program lives."""
        give_up_at = time.monotonic() + patience_s
        while left := self.survivors():
            assert time.monotonic() < give_up_at, "still there: " + "; ".join(map(str, left))
            time.sleep(0.1)


@contextmanager
def started(folder: Path, *arguments: object) -> Iterator[Started]:
    """The program, running with its output in ``folder``; whatever it leaves behind is ended."""
    folder.mkdir(parents=True, exist_ok=True)
    out, err = folder / "out", folder / "err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            command(*arguments),
            env=environment(TEST_MARK=str(out)),
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            process_group=0,
        )
    program = Started(process, out, err)
    try:
        yield program
    finally:
        if process.poll() is None:
            program.family()
            process.kill()
            process.wait()
        for each in program.survivors():
            os.kill(each.pid, signal.SIGKILL)


def living() -> set[Living]:
    """Every process that has not ended."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return {found for pid in pids if (found := _look(pid)) is not None}


def _look(pid: int) -> Living | None:
    try:
        # the name in parentheses may hold anything, so what follows its end is read
        state, parent, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return None if state in "ZX" else Living(pid, int(fields[17]), int(parent), text[:300].strip())


def _is_marked(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
