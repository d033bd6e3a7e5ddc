"""Splits scikit-learn's bundled handwritten digits (1,797 real scans of 8 x 8) into a training and a testing folder."""

from pathlib import Path

import numpy as np


def prepare(folder: Path, seed: int = 0) -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.images.astype(np.uint8), digits.target.astype(np.int64), test_size=0.3, stratify=digits.target,
        random_state=seed,
    )
    for name, inputs, labels in (("train", train_x, train_y), ("test", test_x, test_y)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        np.save(folder / name / "inputs.npy", inputs)
        np.save(folder / name / "labels.npy", labels)


if __name__ == "__main__":
    import sys

    prepare(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
