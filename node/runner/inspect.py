"""Looking at a job before it costs anything: parsed, never executed. What is wrong is said in one sentence each."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from morphware.node.runner.arrays import UnusableArray
from morphware.node.runner.errors import JobRefused
from morphware.node.runner.job_config import FILE_NAME, JobConfig, read_job_config
from morphware.node.runner.launcher import notebook
from morphware.node.runner.scorer import label_files, read_labels
from morphware.protocol.metrics import KNOWN_METRICS, Direction, metric_to_e6

MAX_SOURCE_BYTES: Final = 16 << 20
MAX_CODE_CHARACTERS: Final = 1 << 20
"""Of the code alone, without a notebook's pictures: a parser holds up the whole process for a second a megabyte."""
MAX_CODE_BYTES: Final = 64 << 20
MAX_CODE_FILES: Final = 1_000
ENTRY_NAMES: Final = ("train.py", "train.ipynb", "main.py", "job.py")
UNIT_METRICS: Final = frozenset({"accuracy", "f1"})
"""Metrics that lie between 0 and 1."""

_PEP723: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")

Kind = Literal["script", "notebook"]


@dataclass(frozen=True, slots=True)
class JobInspection:
    """What a job is. ``files`` (relative to ``folder``) are what travels; ``functions`` exist when evaluating."""

    folder: Path
    entry: str
    kind: Kind
    files: tuple[str, ...]
    functions: frozenset[str]
    has_train_function: bool
    logged: frozenset[str]
    words: frozenset[str]
    requirements: tuple[str, ...]
    config: JobConfig

    @property
    def has_predict(self) -> bool:
        """Whether it makes predictions, which are compared with labels that it never sees."""
        return "predict" in self.functions

    @property
    def has_test(self) -> bool:
        """Whether it tests a model by itself, and says what it found."""
        return bool(self.functions & {"test", "evaluate"})


def inspect_job(path: Path) -> JobInspection:
    """Look at a script, a notebook, or a folder with one of them as its entry.

    Raises:
        JobRefused: it is not there, does not parse, or is too large; the sentence names file and line.
    """
    try:
        return _inspected(path)
    except JobRefused as refusal:
        refusal.field = "program"
        raise
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise JobRefused(f"{path} cannot be read: {error or type(error).__name__}.", field="program") from error


def _inspected(path: Path) -> JobInspection:
    if not path.exists():
        raise JobRefused(f"There is no job at {path}.")
    folder = path if path.is_dir() else path.parent
    config = read_job_config(folder)
    entry = _entry(path, config) if path.is_dir() else path.name
    files = _files(folder) if path.is_dir() else tuple(n for n in (entry, FILE_NAME) if (folder / n).is_file())
    kind: Kind = "notebook" if entry.endswith(".ipynb") else "script"
    if not entry.endswith((".py", ".ipynb")):
        raise JobRefused(f"{path} is neither a script (.py) nor a notebook (.ipynb).")
    source, tree = _parsed(folder / entry)
    return JobInspection(
        folder=folder,
        entry=entry,
        kind=kind,
        files=files,
        functions=_functions(_parsed(folder / entry, "predict")[1]),
        has_train_function="train" in _functions(tree),
        logged=_logged(tree),
        words=frozenset(n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)),
        requirements=config.requirements or _requirements(source, entry),
        config=config,
    )


def check_testable(job: JobInspection) -> None:
    """There is something that validators can call.

    Raises:
        JobRefused: nobody could test the job's model.
    """
    if not (job.has_predict or job.has_test):
        raise JobRefused(
            f"{job.entry} defines neither predict(model_dir, test_dir) nor test(model_dir, test_dir) at its top level, "
            "so nobody could test its model.",
            field="program",
        )


