"""Cuts a data folder by rows into chunks, and puts chosen chunks together into a folder of the same shape again.

A file is a table whose rows are examples: a ``.npy`` array by its first axis, a ``.csv`` by its records, below one
header (a first record of numbers alone is no header).  All files of a folder have as many rows, and row i of one
belongs to row i of the others, so they are cut alike.  Which chunk a row falls into follows from a key that only the
end user has: every chunk is like all the data, in whatever order it lay, and cutting again after a crash gives the same
chunks.

Joining reads what a stranger sealed: sizes, types and lines are bounded before anything is kept of them.  Both block.
"""

import csv
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from morphware.node.artifacts.disk import Check, disk_full_named, never_stop, private_folder, require_space
from morphware.node.errors import BadInput
from morphware.node.runner.arrays import MAX_LINE_CHARACTERS, NpyHeader, UnusableArray, read_header
from morphware.node.runner.errors import raise_for_host

MOST_ROWS: Final = 50_000_000
"""Each is given its chunk by a hash: some minute of work."""
MOST_FILES: Final = 1_000
BLOCK_BYTES: Final = 32 << 20
"""Rows of an array are copied so many bytes at a time."""


class ChunksRefused(BadInput):
    """The data cannot be cut by rows, or chunks do not fit each other. Keep to .npy and .csv files of equal length."""

    def __init__(self, *sentence: str, field: str = "data") -> None:
        super().__init__(*sentence, field=field)


def count_rows(folder: Path, chunks: int) -> int:
    """How many rows the folder's files have, all alike, if they can be cut into so many chunks.

    Raises:
        ChunksRefused: with the sentence that says what to do.
    """
    names = _files(folder)
    counts = {name: _rows(folder / name) for name in names}
    first, rows = next(iter(counts.items()))
    for name, count in counts.items():
        if count != rows:
            raise ChunksRefused(
                f"Data is cut by rows, and {first} has {rows} of them where {name} has {count}: give every file of "
                f"{folder} one row an example, and every .csv one header."
            )
    if rows < chunks:
        raise ChunksRefused(
            f"{rows} rows cannot be cut into {chunks} chunks: ask for fewer with --chunks.", field="chunks"
        )
    if rows > MOST_ROWS:
        raise ChunksRefused(
            f"{rows} rows are more than the {MOST_ROWS} that can be cut: split them up into fewer rows."
        )
    return rows


def cut(source: Path, destination: Path, names: Sequence[str], order_key: bytes, check: Check = never_stop) -> None:
    """Cut ``source`` into folders of these names below ``destination``, equal to within one row; those there stay.

    Raises: ``ChunksRefused``, ``DiskFull``.
    """
    if all((destination / name).exists() for name in names):
        return
    rows = count_rows(source, len(names))
    chunk_of = _shuffled(rows, len(names), order_key, check)
    destination.mkdir(parents=True, exist_ok=True)
    require_space(destination, sum((source / file).stat().st_size for file in _files(source)))
    with private_folder(destination / "chunks") as workshop, disk_full_named(destination):
        for file in _files(source):
            targets = [workshop / name / file for name in names]
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
            kind = _cut_table if target.suffix.lower() == ".csv" else _cut_array
            kind(source / file, targets, chunk_of, check)
        for name in names:
            if not (destination / name).exists():
                (workshop / name).rename(destination / name)


def join(parts: Sequence[Path], destination: Path, check: Check = never_stop) -> None:
    """Put chunks together, in this order, into the new folder ``destination``, which appears whole or not at all.

    Raises:
        ChunksRefused: the chunks are not of one shape. DiskFull.
    """
    files = _files(parts[0])
    if any(_files(part) != files for part in parts):
        raise ChunksRefused("the chunks do not hold the same files")
    for part in parts:
        if len({_rows(part / file) for file in files}) != 1:
            raise ChunksRefused(f"the files of {part.name} differ in how many rows they have")
    require_space(destination.parent, sum((part / file).stat().st_size for part in parts for file in files))
    with private_folder(destination) as workshop, disk_full_named(destination.parent):
        whole = workshop / "whole"
        for file in files:
            target = whole / file
            target.parent.mkdir(parents=True, exist_ok=True)
            kind = _join_tables if target.suffix.lower() == ".csv" else _join_arrays
            kind([part / file for part in parts], target, check)
        whole.chmod(0o755)
        whole.rename(destination)


