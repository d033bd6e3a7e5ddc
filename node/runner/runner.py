"""The Runner port on bubblewrap: train in a sandbox, predict in another that never sees the labels, score outside."""

import itertools
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import structlog
import trio

from morphware.node.ports import Limits, MetricPoint, RunResult, Score
from morphware.node.runner import codefree, scorer
from morphware.node.runner.arrays import MAX_ARRAY_BYTES, UnusableArray
from morphware.node.runner.collect import collect, is_readable_by_others
from morphware.node.runner.environment import job_environment
from morphware.node.runner.errors import SandboxUnavailable
from morphware.node.runner.inspect import defined_functions
from morphware.node.runner.sandbox import Binding, SandboxReport, View, foreign_uid, probe, runs_as_root, scratch_folder
from morphware.node.runner.supervise import LogBounds, Phase, Plan, supervise
from morphware.node.runner.watchdog import Floors
from morphware.protocol.metrics import KNOWN_METRICS, metric_to_e6
from morphware.protocol.predictions import NO_PREDICTIONS
from morphware.protocol.units import FINGERPRINT_SCALE, INT64_MAX, Address

log = structlog.get_logger()

MAX_RESULT_BYTES: Final = 64 << 10
TMP_SHARE: Final = 4
"""Each of the two memory file systems inside may hold a quarter of a job's memory."""

_slots = itertools.count()


@dataclass(frozen=True, slots=True)
class Settings:
    """How this machine runs jobs, whatever the job."""

    has_gpu: bool = False
    floors: Floors = field(default_factory=Floors)
    log_bounds: LogBounds = field(default_factory=LogBounds)


class SandboxRunner:
    """Runs strangers' code. ``scratch`` is a folder of the node's own; runs leave nothing in it.

    Raises:
        SandboxUnavailable: no sandbox starts here; the message says what to install.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        python: Path | None = None,
        settings: Settings | None = None,
        report: SandboxReport | None = None,
    ) -> None:
        self._scratch = scratch
        self._python = python or Path(sys.executable)
        self._settings = settings or Settings()
        report = report or probe(self._python)
        if not report.is_usable or report.program is None:
            raise SandboxUnavailable(report.remedy)
        self._program = report.program

    async def train(
        self,
        *,
        code: Path,
        entry: str,
        train: Path,
        model: Path,
        limits: Limits,
        on_metric: Callable[[MetricPoint], None],
        on_log: Callable[[str], None],
    ) -> RunResult:
        """Train. What the job leaves in its model folder is copied to ``model`` if it ended by itself."""
        async with self._workspace() as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(train, "/job/train"),
                work.writable("model"),
                work.writable("output"),
                work.writable("checkpoint"),
            ]
            events = work.folder / "output"
            result = await self._run(work, "train", entry, bindings, limits, events, on_metric, on_log)
            if result.reason:
                return result
            taken = await trio.to_thread.run_sync(
                lambda: collect(work.folder / "model", model, max_bytes=limits.disk_bytes)
            )
        for path, reason in taken.refused[:10]:
            log.warning("model_file_refused", path=path, reason=reason)
        if not taken.files:
            why = f" ({taken.refused[0][0]}: {taken.refused[0][1]})" if taken.refused else ""
            return _with_reason(result, f"the job left no file in $MORPHWARE_MODEL_DIR{why}")
        return result

    async def evaluate(
        self,
        *,
        code: Path,
        entry: str,
        model: Path,
        test: Path,
        metric: str,
        validator: Address,
        limits: Limits,
    ) -> Score:
        """Predict without the labels, then score; a job with only ``test()`` is asked itself if its model is data."""
        names = await trio.to_thread.run_sync(defined_functions, code / entry)
        if names & {"test", "evaluate"} and ("predict" not in names or metric not in KNOWN_METRICS):
            return await self._ask_test(code, entry, model, test, metric, limits)
        if metric not in KNOWN_METRICS:
            return scorer.bad_model(f"no validator can compute {metric} from predictions")
        try:
            labels = await trio.to_thread.run_sync(scorer.read_labels, test)
        except (UnusableArray, OSError) as error:
            return scorer.no_test(str(error))
        async with self._workspace() as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(model, "/job/model"),
                *await work.shown(test, "/job/test", without_labels=True),
                work.writable("output"),
            ]
            result = await self._run(work, "predict", entry, bindings, limits)
            if result.reason:
                return _with_run(scorer.bad_model(f"predict() failed: {result.reason}"), result)
            answers = work.folder / "collected"

            def judge() -> Score:
                collect(work.folder / "output", answers, max_bytes=2 * MAX_ARRAY_BYTES)
                return scorer.score(answers, labels, metric, validator)

            return _with_run(await trio.to_thread.run_sync(judge), result)

    async def _ask_test(self, code: Path, entry: str, model: Path, test: Path, metric: str, limits: Limits) -> Score:
        """``test()`` sees the labels, so it may only meet a model that cannot run code of its maker."""
        if (complaint := await trio.to_thread.run_sync(codefree.complaint, model)) is not None:
            return scorer.bad_model(f"test() needs a model of plain data, and {complaint}")
        async with self._workspace() as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(model, "/job/model"),
                *await work.shown(test, "/job/test"),
                work.writable("output"),
            ]
            result = await self._run(work, "test", entry, bindings, limits)
            if result.reason:
                return _with_run(scorer.bad_model(f"test() failed: {result.reason}"), result)
            return _with_run(_reported(work.folder / "output", metric), result)

    async def _run(
        self,
        work: "_Workspace",
        phase: Phase,
        entry: str,
        bindings: Sequence[Binding],
        limits: Limits,
        events: Path | None = None,
        on_metric: Callable[[MetricPoint], None] | None = None,
        on_log: Callable[[str], None] | None = None,
    ) -> RunResult:
        if not _is_inside(entry):
            return RunResult(None, f"{entry} is not a path inside the job's code", 0.0, 0, "")
        quarter = max(limits.memory_bytes // TMP_SHARE, 64 << 20)
        view = View(
            bindings=bindings,
            environment=job_environment(limits.threads, has_gpu=self._settings.has_gpu),
            tmp_bytes=quarter,
            shm_bytes=quarter,
            has_gpu=self._settings.has_gpu,
        )
        plan = Plan(
            phase=phase,
            entry=entry,
            view=view,
            writable=[binding.source for binding in bindings if binding.is_writable],
            limits=limits,
            uid=work.uid,
            events=events,
            floors=self._settings.floors,
            log_bounds=self._settings.log_bounds,
        )
        result = await supervise(self._program, self._python, plan, on_metric, on_log)
        log.info(
            "sandbox_ended",
            phase=phase,
            exit_status=result.exit_status,
            reason=result.reason,
            seconds=round(result.seconds, 3),
            peak_memory_bytes=result.peak_memory_bytes,
        )
        return result

    @asynccontextmanager
    async def _workspace(self) -> "AsyncIterator[_Workspace]":
        folder = scratch_folder(self._scratch)
        try:
            yield _Workspace(folder, foreign_uid(next(_slots)) if runs_as_root() else None)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_remove, folder)


@dataclass(frozen=True, slots=True)
class _Workspace:
    """The folders of one run, and the uid that its job turns into when the node is root."""

    folder: Path
    uid: int | None

    def writable(self, name: str) -> Binding:
        """A new folder that the job owns, at ``/job/NAME``."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
        return Binding(path, f"/job/{name}", is_writable=True)

    async def shown(self, source: Path, target: str, *, without_labels: bool = False) -> list[Binding]:
        """A read-only folder; what a foreign uid could not read is copied first, and labels may be left out."""
        return await trio.to_thread.run_sync(self._shown, source, target, without_labels)

    def _shown(self, source: Path, target: str, without_labels: bool) -> list[Binding]:
        source = source.resolve(strict=True)
        if self.uid is not None and not is_readable_by_others(source):
            copy = self.folder / f"shown-{PurePosixPath(target).name}"
            _copy_readable(source, copy)
            source = copy
        return _without_labels(source, target) if without_labels else [Binding(source, target)]


