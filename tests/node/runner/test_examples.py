"""The jobs that ship: they pass their own inspection, train in the sandbox, and meet their own threshold."""

import json
from pathlib import Path

import pandas as pd
import pytest
import trio
from sklearn.datasets import load_wine

from morphware.node.ports import Limits
from morphware.node.runner.examples import example_names, find_example, prepare_example
from morphware.node.runner.inspect import check_data, check_metric, inspect_job
from morphware.protocol.units import Address
from tests.node.runner.stranger import Stranger

HOW = Path(__file__).resolve().parents[3] / "node" / "web" / "static" / "how.js"
LIMITS = Limits(wall_s=300, memory_bytes=4 << 30, threads=1)


def test_every_example_is_found_and_nothing_else() -> None:
    assert example_names() == ("digits", "tabular")
    assert find_example("../runner") is None


@pytest.mark.adapter
@pytest.mark.parametrize("name", ["digits", "tabular"])
async def test_an_example_meets_its_threshold_on_labels_that_it_never_saw(
    stranger: Stranger, tmp_path: Path, name: str
) -> None:
    example = prepare_example(name, tmp_path / "example", seed=0)
    job = inspect_job(example.code)
    threshold_e6 = check_metric(job, example.config.metric, example.config.threshold)
    check_data(job, example.train, example.test)
    model = tmp_path / "trained"
    assert example.config.metric is not None
    with trio.fail_after(300):
        result = await stranger.runner.train(
            code=example.code,
            entry=example.entry,
            train=example.train,
            model=model,
            limits=LIMITS,
            on_metric=stranger.told.points.append,
            on_log=stranger.told.lines.append,
            on_usage=stranger.told.usage.append,
        )
        assert result.reason == "", result.log_tail
        losses = [point.values["loss"] for point in stranger.told.points if "loss" in point.values]
        assert len(losses) >= 20
        assert losses[-1] < losses[0] / 3
        score = await stranger.runner.evaluate(
            code=example.code,
            entry=example.entry,
            model=model,
            test=example.test,
            metric=example.config.metric,
            validator=Address(b"v" * 20),
            limits=LIMITS,
        )
    assert score.reason == ""
    assert score.metric_e6 >= threshold_e6
    assert 0 < score.fingerprint_e9 < 500_000_000


@pytest.mark.adapter
@pytest.mark.parametrize("classes", [[0, 1, 2], ["barolo", "grignolino", "barbera"]])
async def test_the_example_that_the_page_shows_is_a_job(
    stranger: Stranger, tmp_path: Path, classes: list[object]
) -> None:
    code, train, test = (tmp_path / name for name in ("code", "train", "test"))
    for folder in (code, train, test):
        folder.mkdir()
    (code / "job.py").write_text(HOW.read_text().split("const EXAMPLE = `")[1].split("`;")[0])
    wine = load_wine(as_frame=True)
    inputs = (wine.data - wine.data.mean()) / wine.data.std()
    is_test = pd.Series(range(len(inputs))) % 4 == 0
    labels = wine.target.map(dict(enumerate(classes))).rename("label")
    inputs[~is_test].assign(label=labels).to_csv(train / "train.csv", index=False)
    inputs[is_test].to_csv(test / "inputs.csv", index=False)
    labels[is_test].to_csv(test / "labels.csv", index=False)
    job = inspect_job(code)
    assert check_metric(job, "accuracy", 0.9) == 900_000
    check_data(job, train, test)
    with trio.fail_after(120):
        result = await stranger.runner.train(
            code=code,
            entry=job.entry,
            train=train,
            model=tmp_path / "trained",
            limits=LIMITS,
            on_metric=stranger.told.points.append,
            on_log=stranger.told.lines.append,
        )
        assert result.reason == "", result.log_tail
        score = await stranger.runner.evaluate(
            code=code,
            entry=job.entry,
            model=tmp_path / "trained",
            test=test,
            metric="accuracy",
            validator=Address(b"v" * 20),
            limits=LIMITS,
        )
    assert score.reason == ""
    assert score.metric_e6 >= 900_000
    assert [set(point.values) for point in stranger.told.points] == [{"loss"}]


@pytest.mark.adapter
async def test_a_notebook_that_plots_trains_as_it_is(stranger: Stranger, tmp_path: Path) -> None:
    cells = (
        "%matplotlib inline\nimport matplotlib.pyplot as plt",
        "plt.plot([3, 2, 1])\nplt.title('loss')\nplt.show()",
        "import os, pathlib\n(pathlib.Path(os.environ['MORPHWARE_MODEL_DIR']) / 'model').write_text('trained')",
    )
    sources = [{"cell_type": "code", "source": source, "metadata": {}} for source in cells]
    for name in ("code", "train"):
        (tmp_path / name).mkdir()
    (tmp_path / "code" / "job.ipynb").write_text(json.dumps({"nbformat": 4, "cells": sources}))
    with trio.fail_after(120):
        result = await stranger.runner.train(
            code=tmp_path / "code",
            entry="job.ipynb",
            train=tmp_path / "train",
            model=tmp_path / "trained",
            limits=LIMITS,
            on_metric=stranger.told.points.append,
            on_log=stranger.told.lines.append,
        )
    assert result.reason == "", result.log_tail
    assert (tmp_path / "trained" / "model").read_text() == "trained"
