# /// script
# dependencies = ["torch", "safetensors", "numpy"]
# ///
"""Handwritten digits with a small convolutional network: an ordinary PyTorch script, nothing of it is Morphware's.

It reads inputs.npy (n, 8, 8) and labels.npy (n,) from the training folder, and writes model.safetensors.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 2 * 2, 128), nn.ReLU(), nn.Linear(128, 10),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def images(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.load(path)).float().div(16).unsqueeze(1)


def fit(train_dir: Path, model_dir: Path, epochs: int, batch: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    inputs = images(train_dir / "inputs.npy")
    labels = torch.from_numpy(np.load(train_dir / "labels.npy")).long()
    network = Network()
    steps = epochs * -(-len(inputs) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    step = 0
    for epoch in range(epochs):
        right = 0
        for part in torch.randperm(len(inputs)).split(batch):
            scores = network(inputs[part])
            loss = nn.functional.cross_entropy(scores, labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += int((scores.argmax(1) == labels[part]).sum())
            step += 1
            print(f"step {step} loss: {loss.item():.4f}")
        print(f"{right / len(inputs):.1%} of the training images right in round {epoch + 1} of {epochs}")
    save_file(network.state_dict(), model_dir / "model.safetensors")


def predict(model_dir: str, test_dir: str) -> np.ndarray:
    """Called by validators: one row of class probabilities for each testing image."""
    network = Network()
    network.load_state_dict(load_file(Path(model_dir) / "model.safetensors"))
    network.eval()
    with torch.inference_mode():
        return network(images(Path(test_dir) / "inputs.npy")).softmax(1).numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", type=Path, default=Path(os.environ.get("MORPHWARE_TRAIN_DIR", "train")))
    parser.add_argument("--model", type=Path, default=Path(os.environ.get("MORPHWARE_MODEL_DIR", ".")))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    fit(options.train, options.model, options.epochs, options.batch, options.rate, options.seed)
