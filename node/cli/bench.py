"""``morphware bench``: measurements that anybody can repeat. The work is imported only by the command that does it."""

from typing import Annotated

import typer

from morphware.node.cli.fence import fenced

USUAL_BIDS = (2, 5, 16, 64)

bench_app = typer.Typer(no_args_is_help=True, help="Measure the market on this machine.")


@bench_app.command("gas", epilog="Example: morphware bench gas --json > gas.json")
@fenced
def bench_gas(
    bids: Annotated[
        list[int] | None,
        typer.Option(metavar="NUMBER", help="Bids of a job; may be given several times (default: 2, 5, 16 and 64)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")] = False,
) -> int:
    """Run whole honest jobs on a local chain, and the same auctions in two other ways; show the gas of all of it."""
    from morphware.node.bench.gas.command import run_bench_gas

    return run_bench_gas(bids or USUAL_BIDS, as_json=as_json)


@bench_app.command("page", epilog="Example: morphware bench page --json > page.json")
@fenced
def bench_page(
    jobs: Annotated[int, typer.Option(min=100, max=100_000, help="Jobs that the node knows.")] = 10_000,
    points: Annotated[int, typer.Option(min=10_000, max=2_000_000, help="Points that a job logged.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")] = False,
) -> int:
    """Measure how long the web page waits for a list of many jobs and for a curve of many points."""
    from morphware.node.bench.page import run_bench_page

    return run_bench_page(jobs, points, as_json=as_json)