def _files(folder: Path) -> list[str]:
    """The tables below a folder, by relative names."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    for path in paths:
        if path.suffix.lower() not in (".npy", ".csv"):
            raise ChunksRefused(
                f"The data holds {path.relative_to(folder)}, which cannot be cut by rows: keep .npy and .csv files "
                "there, and put everything else beside the script."
            )
    if not 0 < len(paths) <= MOST_FILES:
        raise ChunksRefused(f"{len(paths)} files of data cannot be cut: have between 1 and {MOST_FILES}.")
    return [str(path.relative_to(folder)) for path in paths]


def _rows(path: Path) -> int:
    if path.suffix.lower() == ".npy":
        return _header(path).shape[0]
    _, records = _open_table(path)
    return sum(1 for _ in records)


def _shuffled(rows: int, chunks: int, key: bytes, check: Check) -> NDArray[np.uint8]:
    """Each row's chunk: rows in the order of their keyed hashes, cut into equal parts."""
    hashes = np.empty(rows, np.uint64)
    for row in range(rows):
        digest = blake2b(row.to_bytes(8, "big"), key=key, digest_size=8).digest()
        hashes[row] = int.from_bytes(digest, "big")
        if row % 65_536 == 0:
            check()
    order = np.argsort(hashes, kind="stable")
    chunk_of = np.empty(rows, np.uint8)
    for chunk in range(chunks):
        chunk_of[order[rows * chunk // chunks : rows * (chunk + 1) // chunks]] = chunk
    return chunk_of


# --- arrays ---------------------------------------------------------------------------------------------------------


def _header(path: Path) -> NpyHeader:
    """The header of an array, which is as long as it says."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
    except UnusableArray as error:
        raise ChunksRefused(f"{path.name} cannot be cut by rows ({error}): save it as a plain .npy array.") from error
    if not header.shape or any(size < 0 for size in header.shape):
        raise ChunksRefused(f"{path.name} has no rows: save an array with one row an example.")
    if header.offset + header.data_bytes != path.stat().st_size:
        raise ChunksRefused(f"{path.name} is not as long as its header says: save it again.")
    return header


def _cut_array(source: Path, targets: Sequence[Path], chunk_of: NDArray[np.uint8], check: Check) -> None:
    array = np.load(source, mmap_mode="r", allow_pickle=False)
    step = max(1, BLOCK_BYTES // max(1, array.nbytes // len(array)))
    for chunk, target in enumerate(targets):
        rows = np.flatnonzero(chunk_of == chunk)
        with target.open("wb") as file:
            _write_header(file, array.dtype, (len(rows), *array.shape[1:]))
            for start in range(0, len(rows), step):
                file.write(np.ascontiguousarray(array[rows[start : start + step]]).tobytes())
                check()


def _join_arrays(sources: Sequence[Path], target: Path, check: Check) -> None:
    headers = [_header(source) for source in sources]
    first = headers[0]
    for source, header in zip(sources, headers, strict=True):
        is_row_by_row = len(header.shape) == 1 or not header.is_fortran
        if header.dtype != first.dtype or header.shape[1:] != first.shape[1:] or not is_row_by_row:
            raise ChunksRefused(f"{source.parent.name}/{source.name} is an array of another kind than its neighbours")
    with target.open("wb") as file:
        _write_header(file, first.dtype, (sum(header.shape[0] for header in headers), *first.shape[1:]))
        for source, header in zip(sources, headers, strict=True):
            with source.open("rb") as part:
                part.seek(header.offset)
                shutil.copyfileobj(part, file)
            check()


def _write_header(file: object, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, described)  # type: ignore[arg-type]


# --- tables ---------------------------------------------------------------------------------------------------------


def _open_table(path: Path) -> tuple[str, Iterator[str]]:
    """The header's text, empty if there is none, and the records' texts: each ends in a line feed, none is blank."""
    records = _records(path)
    first = next(records, None)
    if first is None:
        return "", iter(())
    text, cells = first
    if all(_is_number(cell) for cell in cells):
        return "", _numbers(path, [first], records)
    return text, (text for text, _ in records)


def _numbers(path: Path, *records: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """Records below no header: of numbers alone, or a chunk that begins with another would take it for a header."""
    for text, cells in chain(*records):
        if not all(_is_number(cell) for cell in cells):
            raise ChunksRefused(f"{path.name} holds text and has no header: give it a first line with its names.")
        yield text


def _records(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Records as they are written, quotes and all, with their cells."""
    taken: list[str] = []

    def lines(file: TextIO) -> Iterator[str]:
        while line := file.readline(MAX_LINE_CHARACTERS + 1):
            taken.append(line)
            if sum(map(len, taken)) > MAX_LINE_CHARACTERS:
                raise ChunksRefused(f"A record of {path.name} is too long: save the data as .npy.")
            yield line

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(lines(file)):
                text = "".join(taken)
                taken.clear()
                if cells:
                    yield text.rstrip("\r\n") + "\n", cells
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise_for_host(error)
        raise ChunksRefused(f"{path.name} cannot be read as a .csv ({error}): save it again.") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cut_table(source: Path, targets: Sequence[Path], chunk_of: NDArray[np.uint8], check: Check) -> None:
    header, records = _open_table(source)
    with ExitStack() as stack:
        files = [stack.enter_context(target.open("w", encoding="utf-8", newline="")) for target in targets]
        for file in files:
            file.write(header)
        for row, record in enumerate(records):
            files[chunk_of[row]].write(record)
            if row % 65_536 == 0:
                check()


def _join_tables(sources: Sequence[Path], target: Path, check: Check) -> None:
    wanted, _ = _open_table(sources[0])
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(wanted)
        for source in sources:
            header, records = _open_table(source)
            if header != wanted:
                raise ChunksRefused(f"{source.parent.name}/{source.name} has another header than its neighbours")
            file.writelines(records)
            check()
