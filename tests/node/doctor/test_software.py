"""Python and packages: what is there is looked at for real, and what could be wrong is told apart."""

import platform
import sys
from pathlib import Path

import pytest

from morphware.node.doctor import software
from morphware.node.doctor.findings import faulty
from tests.node.doctor.patient import OK, PROBLEM, WARNING, about, assert_well_formed, looked


async def test_this_python_is_fine() -> None:
    found = about(await looked(software.check_python), "python")
    assert found.standing is OK
    assert platform.python_version() in found.found


@pytest.mark.parametrize(
    ("python", "system", "machine", "words"),
    [
        ((3, 10), "Linux", "x86_64", "too old"),
        ((3, 12), "Darwin", "arm64", "Linux"),
        ((3, 12), "Linux", "s390x", "s390x"),
    ],
)
def test_a_machine_that_cannot_run_a_node_is_told_why(
    python: tuple[int, int], system: str, machine: str, words: str
) -> None:
    found, advice = software.python_complaint(python, system, machine)
    assert words in assert_well_formed(faulty("python", found, advice)).found


def test_the_pins_are_those_of_the_distribution() -> None:
    assert set(software.pinned_versions()) >= {"libp2p", "libtorrent"}


async def test_packages_of_the_pinned_version_load() -> None:
    found = about(await looked(software.check_packages), "packages")
    assert found.standing is OK


async def test_a_package_of_another_version_or_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "pinned_versions", lambda: {"libtorrent": "9.9"})
    monkeypatch.setattr(software, "NATIVE", {"libtorrent": "libtorrent"})
    other = about(await looked(software.check_packages), "packages")
    assert (other.standing, "9.9" in other.found, "libtorrent==9.9" in other.advice) == (PROBLEM, True, True)
    monkeypatch.setattr(software, "NATIVE", {"no-such-package": "x"})
    none = about(await looked(software.check_packages), "packages")
    assert (none.standing, "no-such-package is not installed" in none.found) == (PROBLEM, True)


def test_a_package_that_does_not_load_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("raise OSError('no such library')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert software.load_failure("broken_here") == "OSError: no such library"
    assert software.load_failure("json") is None


async def test_a_package_that_is_spoiled_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("raise OSError('no such library')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(software, "NATIVE", {"libtorrent": "broken_here"})
    found = about(await looked(software.check_packages), "packages")
    assert (found.standing, "no such library" in found.found) == (PROBLEM, True)


async def test_packages_that_jobs_import_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    there = about(await looked(software.check_job_packages), "job packages")
    assert there.standing is OK
    monkeypatch.setattr(sys, "path", [])
    missing = about(await looked(software.check_job_packages), "job packages")
    assert (missing.standing, "torch" in missing.found) == (WARNING, True)
