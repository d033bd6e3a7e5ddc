"""``morphware bench page``: how long the page waits for its two dearest answers, beside doing them in the plain way.

A list of ten thousand jobs is held against describing every job for each answer; a picture of a million points against
sending all of them.  Times are medians over several runs in this process, in milliseconds, and ratios to the baseline.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import msgspec
import trio

from morphware.node.api.answers.jobs import JobsAsked
from morphware.node.api.catalogue import Catalogue
from morphware.node.errors import ExitStatus
from morphware.node.journal import Journal
from morphware.node.series import Series
from morphware.protocol import chain_events as ce
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Terms
from morphware.protocol.codec import encode
from morphware.protocol.events import Moment
from morphware.protocol.messages import Folders, JobSpec
from morphware.protocol.states import State
from morphware.protocol.units import TOKEN, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, view_of

RUNS: Final = 20
BUCKETS: Final = 1000
ACCOUNT: Final = Address(b"\1" * 20)
POINTS_A_WRITE: Final = 10_000


def run_bench_page(jobs: int, points: int, *, as_json: bool) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        report = {"list": _measure_list(journal, jobs), "picture": trio.run(_measure_picture, journal, points)}
        journal.close()
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return ExitStatus.SUCCESS
    for name, figures in report.items():
        told = ", ".join(f"{key} {value:,.4g}" for key, value in figures.items())
        sys.stdout.write(f"{name}: {told}\n")
    return ExitStatus.SUCCESS


def _measure_list(journal: Journal, count: int) -> dict[str, float]:
    views: dict[JobId, JobView] = {}
    with journal.transaction():
        for number in range(count):
            posted = _posted(number)
            view = view_of(posted)
            view.apply(ce.StateChanged(posted.job_id, State.BIDDING, Timestamp(number)))
            views[posted.job_id] = view
            journal.add_event(posted.job_id, None, posted, Moment(Timestamp(number), number), is_behind=True)
    engine = SimpleNamespace(views=views, machines={}, journal=journal, parts=lambda _: ())
    catalogue = Catalogue(cast(Any, SimpleNamespace(engine=engine, account=ACCOUNT)))
    started = time.perf_counter()
    trio.run(catalogue.learn_names)
    first_ms = 1000 * (time.perf_counter() - started)
    page_ms = _median_ms(lambda: catalogue.page(JobsAsked()))
    search_ms = _median_ms(lambda: catalogue.page(JobsAsked(q="number 99", state="open")))
    plain_ms = _median_ms(lambda: msgspec.json.encode(catalogue.rows()), runs=3)
    return {
        "jobs": count, "names_ms": first_ms, "page_ms": page_ms, "search_ms": search_ms,
        "all_described_ms": plain_ms, "page_ratio": page_ms / plain_ms, "search_ratio": search_ms / plain_ms,
    }  # fmt: skip


async def _measure_picture(journal: Journal, count: int) -> dict[str, float]:
    job_id = JobId(b"\7" * 32)
    for start in range(0, count, POINTS_A_WRITE):
        with journal.transaction():
            journal.add_points(
                job_id, [(step, step / 50, "loss", 1 / (1 + step)) for step in range(start, start + POINTS_A_WRITE)]
            )
    series = Series(journal)

    async def picture() -> None:
        [window] = (await series.window(job_id, ["loss"], buckets=BUCKETS)).values()
        msgspec.json.encode([window.x.tolist(), window.values.tolist()])

    async def zoomed() -> None:
        [window] = (await series.window(job_id, ["loss"], count * 0.4, count * 0.6, buckets=BUCKETS)).values()
        msgspec.json.encode([window.x.tolist(), window.values.tolist()])

    async def everything() -> None:
        msgspec.json.encode(await trio.to_thread.run_sync(lambda: journal.points(job_id)))

    first_ms = await _median_of(picture, runs=1)
    picture_ms, zoom_ms = await _median_of(picture), await _median_of(zoomed)
    plain_ms = await _median_of(everything, runs=1)
    return {
        "points": count, "buckets": BUCKETS, "first_ms": first_ms, "picture_ms": picture_ms, "zoom_ms": zoom_ms,
        "all_points_ms": plain_ms, "picture_ratio": picture_ms / plain_ms,
    }  # fmt: skip


def _median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


async def _median_of(work: Callable[[], Awaitable[None]], runs: int = RUNS) -> float:
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def _posted(number: int) -> ce.JobPosted:
    """A job of the usual size."""
    file = SealedFile(magnet="magnet:?xt=urn:btih:" + "a" * 40, size_bytes=1_234_567, sha256=bytes(32))
    document = JobSpec(
        name=f"Job number {number}", kind="script", entry="train.py", metric="accuracy", privacy="sealed",
        estimated_s=600, memory_bytes=1 << 30, disk_bytes=1 << 30, code=file, data=Folders(train=file, test=file),
        requirements=(), environment="cpu", public_keys=b"",
    )  # fmt: skip
    terms = Terms(
        reserve_wei=Wei(100 * TOKEN), fee_wei=Wei(2 * TOKEN), seats=5, threshold_e6=950_000, tolerance_e6=1000,
        fingerprint_tolerance_e9=10**6, bidding_s=6, training_s=120, testing_s=60, estimated_s=600,
        train_key_hash=bytes(32), test_key_hash=bytes(32), seed_hash=bytes(32),
    )  # fmt: skip
    return ce.JobPosted(JobId(number.to_bytes(32, "big")), ACCOUNT, terms, encode(document))
