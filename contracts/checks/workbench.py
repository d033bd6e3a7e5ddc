"""Copies of the contracts' folder to compile, mutate and prove in, so that nobody's checkout is disturbed."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from morphware.contracts import build
from morphware.contracts.checks.toolbox import CACHE

_MACHINE: Final = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
FORGE: Final = (
    build.FOLDER / "node_modules" / "@foundry-rs" / f"forge-{platform.system().lower()}-{_MACHINE}" / "bin" / "forge"
)
SETTINGS: Final = ("foundry.toml", "solc-wrap.js")


def folder(name: str) -> Path:
    """A folder of the checks' own, in the checkout's cache."""
    made = CACHE / "checks" / name
    made.mkdir(parents=True, exist_ok=True)
    return made


def lay(name: str, folders: Iterable[str]) -> Path:
    """A folder with these folders of the contracts' anew, and the compiler's settings; what it has built stays."""
    bench = folder(name)
    for each in folders:
        shutil.rmtree(bench / each, ignore_errors=True)
        shutil.copytree(build.FOLDER / each, bench / each)
    for file in SETTINGS:
        shutil.copy2(build.FOLDER / file, bench / file)
    modules = bench / "node_modules"
    modules.unlink(missing_ok=True)
    modules.symlink_to((build.FOLDER / "node_modules").resolve())
    return bench


def environment(bench: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What forge and what runs it need: node and forge are found, and no configuration of the machine's own."""
    folders = (str(Path(build.node()).parent), str(FORGE.parent), os.environ.get("PATH", os.defpath))
    return {"PATH": os.pathsep.join(folders), "HOME": str(bench), **(extra or {})}


def solc(sources: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What solc says to a standard-JSON request.

    Raises:
        RuntimeError: solc refuses the sources, with its messages.
    """
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": dict(settings),
    }
    completed = subprocess.run(
        [build.node(), str(build.FOLDER / "solc-wrap.js"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise RuntimeError(f"solc did not run: {completed.stderr.strip()}; run `npm ci` in {build.FOLDER}")
    output: dict[str, Any] = json.loads(completed.stdout)
    refusals = [each["formattedMessage"] for each in output.get("errors", ()) if each["severity"] == "error"]
    if refusals:
        raise RuntimeError("\n".join(refusals))
    return output


def sources() -> dict[str, str]:
    """Token and market with all that they import, by the names that solc knows them by."""
    return build.sources_of(build.FOLDER, build.UNITS[0])
