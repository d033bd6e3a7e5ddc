"""``morphware doctor`` as a person and as a script meet it."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from morphware.node.cli import doctor as command
from morphware.node.cli.doctor import tell
from morphware.node.cli.main import app
from morphware.node.doctor import checks
from morphware.node.doctor.examination import Check
from morphware.node.doctor.findings import Tell, doubtful, faulty, fine
from morphware.node.errors import ExitStatus
from tests.node.doctor.patient import assert_well_formed
from tests.node.terminal import typing

Capture = pytest.CaptureFixture[str]
WELL = fine("configuration", "There is no file: every setting is a default.")


async def is_well(tell: Tell) -> None:
    tell(fine("well", "All is well."))


async def is_doubtful(tell: Tell) -> None:
    tell(doubtful("doubtful", "It is \x1b[2Jodd.", "Look at it.\nTwice."))


async def is_faulty(tell: Tell) -> None:
    tell(faulty("faulty", "It is broken.", "Mend it."))


def doctor(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["doctor", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("looks", "status", "summary"),
    [
        ([is_well], 0, "All is well."),
        ([is_well, is_doubtful], 0, "Found 1 warning."),
        ([is_faulty, is_doubtful, is_faulty], ExitStatus.WORLD_FAILED, "Found 2 problems and 1 warning."),
    ],
)
def test_the_status_is_zero_unless_there_is_a_problem(
    capsys: Capture, looks: list[object], status: int, summary: str
) -> None:
    chosen = tuple(Check(f"check {number}", look) for number, look in enumerate(looks))  # type: ignore[arg-type]
    assert tell(WELL, chosen, as_json=False) == status
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == summary
    assert "\x1b" not in out, "plain where nobody reads it on a terminal, and whatever was found cannot steer one"
    tell(WELL, chosen, as_json=True)
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["problems"] == looks.count(is_faulty)
    assert as_json["warnings"] == looks.count(is_doubtful)
    assert [each["subject"] for each in as_json["findings"]][1:] == [look.__name__[3:] for look in looks]  # type: ignore[attr-defined]


def test_plain_lines_begin_with_their_standing(capsys: Capture) -> None:
    tell(WELL, [Check("odd", is_doubtful)], as_json=False)
    out = capsys.readouterr().out
    first, odd, advice, more, _ = out.splitlines()
    assert first.startswith("ok       configuration")
    assert odd.split(maxsplit=2) == ["warning", "doubtful", "It is \\x1b[2Jodd."]
    assert (advice.strip(), more.strip()) == ("Look at it.", "Twice.")


def test_a_configuration_that_cannot_be_read_is_a_finding_and_the_machine_is_looked_at(
    tmp_path: Path,
) -> None:
    (tmp_path / "morphware.toml").write_text("[chian]\n")
    status, out, _ = doctor("--data-folder", tmp_path, "--json")
    assert status == ExitStatus.WORLD_FAILED
    first, *others = json.loads(out)["findings"]
    assert (first["subject"], first["standing"]) == ("configuration", "problem")
    assert "no section [chian]" in first["found"]
    assert first["advice"] == "Did you mean chain?"
    assert {each["subject"] for each in others} >= {"python", "packages", "sandbox", "job", "gpu"}


def test_without_a_configuration_only_the_machine_is_looked_at() -> None:
    assert [check.name for check in checks.checks_without_configuration()] == ["python", "packages", "sandbox", "gpu"]


@pytest.mark.adapter
def test_a_person_sees_what_is_looked_at_and_what_to_do(tmp_path: Path) -> None:
    """The whole program, on a terminal, for a node that does not exist on a chain that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = {"MORPHWARE_CHAIN_RPC_URL": url}
        with typing("doctor", "--data-folder", tmp_path / "x", folder=tmp_path, environment=environment) as person:
            person.after("still at").after("✗  data folder").after("morphware init --data-folder").after("✗  chain")
            person.after("✓  job").after("problems")
            assert person.ended() == ExitStatus.WORLD_FAILED
            assert "Traceback" not in person.everything
    assert list(tmp_path.iterdir()) == []


@pytest.mark.adapter
def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {"MORPHWARE_CHAIN_RPC_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        with typing("doctor", "--data-folder", tmp_path, folder=tmp_path, environment=environment) as person:
            person.after("still at").interrupt()
            assert person.ended() == ExitStatus.INTERRUPTED
            assert "Traceback" not in person.everything


def test_every_sentence_of_the_whole_list_is_well_formed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORPHWARE_CHAIN_RPC_URL", "http://127.0.0.1:1")
    from morphware.node.doctor.findings import Finding, Standing

    _, out, err = doctor("--data-folder", tmp_path, "--json")
    assert err == ""
    found = json.loads(out)["findings"]
    for each in found:
        assert_well_formed(Finding(**each | {"standing": Standing(each["standing"])}))
    subjects = {each["subject"] for each in found}
    assert subjects >= {"configuration", "python", "packages", "data folder", "disk", "keys", "node", "market", "chain",
                        "gossip port", "artifacts port", "reachability", "sandbox", "job", "gpu", "memory",
                        "processors"}  # fmt: skip
    assert set(command.SYMBOLS) >= {each["standing"] for each in found}