def _without_labels(source: Path, target: str) -> list[Binding]:
    """Every entry on its own but labels; a link is left out, because binding it would show what it points to."""
    bindings = []
    for path in sorted(source.iterdir()):
        if path.is_symlink() or path.name.startswith("labels"):
            continue
        inside = f"{target}/{path.name}"
        if path.is_dir() and any(path.rglob("labels*")):
            bindings += _without_labels(path, inside)
        elif path.is_dir() or path.is_file():
            bindings.append(Binding(path, inside))
    return bindings


def _copy_readable(source: Path, copy: Path) -> None:
    copy.mkdir(mode=0o755)
    copy.chmod(0o755)
    for path in source.iterdir():
        target = copy / path.name
        if path.is_symlink():
            continue
        if path.is_dir():
            _copy_readable(path, target)
        elif path.is_file():
            shutil.copyfile(path, target)
            target.chmod(0o644)


def _remove(folder: Path) -> None:
    """Remove what a job may have closed to us: it can take its own rights to a folder away, not our right to its."""
    for current, names, _ in os.walk(folder):
        for name in names:
            path = Path(current) / name
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)


def _is_inside(entry: str) -> bool:
    path = PurePosixPath(entry)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _with_reason(result: RunResult, reason: str) -> RunResult:
    return RunResult(result.exit_status, reason, result.seconds, result.peak_memory_bytes, result.log_tail)


def _with_run(score: Score, run: RunResult) -> Score:
    return Score(score.metric_e6, score.fingerprint_e9, score.prediction_root, score.reason, run)


def _reported(output: Path, metric: str) -> Score:
    """What ``test()`` returned: the metric under its name (or ``metric``), the fingerprint from ``loss`` if given."""
    path = output / "result.json"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            values = msgspec.json.decode(file.read(MAX_RESULT_BYTES), type=dict[str, float])
        value = values[metric] if metric in values else values["metric"]
        fingerprint_e9 = round(values.get("loss", 0.0) * FINGERPRINT_SCALE)
        if abs(fingerprint_e9) > INT64_MAX:
            return scorer.bad_model("the reported loss overflows")
        return Score(metric_to_e6(metric, value), fingerprint_e9, NO_PREDICTIONS)
    except KeyError:
        return scorer.bad_model(f"test() did not return {metric}")
    except (OSError, ValueError) as error:
        return scorer.bad_model(f"test() returned nothing usable ({error})")
