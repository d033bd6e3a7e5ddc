"""From what a person chose, and what the job's own ``morphware.toml`` says, to a wish: for command line and page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from morphware.node.amounts import parse_tokens
from morphware.node.errors import BadInput
from morphware.node.runner.inspect import JobInspection
from morphware.node.runner.job_config import FILE_NAME, JobConfig
from morphware.node.wishes import JobWish
from morphware.protocol.market import WINDOW_MOST_S
from morphware.protocol.units import Wei

USUAL_ESTIMATE_S: Final = 600
USUAL_MEMORY_MIB: Final = 4096
MOST_MEMORY_MIB: Final = 1 << 30
USUAL_DISK_BYTES: Final = 4 << 30
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose; None (of the name: nothing) leaves a choice to the job's own file, or to what is usual."""

    program: Path
    train: Path | None = None
    test: Path | None = None
    data: Path | None = None
    metric: str | None = None
    threshold: float | None = None
    baseline: float | None = None
    reserve_wei: Wei | None = None
    fee_wei: Wei | None = None
    name: str = ""
    estimated_s: int | None = None
    training_s: int | None = None
    testing_s: int | None = None
    bidding_s: int | None = None
    seats: int = 5
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    chunks: int = 0
    test_chunks: int = 0


def wish_from(choices: Choices, job: JobInspection) -> JobWish:
    """The job that somebody asks for, with what he leaves open taken from the job's file.

    Raises:
        BadInput: neither says what nobody else can, or the job's file says what cannot be.
    """
    for problem in missing(choices, job):
        raise problem
    config = job.config
    metric = choices.metric or config.metric
    threshold = config.threshold if choices.threshold is None else choices.threshold
    reserve_wei = reserve_of(config) if choices.reserve_wei is None else choices.reserve_wei
    assert metric is not None
    assert threshold is not None
    assert reserve_wei is not None
    return JobWish(
        program=choices.program,
        train=choices.train,
        test=choices.test,
        metric=metric,
        threshold=threshold,
        reserve_wei=reserve_wei,
        baseline=choices.baseline,
        name=choices.name,
        estimated_s=choices.estimated_s or config.estimated_seconds or USUAL_ESTIMATE_S,
        training_s=choices.training_s,
        testing_s=choices.testing_s,
        bidding_s=choices.bidding_s,
        seats=choices.seats,
        fee_wei=choices.fee_wei,
        privacy=choices.privacy,
        memory_bytes=choices.memory_bytes or (config.memory_mib or USUAL_MEMORY_MIB) * MIB,
        disk_bytes=choices.disk_bytes or USUAL_DISK_BYTES,
        data=choices.data,
        chunks=choices.chunks,
        test_chunks=choices.test_chunks,
    )


def missing(choices: Choices, job: JobInspection) -> Iterator[BadInput]:
    """What neither the person nor the job's file says, or the file says wrongly, each with its field."""
    config = job.config
    metric = choices.metric or config.metric
    if metric is None:
        yield BadInput(f"Name a metric for {job.entry} with --metric or in {FILE_NAME}.", field="metric")
    if choices.threshold is None and config.threshold is None:
        yield BadInput(f"Name the {metric or 'value'} that pays with --threshold or in {FILE_NAME}.", field="threshold")
    skipped = {
        "reserve_wei": choices.reserve_wei is not None,
        "estimated_s": choices.estimated_s is not None,
        "memory_bytes": choices.memory_bytes is not None,
    }
    yield from (problem for problem in config_problems(config) if not skipped.get(problem.field, False))
    if choices.reserve_wei is None and config.reserve is None:
        yield BadInput(
            f"The job needs a reserve, the most that it may cost: give --reserve, or write reserve into {FILE_NAME}.",
            field="reserve_wei",
        )


def config_problems(config: JobConfig) -> Iterator[BadInput]:
    """What a job's own file says that cannot be, each with the field that it would fill."""
    try:
        reserve_of(config)
    except BadInput as error:
        yield BadInput(f"The reserve in {FILE_NAME} cannot be used: {error.sentence}", field="reserve_wei")
    if not 1 <= (config.estimated_seconds or USUAL_ESTIMATE_S) <= WINDOW_MOST_S:
        yield BadInput(f"The estimated_seconds in {FILE_NAME} are none: 1 s to 30 days can be.", field="estimated_s")
    if not 1 <= (config.memory_mib or USUAL_MEMORY_MIB) <= MOST_MEMORY_MIB:
        yield BadInput(f"The memory_mib in {FILE_NAME} is no size of a memory: correct it.", field="memory_bytes")


def reserve_of(config: JobConfig) -> Wei | None:
    """The reserve that a job's own file names. Raises ``BadInput``."""
    return None if config.reserve is None else parse_tokens(str(config.reserve))
