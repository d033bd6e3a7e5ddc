"""What the program calls itself in sentences that are to be pasted."""

import sys
from pathlib import Path

import pytest

from morphware.node.cli.program import program


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that was called by its path, in a folder with a space, and no folder to look for programs in."""
    file = tmp_path / "my env" / "morphware"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\n")
    file.chmod(0o700)
    monkeypatch.setattr(sys, "argv", [str(file), "testnet"])
    monkeypatch.setenv("PATH", "")
    return file


def test_where_the_shell_does_not_find_it_it_is_called_as_it_was(installed: Path) -> None:
    assert program() == f"'{installed}'"


def test_where_the_shell_finds_it_its_name_is_enough(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program() == "morphware"


def test_what_is_called_as_a_module_has_its_usual_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed.with_name("main.py"))])
    assert program() == "morphware"
