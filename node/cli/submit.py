"""``morphware submit``: look at a job here, hand it to the running node, and follow it to its end.

What can be found wrong without a node is said before one is asked.  The job belongs to the node: closing this window
changes nothing about it.
"""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import trio

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.node import Status
from morphware.node.chunks import count_rows
from morphware.node.cli.fence import print_failure
from morphware.node.cli.options import SubmitOptions
from morphware.node.cli.program import program
from morphware.node.client.client import AsyncClient
from morphware.node.config_loading import load_config
from morphware.node.errors import ExitStatus
from morphware.node.runner.inspect import check_metric, inspect_job
from morphware.node.staging import wish_data_problems
from morphware.node.wishes import JobWish
from morphware.node.wishing import Choices, wish_from
from morphware.protocol.units import METRIC_SCALE, Address

VIEWER = "you"


@dataclass(slots=True)
class _Followed:
    """What is known when Ctrl-C comes."""

    job_id: str = ""


def submit_job(options: SubmitOptions) -> int:
    """Submit a job; the exit status is 0 iff it was paid (without waiting: iff it is on chain).

    Raises:
        BadInput: the job cannot be submitted as it is.
        NodeNotRunning: there is no node on the data folder.
    """
    wish = wish_of(options)
    folder = data_folder_of(options.data_folder)
    followed = _Followed()
    is_interrupted = False
    status = int(ExitStatus.INTERRUPTED)
    try:
        status = trio.run(_submit, options, wish, AsyncClient(folder), followed)
    except* KeyboardInterrupt:
        is_interrupted = True
    if is_interrupted:
        say_goodbye(followed.job_id, options.data_folder)
    return status


def wish_of(options: SubmitOptions) -> JobWish:
    """The job that the options ask for, with what they leave open taken from its ``morphware.toml``, and checked.

    Raises:
        BadInput: with the sentence that says what to mend.
    """
    job = inspect_job(options.script)
    choices = Choices(
        program=options.script,
        train=options.train,
        test=options.test,
        data=options.data,
        metric=options.metric,
        threshold=None if options.threshold_e6 is None else options.threshold_e6 / METRIC_SCALE,
        baseline=None if options.baseline_e6 is None else options.baseline_e6 / METRIC_SCALE,
        reserve_wei=options.reserve_wei,
        name=options.name,
        estimated_s=options.estimated_s,
        training_s=options.training_s,
        testing_s=options.testing_s,
        bidding_s=options.bidding_s,
        seats=options.seats,
        privacy=options.privacy,
        chunks=options.chunks,
        test_chunks=options.test_chunks,
    )
    wish = wish_from(choices, job)
    check_metric(job, wish.metric, wish.threshold)
    for problem in wish_data_problems(job, wish):
        raise problem
    if wish.chunks:
        assert wish.data is not None
        count_rows(wish.data, wish.chunks)
    return wish


def data_folder_of(chosen: Path | None) -> Path:
    """The running node's data folder: the option, else what file and environment say, else the default."""
    return chosen or load_config().config.node.data_folder


async def _submit(options: SubmitOptions, wish: JobWish, client: AsyncClient, followed: _Followed) -> int:
    from rich.console import Console  # rich takes longer to import than a refusal to say

    from morphware.node.testnet.display import JobDisplay, follow

    status = await client.status()
    me = Address(bytes.fromhex(status.account.removeprefix("0x")))
    display = JobDisplay({me: VIEWER}, viewer=VIEWER)
    # JSON readers get standard output for themselves
    console = Console(stderr=options.json)

    async def submit() -> str:
        followed.job_id = await client.submit(wish)
        return followed.job_id

    def is_enough(display: JobDisplay) -> bool:
        return display.is_over or (not options.wait and display.progress.view is not None)

    await follow(
        display,
        {VIEWER: client},
        submit,
        console=console,
        is_plain=True if options.json or not options.wait else None,
        is_enough=is_enough,
    )
    job = msgspec.to_builtins(await client.job(followed.job_id))
    if not options.wait and not display.is_over:
        return _say_posted(job, options)
    return await _conclude(client, job, display, console, status, options)


def _say_posted(job: Mapping[str, Any], options: SubmitOptions) -> int:
    import json

    if options.json:
        sys.stdout.write(json.dumps(job, indent=2) + "\n")
    else:
        sys.stdout.write(f"On chain as job {job['job_id']}. {_see_again(job['job_id'], options.data_folder)}\n")
    return ExitStatus.SUCCESS


async def _conclude(
    client: AsyncClient, job: Mapping[str, Any], display: Any, console: Any, first: Status, options: Any
) -> int:
    """Print the receipt, as far as one node can know it."""
    from morphware.node.testnet.receipt import PAID, build_receipt, print_receipt, receipt_text
    from morphware.node.wording import shown

    me = Address(bytes.fromhex(first.account.removeprefix("0x")))
    receipt = build_receipt(job, names={me: VIEWER}, display=display)
    last = await client.status()
    had, has = (int(status.free_wei) + int(status.wallet_wei) for status in (first, last))
    costs = [msgspec.to_builtins(cost) for cost in await client.costs() if cost.job_id == job["job_id"]]
    receipt["account"] = {"before_wei": str(had), "after_wei": str(has), "change_wei": str(has - had)}
    receipt["costs"] = costs
    if options.json:
        sys.stdout.write(receipt_text(receipt) + "\n")
    else:
        print_receipt(receipt, console)
        change = has - had
        console.print(
            f"Your tokens: {'+' if change > 0 else ''}{format_tokens(change)} MWT, now {format_tokens(has)}.",
            highlight=False,
            soft_wrap=True,
        )
    if display.progress.ended_outcome == "NOT_POSTED":
        print_failure(f"The job was not posted: {shown(job.get('problem') or 'the chain refused it')}")
    return ExitStatus.SUCCESS if job.get("outcome") == PAID else ExitStatus.NOT_PAID


def say_goodbye(job_id: str, data_folder: Path | None) -> None:
    """The last words after Ctrl-C."""
    if job_id:
        sys.stderr.write(f"\nThe job goes on without this window. {_see_again(job_id, data_folder)}\n")
    else:
        sys.stderr.write("\nStopped before the job was handed over: nothing was submitted.\n")


def _see_again(job_id: str, data_folder: Path | None) -> str:
    where = f" --data-folder {shlex.quote(str(data_folder))}" if data_folder else ""
    return f"See it with: {program()} job {job_id}{where} (or `watch` it)"
