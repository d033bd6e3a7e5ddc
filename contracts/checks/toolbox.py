"""Tools that must not share an environment with the node: each has its own, made on demand from pinned versions.

``python -m morphware.contracts.checks.toolbox`` makes all of them.  They lie in ``.cache/tools`` of the checkout.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

Tool = Literal["halmos", "slither"]
TOOLS: Final[tuple[Tool, ...]] = ("halmos", "slither")
FOLDER: Final = Path(__file__).resolve().parent
CACHE: Final = FOLDER.parent.parent / ".cache"


def main() -> None:
    """Make every environment that is missing."""
    for tool in TOOLS:
        if not _is_made(_environment(tool)):
            sys.stderr.write(f"Making the environment of {tool} …\n")
        ensure(tool)


def ensure(tool: Tool) -> Path:
    """The folder of a tool's programs; its environment is made if it is missing.

    Raises:
        RuntimeError: pip could not install it, with the end of what pip said.
    """
    environment = _environment(tool)
    environment.parent.mkdir(parents=True, exist_ok=True)
    with (environment.parent / f"{tool}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests and the campaign may ask at the same time
        if not _is_made(environment):
            for old in environment.parent.glob(f"{tool}-*"):
                shutil.rmtree(old)
            _make(tool, environment)
    return environment / "bin"


def _environment(tool: Tool) -> Path:
    """Named after all that it depends on: the pinned versions, the Python, and the place (scripts hold their path)."""
    facts = (_requirements(tool).read_bytes(), sys.version.encode(), str(CACHE).encode())
    return CACHE / "tools" / f"{tool}-{hashlib.sha256(b'|'.join(facts)).hexdigest()[:12]}"


def _requirements(tool: Tool) -> Path:
    return FOLDER / f"{tool}.txt"


def _is_made(environment: Path) -> bool:
    return (environment / "made").exists()


def _make(tool: Tool, environment: Path) -> None:
    _run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    # Every version is pinned in the file, dependencies included: --no-deps refuses to take in what is not.
    _run([*pip, "install", "-q", "--no-deps", "-r", str(_requirements(tool))])
    _run([*pip, "check"])
    (environment / "made").touch()


def _run(command: list[str]) -> None:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        said = (completed.stdout + completed.stderr)[-2_000:]
        raise RuntimeError(f"{' '.join(command)} failed:\n{said}")


if __name__ == "__main__":
    main()
