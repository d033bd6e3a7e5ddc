"""A job is looked at before it costs anything, and every refusal is one sentence that says what to change."""

import json
from pathlib import Path

import pytest

from morphware.node.runner.errors import JobRefused
from morphware.node.runner.inspect import check_data, check_metric, inspect_job
from morphware.node.runner.launcher import notebook

PREDICT = "def predict(model_dir, test_dir):\n    return []\n"


def script(folder: Path, source: str = PREDICT, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(source)
    return path


def cells(folder: Path, *sources: tuple[str, list[str]]) -> Path:
    path = folder / "job.ipynb"
    listed = [{"cell_type": "code", "source": source, "metadata": {"tags": tags}} for source, tags in sources]
    path.write_text(json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "# hi"}, *listed]}))
    return path


def test_a_script_is_known_without_running_it(tmp_path: Path) -> None:
    header = '# /// script\n# dependencies = ["torch>=2", "numpy"]\n# ///\n'
    source = header + "import morphware\nmorphware.log(step=1, loss=2)\nraise SystemExit('ran')\n" + PREDICT
    job = inspect_job(script(tmp_path, source))
    assert (job.kind, job.entry, job.files) == ("script", "train.py", ("train.py",))
    assert "predict" in job.functions
    assert job.logged == {"loss"}
    assert job.requirements == ("torch>=2", "numpy")
    assert check_metric(job, "accuracy", 0.9) == 900_000
    assert check_metric(job, "rmse", 2) == -2_000_000


def test_functions_of_training_cells_do_not_exist_when_evaluating(tmp_path: Path) -> None:
    job = inspect_job(cells(tmp_path, (PREDICT, ["train"]), ("x = 1", [])))
    assert job.kind == "notebook"
    assert "predict" not in job.functions


@pytest.mark.parametrize(
    ("source", "functions"),
    [
        ("train = read('train.csv')\ntest = read('test.csv')\n", set()),
        ("test = train = model = 3\n", set()),
        ("predict = partial(run, k=1)\n", {"predict"}),
        ("def run(m, t): ...\nevaluate = run\ntest = lambda m, t: {}\n", {"run", "evaluate", "test"}),
        ("from lib import run as predict\n", {"predict"}),
    ],
)
def test_data_by_the_name_of_a_function_is_none(tmp_path: Path, source: str, functions: set[str]) -> None:
    """Most notebooks call their data so; nobody could test a model with a table."""
    job = inspect_job(script(tmp_path, source))
    assert job.functions == functions
    assert not job.has_train_function
    if not functions:
        with pytest.raises(JobRefused, match="defines neither predict"):
            check_metric(job, "accuracy", 0.9)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("def f(:\n", "line 1"), ("x = 1\n" * 3 + "y = (\n", "line 4"), ("\0", "cannot be read|does not parse")],
)
def test_a_script_that_does_not_parse_is_refused_with_its_line(tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises(JobRefused, match=sentence):
        inspect_job(script(tmp_path, source))


def test_a_notebook_that_does_not_parse_is_refused_with_its_cell(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="cell 3, line 2"):
        inspect_job(cells(tmp_path, ("x = 1", []), ("y = 1\nz = (", [])))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [{}]}', '{"cells": 3}', "[" * 100_000])
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(JobRefused, match=r"cannot be read|does not parse"):
        inspect_job(script(tmp_path, text, "job.ipynb"))


