"""From what a person asked to a job that the node can post: looked at, copied to where it stays, and priced."""

import os
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from morphware.node.artifacts.disk import require_space
from morphware.node.chunks import count_rows
from morphware.node.errors import BadInput
from morphware.node.machines import USER, Sources
from morphware.node.runner.inspect import JobInspection, check_metric, data_problems, inspect_job
from morphware.node.wishes import JobWish
from morphware.protocol.artifacts import FILE_BYTES_MAX, SealedFile
from morphware.protocol.codec import Malformed, decode, encode
from morphware.protocol.market import SPEC_MOST_BYTES, WINDOW_MOST_S
from morphware.protocol.messages import Chunks, Folders, JobSpec
from morphware.protocol.parameters import Timing
from morphware.protocol.split import CHUNKS_LEAST, CHUNKS_MOST, TEST_CHUNKS_MOST, is_splittable
from morphware.protocol.units import WEI_MAX, Wei
from morphware.protocol.user import Submission

FEE_SHARE: Final = 50
"""The usual fee for one report: a fiftieth (2 %) of the reserve, or the least that the market takes."""
MARGIN: Final = 3
"""Training may take three times the estimate before it is a fault: other machines are slower, and busy."""
LEAST_TRAINING_S: Final = 60
LEAST_TESTING_S: Final = 60
USUAL_MAGNET: Final = "magnet:?" + "x" * 292
"""As long as a link with several addresses."""
USUAL_CHUNK_MAGNET: Final = "magnet:?" + "x" * 112
"""As long as the link that this node makes, with its one address."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A submission that passed inspection, with what has to be copied: names relative to their folders.

    Data below the code's folder is no code: the testing data would reach the worker inside the code bundle.  ``data``
    are the folders of the data with their files, by what the node calls them: ``train`` and ``test``, or ``data``.
    """

    submission: Submission
    folder: Path
    files: tuple[str, ...]
    data: tuple[tuple[str, Path, tuple[str, ...]], ...]

    def keep(self, destination: Path) -> Sources:
        """Copy code and data below ``destination``: real copies, for an edit in place would change a hard link's.

        Raises:
            DiskFull: there is no room for them. OSError: a file cannot be read any more. Either leaves nothing.
        """
        sources = Sources(destination / "code", destination / "train", destination / "test")
        if self.submission.chunks:  # what tests will be put together from the chunks, where the end user's are
            sources = Sources(destination / "code", destination / "data", destination / USER / "test")
        pairs = [(self.folder / name, sources.code / name) for name in self.files]
        pairs += [(folder / name, destination / kind / name) for kind, folder, files in self.data for name in files]
        destination.mkdir(parents=True, exist_ok=True)
        try:
            require_space(destination, sum(source.stat().st_size for source, _ in pairs))
            for source, target in pairs:
                _copy(source, target)
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise
        return sources


def stage(wish: JobWish, timing: Timing, least_fee_wei: Wei) -> Staged:
    """Look at a wish and make a submission of it, whose fee is the usual one unless the wish names it.

    Args:
        timing: the market's windows.
        least_fee_wei: what the market wants a validator's fee to be.

    Raises:
        BadInput: with the sentence that says what to mend, and its field.
    """
    job = inspect_job(wish.program)
    for problem in chain(term_problems(job, wish, timing), wish_data_problems(job, wish)):
        raise problem
    train, test = _data_folders(wish)
    submission = submission_of(job, wish, timing, least_fee_wei)
    data: tuple[tuple[str, Path, tuple[str, ...]], ...]
    if wish.chunks:
        data = (("data", train, tuple(_data_files(train, "", "data"))),)
        count_rows(train, wish.chunks)
        return Staged(submission, job.folder, _code_files(job, train, test), data)
    _require_apart(train, test)
    data = (
        ("train", train, tuple(_data_files(train, "training ", "train"))),
        ("test", test, tuple(_data_files(test, "testing ", "test"))),
    )
    return Staged(submission, job.folder, _code_files(job, train, test), data)


