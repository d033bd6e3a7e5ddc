"""The trusted scorer: labels that no job has seen, against predictions that a job wrote down as plain arrays.

Everything is computed in float64 with exactly rounded sums (``math.fsum``), so the order of additions and the width of
vector units cannot show.  What may differ between two machines is only what the predictions differ by.

* Classification.  Predictions are labels ``(n,)``, or scores ``(n, classes)`` whose column j stands for the label j.
  Scores are probabilities if every row lies in [0, 1] and sums to 1 within 1e-3, and logits (to be softmaxed) if not.
  One score per example in [0, 1] for labels 0 and 1 is the probability of 1.  The per-example loss is cross-entropy,
  cut at ``MAX_LOSS``; for bare labels it is 0 or 1.
* Regression.  The per-example loss is the squared error in units of the labels' variance, so that a fingerprint fits
  64 bits whatever the labels' unit is.

The fingerprint is the mean loss in 1e-9 units; it, the metric and the leaves' losses are rounded half to even.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from morphware.node.ports import Score
from morphware.node.runner.arrays import MAX_ROWS, UnusableArray, read_array
from morphware.protocol.metrics import KNOWN_METRICS, Task, metric_to_e6
from morphware.protocol.predictions import NO_PREDICTIONS, prediction_leaf, prediction_root
from morphware.protocol.units import BAD_MODEL, FINGERPRINT_SCALE, INT64_MAX, NO_TEST, Address

MAX_CLASSES: Final = 100_000
SMALLEST_PROBABILITY: Final = 1e-15
MAX_LOSS: Final = -math.log(SMALLEST_PROBABILITY)
ROW_SUM_TOLERANCE: Final = 1e-3
LEAF_LOSS_SCALE: Final = 10_000
BLOCK_ITEMS: Final = 1 << 20
"""Scores become float64 this many at a time, or one row: 8 MiB, whatever the file holds."""

LEAVES_A_CHECKPOINT: Final = 10_000

Floats = NDArray[np.float64]


class BadPredictions(ValueError):
    """The model's answer cannot be scored; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Predictions brought into one form: labels or values, their per-example losses, and scores where there are any."""

    values: NDArray[np.generic]
    losses: Floats


def bad_model(reason: str) -> Score:
    """The score of a model that did not answer with usable numbers."""
    return Score(BAD_MODEL, 0, NO_PREDICTIONS, reason)


def no_test(reason: str) -> Score:
    """The report code for a testing set that cannot be used."""
    return Score(NO_TEST, 0, NO_PREDICTIONS, reason)


def label_files(test: Path) -> list[Path]:
    """Files that are withheld from the sandbox: those named ``labels*`` at the top of the testing folder."""
    return sorted(path for path in test.iterdir() if path.name.startswith("labels"))


