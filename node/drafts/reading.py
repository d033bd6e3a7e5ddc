"""What a node reads in an uploaded job: parsed, never run, and whatever is broken is one sentence beside its field."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from morphware.node.api.answers.submitting import Draft, FieldProblem, Suggested, Upload
from morphware.node.chunks import count_rows
from morphware.node.drafts.receiving import FIELDS, data_folders
from morphware.node.errors import BadInput
from morphware.node.runner.inspect import JobInspection, check_testable, data_problems, inspect_job
from morphware.node.wishing import MIB, USUAL_ESTIMATE_S, USUAL_MEMORY_MIB, config_problems, reserve_of
from morphware.protocol.metrics import KNOWN_METRICS
from morphware.protocol.split import CHUNKS_LEAST

NAMES_SHOWN: Final = 8
LISTED_MOST: Final = 100
TEXT_MOST: Final = 200

_OPTIONS: Final = (
    (re.compile(r" with --[a-z-]+ or in "), " here or in "),
    (re.compile(r" with --[a-z-]+"), ""),
    (re.compile(r"name its folders, --train and --test, or --data for a split"), "upload it"),
    (re.compile(r"give --[a-z-]+,"), "give one,"),
    (re.compile(r"--privacy sealed"), "a sealed job"),
    (re.compile(r"The (training|testing) data folder (?:train|test) "), r"The \1 data "),
)
"""What a sentence says to somebody at a terminal, and what it says beside a field."""


def describe_draft(folder: Path, draft_id: str, created_s: float) -> Draft:
    """Read an upload's folders. Blocks."""
    job: JobInspection | None = None
    problems: list[BadInput] = []
    try:
        job = inspect_job(folder / "program")
        problems += config_problems(job.config)
        check_testable(job)
    except BadInput as problem:
        problems.append(problem)
    problems += _data_problems(job, folder)
    return Draft(
        draft_id=draft_id,
        created_s=created_s,
        entry=job.entry if job else None,
        kind=job.kind if job else None,
        files=_listed(job.files) if job else [],
        functions=sorted(_defined(job)) if job else [],
        logged=_listed(sorted(job.logged)) if job else [],
        requirements=_listed(job.requirements) if job else [],
        metrics=list(KNOWN_METRICS),
        suggested=_suggested(job) if job else None,
        uploads={name: _upload(folder / name) for name in FIELDS if (folder / name).is_dir()},
        problems=told(problems, folder),
    )


def told(problems: list[BadInput], folder: Path) -> list[FieldProblem]:
    """Problems as a form shows them: without options of the command line, and without the place of the upload."""
    return [FieldProblem(field=problem.field, sentence=_for_form(problem.sentence, folder)) for problem in problems]


def _for_form(sentence: str, folder: Path) -> str:
    sentence = sentence.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")
    for pattern, words in _OPTIONS:
        sentence = pattern.sub(words, sentence)
    return sentence


def _data_problems(job: JobInspection | None, folder: Path) -> Iterator[BadInput]:
    train, test, data = data_folders(folder)
    try:
        yield from data_problems(job, train, test)
        if data is not None:
            count_rows(data, CHUNKS_LEAST)
    except BadInput as problem:
        yield problem
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        field = "data" if data is not None and train is None else "test"
        yield BadInput(f"The data cannot be read: {error or type(error).__name__}.", field=field)


def _defined(job: JobInspection) -> set[str]:
    named = set(job.functions & {"predict", "test", "evaluate"})
    return named | ({"train"} if job.has_train_function else set())


def _suggested(job: JobInspection) -> Suggested:
    config = job.config
    wrong = {problem.field for problem in config_problems(config)}
    reserve_wei = None if "reserve_wei" in wrong else reserve_of(config)
    is_number = config.threshold is not None and math.isfinite(config.threshold)
    return Suggested(
        name=config.title[:TEXT_MOST],
        metric=None if config.metric is None else config.metric[:TEXT_MOST],
        threshold=config.threshold if is_number else None,
        reserve_wei=None if reserve_wei is None else str(reserve_wei),
        estimated_s=(None if "estimated_s" in wrong else config.estimated_seconds) or USUAL_ESTIMATE_S,
        memory_bytes=((None if "memory_bytes" in wrong else config.memory_mib) or USUAL_MEMORY_MIB) * MIB,
    )


def _upload(root: Path) -> Upload:
    files = [path for path in root.rglob("*") if path.is_file()]
    names = sorted(str(path.relative_to(root)) for path in files)
    return Upload(files=len(files), size_bytes=sum(path.stat().st_size for path in files), names=names[:NAMES_SHOWN])


def _listed(texts: tuple[str, ...] | list[str]) -> list[str]:
    return [text[:TEXT_MOST] for text in texts[:LISTED_MOST]]