def check_metric(job: JobInspection, metric: str | None, threshold: float | None, field: str = "threshold") -> int:
    """The threshold in millionths, if validators can find this metric of this job.

    ``field`` is what the refusal of the value itself is about.

    Raises:
        JobRefused: nobody can test the job, nobody reports the metric, or no model could meet the threshold.
    """
    known = ", ".join(KNOWN_METRICS)
    if metric is None:
        raise JobRefused(
            f"Name a metric for {job.entry} with --metric or in {FILE_NAME}: one of {known}.", field="metric"
        )
    check_testable(job)
    is_computed = metric in KNOWN_METRICS and job.has_predict
    if not is_computed and not (job.has_test and metric in job.words):
        raise JobRefused(
            f"{job.entry} never reports {metric}: choose one of {known}, which are computed from what predict() "
            f"returns, or return {{'{metric}': ...}} from test().",
            field="metric",
        )
    if threshold is None:
        raise JobRefused(f"Name the {metric} that pays with --threshold or in {FILE_NAME}.", field=field)
    if metric in UNIT_METRICS and not 0 <= threshold <= 1:
        raise JobRefused(f"A threshold of {threshold:g} makes no sense: {metric} lies between 0 and 1.", field=field)
    if metric == "r2" and threshold > 1:
        raise JobRefused(f"A threshold of {threshold:g} can never be met: r2 is at most 1.", field=field)
    definition = KNOWN_METRICS.get(metric)
    if definition is not None and definition.direction is Direction.LOWER_IS_BETTER and threshold < 0:
        raise JobRefused(f"A threshold of {threshold:g} can never be met: {metric} is never negative.", field=field)
    try:
        return metric_to_e6(metric, threshold)
    except ValueError as error:
        raise JobRefused(f"The threshold cannot be used: {error}.", field=field) from error


def check_data(job: JobInspection, train: Path, test: Path) -> None:
    """Both data folders are there, and the testing one has labels apart from its inputs.

    Raises:
        JobRefused: with the sentence that says which folder lacks what.
    """
    for problem in data_problems(job, train, test):
        raise problem


def data_problems(job: JobInspection | None, train: Path | None, test: Path | None) -> Iterator[JobRefused]:
    """What is wrong with the data folders, as far as they are named; of an unknown job whether they hold anything."""
    problems = [
        problem
        for folder, name, field in ((train, "training", "train"), (test, "testing", "test"))
        if folder is not None and (problem := _folder_problem(folder, name, field)) is not None
    ]
    yield from problems
    has_data = test is not None and all(problem.field != "test" for problem in problems)
    # what defines neither is going to define predict()
    if has_data and job is not None and (job.has_predict or not job.has_test):
        assert test is not None
        if (problem := _labels_problem(test)) is not None:
            yield problem


def _folder_problem(folder: Path, name: str, field: str) -> JobRefused | None:
    if not folder.exists():
        sentence = f"The {name} data {folder} does not exist: check the path."
    elif not folder.is_dir():
        sentence = f"The {name} data {folder} is a file: name the folder that holds it."
    elif not any(path.is_file() for path in folder.rglob("*")):
        sentence = f"The {name} data folder {folder} is empty: put the data there, or name another folder."
    else:
        return None
    return JobRefused(sentence, field=field)


def _labels_problem(test: Path) -> JobRefused | None:
    """Why predictions on a testing folder could not be scored."""
    labels = label_files(test)
    if not labels:
        return JobRefused(
            f"The testing data folder {test} has no labels file (labels.npy, labels.npz or labels.csv): validators "
            "keep it from the model, and compare its predictions with it.",
            field="test",
        )
    if all(path in labels for path in test.iterdir()):
        return JobRefused(
            f"The testing data folder {test} has labels, but no inputs to predict them from.", field="test"
        )
    try:
        read_labels(test)
    except UnusableArray as error:
        return JobRefused(f"The labels in {test} cannot be used: {error}.", field="test")
    return None


def defined_functions(path: Path) -> frozenset[str]:
    """Names that an entry defines for evaluation; none if it does not parse (the sandbox will say why)."""
    try:
        return _functions(_parsed(path, "predict")[1])
    except JobRefused:
        return frozenset()


