"""The most telling failures, with real node processes on a real chain: each ends as specified, to the wei.

All of them: ``morphware testnet --scenario all``.
"""

import json
from pathlib import Path

import pytest

from morphware.node.testnet.playhouse import play
from morphware.node.testnet.scenarios import find
from morphware.protocol.states import Outcome, State
from tests.e2e.processes import finish

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]


@pytest.mark.parametrize(
    ("name", "outcome", "way"),
    [
        ("bad-keys", Outcome.PAID, (State.KEY_DISPUTE, State.X_DISPUTE, State.DISCLOSE)),
        ("captured-committee", Outcome.REJECTED, (State.TALLIED, State.DRAWING)),
        ("appeal", Outcome.REJECTED, (State.INSPECT, State.DRAWING)),
    ],
)
async def test_a_scenario_ends_as_specified(
    name: str, outcome: Outcome, way: tuple[State, ...], tmp_path: Path
) -> None:
    comparison = await play(find(name), tmp_path)
    assert comparison.is_as_specified, comparison.problems
    assert comparison.played.outcome is outcome
    assert set(way) <= set(comparison.played.states)


def test_the_command_prints_who_lost_what_beside_the_specification(tmp_path: Path) -> None:
    done = finish("testnet", "--scenario", "vanish:KEYING:both", "--json", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["is_as_specified"] is True
    assert told["outcome"] == {"actual": "MUTUAL_ABORT", "specified": "MUTUAL_ABORT"}
    bond = int(told["parameters"]["bond_wei"])
    for name in ("user-1", told["winner"]):
        assert name in told["ended"]
        assert told["gains"][name]["actual_wei"] == told["gains"][name]["specified_wei"] == str(-bond // 4)
    assert told["burned_wei"]["actual"] == str(bond // 2)
    assert "user-1 is ended" in done.stderr


def test_a_scenario_that_there_is_not_is_a_sentence() -> None:
    done = finish("testnet", "--scenario", "vanish:AWARDED:validator")
    assert done.returncode == 2
    assert "No validator is drawn yet in AWARDED" in done.stderr
    assert "Traceback" not in done.stderr
