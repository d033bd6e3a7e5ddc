"""``morphware jobs`` and ``morphware job``: what the running node knows of jobs, past and present."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio

from morphware.node.cli.submit import VIEWER, data_folder_of
from morphware.node.client.client import AsyncClient
from morphware.node.errors import BadInput, ExitStatus
from morphware.protocol.units import Address

SHORT_ID = 12
WHOLE_ID = 64


def print_jobs(data_folder: Path | None, *, as_json: bool) -> int:
    """A line for each job, oldest first."""
    jobs = msgspec.to_builtins(trio.run(AsyncClient(data_folder_of(data_folder)).all_jobs))
    if as_json:
        sys.stdout.write(json.dumps(jobs, indent=2) + "\n")
        return ExitStatus.SUCCESS
    if not jobs:
        sys.stdout.write("This node knows no jobs yet: submit one with `morphware submit`.\n")
        return ExitStatus.SUCCESS
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from morphware.node.testnet.wording import shown, tokens

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, least in (("job", SHORT_ID), ("name", 8), ("state", 12), ("price (MWT)", 11), ("", 5)):
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=least)
    for job in jobs:
        is_over = job.get("outcome") not in (None, "NONE")
        price = tokens(int(job["price_wei"])) if job.get("price_wei") else ""
        mine = "yours" if job.get("is_mine") else ""
        state = job["outcome"] if is_over else job["state"]
        name = Text(shown(job.get("name") or "", 48))
        table.add_row(shown(job["job_id"][:SHORT_ID], SHORT_ID), name, shown(state, 20), price, mine)
    Console().print(table)
    return ExitStatus.SUCCESS


def print_job(job_id: str, data_folder: Path | None, *, as_json: bool) -> int:
    """One job, found by the beginning of its id.

    Raises:
        BadInput: no job or several jobs begin so.
    """
    job, account = trio.run(_find, AsyncClient(data_folder_of(data_folder)), job_id)
    if as_json:
        sys.stdout.write(json.dumps(job, indent=2) + "\n")
        return ExitStatus.SUCCESS
    from rich.console import Console

    from morphware.node.testnet.display import JobDisplay
    from morphware.node.testnet.receipt import build_receipt, render_receipt

    is_over = job.get("outcome") not in (None, "NONE")
    receipt = build_receipt(job, names={account: VIEWER}, display=JobDisplay({}))
    receipt["outcome"] = job["outcome"] if is_over else job["state"]
    Console().print(render_receipt(receipt))
    return ExitStatus.SUCCESS


async def _find(client: AsyncClient, start: str) -> tuple[Mapping[str, Any], Address]:
    wanted = start.strip().lower().removeprefix("0x")
    if not wanted or len(wanted) > WHOLE_ID or any(digit not in "0123456789abcdef" for digit in wanted):
        raise BadInput("A job id has 64 hexadecimal digits: copy it, or its beginning, from `morphware jobs`.")
    found = [job.job_id for job in await client.all_jobs() if job.job_id.startswith(wanted)]
    if len(found) != 1:
        what = f"{len(found)} jobs" if found else "no job"
        raise BadInput(f"This node knows {what} whose id begins with {wanted}: look at `morphware jobs`.")
    account = (await client.status()).account
    return msgspec.to_builtins(await client.job(found[0])), Address(bytes.fromhex(account.removeprefix("0x")))
