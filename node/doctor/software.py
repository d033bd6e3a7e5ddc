"""Python, the packages that are pinned because an adapter knows their measured behaviour, and what jobs may import."""

import platform
import re
import subprocess
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Tell, doubtful, faulty, fine
from morphware.node.runner.seccomp import ARCHITECTURES

OLDEST_PYTHON: Final = (3, 11)
NATIVE: Final = {"libp2p": "morphware.node.gossip.service", "libtorrent": "libtorrent"}
"""What stands on compiled code, and may be installed and still not load; and the module that is to load."""
LOAD_LIMIT_S: Final = 60


async def check_python(tell: Tell) -> None:
    """The interpreter and the machine that it runs on."""
    found, advice = python_complaint(sys.version_info[:2], platform.system(), platform.machine())
    where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    tell(faulty("python", found, advice) if found else fine("python", where))


def python_complaint(python: tuple[int, int], system: str, machine: str) -> tuple[str, str]:
    """What is wrong with an interpreter, and what to do; two empty texts if nothing is."""
    if python < OLDEST_PYTHON:
        return f"Python {python[0]}.{python[1]} is too old.", "Install Morphware with Python 3.11 or later."
    if system != "Linux":
        return (
            f"This is {system}, and the sandbox needs Linux.",
            "Run the node on Linux, or in a Linux virtual machine.",
        )
    if machine not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        return f"The sandbox knows no {machine} processors.", f"Run the node on one of {known}."
    return "", ""


async def check_packages(tell: Tell) -> None:
    """The packages that everything stands on: there, of the right version, and loadable."""
    pins = pinned_versions()
    seen = []
    for package, module in NATIVE.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            tell(
                faulty("packages", f"{package} is not installed.", "Install Morphware again: `pip install morphware`.")
            )
            continue
        wanted = pins.get(package, installed)
        if installed != wanted:
            found = f"{package} {installed} is installed, and this node was measured with {wanted}."
            tell(faulty("packages", found, f"Install the right one: `pip install {package}=={wanted}`."))
            continue
        if (reason := await in_thread(partial(load_failure, module))) is not None:
            found = f"{package} {installed} is installed and does not load ({reason})."
            advice = f"Install it again: `pip install --force-reinstall {package}=={wanted}`."
            tell(faulty("packages", found, advice))
            continue
        seen.append(f"{package} {installed}")
    if len(seen) == len(NATIVE):
        tell(fine("packages", f"{' and '.join(seen)} load."))


def pinned_versions() -> dict[str, str]:
    """The packages of which Morphware wants one version and no other."""
    try:
        lines = requires("morphware") or []
    except PackageNotFoundError:
        return {}
    matches = (re.match(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)\s*(?:;|$)", line) for line in lines)
    return {match[1]: match[2] for match in matches if match is not None}


def load_failure(module: str) -> str | None:
    """Why a module does not load; in a process of its own, which a broken library may take down. None: it does."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            text=True,
            timeout=LOAD_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    lines = tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"]
    return lines[-1][:300] if tried.returncode else None


async def check_job_packages(tell: Tell) -> None:
    """What most strangers' jobs import: without it they fail here, and the bond is lost."""
    seen, missing = [], []
    for package in ("torch", "scikit-learn", "pandas"):
        try:
            seen.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        found = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, which many jobs import."
        tell(doubtful("job packages", found, "Install what jobs import: `pip install 'morphware[examples]'`."))
    else:
        tell(fine("job packages", f"{', '.join(seen)} are there for jobs."))
