"""The command line: help with examples, exit statuses, and failures that are one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import typer
from typer.testing import CliRunner

from morphware.node.cli.fence import fenced
from morphware.node.cli.main import app
from morphware.node.errors import BadInput, ExitStatus, MorphwareError

COMMANDS = ("init", "doctor", "run", "testnet", "submit", "config", "version")


def invoke(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def run_fenced(error: BaseException, data_folder: Path | None = None) -> int:
    @fenced
    def command(data_folder: Path | None) -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command(data_folder=data_folder)
    return ended.value.exit_code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    status, out, _ = invoke(command, "--help")
    assert status == 0
    assert f"Example: morphware {command}" in " ".join(out.split())


def test_the_command_line_imports_nothing_heavy() -> None:
    program = "import sys, morphware.node.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"trio", "web3", "libp2p", "libtorrent", "torch", "numpy", "structlog", "msgspec", "questionary", "psutil"}
    assert not heavy & set(loaded)


def test_print_config_shows_values_and_origins_and_starts_nothing() -> None:
    status, out, _ = invoke("run", "--role", "worker", "--role", "user", "--set", "worker.capacity=2", "--print-config",
                            "--json")  # fmt: skip
    settings = json.loads(out)
    assert status == 0
    assert settings["node.roles"] == {"value": ["worker", "user"], "origin": "flag --role"}
    assert settings["worker.capacity"] == {"value": 2, "origin": "flag --set"}


def test_config_writes_a_file_that_run_accepts(tmp_path: Path) -> None:
    assert invoke("config", tmp_path / "c.toml")[0] == 0
    assert invoke("run", "--config", tmp_path / "c.toml", "--print-config")[0] == 0
    status, _, err = invoke("config", tmp_path / "c.toml")
    assert (status, err.count("\n")) == (ExitStatus.BAD_INPUT, 1)


def test_version_is_readable_by_programs() -> None:
    status, out, _ = invoke("version", "--json")
    assert status == 0
    assert json.loads(out)["trio"] != "not installed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"--train": "absent"}, "training set absent does not exist"),
        ({"--test": "absent"}, "testing set absent does not exist"),
        ({"--reserve": "12,5"}, "not an amount of tokens"),
        ({"--threshold": "90%"}, "not a metric"),
        ({"--seats": "4"}, "give an odd number, like 5"),
    ],
)
def test_a_bad_submission_is_one_sentence_and_status_2(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    script = tmp_path / "train.py"
    script.write_text("")
    options = {"--train": str(tmp_path), "--test": str(tmp_path), "--reserve": "1", "--threshold": "0.9"} | changes
    status, out, err = invoke("submit", script, *(text for option in options.items() for text in option))
    assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
    assert expected in err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--split", "protocol"], "--split protocol needs --data"),
        (["--split", "protocol", "--data", ".", "--test", "."], "--split protocol has no use for --test"),
        (["--train", ".", "--test", ".", "--data", "."], "--split user has no use for --data"),
        (["--train", "."], "--split user needs --test"),
        (["--train", ".", "--test", ".", "--chunks", "4"], "add --split protocol"),
        (["--split", "protocol", "--data", ".", "--chunks", "2"], "leave none to train on"),
        (["--split", "protocol", "--data", "absent"], "data absent does not exist"),
    ],
)
def test_who_splits_the_data_says_how_in_one_way(tmp_path: Path, options: list[str], expected: str) -> None:
    script = tmp_path / "train.py"
    script.write_text("")
    status, out, err = invoke("submit", script, "--reserve", "1", "--threshold", "0.9", *options)
    assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
    assert expected in err


@pytest.mark.parametrize("options", [["--chunks", "33"], ["--chunks", "1"], ["--test-chunks", "9"]])
def test_a_split_beyond_its_bounds_is_status_2(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "train.py").write_text("")
    assert invoke("submit", tmp_path / "train.py", "--split", "protocol", "--data", tmp_path, *options)[0] == 2


def test_keys_are_made_once_and_shown_without_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORPHWARE_PASSWORD", "correct horse")
    status, out, _ = invoke("keys", "create", "--data-folder", tmp_path)
    assert status == 0
    monkeypatch.delenv("MORPHWARE_PASSWORD")
    status, shown, _ = invoke("keys", "show", "--data-folder", tmp_path, "--json")
    assert status == 0
    assert json.loads(shown)["account"] in out
    monkeypatch.setenv("MORPHWARE_PASSWORD", "another")
    status, _, err = invoke("keys", "create", "--data-folder", tmp_path)
    assert (status, err.count("\n")) == (ExitStatus.BAD_INPUT, 1)


def test_keys_of_an_empty_folder_are_missed_in_one_sentence(tmp_path: Path) -> None:
    status, _, err = invoke("keys", "show", "--data-folder", tmp_path)
    assert (status, err.count("\n")) == (ExitStatus.BAD_INPUT, 1)
    assert "morphware keys create" in err


def test_an_unknown_option_is_status_2() -> None:
    assert invoke("run", "--nonsense")[0] == 2


def test_a_failure_of_ours_is_its_sentence_and_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_fenced(MorphwareError("The chain sleeps: \x1b[2J wake it.")) == ExitStatus.WORLD_FAILED
    assert capsys.readouterr().err == "The chain sleeps: \\x1b[2J wake it.\n"


def test_a_failure_without_text_speaks_its_docstring() -> None:
    class PortTaken(MorphwareError):
        """Another program listens on the port:
        stop it."""

    assert PortTaken().sentence == "Another program listens on the port: stop it."


def test_failures_in_a_nursery_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise BadInput("No such folder: give another.")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)

    with pytest.raises(BaseExceptionGroup) as group:
        trio.run(main)
    assert run_fenced(group.value) == ExitStatus.BAD_INPUT
    assert capsys.readouterr().err == "No such folder: give another.\n"


def test_ctrl_c_ends_with_130_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    interrupted = BaseExceptionGroup("nursery", [KeyboardInterrupt(), ValueError()])
    assert run_fenced(interrupted) == ExitStatus.INTERRUPTED
    assert capsys.readouterr().err == "\n"


def test_a_bug_of_ours_leaves_its_traceback_in_the_data_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_fenced(ZeroDivisionError("oops"), tmp_path) == ExitStatus.OUR_BUG
    (crash,) = (tmp_path / "crashes").iterdir()
    assert "ZeroDivisionError: oops" in crash.read_text()
    assert crash.stat().st_mode & 0o077 == 0
    err = capsys.readouterr().err
    assert str(crash) in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_early_is_no_bug() -> None:
    program = f"{sys.executable} -m morphware.node.cli.main run --print-config | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True, check=False,
                          env=os.environ)  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
