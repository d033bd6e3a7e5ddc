"""What the commands print: tables, sentences and JSON. No text of a stranger can drive the terminal, or be markup."""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from morphware.node.log import neutral
from morphware.node.wording import shown

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from morphware.node.api.answers.plain import Done

SHORT_ID: Final = 12
_BREAKS: Final = re.compile("([\n\t])")


def print_json(value: object) -> None:
    """For programs; amounts are decimal strings of wei."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_done(done: "Done", *, as_json: bool) -> None:
    """What a request did, in the node's words."""
    if as_json:
        print_json(done)
        return
    sys.stdout.write(neutral(" ".join(done.sentence.split())) + "\n")
    if done.transaction:
        sys.stdout.write(f"Transaction {neutral(done.transaction)}\n")


def plain_text(text: str) -> str:
    """A program's output, as it stands but for what could steer a terminal; lines and tabs stay."""
    return "".join(part if part in ("\n", "\t") else neutral(part) for part in _BREAKS.split(text))


def moment(time_s: float | None) -> str:
    """A time in this machine's zone."""
    if time_s is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(time_s, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return shown(time_s, 20)


def text(words: object, most: int = 400, style: str = "") -> "Text":
    """A stranger's words for a cell."""
    from rich.text import Text

    return Text(shown(words, most), style)


def pairs(rows: Iterable[tuple[str, object]]) -> "Table":
    """Names on the left, what is said of them on the right."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in rows:
        table.add_row(text(name), text(said))
    return table


def table_of(columns: Sequence[tuple[str, dict[str, Any]]]) -> "Table":
    """A table without lines."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, settings in columns:
        kept: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"} | settings
        table.add_column(name, **kept)
    return table
