"""The most telling failures, with real node processes on a real chain: each ends as specified, to the wei.

All of them: ``morphware testnet --scenario all``.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import finish

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]


def played(name: str, folder: Path) -> tuple[dict[str, Any], str]:
    done = finish("testnet", "--scenario", name, "--json", "--folder", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("name", "outcome", "way"),
    [
        ("bad-keys", "PAID", {"KEY_DISPUTE", "X_DISPUTE", "DISCLOSE"}),
        ("captured-committee", "REJECTED", {"TALLIED", "DRAWING"}),
        ("appeal", "REJECTED", {"INSPECT", "DRAWING"}),
    ],
)
def test_a_scenario_ends_as_specified(name: str, outcome: str, way: set[str], tmp_path: Path) -> None:
    told, _ = played(name, tmp_path)
    assert told["is_as_specified"] is True, told["problems"]
    assert told["outcome"] == {"actual": outcome, "specified": outcome}
    assert way <= set(told["states"]["actual"])


def test_the_command_prints_who_lost_what_beside_the_specification(tmp_path: Path) -> None:
    told, shown = played("vanish:KEYING:both", tmp_path)
    assert told["is_as_specified"] is True
    assert told["outcome"] == {"actual": "MUTUAL_ABORT", "specified": "MUTUAL_ABORT"}
    bond = int(told["parameters"]["bond_wei"])
    for name in ("user-1", told["winner"]):
        assert name in told["ended"]
        assert told["gains"][name]["actual_wei"] == told["gains"][name]["specified_wei"] == str(-bond // 4)
    assert told["burned_wei"]["actual"] == str(bond // 2)
    assert "user-1 is ended" in shown


def test_a_scenario_that_there_is_not_is_a_sentence() -> None:
    done = finish("testnet", "--scenario", "vanish:AWARDED:validator")
    assert done.returncode == 2
    assert "No validator is drawn yet in AWARDED" in done.stderr
    assert "Traceback" not in done.stderr