def test_what_is_not_there_or_not_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="There is no job"):
        inspect_job(tmp_path / "missing.py")
    with pytest.raises(JobRefused, match="neither a script"):
        inspect_job(script(tmp_path, "x", "job.txt"))
    with pytest.raises(JobRefused, match=r"neither a script \(\.py\) nor a notebook"):
        inspect_job(tmp_path)
    for name in ("one.py", "two.py"):
        script(tmp_path, "x", name)
    with pytest.raises(JobRefused, match=r"Which file .* \(found: one\.py, two\.py\)"):
        inspect_job(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("metric = ", "cannot be used"),
        ("metrics = 'accuracy'", "metrics"),
        ("threshold = 'high'", "threshold"),
        ("estimated_seconds = 0", "more than 0 seconds"),
        ("entry = 'other.py'", "not in the folder"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    script(tmp_path)
    (tmp_path / "morphware.toml").write_text(text)
    with pytest.raises(JobRefused, match=sentence):
        inspect_job(tmp_path)


@pytest.mark.parametrize(
    ("source", "metric", "threshold", "sentence"),
    [
        (PREDICT, None, 0.9, "Name a metric"),
        (PREDICT, "accuracy", None, "Name the accuracy that pays"),
        (PREDICT, "bleu", 0.9, "never reports bleu"),
        (PREDICT, "accuracy", 95, "between 0 and 1"),
        (PREDICT, "r2", 1.5, "at most 1"),
        (PREDICT, "rmse", -1, "never negative"),
        (PREDICT, "mae", float("nan"), "cannot be used"),
        ("x = 1\n", "accuracy", 0.9, "defines neither"),
        ("def test(m, t):\n    return {'bleu': 1.0}\n", "rouge", 0.9, "never reports rouge"),
    ],
)
def test_a_threshold_that_nobody_could_check_is_refused(
    tmp_path: Path, source: str, metric: str | None, threshold: float | None, sentence: str
) -> None:
    with pytest.raises(JobRefused, match=sentence):
        check_metric(inspect_job(script(tmp_path, source)), metric, threshold)


def test_a_metric_that_test_returns_is_accepted(tmp_path: Path) -> None:
    job = inspect_job(script(tmp_path, "def test(m, t):\n    return {'bleu': 1.0}\n"))
    assert check_metric(job, "bleu", 0.9) == 900_000


def test_data_that_is_missing_or_incomplete_is_refused(tmp_path: Path) -> None:
    job = inspect_job(script(tmp_path))
    train, test = tmp_path / "train", tmp_path / "test"
    with pytest.raises(JobRefused, match=r"training data .* does not exist"):
        check_data(job, train, test)
    train.mkdir()
    test.mkdir()
    with pytest.raises(JobRefused, match=r"training data folder .* is empty"):
        check_data(job, train, test)
    (train / "inputs.csv").write_text("1\n")
    with pytest.raises(JobRefused, match=r"testing data folder .* is empty"):
        check_data(job, train, test)
    (test / "inputs.csv").write_text("1\n")
    with pytest.raises(JobRefused, match="no labels file"):
        check_data(job, train, test)
    (test / "labels.csv").write_text("")
    with pytest.raises(JobRefused, match="cannot be used"):
        check_data(job, train, test)
    (test / "labels.csv").write_text("1\n")
    check_data(job, train, test)
    (test / "inputs.csv").unlink()
    with pytest.raises(JobRefused, match="no inputs"):
        check_data(job, train, test)
    with pytest.raises(JobRefused, match="is a file"):
        check_data(job, train / "inputs.csv", test)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%matplotlib inline\nx = 1", "pass  # %matplotlib inline\nx = 1"),
        ("!pip install x", "pass  # !pip install x"),
        ("files = !ls", "files = None  # files = !ls"),
        ("%%time\nx = 1", "# %%time\nx = 1"),
        ("%%bash\nls", "# %%bash\n# ls"),
        ("np.array?", "pass  # np.array?"),
        ("y = 7 % 3\nprint('is it?')", "y = 7 % 3\nprint('is it?')"),
        ("total = (7\n    % 3)", "total = (7\n    % 3)"),
    ],
)
def test_magics_become_comments_and_python_stays(source: str, expected: str) -> None:
    assert notebook.neutralised(source) == expected


def test_only_definitions_remain_of_a_script_without_a_guard() -> None:
    source = """
import os
try:
    import fast
except ImportError:
    fast = None
ROOT = os.environ.get("ROOT", "/")
SIZES = [int(x) for x in "12"]
net = build(3)
a, b = 1, 2
if fast:
    SPEED = 2
for x in range(3):
    work(x)
def predict(m, t):
    return net
class Net: pass
net.fit()
d["x"] = 1
table = read("train.csv")
labels = table["label"]
kinds = {label: len(labels) for label in labels}
table = 3
rows = table
THREE = [x for x in range(3)]
double = lambda net: net * 2
for i in range(3):
    rows = i
device = "cpu"
if fits(device):
    device = "gpu"
DEVICE = str(device)
def clean(path):
    table = read(path)
    return table
table = read("again.csv")
more = table["label"]
class Sized:
    size = 3
    twice = size * 2
class Broken:
    size = len(more)
def late(rows=more):
    return rows
try:
    import os.path
    def load(m):
        net = m
        return net
except ImportError:
    pass
for os in (1, 2):
    pass
"""
    kept = notebook.definitions(notebook.module(source, "x"))
    namespace: dict[str, object] = {}
    exec(compile(kept, "x", "exec"), namespace)
    assert {"ROOT", "SIZES", "a", "b", "predict", "Net", "fast", "THREE", "double"} <= set(namespace)
    assert not {"net", "x", "d", "labels", "kinds", "i"} & set(namespace), "nor what is made of what was left out"
    assert not {"more", "Broken", "late"} & set(namespace)
    assert {"DEVICE", "clean", "Sized", "load"} <= set(namespace)
    assert (namespace["rows"], namespace["DEVICE"]) == (3, "cpu")


def test_parameters_are_injected_after_their_cell(tmp_path: Path) -> None:
    path = cells(tmp_path, ("epochs = 1", ["parameters"]), ("run(epochs)", ["train"]), ("oops", ["skip"]))
    assert "epochs = 1\n\nepochs = 9" in notebook.script(path, "train", {"epochs": 9})
    assert "run" not in notebook.script(path, "predict")
    assert "oops" not in notebook.script(path, "train")
