"""``morphware fetch``: the model of a paid job, and its signed record, on this machine."""

import sys
from pathlib import Path
from typing import Final

import msgspec

from morphware.node.api.answers.jobs import SignedRecord
from morphware.node.cli.jobs import OPEN, find
from morphware.node.cli.printing import print_json
from morphware.node.cli.submit import data_folder_of
from morphware.node.client import Client
from morphware.node.client.archive import check_free
from morphware.node.errors import BadInput, ExitStatus, MorphwareError
from morphware.node.log import neutral
from morphware.node.wording import shown

DIGITS: Final = 8


class NotPaid(MorphwareError):
    """The job ended without a model."""

    exit_status = ExitStatus.NOT_PAID


def fetch_model(
    job_id: str, data_folder: Path | None, *, output: Path | None, record: Path | None, as_json: bool
) -> int:
    """Save what is asked for; what can be refused is refused before anything is written.

    Raises:
        BadInput: there is no such job, it has no model yet, or something is in the way.
        NotPaid: it will never have one.
    """
    client = Client(data_folder_of(data_folder))
    job = find(client, job_id)
    if job.outcome == OPEN:
        raise BadInput(
            f"The job has not ended ({job.state}): its model can be fetched once it is paid; follow it with "
            f"`morphware watch {job.job_id[:DIGITS]}`."
        )
    if job.outcome != "PAID":
        raise NotPaid(f"The job ended as {job.outcome}, so there is no model: {shown(job.reason)}.")
    folder = output or Path(f"model-{job.job_id[:DIGITS]}")
    check_free(folder)
    if record is not None and (record.exists() or record.is_symlink()):
        raise BadInput(f"{record} is there already, and nothing is overwritten: name another file.")
    client.model(job.job_id, folder)
    if record is not None:
        _save(client.record(job.job_id), record)
    if as_json:
        print_json({"job_id": job.job_id, "model": str(folder), "record": None if record is None else str(record)})
        return ExitStatus.SUCCESS
    sys.stdout.write(neutral(f"The model of {shown(job.name, 80)} is in {folder}.") + "\n")
    if record is not None:
        sys.stdout.write(neutral(f"Its signed record is {record}: `morphware record {record}` checks it.") + "\n")
    return ExitStatus.SUCCESS


def _save(record: SignedRecord, path: Path) -> None:
    try:
        with path.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    except OSError as error:
        raise BadInput(
            f"The record cannot be written to {path} ({error.strerror or error}): name another file."
        ) from error
