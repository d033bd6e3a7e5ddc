"""The commands about jobs, with their options and help; the work is imported only by the command that does it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from morphware.node.cli.fence import fenced
from morphware.node.cli.flags import AsJson, DataFolder
from morphware.node.cli.panels import JOBS, Verb, add_verbs

JobStart = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the beginning of it.")]


@fenced
def list_jobs(
    role: Annotated[
        Literal["user", "worker", "validator", "any"] | None,
        typer.Option(help="Only jobs in which this node has that part (any: whatever part)."),
    ] = None,
    state: Annotated[
        Literal["open", "ended", "paid", "failed"] | None,
        typer.Option(help="Only such jobs; ended: paid or failed."),
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="WORDS", help="Words of the name, metric or state, or the beginning of the id.")
    ] = "",
    page: Annotated[int, typer.Option(min=1, max=1_000_000, help="Which page; the newest jobs are on the first.")] = 1,
    size: Annotated[int, typer.Option(min=1, max=200, help="Jobs on a page.")] = 50,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """List the jobs that the running node knows, newest first, each with its state and the reason for it."""
    from morphware.node.cli.jobs import print_jobs

    return print_jobs(data_folder, role=role, state=state, search=search, page=page, size=size, as_json=as_json)


@fenced
def show_job(job_id: JobStart, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Show one job: its bids, its reports, how it stands or ended, and where its model is."""
    from morphware.node.cli.jobs import print_job

    return print_job(job_id, data_folder, as_json=as_json)


@fenced
def watch(job_id: JobStart, data_folder: DataFolder = None, as_json: AsJson = False) -> int:
    """Follow a job live to its end: state, deadline, transfers, loss, output. The exit status is 0 if it is paid."""
    from morphware.node.cli.watch import watch_job

    return watch_job(job_id, data_folder, as_json=as_json)


@fenced
def logs(
    job_id: JobStart,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Print what a job wrote to standard output and error; with --json a line for each piece of it."""
    from morphware.node.cli.logs import print_logs

    return print_logs(job_id, data_folder, is_following=follow, as_json=as_json)


@fenced
def fetch(
    job_id: JobStart,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new folder (default: model- and 8 digits of the id).")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the job's record, signed by the node, too.")
    ] = None,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Save the model of a paid job in a new folder; nothing is ever overwritten."""
    from morphware.node.cli.fetch import fetch_model

    return fetch_model(job_id, data_folder, output=output, record=record, as_json=as_json)


@fenced
def record(
    file: Annotated[Path, typer.Argument(help="What `morphware fetch --record` saved, or the page.")],
    as_json: AsJson = False,
) -> int:
    """Check the signature of a job's record, and print what it says; needs no node."""
    from morphware.node.cli.records import print_record

    return print_record(file, as_json=as_json)


def add_job_verbs(app: typer.Typer) -> None:
    """In the order of the help."""
    where = "--data-folder ~/user"
    verbs: list[Verb] = [
        ("jobs", list_jobs, f"jobs --state open --search digits {where}"),
        ("job", show_job, f"job 3f2a91c4 {where}"),
        ("watch", watch, f"watch 3f2a91c4 {where}"),
        ("logs", logs, f"logs 3f2a91c4 --follow {where}"),
        ("fetch", fetch, f"fetch 3f2a91c4 --output model --record record.json {where}"),
        ("record", record, "record record.json"),
    ]
    add_verbs(app, JOBS, verbs)
