"""A short way to run a few lines of Python as a stranger's job."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from morphware.node.brake import Brake
from morphware.node.ports import Limits, MetricPoint, RunResult, UsageSample
from morphware.node.runner.runner import SandboxRunner

LIMITS = Limits(wall_s=60, memory_bytes=512 << 20, disk_bytes=64 << 20, processes=64, threads=1)


@dataclass
class Told:
    """What a run said while it ran."""

    points: list[MetricPoint] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    usage: list[UsageSample] = field(default_factory=list)


@dataclass
class Stranger:
    """Runs lines of Python as a training job in folders of its own."""

    runner: SandboxRunner
    folder: Path
    told: Told = field(default_factory=Told)

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def code(self, source: str, name: str = "train.py") -> Path:
        path = self.folder / "code"
        path.mkdir(exist_ok=True)
        (path / name).write_text(textwrap.dedent(source))
        return path

    async def train(self, source: str, limits: Limits = LIMITS, brake: Brake | None = None) -> RunResult:
        train = self.folder / "train"
        train.mkdir(exist_ok=True)
        (train / "inputs.csv").write_text("1\n2\n")
        return await self.runner.train(
            code=self.code(source),
            entry="train.py",
            train=train,
            model=self.model,
            limits=limits,
            on_metric=self.told.points.append,
            on_log=self.told.lines.append,
            on_usage=self.told.usage.append,
            brake=brake,
        )
