"""The Runner port on bubblewrap: train in a sandbox, predict in another that never sees the labels, score outside."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import structlog
import trio

from morphware.node.brake import Brake
from morphware.node.ports import Limits, MetricPoint, RunResult, Score, UsageSample
from morphware.node.runner import codefree, scorer
from morphware.node.runner.arrays import MAX_ARRAY_BYTES, UnusableArray
from morphware.node.runner.collect import collect
from morphware.node.runner.environment import job_environment
from morphware.node.runner.errors import SandboxUnavailable, raise_for_host
from morphware.node.runner.inspect import defined_functions
from morphware.node.runner.sandbox import Binding, SandboxReport, View, has_gpus, probe
from morphware.node.runner.supervise import Hearers, LogBounds, Phase, Plan, supervise
from morphware.node.runner.watchdog import Floors, Offers, offer_disk, offer_memory
from morphware.node.runner.workspace import Workspace, workspace
from morphware.protocol.metrics import KNOWN_METRICS, metric_to_e6
from morphware.protocol.predictions import NO_PREDICTIONS
from morphware.protocol.units import FINGERPRINT_SCALE, INT64_MAX, Address

log = structlog.get_logger()

MAX_RESULT_BYTES: Final = 64 << 10
TMP_SHARE: Final = 4
"""Each of the two memory file systems inside may hold a quarter of a job's memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this machine runs jobs, whatever the job."""

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
        on_usage: Callable[[UsageSample], None] | None = None,
        brake: Brake | None = None,
    ) -> RunResult:
        """Train. What the job leaves in its model folder is copied to ``model`` if it ended by itself."""
        async with workspace(self._scratch) as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(train, "/job/train"),
                work.writable("model"),
                work.writable("output"),
                work.writable("checkpoint"),
            ]
            events = work.folder / "output"
            hearers = Hearers(on_metric, on_log, on_usage)
            result = await self._run(work, "train", entry, bindings, limits, events, hearers, brake)
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
        deadline = trio.current_time() + limits.wall_s
        names = await trio.to_thread.run_sync(defined_functions, code / entry)
        if names & {"test", "evaluate"} and ("predict" not in names or metric not in KNOWN_METRICS):
            return await self._ask_test(code, entry, model, test, metric, limits, deadline)
        if metric not in KNOWN_METRICS:
            return scorer.bad_model(f"no validator can compute {metric} from predictions")
        try:
            labels = await trio.to_thread.run_sync(scorer.read_labels, test)
        except (UnusableArray, OSError) as error:
            return scorer.no_test(str(error))
        async with workspace(self._scratch) as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(model, "/job/model"),
                *await work.shown(test, "/job/test", without_labels=True),
                work.writable("output"),
            ]
            result = await self._run(work, "predict", entry, bindings, _until(deadline, limits))
            if result.reason:
                return _with_run(scorer.bad_model(f"predict() failed: {result.reason}"), result)
            answers = work.folder / "collected"

            def judge() -> Score:
                check = trio.from_thread.check_cancelled
                collect(work.folder / "output", answers, max_bytes=2 * MAX_ARRAY_BYTES, checkpoint=check)
                return scorer.score(answers, labels, metric, validator, check)

            with trio.CancelScope(deadline=deadline):  # the thread notices by itself, so no file outlives its folder
                return _with_run(await trio.to_thread.run_sync(judge), result)
        return _with_run(scorer.bad_model(f"the answer could not be scored within {limits.wall_s:g} s"), result)

    async def _ask_test(
        self, code: Path, entry: str, model: Path, test: Path, metric: str, limits: Limits, deadline: float
    ) -> Score:
        """``test()`` sees the labels, so it may only meet a model that cannot run code of its maker."""
        complaint: str | None = f"it could not be looked through within {limits.wall_s:g} s"
        with trio.CancelScope(deadline=deadline):
            complaint = await trio.to_thread.run_sync(codefree.complaint, model, trio.from_thread.check_cancelled)
        if complaint is not None:
            return scorer.bad_model(f"test() needs a model of plain data, and {complaint}")
        async with workspace(self._scratch) as work:
            bindings = [
                *await work.shown(code, "/job/code"),
                *await work.shown(model, "/job/model"),
                *await work.shown(test, "/job/test"),
                work.writable("output"),
            ]
            result = await self._run(work, "test", entry, bindings, _until(deadline, limits))
            if result.reason:
                return _with_run(scorer.bad_model(f"test() failed: {result.reason}"), result)
            return _with_run(_reported(work.folder / "output", metric), result)

    async def _run(
        self,
        work: Workspace,
        phase: Phase,
        entry: str,
        bindings: Sequence[Binding],
        limits: Limits,
        events: Path | None = None,
        hearers: Hearers | None = None,
        brake: Brake | None = None,
    ) -> RunResult:
        if not _is_inside(entry):
            return RunResult(None, f"{entry} is not a path inside the job's code", 0.0, 0, "")
        floors = self._settings.floors
        offers = Offers(
            offer_memory(limits.memory_bytes, floors),
            offer_disk(limits.disk_bytes, floors, shutil.disk_usage(work.folder).free),
        )
        limits = replace(limits, memory_bytes=offers.memory.size_bytes, disk_bytes=offers.disk.size_bytes)
        quarter = max(limits.memory_bytes // TMP_SHARE, 64 << 20)
        has_gpu = phase == "train" and limits.has_gpu and has_gpus()
        view = View(
            bindings=bindings,
            environment=job_environment(limits.threads, has_gpu=has_gpu),
            tmp_bytes=quarter,
            shm_bytes=quarter,
            has_gpu=has_gpu,
        )
        plan = Plan(
            phase=phase,
            entry=entry,
            view=view,
            writable=[binding.source for binding in bindings if binding.is_writable],
            limits=limits,
            offers=offers,
            uid=work.uid,
            events=events,
            floors=floors,
            log_bounds=self._settings.log_bounds,
        )
        result = await supervise(self._program, self._python, plan, hearers or Hearers(), brake)
        log.info(
            "sandbox_ended",
            phase=phase,
            exit_status=result.exit_status,
            reason=result.reason,
            seconds=round(result.seconds, 3),
            peak_memory_bytes=result.peak_memory_bytes,
        )
        return result


def _is_inside(entry: str) -> bool:
    path = PurePosixPath(entry)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _until(deadline: float, limits: Limits) -> Limits:
    """What is left of an evaluation's time."""
    return replace(limits, wall_s=max(0.0, deadline - trio.current_time()))


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
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise_for_host(error)
        return scorer.bad_model(f"test() returned nothing usable ({error})")
