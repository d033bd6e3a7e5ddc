"""Splits scikit-learn's bundled breast cancer table (569 real biopsies, 30 measurements) into training and testing."""

from pathlib import Path


def prepare(folder: Path, seed: int = 0) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    table = load_breast_cancer(as_frame=True)
    train_x, test_x, train_y, test_y = train_test_split(
        table.data, table.target.rename("label"), test_size=0.3, stratify=table.target, random_state=seed
    )
    for name, inputs, labels in (("train", train_x, train_y), ("test", test_x, test_y)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        inputs.to_csv(folder / name / "inputs.csv", index=False)
        labels.to_csv(folder / name / "labels.csv", index=False)


if __name__ == "__main__":
    import sys

    prepare(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
