"""A job that takes its time, so that a test can end its worker in the middle of it."""

import os
import time
from pathlib import Path

import numpy as np


def predict(model_dir: str, test_dir: str) -> np.ndarray:
    return np.zeros(len(np.load(Path(test_dir) / "inputs.npy")), dtype=np.int64)


if __name__ == "__main__":
    for step in range(600):
        print(f"step {step} loss {1 / (step + 1):.4f}", flush=True)
        time.sleep(0.5)
    (Path(os.environ["MORPHWARE_MODEL_DIR"]) / "done.txt").write_text("done")