def term_problems(job: JobInspection, wish: JobWish, timing: Timing) -> Iterator[BadInput]:
    """Everything that is wrong with what a wish offers, each with its field."""
    try:
        threshold_e6 = check_metric(job, wish.metric, wish.threshold)
        if wish.baseline is not None and check_metric(job, wish.metric, wish.baseline, "baseline") >= threshold_e6:
            yield BadInput(
                f"A model at the baseline of {wish.baseline:g} is paid nothing, and one at the threshold of "
                f"{wish.threshold:g} in full: choose a baseline that is worse than the threshold.",
                field="baseline",
            )
    except BadInput as problem:
        yield problem
    if wish.reserve_wei <= 0:
        yield BadInput(
            "The reserve is the most that you would pay: give more than 0 tokens with --reserve.", field="reserve_wei"
        )
    if wish.seats % 2 == 0 or not 1 <= wish.seats <= 11:
        yield BadInput(f"{wish.seats} validators cannot vote: choose an odd number from 1 to 11.", field="seats")
    for amount_wei, most_wei, field in (
        (wish.reserve_wei, WEI_MAX // 4, "reserve_wei"),
        (wish.fee_wei or 0, WEI_MAX // 64, "fee_wei"),
    ):
        if amount_wei > most_wei or (field == "fee_wei" and amount_wei < 0):
            yield BadInput("There are not so many tokens: lower the reserve, or the fee.", field=field)
    windows = _windows(wish, timing)
    for field, seconds in windows.items():
        if seconds < 1:
            yield BadInput(
                "Every window has at least one second: correct the training, testing or bidding time.", field=field
            )
        elif seconds > WINDOW_MOST_S:
            yield BadInput(
                "No window may be longer than 30 days: shorten the training, testing or bidding time.", field=field
            )
    if 1 <= windows["testing_s"] < timing.report_reveal_s:
        yield BadInput(
            f"This market gives a committee at least {timing.report_reveal_s} s to test: allow as much.",
            field="testing_s",
        )


def wish_data_problems(job: JobInspection, wish: JobWish) -> Iterator[BadInput]:
    """Everything that is wrong with a wish's data, as far as its folders tell, each with its field."""
    if wish.chunks:
        if not is_splittable(wish.chunks, wish.test_chunks):
            yield BadInput(
                f"{wish.test_chunks} of {wish.chunks} chunks cannot test a model: cut {CHUNKS_LEAST} to {CHUNKS_MOST}, "
                f"of which at most {TEST_CHUNKS_MOST}, and not all, test.",
                field="chunks",
            )
        if wish.privacy == "public":
            yield BadInput(
                "The keys of a public job are known to everybody from the start, so that nobody could keep the testing "
                "chunks from a worker: choose --privacy sealed, or your own testing set.",
                field="privacy",
            )
    train, test = (wish.data, wish.data) if wish.chunks else (wish.train, wish.test)
    for folder, field in ((train, "data" if wish.chunks else "train"), (test, "data" if wish.chunks else "test")):
        if folder is None:
            yield BadInput(
                "The job's data is missing: name its folders, --train and --test, or --data for a split.", field=field
            )
            if wish.chunks:
                return
    for problem in data_problems(job, train, test):
        problem.field = "data" if wish.chunks else problem.field
        yield problem


def submission_of(job: JobInspection, wish: JobWish, timing: Timing, least_fee_wei: Wei) -> Submission:
    """What a wish without problems offers to the market.

    Raises:
        BadInput: others could not read its description.
    """
    windows = _windows(wish, timing)
    submission = Submission(
        name=_name(wish.name or job.config.title or wish.program.stem),
        kind=job.kind,
        entry=job.entry,
        metric=wish.metric,
        threshold_e6=check_metric(job, wish.metric, wish.threshold),
        reserve_wei=wish.reserve_wei,
        fee_wei=max(Wei(wish.reserve_wei // FEE_SHARE), least_fee_wei) if wish.fee_wei is None else wish.fee_wei,
        seats=wish.seats,
        bidding_s=windows["bidding_s"],
        training_s=windows["training_s"],
        testing_s=windows["testing_s"],
        estimated_s=max(1, wish.estimated_s),
        privacy=wish.privacy,
        memory_bytes=wish.memory_bytes,
        disk_bytes=wish.disk_bytes,
        requirements=job.requirements,
        baseline_e6=None if wish.baseline is None else check_metric(job, wish.metric, wish.baseline, "baseline"),
        chunks=wish.chunks,
        test_chunks=wish.test_chunks,
    )
    _require_readable(submission)
    return submission


def _windows(wish: JobWish, timing: Timing) -> dict[str, int]:
    """The three windows that a job chooses itself, by their fields."""
    estimated_s = max(1, wish.estimated_s)
    return {
        "training_s": wish.training_s or max(LEAST_TRAINING_S, MARGIN * estimated_s),
        "testing_s": wish.testing_s or max(LEAST_TESTING_S, estimated_s, timing.report_reveal_s),
        "bidding_s": wish.bidding_s or timing.revealing_s,
    }


def _data_folders(wish: JobWish) -> tuple[Path, Path]:
    """The folders to train on and to test on: the same one where it is cut into chunks."""
    train, test = (wish.data, wish.data) if wish.chunks else (wish.train, wish.test)
    assert train is not None
    assert test is not None
    return train.resolve(), test.resolve()


def _name(text: str) -> str:
    """One line that everybody can read."""
    return unicodedata.normalize("NFC", " ".join(text.split()))[:80].strip() or "job"


def _require_readable(submission: Submission) -> None:
    """A specification that others could not read would get no bids: say so before it costs anything."""
    file = SealedFile(USUAL_MAGNET, 1, bytes(32))
    data: Folders | Chunks = Folders(train=file, test=file)
    if submission.chunks:
        chunk = SealedFile(USUAL_CHUNK_MAGNET, FILE_BYTES_MAX, bytes(32))
        count = submission.chunks
        data = Chunks(test_chunks=submission.test_chunks, files=(chunk,) * count, leaves=(bytes(32),) * count)
    names = ("name", "kind", "entry", "metric", "privacy", "estimated_s", "memory_bytes", "disk_bytes")
    spec = JobSpec(
        **{name: getattr(submission, name) for name in (*names, "requirements", "environment")},
        code=file,
        data=data,
        public_keys=bytes(96),
    )
    try:
        decode(encode(spec), JobSpec, most_bytes=SPEC_MOST_BYTES)
    except (Malformed, UnicodeEncodeError) as error:
        raise BadInput(
            f"Others could not read the job's description ({error}): use shorter or plainer names and requirements.",
            field="program",
        ) from error


def _require_apart(train: Path, test: Path) -> None:
    """The winner gets the training data whole, and must not get the testing data with it."""
    if train.is_relative_to(test) or test.is_relative_to(train):
        raise BadInput(
            f"The training data {train} and the testing data {test} lie in one another, so the worker would see what "
            "it is tested on: put them into two separate folders.",
            field="test",
        )


def _code_files(job: JobInspection, train: Path, test: Path) -> tuple[str, ...]:
    """The job's files without what is data: neither below a data folder, nor another name of a testing file."""
    tests = {(status.st_dev, status.st_ino) for status in (path.stat() for path in test.rglob("*") if path.is_file())}

    def is_code(name: str) -> bool:
        path = (job.folder / name).resolve()
        status = path.stat()
        is_data = path.is_relative_to(train) or path.is_relative_to(test)
        return not is_data and (status.st_dev, status.st_ino) not in tests

    files = tuple(name for name in job.files if is_code(name))
    if job.entry not in files:
        entry = job.folder / job.entry
        if entry.is_symlink():
            raise BadInput(f"{entry} is a link: put the file itself into the job's folder.", field="program")
        raise BadInput(
            f"{entry} lies in a data folder, and data is no code: keep code and data in separate folders.",
            field="program",
        )
    return files


def _data_files(root: Path, name: str, field: str) -> Iterator[str]:
    """Every file below a data folder, relative to it. Links are followed inside of it, and refused if they leave it."""

    def refuse(error: OSError) -> None:
        raise BadInput(f"The {name}data cannot be read: {error}.", field=field) from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        folders.sort()
        here = Path(folder)
        for path in (here / child for child in (*folders, *sorted(files))):
            is_folder = path.is_dir()
            if path.is_symlink() and (is_folder or not path.resolve().is_relative_to(root)):
                where = "to a folder" if is_folder else "out of its folder"
                raise BadInput(
                    f"The {name}data holds a link that leads {where}, {path}: put the files themselves there.",
                    field=field,
                )
            if not is_folder and not path.is_file():
                raise BadInput(f"The {name}data holds {path}, which is no plain file: take it away.", field=field)
            if not is_folder:
                yield str(path.relative_to(root))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
