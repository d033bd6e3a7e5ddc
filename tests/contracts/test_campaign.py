"""The README tells the campaign's figures as they were, and no figure is lost when a campaign goes on."""

from pathlib import Path
from typing import Any

import pytest

from morphware.contracts.checks import campaign, report
from morphware.contracts.checks.steps import PURE, STEPS, Figures, Step

STEP: dict[str, Any] = {"runs": 12_000, "calls": 1_000_000, "violations": 0, "seconds": 61.4, "sources": "ab" * 32}
STEP |= {"of": 1, "parts": {"walk 1": {"violations": 0, "details": {}}}}


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
    assert "`abababababab`" in report.table()
    assert "`cdcdcdcdcdcd`" in report.table()
    assert set(report.load()) == {"machine", "slither"}


def test_figures_are_of_the_sources_that_the_step_runs() -> None:
    compiled = {campaign.sources_of(name) for name in STEPS if name not in PURE}
    pure = {campaign.sources_of(name) for name in PURE}
    assert len(compiled) == len(pure) == len(compiled ^ pure) - 1 == 1


def test_surviving_mutants_are_named(folder: Path) -> None:
    fates = {
        "a fault": {"fate": "killed", "by": "forge: test_a"},
        "another": {"fate": "survived", "by": ""},
    }
    report.save("mutants", STEP | {"of": 2, "parts": {name: {"details": fate} for name, fate in fates.items()}})
    assert "Mutants killed: 1 of 2 (1 by forge)." in report.table()
    assert "- another: survived" in report.table()


def test_what_is_not_proved_is_named(folder: Path) -> None:
    fates = {"check_a": "proved", "check_b": "out of time"}
    report.save(
        "proofs", STEP | {"of": 2, "parts": {name: {"details": {"fate": fate}} for name, fate in fates.items()}}
    )
    assert "Proved: 1 of 2." in report.table()
    assert "- `check_b`: out of time" in report.table()


def test_a_step_that_is_not_finished_says_so(folder: Path) -> None:
    report.save("machine", STEP | {"of": 3})
    assert "(not finished: 1 of 3 parts)" in report.table()


def test_a_campaign_goes_on_where_it_was_and_tries_again_what_was_violated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    violations = {"two": 1}

    def part(name: str) -> Figures:
        tried.append(name)
        return Figures(1, 10, violations.get(name, 0), {"said": name})

    monkeypatch.setitem(STEPS, "machine", lambda _sources: Step(("one", "two", "three"), part))
    assert campaign.run("machine", "ab" * 32, jobs=1, most=2)["violations"] == 1
    violations.clear()
    figures = campaign.run("machine", "ab" * 32, jobs=2)
    assert sorted(tried) == ["one", "three", "two", "two"]
    assert (figures["runs"], figures["calls"], figures["violations"], figures["of"]) == (3, 30, 0, 3)
    campaign.run("machine", "ab" * 32, jobs=1)
    assert len(tried) == 4
    campaign.run("machine", "cd" * 32, jobs=1)
    assert len(tried) == 7


def test_what_other_parts_found_is_kept_when_one_cannot_be_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(name: str) -> Figures:
        if name == "two":
            raise RuntimeError("no such tool")
        return Figures(1, 10, 0)

    monkeypatch.setitem(STEPS, "machine", lambda _sources: Step(("one", "two", "three"), part))
    with pytest.raises(RuntimeError, match="no such tool"):
        campaign.run("machine", "ab" * 32, jobs=1)
    assert "one" in report.load()["machine"]["parts"]
    assert "two" not in report.load()["machine"]["parts"]


def test_a_step_asks_for_each_part_once() -> None:
    for name in STEPS:
        parts = STEPS[name]("ab" * 32).names
        assert len(set(parts)) == len(parts) > 0
