"""What the program calls itself in sentences that are to be pasted, as real processes that are started in each way."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = f"#!{sys.executable}\nfrom morphware.node.cli.program import program\nprint(program())\n"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A program by our name, in a folder with a space."""
    file = tmp_path / "my env" / "morphware"
    file.parent.mkdir()
    file.write_text(SCRIPT)
    file.chmod(0o700)
    return file


def said(*command: str | Path, path: str | Path = "", folder: Path | None = None) -> str:
    """What it prints, where the shell looks for programs in ``path`` alone."""
    return subprocess.run(
        command, env={"PATH": str(path)}, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.rstrip("\n")


def test_where_the_shell_does_not_find_it_it_is_called_as_it_was(installed: Path) -> None:
    assert said(installed) == f"'{installed}'"
    assert said("my env/morphware", folder=installed.parents[1]) == "'my env/morphware'"


def test_where_the_shell_finds_it_its_name_is_enough(installed: Path) -> None:
    assert said("morphware", path=installed.parent) == "morphware"
    assert said(installed, path=installed.parent) == "morphware"


def test_what_is_called_as_a_module_has_its_usual_name(installed: Path) -> None:
    main = installed.with_name("main.py")
    main.write_text(SCRIPT)
    assert said(sys.executable, main) == "morphware"
