"""What a job's ``predict`` or ``test`` returned, as plain files: arrays without pickle, numbers as JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ARRAYS: Final = ("predictions", "probabilities")


def save_predictions(answer: Any, folder: Path) -> None:
    """Write ``predictions.npy`` and, from a mapping, ``probabilities.npy``."""
    if not isinstance(answer, Mapping):
        answer = {"predictions": answer}
    known = {name: answer[name] for name in ARRAYS if answer.get(name) is not None}
    if not known:
        raise SystemExit(f"predict() must return an array, or a mapping with one of {', '.join(ARRAYS)}")
    import numpy as np

    for name, values in known.items():
        if hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        array = np.asarray(values)
        if array.dtype.kind == "O":  # pandas hands text out as objects
            array = array.astype(str)
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def save_result(answer: Any, folder: Path) -> None:
    """Write ``result.json``: the numbers that ``test()`` returned, a lone one under the name ``metric``."""
    if not isinstance(answer, Mapping):
        answer = {"metric": answer}
    numbers = {str(name): float(value) for name, value in answer.items()}
    finite = {name: number for name, number in numbers.items() if math.isfinite(number)}
    (folder / "result.json").write_text(json.dumps(finite))
