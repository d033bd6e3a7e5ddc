"""The jobs that ship with us: complete, with real data, and copied by people who write their first one."""

import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from morphware.node.runner.errors import JobRefused
from morphware.node.runner.job_config import FILE_NAME, JobConfig, read_job_config

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
PREPARE: Final = "prepare.py"


@dataclass(frozen=True, slots=True)
class ExampleJob:
    """A job ready to be submitted: its code alone in a folder, and its data split in two."""

    code: Path
    entry: str
    train: Path
    test: Path
    config: JobConfig


def example_names() -> tuple[str, ...]:
    """All examples."""
    return tuple(sorted(path.name for path in EXAMPLES.iterdir() if (path / PREPARE).is_file()))


def find_example(name: str) -> Path | None:
    """The folder of an example."""
    return EXAMPLES / name if name in example_names() else None


def prepare_example(name: str, folder: Path, seed: int = 0) -> ExampleJob:
    """Lay an example out below ``folder``: ``code/``, ``train/`` and ``test/``; the same seed splits alike. Blocks.

    Raises:
        JobRefused: there is no such example, or its data needs a package that is missing.
    """
    source = find_example(name)
    if source is None:
        raise JobRefused(f"There is no example called {name}: choose one of {', '.join(example_names())}.")
    code = folder / "code"
    code.mkdir(parents=True, exist_ok=True)
    entry = next(path.name for path in sorted(source.iterdir()) if path.stem == "train")
    for file in (entry, FILE_NAME):
        shutil.copyfile(source / file, code / file)
    try:
        runpy.run_path(str(source / PREPARE))["prepare"](folder, seed)
    except ImportError as error:
        raise JobRefused(
            f"The example {name} needs {error.name}: install it with `pip install 'morphware[examples]'`."
        ) from error
    return ExampleJob(code, entry, folder / "train", folder / "test", read_job_config(code))
