"""``morphware watch``: a job that has begun, live to its end; closing the window changes nothing about it."""

import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from morphware.node.api.answers.jobs import Job
from morphware.node.cli.fence import print_failure
from morphware.node.cli.jobs import OPEN, account_of, find, show_receipt
from morphware.node.cli.printing import print_json
from morphware.node.cli.submit import VIEWER, data_folder_of, say_goodbye
from morphware.node.client import AsyncClient, Client
from morphware.node.errors import BadInput, ExitStatus
from morphware.protocol.units import Address

PAID: Final = "PAID"
POINTS: Final = 500
"""Of a curve so many points are taken up: more than a terminal has columns."""


def watch_job(start: str, data_folder: Path | None, *, as_json: bool) -> int:
    """Follow a job; the exit status is 0 iff it is paid.

    Raises:
        BadInput: no job or several jobs begin so.
        NodeGone: the node stopped meanwhile.
    """
    folder = data_folder_of(data_folder)
    asked = Client(folder)
    job_id, account = find(asked, start).job_id, account_of(asked)
    is_interrupted = False
    status = int(ExitStatus.INTERRUPTED)
    try:
        status = trio.run(partial(_watch, AsyncClient(folder), job_id, account, as_json=as_json))
    except* KeyboardInterrupt:
        is_interrupted = True
    if is_interrupted:
        say_goodbye(job_id, data_folder)
    return status


async def _watch(client: AsyncClient, job_id: str, account: Address, *, as_json: bool) -> int:
    from rich.console import Console  # rich takes longer to import than a refusal to say

    from morphware.node.testnet.display import JobDisplay, follow
    from morphware.node.wording import shown

    display = JobDisplay({account: VIEWER}, viewer=VIEWER)
    is_mine = True

    async def take_up() -> str:
        nonlocal is_mine
        job = await client.job(job_id)
        is_mine = job.is_mine
        display.take_up(job_id, await _so_far(client, job))
        return job_id

    def is_enough(display: JobDisplay) -> bool:
        view = display.progress.view
        return display.is_over or (not is_mine and view is not None and view.closed is not None)

    console = Console(stderr=as_json)
    await follow(
        display, {VIEWER: client}, take_up, console=console, is_plain=True if as_json else None, is_enough=is_enough
    )
    job = await client.job(job_id)
    if as_json:
        print_json(job)
    else:
        show_receipt(job, account, display)
    if job.outcome == "NOT_POSTED":
        print_failure(f"The job was not posted: {shown(job.problem or 'the chain refused it')}")
    return ExitStatus.SUCCESS if job.outcome == PAID else ExitStatus.NOT_PAID


async def _so_far(client: AsyncClient, job: Job) -> list[dict[str, Any]]:
    """What a listener would have heard, as far as the picture needs it."""
    job_id, now_s = job.job_id, time.time()
    notices = await _past(client, job_id)
    network = await client.network()
    chain = network.chain
    notices.append({"kind": "block", "time_s": now_s, "number": chain.block, "timestamp": chain.block_time_s})
    for each in network.transfers:
        if each.job_id == job_id and each.doing == "fetching" and each.name:
            progress = {"name": each.name, "done_bytes": each.done_bytes, "total_bytes": each.total_bytes,
                        "rate_bytes_s": each.down_bytes_s, "peers": each.peers}  # fmt: skip
            notices.append({"kind": "transfer", "job_id": job_id, "time_s": now_s} | progress)
    for curve in (await client.series(job_id, buckets=POINTS)).curves:
        points = [[x, 0.0, curve.name, value] for x, value in zip(curve.xs, curve.values, strict=True)]
        notices.append({"kind": "points", "job_id": job_id, "time_s": now_s, "points": points, "count": curve.count})
    after = -1
    while pieces := (await client.output(job_id, after)).pieces:
        after = pieces[-1].sequence
        text = "".join(piece.text for piece in pieces)
        notices.append({"kind": "output", "job_id": job_id, "time_s": now_s, "sequence": after, "text": text})
    if job.problem and job.outcome == OPEN:
        notices.append({"kind": "waits", "job_id": job_id, "time_s": now_s, "reason": job.problem})
    if job.outcome != OPEN and not await _is_at_work(client, job_id):
        ended = {"kind": "ended", "job_id": job_id, "time_s": now_s, "role": "user", "outcome": job.outcome}
        notices.append(ended)
    return notices


async def _past(client: AsyncClient, job_id: str) -> list[dict[str, Any]]:
    try:
        return await client.past(job_id)
    except BadInput:
        return []  # it is not on the chain yet


async def _is_at_work(client: AsyncClient, job_id: str) -> bool:
    """Whether the end user's node has something left to do for a job that is over: to fetch and open its model."""
    return any(duty.job_id == job_id and duty.role == "user" for duty in (await client.operator()).duties)
