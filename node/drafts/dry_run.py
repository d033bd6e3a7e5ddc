"""A job tried out on this machine before any money moves: does it start, does it log, what does a step cost?

The same sandbox and the same launcher as a worker's run it, for seconds instead of hours.  That the time is over is no
failure: most jobs take longer.  One that ends in time is tested as a validator would, so that its second half is known.
"""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
import trio

from morphware.node.api.answers.submitting import DryRunLine
from morphware.node.drafts.receiving import data_folders
from morphware.node.errors import MorphwareError
from morphware.node.ports import Limits, MetricPoint, Runner, RunResult, Score
from morphware.node.runner.inspect import JobInspection
from morphware.protocol.metrics import KNOWN_METRICS, metric_from_e6
from morphware.protocol.units import BAD_MODEL, Address

TAIL_LINES: Final = 20
TIME_OVER: Final = "wall time"
"""How the watchdog's reason begins when the time is over."""
UNTRIED: Final = " Whether its model can be tested was not tried: let the training be short for once to see it."
INSTALLED: Final = (
    "Jobs find numpy, pandas, scikit-learn, torch, safetensors and matplotlib, and the program's own folder."
)
TRAINING: Final = {
    "FileNotFoundError": "The training data lies in the folder $MORPHWARE_TRAIN_DIR; the testing data is not there.",
    "ModuleNotFoundError": INSTALLED,
}
TESTING: Final = {
    "FileNotFoundError": "predict() finds the testing data, without labels, in test_dir, and the model in model_dir.",
    "ModuleNotFoundError": INSTALLED,
    "NameError": "Validators do not train: let predict() read what it needs from model_dir, or give the cells that "
    "only training needs the tag train.",
}
"""What to do about errors that newcomers' jobs end with, by where they do."""


@dataclass(slots=True)
class Pace:
    """How fast the logged steps follow each other."""

    points: int = 0
    first: MetricPoint | None = None
    last: MetricPoint | None = None

    def note(self, point: MetricPoint) -> None:
        """One more logged point; the first at each end counts."""
        self.points += 1
        if self.first is None:
            self.first = point
        if self.last is None or point.step > self.last.step:
            self.last = point

    @property
    def step_s(self) -> float | None:
        """Seconds a step, or None if there are not two."""
        if self.first is None or self.last is None or self.last.step <= self.first.step:
            return None
        pace_s = (self.last.time_s - self.first.time_s) / (self.last.step - self.first.step)
        return pace_s if math.isfinite(pace_s) and pace_s >= 0 else None


@dataclass(frozen=True, slots=True)
class Trial:
    """One job to be tried: its upload, what was read in it, and by which metric its model is tested, if by any."""

    folder: Path
    job: JobInspection
    metric: str | None
    limits: Limits
    validator: Address


