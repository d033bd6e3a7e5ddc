"""The README tells the campaign's figures as they were, and no figure is lost when a campaign goes on."""

from pathlib import Path
from typing import Any

import pytest

from morphware.contracts.checks import report

STEP: dict[str, Any] = {"runs": 12_000, "calls": 1_000_000, "violations": 0, "seconds": 61.4, "sources": "ab" * 32}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "FILE", tmp_path / "campaign.json")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    return tmp_path


def test_the_readme_tells_the_last_campaign() -> None:
    if report.load():
        assert report.table() in report.README.read_text("utf-8")


def test_a_step_that_never_ran_is_named_in_the_table(folder: Path) -> None:
    report.save("invariants", STEP)
    assert "12,000 sequences, 1,000,000 calls | 0 | 61 | `abababababab`" in report.table()
    assert "| slither | not run | | |" in report.table()


def test_the_table_replaces_only_what_lies_between_its_marks(folder: Path) -> None:
    report.README.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", "utf-8")
    report.save("machine", STEP)
    report.write_table()
    report.write_table()
    text = report.README.read_text("utf-8")
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert text.count("12,000 examples") == 1


def test_a_readme_without_marks_is_refused(folder: Path) -> None:
    report.README.write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match="no place"):
        report.write_table()


def test_figures_of_two_versions_of_the_sources_are_told_apart(folder: Path) -> None:
    report.save("machine", STEP)
    report.save("slither", STEP | {"sources": "cd" * 32})
    assert "2 versions of the sources" in report.table()
    assert set(report.load()) == {"machine", "slither"}


def test_surviving_mutants_are_named(folder: Path) -> None:
    details = {
        "a fault": {"fate": "killed", "by": "forge: test_a", "seconds": 3.0},
        "another": {"fate": "survived", "by": "", "seconds": 9.0},
    }
    report.save("mutants", STEP | {"details": details})
    assert "Mutants killed: 1 of 2 (1 by forge)." in report.table()
    assert "- another: survived" in report.table()