def _entry(folder: Path, config: JobConfig) -> str:
    if config.entry is not None:
        named = PurePosixPath(config.entry)
        is_inside = (
            bool(named.name) and not named.is_absolute() and ".." not in named.parts and "\0" not in config.entry
        )
        if not is_inside or not (folder / named).is_file():
            raise JobRefused(f"{folder / FILE_NAME} names the entry {config.entry}, which is not in the folder.")
        return config.entry
    candidates = sorted(p.name for p in folder.iterdir() if p.suffix in (".py", ".ipynb") and p.is_file())
    for name in ENTRY_NAMES:
        if name in candidates:
            return name
    if not candidates:
        raise JobRefused(f"There is neither a script (.py) nor a notebook (.ipynb) in {folder}.")
    if len(candidates) > 1:
        found = ", ".join(candidates)
        raise JobRefused(f"Which file of {folder} is the job? Name it as entry in {FILE_NAME} (found: {found}).")
    return candidates[0]


def _files(folder: Path) -> tuple[str, ...]:
    files = []
    total = 0
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_symlink() or not path.is_file() or any(p.startswith(".") or p == "__pycache__" for p in parts):
            continue
        files.append("/".join(parts))
        total += path.stat().st_size
        if len(files) > MAX_CODE_FILES or total > MAX_CODE_BYTES:
            raise JobRefused(
                f"The job folder {folder} is larger than code should be ({MAX_CODE_FILES} files, "
                f"{MAX_CODE_BYTES >> 20} MiB): keep data in the training folder."
            )
    return tuple(files)


def _parsed(path: Path, phase: str | None = None) -> tuple[str, ast.Module]:
    """Source and tree of an entry; of a notebook, the cells of a phase (of all phases: whatever is not skipped)."""
    try:
        if not path.is_file():
            raise JobRefused(f"There is no file {path}.")
        if path.stat().st_size > MAX_SOURCE_BYTES:
            raise JobRefused(f"{path} is larger than {MAX_SOURCE_BYTES >> 20} MiB.")
        if path.suffix != ".ipynb":
            source = _bounded(path, path.read_text(encoding="utf-8"))
            return source, ast.parse(source, filename=str(path))
        _bounded(path, "".join(cell.source for cell in notebook.cells(path)))
        for cell in notebook.cells(path):
            try:
                ast.parse(notebook.neutralised(cell.source))
            except SyntaxError as error:
                where = f"cell {cell.number + 1}, line {error.lineno}"
                raise JobRefused(f"{path.name} does not parse: {error.msg} ({where}).") from error
        source = notebook.script(path, phase or "predict")
        if phase is None:
            source += "\n" + notebook.script(path, "train")
        return source, ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise JobRefused(f"{path.name} does not parse: {error.msg} (line {error.lineno}).") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise JobRefused(f"{path.name} cannot be read: {error}.") from error


def _bounded(path: Path, source: str) -> str:
    if len(source) > MAX_CODE_CHARACTERS:
        raise JobRefused(f"{path.name} has more than {MAX_CODE_CHARACTERS} characters of code: read data from files.")
    return source


def _functions(tree: ast.Module) -> frozenset[str]:
    """Names at the top level that can be called, as far as that can be seen.

    ``train = read_csv(…)`` and ``test = …`` are data in most notebooks; ``predict = partial(…)`` is hardly any.
    """
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign(targets=targets, value=value):
                is_function = isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in names)
                given = {target.id for target in targets if isinstance(target, ast.Name)}
                names |= given if is_function else given & {"predict"}
            case _:
                pass
    return frozenset(names)


def _logged(tree: ast.Module) -> frozenset[str]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    logs = (call for call in calls if ast.unparse(call.func) in ("morphware.log", "log"))
    return frozenset(word.arg for call in logs for word in call.keywords if word.arg not in (None, "step"))


def _requirements(source: str, entry: str) -> tuple[str, ...]:
    """The packages of a PEP 723 header."""
    found = _PEP723.search(source)
    if found is None:
        return ()
    text = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found["content"].splitlines(True))
    try:
        declared = tomllib.loads(text).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise JobRefused(f"The requirements in the header of {entry} do not parse: {error}.") from error
    if not isinstance(declared, list) or not all(isinstance(item, str) for item in declared):
        raise JobRefused(f"The requirements in the header of {entry} must be a list of names.")
    return tuple(declared)
