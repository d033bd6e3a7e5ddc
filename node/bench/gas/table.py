"""The report for people: a table a section, with a column for each number of bids; it fits 80 characters."""

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from morphware.node.bench.gas.report import BASELINES, reading

WAYS: Final = {
    "relayed": ("A whole job, relayed", "others bring bids and reports, in batches"),
    "self_sent": ("A whole job, self-sent", "everybody sends what is its own"),
}
LABEL_WIDTH: Final = 22


def render(report: dict[str, Any]) -> RenderableType:
    """All figures, and the reading under them."""
    sections: list[RenderableType] = []
    for way, (title, remark) in WAYS.items():
        sections += [_title(title, f"{remark}; {report['seats']} validators"), _job(report, way), ""]
    for name in BASELINES:
        sections += [_title(f"For comparison, {name.replace('_', ' ')}", "bids only"), _baseline(report, name), ""]
    return Group(*sections, _targets(report), "", reading(report))


def _title(title: str, remark: str) -> Text:
    return Text.assemble((title, "bold"), (f" ({remark})", "dim"))


def _job(report: dict[str, Any], way: str) -> Table:
    counts = _counts(report)
    table = _table(counts)
    for call in report["per_call"][counts[0]][way]:
        table.add_row(call, *(_cell(report["per_call"][count][way].get(call)) for count in counts))
    whole = report["whole_job" if way == "relayed" else "whole_job_self_sent"]
    table.add_row("the whole job", *(f"{whole[count]:,}" for count in counts), style="bold")
    for what, words in (("commitment", "commitment"), ("opening", "opening, award"), ("both", "both")):
        cells = [f"{report['per_bid'][count][way][what]:,}" for count in counts]
        table.add_row(f"a bid's {words}", *cells, style="dim")
    return table


def _baseline(report: dict[str, Any], name: str) -> Table:
    counts, baseline = _counts(report), report["baselines"][name]
    table = _table(counts)
    for call in baseline["per_call"][counts[-1]]:
        table.add_row(call, *(_cell(baseline["per_call"][count].get(call)) for count in counts))
    table.add_row("the auction", *(f"{baseline['auction'][count]:,}" for count in counts), style="bold")
    table.add_row("a bid", *(f"{baseline['per_bid'][count]:,}" for count in counts), style="dim")
    for way, words in (("relayed", "ours, relayed"), ("self_sent", "ours, self-sent")):
        cells = [f"{baseline['ratio'][count][way]['per_bid']:.0%}" for count in counts]
        table.add_row(f"  {words}", *cells, style="dim")
    return table


def _targets(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", no_wrap=True)
    for column in ("at most", "measured", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for name, target in report["targets"].items():
        measured = "-" if target["measured"] is None else f"{target['measured']:,}"
        word = {True: "[green]met[/green]", False: "[red]missed[/red]", None: "not measured"}[target["met"]]
        table.add_row(name.replace("_", " "), f"{target['most']:,}", measured, word)
    return table


def _table(counts: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("gas", no_wrap=True, min_width=LABEL_WIDTH)
    for count in counts:
        table.add_column(f"{count} bids", justify="right", no_wrap=True)
    return table


def _counts(report: dict[str, Any]) -> list[str]:
    return [str(bids) for bids in report["bids"]]


def _cell(kind: dict[str, int] | None) -> str:
    """The gas of a kind of call; of several transactions, how many and the mean."""
    if kind is None:
        return "-"
    times = f"{kind['transactions']} x " if kind["transactions"] > 1 else ""
    return f"{times}{round(kind['gas'] / kind['transactions']):,}"
