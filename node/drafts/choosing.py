"""What was uploaded, with what the form says, as choices; and everything that is wrong with the two together."""

from pathlib import Path

from morphware.node.api.answers.submitting import Terms
from morphware.node.chunks import count_rows
from morphware.node.drafts.receiving import data_folders
from morphware.node.errors import BadInput
from morphware.node.pricing import price_problems
from morphware.node.runner.inspect import JobInspection
from morphware.node.staging import stage, submission_of, term_problems, wish_data_problems
from morphware.node.wishes import JobWish
from morphware.node.wishing import Choices, missing, wish_from
from morphware.protocol.parameters import Timing
from morphware.protocol.units import Wei
from morphware.protocol.user import Submission


def choices_of(folder: Path, job: JobInspection, terms: Terms) -> Choices:
    """A draft's folders with the terms that are offered. A job without a title is called like its entry."""
    train, test, data = data_folders(folder)
    return Choices(
        program=folder / "program",
        train=None if terms.chunks else train,
        test=None if terms.chunks else test,
        data=data if terms.chunks else None,
        metric=terms.metric,
        threshold=terms.threshold,
        baseline=terms.baseline,
        reserve_wei=None if terms.reserve_wei is None else Wei(int(terms.reserve_wei)),
        fee_wei=None if terms.fee_wei is None else Wei(int(terms.fee_wei)),
        name=terms.name.strip() or job.config.title.strip() or Path(job.entry).stem,
        estimated_s=terms.estimated_s,
        training_s=terms.training_s,
        testing_s=terms.testing_s,
        bidding_s=terms.bidding_s,
        seats=terms.seats,
        privacy=terms.privacy,
        memory_bytes=terms.memory_bytes,
        disk_bytes=terms.disk_bytes,
        chunks=terms.chunks,
        test_chunks=terms.test_chunks,
    )


def submission_for(
    job: JobInspection, choices: Choices, timing: Timing, stake_wei: Wei, least_fee_wei: Wei
) -> tuple[Submission | None, list[BadInput]]:
    """What would be posted, if the terms allow it, and all problems of terms and data. Blocks."""
    problems = list(missing(choices, job))
    if problems:
        return None, problems
    wish = wish_from(choices, job)
    problems += term_problems(job, wish, timing)
    if all(problem.field not in ("reserve_wei", "seats", "fee_wei") for problem in problems):
        problems += price_problems(wish.reserve_wei, wish.fee_wei, wish.seats, stake_wei)
    submission = None
    if not problems:
        try:
            submission = submission_of(job, wish, timing, least_fee_wei)
        except BadInput as problem:
            problems.append(problem)
    problems += _data_problems(job, wish, timing, least_fee_wei)
    return submission, problems


def _data_problems(job: JobInspection, wish: JobWish, timing: Timing, least_fee_wei: Wei) -> list[BadInput]:
    problems = list(wish_data_problems(job, wish))
    if problems:
        return problems
    try:
        if wish.chunks:
            assert wish.data is not None
            count_rows(wish.data, wish.chunks)
        else:
            stage(wish, timing, least_fee_wei)
    except BadInput as problem:
        if problem.field in ("program", "train", "test", "data", "chunks"):
            return [problem]
    return []
