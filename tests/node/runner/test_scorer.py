"""The trusted scorer on hand-computed cases, and on everything that is not a usable answer."""

import contextlib
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from morphware.node.ports import Score
from morphware.node.runner.arrays import MAX_ITEM_BYTES, UnusableArray, parse_npy, read_array
from morphware.node.runner.scorer import read_labels, score
from morphware.protocol.units import BAD_MODEL, Address

ALICE, BOB = Address(b"a" * 20), Address(b"b" * 20)


def scored(folder: Path, labels: ArrayLike, metric: str, validator: Address = ALICE, **arrays: ArrayLike) -> Score:
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values))
    return score(folder, np.asarray(labels), metric, validator)


def test_labels_are_scored_by_what_is_right(tmp_path: Path) -> None:
    found = scored(tmp_path, [0, 1, 1, 2], "accuracy", predictions=[0, 1, 2, 2])
    assert (found.metric_e6, found.fingerprint_e9) == (750_000, 250_000_000)


def test_text_labels_are_labels_too(tmp_path: Path) -> None:
    assert scored(tmp_path, ["cat", "dog"], "accuracy", predictions=["cat", "cat"]).metric_e6 == 500_000


def test_probabilities_give_the_cross_entropy_as_fingerprint(tmp_path: Path) -> None:
    found = scored(tmp_path, [0, 1], "accuracy", predictions=[[0.5, 0.5], [0.25, 0.75]])
    assert found.metric_e6 == 1_000_000
    assert found.fingerprint_e9 == round((-math.log(0.5) - math.log(0.75)) / 2 * 1e9)


def test_logits_are_softmaxed(tmp_path: Path) -> None:
    found = scored(tmp_path, [0, 1], "log_loss", predictions=[[2.0, 0.0], [-1.0, 3.0]])
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-4))) / 2
    assert found.metric_e6 == -round(expected * 1e6)


def test_one_probability_an_example_is_that_of_class_1(tmp_path: Path) -> None:
    assert scored(tmp_path, [0, 1, 1], "accuracy", predictions=[0.1, 0.8, 0.3]).metric_e6 == 666_667


def test_a_certain_error_costs_a_bounded_loss(tmp_path: Path) -> None:
    found = scored(tmp_path, [0], "accuracy", predictions=[[0.0, 1.0]])
    assert found.fingerprint_e9 == round(-math.log(1e-15) * 1e9)


def test_f1_is_averaged_over_classes(tmp_path: Path) -> None:
    found = scored(tmp_path, [0, 0, 0, 1], "f1", predictions=[0, 0, 1, 1])
    assert found.metric_e6 == round((4 / 5 + 2 / 3) / 2 * 1e6)


def test_regression_metrics(tmp_path: Path) -> None:
    labels, values = [1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 3.0, 3.0]
    assert scored(tmp_path, labels, "mae", predictions=values).metric_e6 == -375_000
    assert scored(tmp_path, labels, "rmse", predictions=values).metric_e6 == -round(math.sqrt(1.25 / 4) * 1e6)
    found = scored(tmp_path, labels, "r2", predictions=values)
    assert found.metric_e6 == 750_000
    assert found.fingerprint_e9 == 250_000_000  # the squared error in units of the labels' variance


def test_prices_in_cents_do_not_overflow_the_fingerprint(tmp_path: Path) -> None:
    found = scored(tmp_path, [1e11, 3e11], "rmse", predictions=[2e11, 2e11])
    assert (found.fingerprint_e9, found.reason) == (1_000_000_000, "")


def test_float_noise_of_another_machine_stays_within_tolerance(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(10), 500)
    labels = rows.argmax(axis=1)
    first = scored(tmp_path, labels, "accuracy", predictions=rows.astype(np.float32))
    second = scored(tmp_path, labels, "accuracy", predictions=(rows * (1 + 1e-7)).astype(np.float32))
    assert first.metric_e6 == second.metric_e6
    assert abs(first.fingerprint_e9 - second.fingerprint_e9) <= 1e-5 * first.fingerprint_e9


def test_two_validators_have_different_roots_for_the_same_answer(tmp_path: Path) -> None:
    first = scored(tmp_path, [0, 1], "accuracy", predictions=[0, 1])
    second = scored(tmp_path, [0, 1], "accuracy", BOB, predictions=[0, 1])
    assert first.prediction_root != second.prediction_root
    assert first.metric_e6 == second.metric_e6


