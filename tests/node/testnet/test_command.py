"""What ``morphware testnet`` refuses before it starts a process."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from morphware.node.cli.main import app
from morphware.node.errors import ExitStatus


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--job", "digit"), "There is no job digit: name a path, an example (digits, tabular), or none."),
        (("--folder", "/proc/net-of-mine"), "/proc/net-of-mine cannot be made"),
        (("--job", "none", "--scenario", "audit", "--keep"), "leave out --keep"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    given = arguments if "--folder" in arguments else (*arguments, "--folder", str(tmp_path))
    result = CliRunner().invoke(app, ["testnet", *given])
    assert (result.exit_code, result.stdout) == (ExitStatus.BAD_INPUT, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
