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
