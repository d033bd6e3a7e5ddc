"""``morphware doctor``: a finding a line, with what to do about it; works with and without a running node."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphware.node.cli.fence import fenced
from morphware.node.cli.flags import AsJson, DataFolder
from morphware.node.errors import BadInput, ExitStatus

if TYPE_CHECKING:
    from morphware.node.doctor.examination import Check
    from morphware.node.doctor.findings import Finding

SYMBOLS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@fenced
def doctor(
    config: Annotated[
        Path | None, typer.Option(help="A TOML file (default: morphware.toml in the data folder, if it is there).")
    ] = None,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Look for whatever could keep a node from working, and say what to do. The exit status is 0 without a problem."""
    from morphware.node.config_loading import chosen_file, load_config
    from morphware.node.doctor.checks import checks_of, checks_without_configuration
    from morphware.node.doctor.findings import failure, fine
    from morphware.node.log import configure_logging

    configure_logging(level="error")  # the small job of the sandbox's check is no news
    flags = {"node.data_folder": data_folder}
    try:
        loaded = load_config(config, flags=flags)
        checks = checks_of(loaded.config)
        file = chosen_file(config, flags=flags)
        first = fine(
            "configuration", f"{file} can be used." if file else "There is no file: every setting is a default."
        )
    except BadInput as error:
        checks, first = checks_without_configuration(), failure("configuration", error)
    return tell(first, checks, as_json=as_json)


def tell(first: "Finding", checks: "Sequence[Check]", *, as_json: bool) -> int:
    """Make the checks, and print what was found; the status is 0 without a problem."""
    import trio

    from morphware.node.doctor.examination import examine
    from morphware.node.doctor.findings import Standing

    with _progress(len(checks), is_wanted=sys.stderr.isatty() and not as_json) as show:
        findings = [first, *trio.run(examine, checks, show)]
    if as_json:
        _print_json(findings)
    else:
        _print_table(findings)
    return (
        ExitStatus.WORLD_FAILED if any(each.standing is Standing.PROBLEM for each in findings) else ExitStatus.SUCCESS
    )


@contextmanager
def _progress(total: int, *, is_wanted: bool) -> Iterator[Callable[[Sequence[str]], None]]:
    """What is still looked at, on a terminal's last line."""
    if not is_wanted:
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Looking…") as status:

        def show(running: Sequence[str]) -> None:
            if running:
                status.update(f"Looked at {total - len(running)} of {total}; still at: {', '.join(running)}")

        yield show


def _print_json(findings: Sequence["Finding"]) -> None:
    import json
    from dataclasses import asdict

    said = {
        "problems": _count(findings, "problem"),
        "warnings": _count(findings, "warning"),
        "findings": [asdict(finding) for finding in findings],
    }
    sys.stdout.write(json.dumps(said, indent=2, ensure_ascii=True) + "\n")


def _print_table(findings: Sequence["Finding"]) -> None:
    """Colours and signs on a terminal; elsewhere plain lines, which begin with the standing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from morphware.node.cli.printing import plain_text

    if not sys.stdout.isatty():
        for each in findings:
            sys.stdout.write(f"{each.standing:<8} {each.subject:<14} {plain_text(each.found)}\n")
            if each.advice:
                indented = plain_text(each.advice).replace("\n", "\n" + " " * 24)
                sys.stdout.write(f"{'':<8} {'':<14} {indented}\n")
        sys.stdout.write(_summary(findings) + "\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        sign, colour = SYMBOLS[each.standing]
        words = Text(plain_text(each.found))
        if each.advice:
            words.append(f"\n→ {plain_text(each.advice)}", style=colour)
        table.add_row(Text(sign, style=f"bold {colour}"), Text(each.subject, style="bold"), words)
    console = Console()
    console.print(table)
    console.print(Text(_summary(findings)))


def _summary(findings: Sequence["Finding"]) -> str:
    from morphware.node.wording import counted

    told = [counted(number, word) for word in ("problem", "warning") if (number := _count(findings, word))]
    return f"Found {' and '.join(told)}." if told else "All is well."


def _count(findings: Sequence["Finding"], standing: str) -> int:
    return sum(each.standing == standing for each in findings)