def read_labels(test: Path) -> NDArray[np.generic]:
    """The labels of a testing folder, one per example.

    Raises:
        UnusableArray: there is not exactly one ``labels*`` file, or it is no plain column of finite values.
    """
    files = label_files(test)
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise UnusableArray(f"the testing folder needs one labels.npy, labels.npz or labels.csv (found {found})")
    labels = read_array(files[0])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.size == 0:
        raise UnusableArray(f"the labels must be one column with at least one row, not shape {labels.shape}")
    if labels.size > MAX_ROWS:
        raise UnusableArray(f"there are {labels.size} labels, more than {MAX_ROWS}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise UnusableArray("the labels hold values that are not finite")
    return labels


def score(
    folder: Path,
    labels: NDArray[np.generic],
    metric: str,
    validator: Address,
    checkpoint: Callable[[], None] = lambda: None,
) -> Score:
    """Score ``predictions.npy`` (and ``probabilities.npy``) in a collected folder.

    ``checkpoint`` is called before each long step, and may raise.
    """
    try:
        arrays = {
            name: read_array(folder / f"{name}.npy", rows=len(labels), max_columns=MAX_CLASSES)
            for name in ("predictions", "probabilities")
            if (folder / f"{name}.npy").is_file()
        }
        answer = _understand(arrays, labels, KNOWN_METRICS[metric].task, checkpoint)
        checkpoint()
        metric_e6 = metric_to_e6(metric, _metric(metric, answer, labels))
        fingerprint_e9 = round(_mean(answer.losses) * FINGERPRINT_SCALE)
        if fingerprint_e9 > INT64_MAX:
            return bad_model("the mean loss overflows")
        return Score(metric_e6, fingerprint_e9, _root(answer, validator, checkpoint))
    except (BadPredictions, UnusableArray, ValueError, OverflowError) as error:
        return bad_model(str(error))


def _understand(
    arrays: dict[str, NDArray[np.generic]], labels: NDArray[np.generic], task: Task, checkpoint: Callable[[], None]
) -> Answer:
    if not arrays:
        raise BadPredictions("predict() left no predictions")
    for name, array in arrays.items():
        squeezed = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        arrays[name] = squeezed
        if squeezed.ndim not in (1, 2) or len(squeezed) != len(labels):
            raise BadPredictions(f"{name} have shape {array.shape} for {len(labels)} testing examples")
        if squeezed.dtype.kind == "f" and not np.isfinite(squeezed).all():
            raise BadPredictions(f"{name} hold values that are not finite")
    if task is Task.REGRESSION:
        return _regression(arrays.get("predictions"), labels)
    return _classification(arrays, labels, checkpoint)


def _regression(values: NDArray[np.generic] | None, labels: NDArray[np.generic]) -> Answer:
    if values is None or values.ndim != 1 or values.dtype.kind == "U":
        raise BadPredictions("regression needs one number for each testing example")
    if labels.dtype.kind == "U":
        raise BadPredictions("regression needs labels that are numbers")
    numbers, truth = values.astype(np.float64), labels.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = (numbers - truth) ** 2
    spread = _variance(truth) or 1.0
    if not np.isfinite(errors).all() or not np.isfinite(errors / spread).all():
        raise BadPredictions("the squared errors overflow")
    return Answer(numbers, errors / spread)


def _classification(
    arrays: dict[str, NDArray[np.generic]], labels: NDArray[np.generic], checkpoint: Callable[[], None]
) -> Answer:
    truth = _as_labels(labels, "labels")
    given = arrays.get("predictions")
    scores = arrays.get("probabilities")
    if scores is None and given is not None and (given.ndim == 2 or _is_fraction(given)):
        given, scores = None, given
    hard = _as_labels(given, "predictions") if given is not None else None
    if hard is not None and (hard.dtype.kind == "U") != (truth.dtype.kind == "U"):
        raise BadPredictions(f"predictions are {_kind(hard)}, labels are {_kind(truth)}")
    if scores is not None:
        classes = _classes(scores)
        if truth.dtype.kind == "U" or truth.min() < 0 or truth.max() >= classes:
            raise BadPredictions(f"scores for {classes} classes need labels from 0 up to one less")
        likeliest, chosen = _probabilities(scores, truth, checkpoint)
        losses = -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))
        return Answer(likeliest if hard is None else hard, losses)
    assert hard is not None
    return Answer(hard, (hard != truth).astype(np.float64))


