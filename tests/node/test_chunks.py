"""Data is cut by rows into chunks like all of it, and chunks become a folder of the same shape again."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from morphware.node.chunks import ChunksRefused, count_rows, cut, join

NAMES = ("chunk-00", "chunk-01", "chunk-02", "chunk-03")
KEY = b"k" * 32


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty-two examples in three files, each of which says which example it is of."""
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    numbers = np.arange(22)
    np.save(folder / "inputs.npy", np.asfortranarray(np.stack([numbers, -numbers], axis=1).astype(np.float32)))
    (folder / "labels.csv").write_text("label\r\n" + "".join(f"{n}\r\n" for n in numbers), newline="")
    (folder / "more" / "text.csv").write_text(
        "\ufeffwords,n\n" + "".join(f'"line one,\nof ""{n}""",{n}\n\n' for n in numbers)
    )
    return folder


def rows_of(folder: Path) -> list[int]:
    """Which examples a folder holds, if its files agree about it."""
    inputs = np.load(folder / "inputs.npy")
    labels = (folder / "labels.csv").read_text().split()
    assert labels.pop(0) == "label"
    assert [int(label) for label in labels] == list(inputs[:, 0]) == list(-inputs[:, 1])
    words = (folder / "more" / "text.csv").read_text()
    assert words == "words,n\n" + "".join(f'"line one,\nof ""{n}""",{n}\n' for n in labels)
    return [int(label) for label in labels]


def test_every_row_falls_into_one_chunk_whole_and_chunks_are_equal_to_within_one_row(
    data: Path, tmp_path: Path
) -> None:
    assert count_rows(data, len(NAMES)) == 22
    cut(data, tmp_path / "cut", NAMES, KEY)
    rows = [rows_of(tmp_path / "cut" / name) for name in NAMES]
    assert sorted(map(len, rows)) == [5, 5, 6, 6]
    assert sorted(chain(*rows)) == list(range(22))
    assert np.load(tmp_path / "cut" / NAMES[0] / "inputs.npy").dtype == np.float32


def test_another_key_cuts_otherwise_and_the_same_key_alike(data: Path, tmp_path: Path) -> None:
    for name, key in (("a", KEY), ("b", KEY), ("c", b"other")):
        cut(data, tmp_path / name, NAMES, key)
    a, b, c = ([rows_of(tmp_path / name / chunk) for chunk in NAMES] for name in "abc")
    assert a == b
    assert a != c


def test_a_cut_that_was_interrupted_is_ended_with_the_same_chunks(data: Path, tmp_path: Path) -> None:
    cut(data, tmp_path / "cut", NAMES, KEY)
    before = rows_of(tmp_path / "cut" / NAMES[2])
    for file in sorted((tmp_path / "cut" / NAMES[2]).rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (tmp_path / "cut" / NAMES[2]).rmdir()
    cut(data, tmp_path / "cut", NAMES, KEY)
    assert rows_of(tmp_path / "cut" / NAMES[2]) == before


def test_chosen_chunks_become_a_folder_like_the_data(data: Path, tmp_path: Path) -> None:
    cut(data, tmp_path / "cut", NAMES, KEY)
    parts = [tmp_path / "cut" / name for name in (NAMES[3], NAMES[1])]
    join(parts, tmp_path / "train")
    assert rows_of(tmp_path / "train") == rows_of(parts[0]) + rows_of(parts[1])


def test_a_table_without_a_header_gets_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "inputs.csv").write_text("1,2.5\n3,nan\n5,1e3\n7,8")
    cut(tmp_path / "data", tmp_path / "cut", NAMES[:2], KEY)
    join([tmp_path / "cut" / name for name in NAMES[:2]], tmp_path / "whole")
    lines = (tmp_path / "whole" / "inputs.csv").read_text().splitlines()
    assert sorted(lines) == ["1,2.5", "3,nan", "5,1e3", "7,8"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("photo.png", b"png", "cannot be cut by rows: keep .npy and .csv files there"),
        ("labels.csv", b"label\n1\n2\n", "has 2: give every file"),
        ("labels.csv", b"1\n2\nthree\n", "holds text and has no header"),
        ("labels.csv", b'label\n"' + b"x" * (2 << 20), "too long"),
        ("labels.csv", b"label\n\xff\n", "cannot be read as a .csv"),
        ("labels.npy", b"no array", "save it as a plain .npy array"),
        ("labels.npy", b"", "save it as a plain .npy array"),
    ],
)
def test_data_that_cannot_be_cut_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros((3, 2)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ChunksRefused, match=sentence):
        count_rows(tmp_path, 2)


def test_fewer_rows_than_chunks_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros((3, 2)))
    assert count_rows(tmp_path, 3) == 3
    with pytest.raises(ChunksRefused, match="3 rows cannot be cut into 4 chunks"):
        count_rows(tmp_path, 4)


def test_pickled_and_scalar_arrays_are_refused(tmp_path: Path) -> None:
    for array in (np.array([{}, {}], dtype=object), np.array(1.0)):
        np.save(tmp_path / "inputs.npy", array, allow_pickle=True)
        with pytest.raises(ChunksRefused):
            count_rows(tmp_path, 2)


def spoil(chunk: Path, how: str) -> None:
    """What a hostile end user might seal as one of its chunks."""
    inputs, labels = chunk / "inputs.npy", chunk / "labels.csv"
    array = np.load(inputs)
    match how:
        case "type":
            np.save(inputs, array.astype(np.float64))
        case "columns":
            np.save(inputs, array[:, :1])
        case "columns first":
            np.save(inputs, np.asfortranarray(array))
        case "rows":
            np.save(inputs, array[:-1])
        case "cut off":
            inputs.write_bytes(inputs.read_bytes()[:-1])
        case "huge" | "negative":
            shape = (2**60, 2) if how == "huge" else (-1, 2)
            with inputs.open("wb") as file:
                np.lib.format.write_array_header_2_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        case "header":
            labels.write_text(labels.read_text().replace("label", "lable"))
        case "more":
            (chunk / "extra.csv").write_text("a\n1\n")
        case "less":
            labels.unlink()
        case "other":
            labels.rename(chunk / "labels.txt")


@pytest.mark.parametrize(
    "how",
    ["type", "columns", "columns first", "rows", "cut off", "huge", "negative", "header", "more", "less", "other"],
)
def test_chunks_that_do_not_fit_each_other_are_refused_and_leave_nothing(data: Path, tmp_path: Path, how: str) -> None:
    cut(data, tmp_path / "cut", NAMES, KEY)
    spoil(tmp_path / "cut" / NAMES[1], how)
    with pytest.raises(ChunksRefused):
        join([tmp_path / "cut" / name for name in NAMES[:3]], tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "data"]
