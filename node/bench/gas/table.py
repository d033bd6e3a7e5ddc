"""The report for people: one table, a column for each number of bids."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from morphware.node.bench.gas.report import BASELINES, reading

WAYS = (
    ("relayed", "relayed: others bring commitments and openings, many a transaction"),
    ("self_sent", "self-sent: everybody sends what is its own"),
)


def render(report: dict[str, Any]) -> RenderableType:
    """All figures, and the reading under them."""
    counts = [str(bids) for bids in report["bids"]]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"gas, {report['seats']} validators", no_wrap=True)
    for count in counts:
        table.add_column(f"{count} bids", justify="right", no_wrap=True)
    for way, title in WAYS:
        _add_job(table, report, counts, way, title)
    for name in BASELINES:
        _add_baseline(table, report, counts, name)
    return Group(table, "", _targets(report), "", reading(report))


def _add_job(table: Table, report: dict[str, Any], counts: list[str], way: str, title: str) -> None:
    table.add_row(f"[bold]A job, {title}[/bold]")
    for call in report["per_call"][counts[0]][way]:
        cells = [report["per_call"][count][way].get(call) for count in counts]
        table.add_row(f"  {call}", *(_cell(cell) for cell in cells))
    whole = report["whole_job" if way == "relayed" else "whole_job_self_sent"]
    table.add_row("  [bold]the whole job[/bold]", *(f"[bold]{whole[count]:,}[/bold]" for count in counts))
    for what in ("commitment", "opening", "both"):
        cells = [f"{report['per_bid'][count][way][what]:,}" for count in counts]
        table.add_row(f"  [dim]a bid's {what}, all in[/dim]", *cells)
    table.add_row()


def _add_baseline(table: Table, report: dict[str, Any], counts: list[str], name: str) -> None:
    baseline = report["baselines"][name]
    table.add_row(f"[bold]For comparison, {name.replace('_', ' ')}[/bold]")
    for call in baseline["per_call"][counts[-1]]:
        table.add_row(f"  {call}", *(_cell(baseline["per_call"][count].get(call)) for count in counts))
    table.add_row("  the auction", *(f"{baseline['auction'][count]:,}" for count in counts))
    table.add_row("  [dim]a bid, all in[/dim]", *(f"{baseline['per_bid'][count]:,}" for count in counts))
    for way, words in (("relayed", "ours relayed"), ("self_sent", "ours self-sent")):
        cells = [f"{baseline['ratio'][count][way]['per_bid']:.0%}" for count in counts]
        table.add_row(f"  [dim]a bid of {words}, of that[/dim]", *cells)
    table.add_row()


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


def _cell(kind: dict[str, int] | None) -> str:
    """The gas of a kind of call; of several transactions, how many."""
    if kind is None:
        return "-"
    times = f"{kind['transactions']} x " if kind["transactions"] > 1 else ""
    return f"{times}{round(kind['gas'] / kind['transactions']):,}"