@dataclass(slots=True)
class DryRun:
    """Tries one job, and tells of it as it goes. ``workshop`` is a folder that goes away afterwards."""

    runner: Runner
    trial: Trial
    workshop: Path
    tell: Callable[[DryRunLine], None]
    _pace: Pace = field(default_factory=Pace)

    async def run(self) -> DryRunLine:
        """Train, and if that ends in time, test; the result. A job's failures are results, too."""
        try:
            return await self._run()
        except MorphwareError as error:
            return DryRunLine(kind="result", text=error.sentence, is_working=False)
        except OSError as error:
            text = (
                f"This machine could not try the job ({error.strerror or error}): make room on its disk, and try again."
            )
            return DryRunLine(kind="result", text=text, is_working=False)

    async def _run(self) -> DryRunLine:
        trial = self.trial
        code, model = self.workshop / "code", self.workshop / "model"
        await trio.to_thread.run_sync(_copy_code, trial.job, code)
        train, test, data = data_folders(trial.folder)
        train, test = train or data, test or data
        if train is None:
            return DryRunLine(kind="result", text="The training data is missing: upload it first.", is_working=False)
        result = await self.runner.train(
            code=code,
            entry=trial.job.entry,
            train=train,
            model=model,
            limits=trial.limits,
            on_metric=self._note,
            on_log=lambda line: self.tell(DryRunLine(kind="output", text=f"{line}\n")),
        )
        if result.reason and not result.reason.startswith(TIME_OVER):
            return self._line(
                result,
                f"The training fails: {result.reason}.{_advice(result.reason, TRAINING)}",
                is_working=False,
                tail=_tail(result),
            )
        if result.reason:
            return self._line(result, self._said(f"It starts, and is not done after {result.seconds:.0f} s") + UNTRIED)
        said = self._said(f"It trains to its end in {result.seconds:.1f} s")
        if test is None or trial.metric is None:
            missing = "testing data" if test is None else "metric"
            return self._line(result, f"{said} Its model was not tested: there is no {missing} yet.")
        score = await self.runner.evaluate(
            code=code,
            entry=trial.job.entry,
            model=model,
            test=test,
            metric=trial.metric,
            validator=trial.validator,
            limits=trial.limits,
        )
        return self._tested(result, said, score, trial.metric)

    def _note(self, point: MetricPoint) -> None:
        self._pace.note(point)
        self.tell(DryRunLine(kind="point", step=point.step, values=point.values))

    def _said(self, begin: str) -> str:
        step_s = self._pace.step_s
        if step_s is None:
            return (
                f"{begin}; it logs no steps, so that nobody sees how far it is."
                if not self._pace.points
                else f"{begin}."
            )
        return f"{begin}; a step takes {step_s:.3g} s."

    def _tested(self, result: RunResult, said: str, score: Score, metric: str) -> DryRunLine:
        if score.reason or score.metric_e6 <= BAD_MODEL:
            tail = _tail(score.run) if score.run is not None and score.run.reason else ""
            why = score.reason or "the model could not be tested"
            return self._line(
                result, f"{said} Its model fails the test: {why}.{_advice(why, TESTING)}", is_working=False, tail=tail
            )
        value = metric_from_e6(metric, score.metric_e6)
        line = self._line(result, f"{said} Its model reaches {metric} {value:.4g} on the testing data.")
        return msgspec.structs.replace(line, values={metric: value})

    def _line(self, result: RunResult, text: str, *, is_working: bool = True, tail: str = "") -> DryRunLine:
        has_ended = not result.reason
        return DryRunLine(
            kind="result",
            text=text,
            is_working=is_working,
            has_ended=has_ended,
            is_logging=self._pace.points > 0,
            seconds=round(result.seconds, 3),
            step_s=self._pace.step_s,
            estimated_s=max(1, math.ceil(result.seconds)) if has_ended else None,
            peak_memory_bytes=result.peak_memory_bytes,
            tail=tail,
        )


def metric_for(job: JobInspection, asked: str | None) -> str | None:
    """The metric to test by: the asked one or the job's own, if validators could find it."""
    metric = asked or job.config.metric
    return metric if metric is not None and (metric in KNOWN_METRICS or job.has_test) else None


def limits_for(most: Limits, job_memory_bytes: int, seconds: float) -> Limits:
    """What a dry run may use: as much as a worker here would give the job."""
    memory_bytes = min(most.memory_bytes, max(job_memory_bytes, 1 << 30))
    return replace(most, wall_s=seconds, memory_bytes=memory_bytes)


def _copy_code(job: JobInspection, code: Path) -> None:
    """What would travel, and nothing else that was uploaded."""
    for name in job.files:
        target = code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(job.folder / name, target)


def _advice(reason: str, advices: Mapping[str, str]) -> str:
    """What to do about an error that newcomers' jobs end with."""
    return next((f" {advice}" for error, advice in advices.items() if error in reason), "")


def _tail(result: RunResult) -> str:
    return "\n".join(result.log_tail.splitlines()[-TAIL_LINES:])