def _as_labels(values: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    if values.ndim != 1:
        raise BadPredictions(f"{name} must be one label for each example")
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind == "f":
        numbers = values.astype(np.float64)
        if (np.abs(numbers) > 2**53).any() or (numbers != np.round(numbers)).any():
            raise BadPredictions(f"{name} must be whole numbers or text")
        return numbers.astype(np.int64)
    if values.dtype.kind == "u" and values.size and values.max() > 2**63 - 1:
        raise BadPredictions(f"{name} must fit 64 bits")
    return values.astype(np.int64)


def _is_fraction(values: NDArray[np.generic]) -> bool:
    """Whether bare numbers are probabilities of class 1 rather than labels."""
    if values.dtype.kind != "f":
        return False
    numbers = values.astype(np.float64)
    return bool((numbers != np.round(numbers)).any() and (numbers >= 0).all() and (numbers <= 1).all())


def _kind(values: NDArray[np.generic]) -> str:
    return "text" if values.dtype.kind == "U" else "numbers"


def _classes(scores: NDArray[np.generic]) -> int:
    if scores.dtype.kind == "U":
        raise BadPredictions("scores must be numbers")
    classes = 2 if scores.ndim == 1 else scores.shape[1]
    if not 2 <= classes <= MAX_CLASSES:
        raise BadPredictions(f"scores must have one column for each class, not shape {scores.shape}")
    return classes


def _probabilities(
    scores: NDArray[np.generic], truth: NDArray[np.generic], checkpoint: Callable[[], None]
) -> tuple[NDArray[np.int64], Floats]:
    """The likeliest label of each row, and what the row gives to the true one."""
    are_logits = False
    for _, block in _blocks(scores, checkpoint):
        sums = block.sum(axis=1)
        if (block < 0).any() or (block > 1).any() or (np.abs(sums - 1) > ROW_SUM_TOLERANCE).any():
            are_logits = True
            break
    likeliest = np.empty(len(scores), dtype=np.int64)
    chosen = np.empty(len(scores), dtype=np.float64)
    for rows, block in _blocks(scores, checkpoint):
        weights = np.exp(block - block.max(axis=1, keepdims=True)) if are_logits else block
        shares = weights / weights.sum(axis=1, keepdims=True)
        likeliest[rows] = shares.argmax(axis=1)
        chosen[rows] = shares[np.arange(len(shares)), truth[rows].astype(np.int64)]
    return likeliest, chosen


def _blocks(scores: NDArray[np.generic], checkpoint: Callable[[], None]) -> Iterator[tuple[slice, Floats]]:
    """Rows as float64, each laid out on its own: a row's sum is the same in any block."""
    height = max(1, BLOCK_ITEMS // _classes(scores))
    for start in range(0, len(scores), height):
        checkpoint()
        rows = slice(start, start + height)
        block = np.ascontiguousarray(scores[rows], dtype=np.float64)
        yield rows, np.stack([1.0 - block, block], axis=1) if block.ndim == 1 else block


def _metric(name: str, answer: Answer, labels: NDArray[np.generic]) -> float:
    if KNOWN_METRICS[name].task is Task.REGRESSION:
        return _regression_metric(name, answer.values.astype(np.float64), labels.astype(np.float64))
    truth = _as_labels(labels, "labels")
    match name:
        case "accuracy":
            return int((answer.values == truth).sum()) / len(truth)
        case "log_loss":
            return _mean(answer.losses)
        case "f1":
            return _macro_f1(answer.values, truth)
        case _:
            raise BadPredictions(f"nobody computes {name}")


def _macro_f1(values: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    classes = np.unique(np.concatenate([values, truth]))
    if len(classes) > MAX_CLASSES:
        raise BadPredictions("too many different labels")
    position = {label: index for index, label in enumerate(classes.tolist())}
    ours = np.fromiter((position[label] for label in values.tolist()), dtype=np.int64, count=len(values))
    theirs = np.fromiter((position[label] for label in truth.tolist()), dtype=np.int64, count=len(truth))
    right = np.bincount(ours[ours == theirs], minlength=len(classes))
    total = np.bincount(ours, minlength=len(classes)) + np.bincount(theirs, minlength=len(classes))
    return math.fsum((2 * right / total).tolist()) / len(classes)


def _regression_metric(name: str, values: Floats, truth: Floats) -> float:
    errors = values - truth
    match name:
        case "mae":
            return _mean(np.abs(errors))
        case "rmse":
            return math.sqrt(_mean(errors**2))
        case "r2":
            spread = _variance(truth)
            if spread == 0:
                raise BadPredictions("r2 is not defined where all labels are equal")
            return 1.0 - _mean(errors**2) / spread
        case _:
            raise BadPredictions(f"nobody computes {name}")


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values)


def _variance(values: Floats) -> float:
    mean = _mean(values)
    return _mean((values - mean) ** 2)


def _root(answer: Answer, validator: Address, checkpoint: Callable[[], None]) -> bytes:
    leaves = []
    for index, (value, loss) in enumerate(zip(answer.values.tolist(), answer.losses.tolist(), strict=True)):
        if index % LEAVES_A_CHECKPOINT == 0:
            checkpoint()
        leaves.append(prediction_leaf(validator, index, _text(value), round(loss * LEAF_LOSS_SCALE)))
    checkpoint()
    return prediction_root(leaves)


def _text(value: object) -> bytes:
    """A prediction as a leaf has it: labels in full, values to six digits, text cut to 64 characters."""
    return (f"{value + 0.0:.6g}" if isinstance(value, float) else str(value)[:64]).encode()
