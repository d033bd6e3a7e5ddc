"""From what a person asked to a job that the node can post: looked at, copied to where it stays, and priced."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from morphware.node.errors import BadInput
from morphware.node.machines import Sources
from morphware.node.runner.inspect import check_data, check_metric, inspect_job
from morphware.node.wishes import JobWish
from morphware.protocol.units import Wei
from morphware.protocol.user import Submission

FEE_SHARE: Final = 50
"""The usual fee for one report: a fiftieth (2 %) of the reserve."""
MARGIN: Final = 3
"""Training may take three times the estimate before it is a fault: other machines are slower, and busy."""
LEAST_TRAINING_S: Final = 60
LEAST_TESTING_S: Final = 60
USUAL_BIDDING_S: Final = 15 * 60
WINDOW_MOST_S: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Staged:
    """A submission that passed inspection, with what has to be copied: relative names inside ``folder``.

    Data below the code's folder is no code: the testing data would reach the worker inside the code bundle.
    """

    submission: Submission
    folder: Path
    files: tuple[str, ...]
    train: Path
    test: Path

    def keep(self, destination: Path) -> Sources:
        """Copy code and data below ``destination`` (hard links where possible), so that later edits change nothing."""
        sources = Sources(destination / "code", destination / "train", destination / "test")
        for name in self.files:
            _link(self.folder / name, sources.code / name)
        for source, target in ((self.train, sources.train), (self.test, sources.test)):
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    _link(path, target / path.relative_to(source))
        return sources


def stage(wish: JobWish) -> Staged:
    """Look at a wish and make a submission of it.

    Raises:
        BadInput: with the sentence that says what to mend.
    """
    job = inspect_job(wish.program)
    threshold_e6 = check_metric(job, wish.metric, wish.threshold)
    check_data(job, wish.train, wish.test)
    if wish.reserve_wei <= 0:
        raise BadInput("The reserve is the most that you would pay: give more than 0 tokens with --reserve.")
    if wish.seats % 2 == 0 or not 1 <= wish.seats <= 11:
        raise BadInput(f"{wish.seats} validators cannot vote: choose an odd number from 1 to 11.")
    estimated_s = max(1, wish.estimated_s)
    training_s = wish.training_s or max(LEAST_TRAINING_S, MARGIN * estimated_s)
    testing_s = wish.testing_s or max(LEAST_TESTING_S, estimated_s)
    bidding_s = wish.bidding_s or USUAL_BIDDING_S
    if max(training_s, testing_s, bidding_s) > WINDOW_MOST_S:
        raise BadInput("No window may be longer than 30 days: shorten the training, testing or bidding time.")
    submission = Submission(
        name=(wish.name or job.config.title or wish.program.stem)[:80],
        kind=job.kind,
        entry=job.entry,
        metric=wish.metric,
        threshold_e6=threshold_e6,
        reserve_wei=wish.reserve_wei,
        fee_wei=Wei(wish.reserve_wei // FEE_SHARE) if wish.fee_wei is None else wish.fee_wei,
        seats=wish.seats,
        bidding_s=bidding_s,
        training_s=training_s,
        testing_s=testing_s,
        estimated_s=estimated_s,
        privacy=wish.privacy,
        memory_bytes=wish.memory_bytes,
        disk_bytes=wish.disk_bytes,
        requirements=job.requirements,
    )
    data = (wish.train.resolve(), wish.test.resolve())
    files = tuple(name for name in job.files if not any((job.folder / name).resolve().is_relative_to(d) for d in data))
    return Staged(submission, job.folder, files, wish.train, wish.test)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
