"""Softmax regression in far more small steps than it needs, so that a test can end its worker in the middle of them."""

import os
from pathlib import Path

import numpy as np

STEPS, SHOWN_EACH, RATE = 5_000_000, 5_000, 0.001


def scores(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    raw = np.exp(inputs @ weights - (inputs @ weights).max(axis=1, keepdims=True))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def train(train_dir: str, model_dir: str) -> None:
    inputs = np.load(Path(train_dir) / "inputs.npy")
    labels = np.load(Path(train_dir) / "labels.npy")
    targets = np.eye(3)[labels]
    weights = np.zeros((inputs.shape[1], 3))
    for step in range(STEPS):
        found = scores(weights, inputs)
        if step % SHOWN_EACH == 0:
            print(f"step {step} loss {-np.log(found[targets == 1] + 1e-12).mean():.4f}", flush=True)
        weights -= RATE * inputs.T @ (found - targets) / len(inputs)
    np.savez(Path(model_dir) / "model.npz", weights=weights)


def predict(model_dir: str, test_dir: str) -> np.ndarray:
    return scores(np.load(Path(model_dir) / "model.npz")["weights"], np.load(Path(test_dir) / "inputs.npy"))


if __name__ == "__main__":
    train(os.environ["MORPHWARE_TRAIN_DIR"], os.environ["MORPHWARE_MODEL_DIR"])
