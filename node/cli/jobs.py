"""``morphware jobs`` and ``morphware job``: what the running node knows of jobs, past and present."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from morphware.node.api.answers.jobs import Job, JobRow
from morphware.node.cli.printing import SHORT_ID, print_json, table_of, text
from morphware.node.cli.submit import VIEWER, data_folder_of
from morphware.node.client import Client
from morphware.node.errors import BadInput, ExitStatus
from morphware.protocol.units import Address

if TYPE_CHECKING:
    from rich.text import Text

WHOLE_ID: Final = 64
PAGE_SIZE: Final = 200
OPEN: Final = "NONE"
"""The outcome of a job that has not ended."""


def print_jobs(
    data_folder: Path | None,
    *,
    role: Literal["user", "worker", "validator", "any"] | None = None,
    state: Literal["open", "ended", "paid", "failed"] | None = None,
    search: str = "",
    page: int = 1,
    size: int = 50,
    as_json: bool,
) -> int:
    """A line for each job of a page, newest first."""
    found = Client(data_folder_of(data_folder)).jobs(search, role=role, state=state, page=page, size=size)
    if as_json:
        print_json(found)
        return ExitStatus.SUCCESS
    if not found.total:
        is_all = not (search or role or state)
        sys.stdout.write(
            "This node knows no jobs yet: submit one with `morphware submit`.\n" if is_all else "No job is like that.\n"
        )
        return ExitStatus.SUCCESS
    from rich.console import Console

    table = table_of(
        [
            ("job", {"min_width": SHORT_ID}), ("name", {"min_width": 8, "max_width": 32}), ("as", {"min_width": 4}),
            ("state", {"min_width": 9}), ("left", {"justify": "right", "min_width": 7}),
            ("MWT", {"justify": "right", "min_width": 4}), ("why", {}),
        ]
    )  # fmt: skip
    for job in found.jobs:
        table.add_row(*_cells(job))
    console = Console(highlight=False)
    console.print(table)
    pages = -(-found.total // found.size)
    if pages > 1:
        console.print(text(f"Page {page} of {pages}, {found.total} jobs: more with --page.", style="dim"))
    return ExitStatus.SUCCESS


def _cells(job: JobRow) -> list["Text"]:
    """The price where there is one, else the most that is offered."""
    from morphware.node.wording import duration, tokens

    is_over = job.outcome != OPEN
    style = ("green" if job.outcome == "PAID" else "red") if is_over else "cyan"
    amount = job.price_wei or job.reserve_wei
    left_s = 0 if is_over or job.deadline is None else job.deadline - time.time()
    return [
        text(job.job_id[:SHORT_ID]),
        text(job.name, 48),
        text(", ".join(job.roles)),
        text(job.outcome if is_over else job.state, 20, style),
        text(duration(left_s) if left_s > 0 else ""),
        text(tokens(int(amount)) if amount else ""),
        text(job.problem or job.reason, style="yellow" if job.problem else ""),
    ]


def print_job(job_id: str, data_folder: Path | None, *, as_json: bool) -> int:
    """One job, found by the beginning of its id.

    Raises:
        BadInput: no job or several jobs begin so.
    """
    client = Client(data_folder_of(data_folder))
    job = find(client, job_id)
    if as_json:
        print_json(job)
        return ExitStatus.SUCCESS
    show_receipt(job, account_of(client), None)
    return ExitStatus.SUCCESS


def show_receipt(job: Job, account: Address, display: object) -> None:
    """How a job stands or ended. ``display`` is what followed it, if something did."""
    from rich.console import Console

    from morphware.node.testnet.display import JobDisplay
    from morphware.node.testnet.receipt import build_receipt, print_receipt

    followed = display if isinstance(display, JobDisplay) else JobDisplay({})
    receipt = build_receipt(msgspec.to_builtins(job), names={account: VIEWER}, display=followed)
    receipt["outcome"] = job.outcome if job.outcome != OPEN else job.state
    print_receipt(receipt, Console())
    if job.outcome == OPEN and job.next:
        Console(highlight=False).print(text(f"Then: {job.next}"))


def account_of(client: Client) -> Address:
    """The node's account."""
    return Address(bytes.fromhex(client.status().account.removeprefix("0x")))


def find(client: Client, start: str) -> Job:
    """The one job whose id begins so.

    Raises:
        BadInput: none does, or several do.
    """
    wanted = start.strip().lower().removeprefix("0x")
    if not wanted or len(wanted) > WHOLE_ID or any(digit not in "0123456789abcdef" for digit in wanted):
        raise BadInput("A job id has 64 hexadecimal digits: copy it, or its beginning, from `morphware jobs`.")
    if len(wanted) == WHOLE_ID:
        return client.job(wanted)
    found: list[str] = []
    number = 1
    while len(found) < 2:
        page = client.jobs(wanted, page=number, size=PAGE_SIZE)
        found += [job.job_id for job in page.jobs if job.job_id.startswith(wanted)]  # others are named like it
        if number * PAGE_SIZE >= page.total:
            break
        number += 1
    if len(found) != 1:
        what = "several jobs" if found else "no job"
        raise BadInput(f"This node knows {what} whose id begins with {wanted}: look at `morphware jobs`.")
    return client.job(found[0])