@pytest.mark.parametrize(
    ("metric", "labels", "values"),
    [
        ("accuracy", [0, 1], [0, 1, 1]),
        ("accuracy", [0, 1], [0.5, 7.5]),
        ("accuracy", [0, 1], [["a", "b"], ["a", "b"]]),
        ("accuracy", [0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ("accuracy", ["a", "b"], [[0.5, 0.5], [0.5, 0.5]]),
        ("accuracy", [0, 1], [float("nan"), 1]),
        ("accuracy", [0, 1], [1j, 1]),
        ("accuracy", [0, 1], [1e300, 1]),
        ("r2", [1.0, 2.0], [1e200, 1e200]),
        ("r2", [1.0, 1.0], [1.0, 2.0]),
        ("rmse", ["a", "b"], [1.0, 2.0]),
        ("rmse", [1.0, 2.0], [1e13, 1e13]),
        ("rmse", [1.0, 2.0], [[1.0, 2.0], [1.0, 2.0]]),
    ],
)
def test_what_cannot_be_scored_is_a_bad_model(
    tmp_path: Path, metric: str, labels: ArrayLike, values: ArrayLike
) -> None:
    found = scored(tmp_path, labels, metric, predictions=values)
    assert found.metric_e6 == BAD_MODEL
    assert found.reason


@given(data=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_garbage_is_never_an_array_and_never_an_accident(data: bytes) -> None:
    for candidate in (data, b"\x93NUMPY\x01\x00" + data):
        with contextlib.suppress(UnusableArray):
            parse_npy(candidate)


@pytest.mark.parametrize("kind", ["O", "V8", "M8[s]", "c16", f"U{MAX_ITEM_BYTES}"])
def test_types_that_could_carry_more_than_numbers_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2, dtype=kind), allow_pickle=True)
    with pytest.raises(UnusableArray):
        read_array(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\n0\n2\n", [1, 0, 2]),
        ("label\n1\n0\n", [1, 0]),
        ("0.5\n1\n2\n", [0.5, 1, 2]),
        ("id,label,weight\n7,1,9\n8,0,9\n", [1, 0]),
        ("id,price\n7,1.5\n8,2\n", [1.5, 2.0]),
        ("label\ncat\ndog\n", ["cat", "dog"]),
        ("cat\ndog\n", ["cat", "dog"]),
    ],
)
def test_labels_are_read_from_csv(tmp_path: Path, text: str, expected: list[object]) -> None:
    (tmp_path / "labels.csv").write_text(text)
    assert read_labels(tmp_path).tolist() == expected


def test_labels_are_read_from_npz_without_pickle(tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", labels=np.array([1, 2]), extra=np.array([3]))
    assert read_labels(tmp_path).tolist() == [1, 2]
    np.savez(tmp_path / "labels.npz", labels=np.array([print], dtype=object))
    with pytest.raises(UnusableArray):
        read_labels(tmp_path)


def test_labels_are_one_regular_file(tmp_path: Path) -> None:
    with pytest.raises(UnusableArray, match="found none"):
        read_labels(tmp_path)
    (tmp_path / "labels.csv").symlink_to("/etc/hostname")
    with pytest.raises(UnusableArray, match="cannot be read"):
        read_labels(tmp_path)
    (tmp_path / "labels.npy").write_bytes(b"")
    with pytest.raises(UnusableArray, match=r"labels\.csv, labels\.npy"):
        read_labels(tmp_path)


def test_predictions_are_refused_before_they_grow(tmp_path: Path) -> None:
    path = tmp_path / "probabilities.npy"
    np.save(path, np.zeros((600, 100_000), dtype=np.int8))
    tracemalloc.start()
    try:
        found = score(tmp_path, np.zeros(600, dtype=np.int64), "accuracy", ALICE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.metric_e6 == BAD_MODEL
    assert "takes more than" in found.reason
    assert peak < 16 << 20


def test_scores_are_brought_to_numbers_in_blocks(tmp_path: Path) -> None:
    np.save(tmp_path / "probabilities.npy", np.zeros((600, 50_000), dtype=np.int8))
    tracemalloc.start()
    try:
        found = score(tmp_path, np.zeros(600, dtype=np.int64), "accuracy", ALICE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.fingerprint_e9 == round(math.log(50_000) * 1e9)
    assert peak < 120 << 20  # the file's 30 MB, and blocks


@pytest.mark.parametrize("shape", [(5,), (7, 3), (6, 100_001), (6, 400, 400), ()])
def test_a_shape_that_cannot_be_right_is_refused_by_its_header(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "predictions.npy", np.zeros(shape, dtype=np.int8))
    assert score(tmp_path, np.zeros(6, dtype=np.int64), "accuracy", ALICE).metric_e6 == BAD_MODEL


def test_blocks_do_not_show_in_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).normal(size=(50, 7))
    labels = rows.argmax(axis=1)
    whole = scored(tmp_path, labels, "log_loss", probabilities=rows)
    monkeypatch.setattr("morphware.node.runner.scorer.BLOCK_ITEMS", 20)
    assert scored(tmp_path, labels, "log_loss", probabilities=rows) == whole
    assert scored(tmp_path, labels, "log_loss", probabilities=np.asfortranarray(rows)) == whole


def test_more_labels_than_anyone_scores_are_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morphware.node.runner.scorer.MAX_ROWS", 3)
    np.save(tmp_path / "labels.npy", np.zeros(4, dtype=np.int8))
    with pytest.raises(UnusableArray, match="more than 3"):
        read_labels(tmp_path)
