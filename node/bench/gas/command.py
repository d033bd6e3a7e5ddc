"""``morphware bench gas``: measure, then print; figures on standard output, progress on standard error."""

import json
import sys
from collections.abc import Sequence

import trio

from morphware.node.bench.gas.measure import MOST_BIDS, measure
from morphware.node.bench.gas.report import build_report
from morphware.node.errors import BadInput, ExitStatus
from morphware.node.log import configure_logging


def run_bench_gas(bids: Sequence[int], *, as_json: bool) -> int:
    """Measure for each number of bids; a missed target is a result, not a failure.

    Raises:
        BadInput: a number of bids that the market does not take in one batch.
    """
    wanted = sorted(set(bids))
    if not wanted or wanted[0] < 1 or wanted[-1] > MOST_BIDS:
        raise BadInput(f"A batch of the market holds 1 to {MOST_BIDS} bids: give --bids numbers between them.")
    configure_logging(level="warning")
    report = build_report(trio.run(measure, wanted, _say))
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return ExitStatus.SUCCESS
    from rich.console import Console

    from morphware.node.bench.gas.table import render

    Console().print(render(report), highlight=False)
    return ExitStatus.SUCCESS


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
