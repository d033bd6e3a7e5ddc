"""``morphware record``: checks the signature of a job's record and prints what it says, whoever may have made it."""

from pathlib import Path
from typing import Any, Final

import msgspec

from morphware.node.api.answers.jobs import Job, Moment, SignedRecord
from morphware.node.cli.printing import moment, pairs, print_json, text
from morphware.node.errors import BadInput, ExitStatus
from morphware.node.record import verify_record

RECORD_BYTES_MOST: Final = 64 << 20
STEPS_MOST: Final = 200
DEEPEST: Final = "The record is nested too deep to be one: it was not made by a node."


class _Said(msgspec.Struct, frozen=True):
    """What a record has to hold to be shown."""

    chain_id: int
    market: str
    account: str
    signed_at: int
    job: Job
    timeline: list[Moment]


def print_record(file: Path, *, as_json: bool) -> int:
    """Check and print.

    Raises:
        BadInput: it cannot be read, is no record, or was changed.
    """
    record = _read(file)
    try:
        plain = verify_record(record)
        said = msgspec.convert(plain, _Said)
    except msgspec.ValidationError as error:
        raise BadInput(f"{file} is signed, but is no record of a job as this version knows it ({error}).") from error
    except RecursionError as error:
        raise BadInput(DEEPEST) from error
    if as_json:
        print_json({"is_signed": True, **plain})
        return ExitStatus.SUCCESS
    _print(said)
    return ExitStatus.SUCCESS


def _read(file: Path) -> SignedRecord:
    try:
        with file.open("rb") as opened:
            content = opened.read(RECORD_BYTES_MOST + 1)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror or error}): check the path.") from error
    if len(content) > RECORD_BYTES_MOST:
        raise BadInput(f"{file} is too large to be the record of a job.")
    try:
        return msgspec.json.decode(content, type=SignedRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(
            f"{file} is no signed record of a job ({error}): `morphware fetch --record` makes one."
        ) from error


def _print(said: _Said) -> None:
    from rich.console import Console

    from morphware.node.wording import number, with_symbol

    job = said.job
    rows: list[tuple[str, Any]] = [
        ("signed by", f"{said.account}, whose signature is good"),
        ("signed at", moment(said.signed_at)),
        ("market", f"{said.market} on chain {said.chain_id}"),
        ("job", f"{job.job_id}  {job.name}"),
        ("outcome", f"{job.outcome}: {job.reason}"),
        ("metric", f"{job.metric} {number(job.metric_value)}, wanted {number(job.threshold)}"),
        ("user", job.user or ""),
    ]
    if job.winner is not None:
        rows.append(("winner", job.winner.account))
    if job.paid_wei is not None:
        rows.append(("paid", with_symbol(int(job.paid_wei))))
    console = Console(highlight=False)
    console.print(pairs(rows))
    console.print()
    steps = [step for step in said.timeline if step.sentence]
    console.print(pairs((moment(step.time_s), step.sentence) for step in steps[:STEPS_MOST]))
    if len(steps) > STEPS_MOST:
        console.print(text(f"… and {len(steps) - STEPS_MOST} more steps"))
    console.print(
        text("The signature proves who says so, not that it is so: the transactions on the chain do.", style="dim")
    )
