"""Arrays from hostile files: ``.npy``, ``.npz`` and ``.csv``, without pickle, and never larger than what was agreed.

numpy's own header parser reads a literal of bounded length; everything after that (type, shape, size) is checked
against the file before one byte of the array is allocated.  ``zipfile`` reads an archive's whole directory and makes an
object of each entry, so archives are read through ``open_archive`` alone.
"""

import csv
import io
import math
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from morphware.node.runner.errors import raise_for_host

MAX_ARRAY_BYTES: Final = 256 << 20
"""Of an array, with each of its items counted as at least a float64: a small file of bytes must not grow eightfold."""
MAX_ROWS: Final = 2_000_000
"""Examples of a testing set. Each becomes a leaf of the prediction root: some 300 bytes while that is made."""
MAX_TEXT_BYTES: Final = 64 << 20
MAX_LINE_CHARACTERS: Final = 1 << 20
MAX_DIRECTORY_BYTES: Final = 1 << 20
"""An archive's directory; some 15,000 entries fit."""
MAX_ITEM_BYTES: Final = 512
MAX_MEMBERS: Final = 64
PLAIN_KINDS: Final = frozenset("biufU")
LABEL_NAMES: Final = ("label", "labels", "target", "y", "class")


class UnusableArray(ValueError):
    """A file is no plain array within bounds; the message says why."""


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What a file says that it holds."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[np.generic]
    offset: int

    @property
    def data_bytes(self) -> int:
        """How many bytes have to follow the header."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_array(path: Path, *, rows: int | None = None, max_columns: int | None = None) -> NDArray[np.generic]:
    """The array of a file, by its suffix; ``rows`` and ``max_columns`` bound a ``.npy`` before its data is read.

    Raises:
        UnusableArray: not a regular file of a known kind, malformed, or too large.
    """
    suffix = path.suffix.lower()
    with _open(path, MAX_TEXT_BYTES if suffix == ".csv" else MAX_ARRAY_BYTES + MAX_LINE_CHARACTERS) as file:
        try:
            if suffix == ".npy":
                _check_shape(read_header(file), path.name, rows, max_columns)
                file.seek(0)
                return parse_npy(file.read())
            if suffix == ".npz":
                return _parse_npz(file)
            if suffix == ".csv":
                return _parse_csv(file.read().decode("utf-8-sig"))
        except UnusableArray:
            raise
        except Exception as error:  # zipfile, zlib, tokenize and csv each fail in ways of their own
            raise_for_host(error)
            raise UnusableArray(f"{path.name} is malformed ({type(error).__name__}: {error})") from error
    raise UnusableArray(f"{path.name} is none of .npy, .npz, .csv")


def read_header(stream: BinaryIO) -> NpyHeader:
    """The header of an array in numpy's format, and nothing after it.

    Raises:
        UnusableArray: the header is malformed, or the type could carry code.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read(stream)
    except Exception as error:  # numpy reads a header as a Python literal, and fails as Python does
        raise_for_host(error)
        raise UnusableArray(f"not a .npy file ({type(error).__name__})") from error
    if dtype.kind not in PLAIN_KINDS or dtype.names is not None or dtype.subdtype is not None:
        raise UnusableArray(f"arrays of type {dtype} are not accepted")
    return NpyHeader(shape, is_fortran, dtype, stream.tell())


def parse_npy(data: bytes) -> NDArray[np.generic]:
    """An array in numpy's format, as a read-only view of ``data``.

    Raises:
        UnusableArray: the header lies, or the type could carry code.
    """
    header = read_header(io.BytesIO(data))
    _check_shape(header, "the array", None, None)
    if header.data_bytes != len(data) - header.offset:
        raise UnusableArray("the array's header does not agree with the file's size")
    flat = np.frombuffer(data, dtype=header.dtype, count=math.prod(header.shape), offset=header.offset)
    array: NDArray[np.generic] = flat.reshape(header.shape, order="F" if header.is_fortran else "C")
    return array


class _BoundedDirectory(io.BufferedReader):
    """A file whose archive cannot make us read it whole: a directory is asked for in one piece."""

    is_directory_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_directory_read:
            return super().read(size)
        is_whole = size is None or size < 0  # zipfile asks so for the last 22 bytes
        data = super().read(MAX_DIRECTORY_BYTES + 1 if is_whole else min(size or 0, MAX_DIRECTORY_BYTES + 1))
        if len(data) > MAX_DIRECTORY_BYTES:
            raise UnusableArray("the archive's directory is too large")
        return data


@contextmanager
def open_archive(file: io.FileIO) -> Iterator[zipfile.ZipFile]:
    """An archive whose directory is of bounded size, and whose members are stored or deflated, and not encrypted.

    Raises:
        UnusableArray: it is none such. ``zipfile`` has many other ways to fail, here and while a member is read.
    """
    with _BoundedDirectory(file) as reader, zipfile.ZipFile(reader) as archive:
        reader.is_directory_read = True
        for info in archive.infolist():
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UnusableArray("the archive is encrypted, or packed in a way that numpy does not write")
        yield archive


def _check_shape(header: NpyHeader, name: str, rows: int | None, max_columns: int | None) -> None:
    shape, item_bytes = header.shape, header.dtype.itemsize
    if not 0 < item_bytes <= MAX_ITEM_BYTES or len(shape) > 3 or any(size < 0 for size in shape):
        raise UnusableArray("the array's shape or type is out of bounds")
    if math.prod(shape) * max(item_bytes, 8) > MAX_ARRAY_BYTES:
        raise UnusableArray(f"{name} has shape {shape}, which takes more than {MAX_ARRAY_BYTES} bytes as numbers")
    if rows is not None and (not shape or shape[0] != rows):
        raise UnusableArray(f"{name} has shape {shape} for {rows} testing examples")
    if max_columns is not None and math.prod(shape[1:]) > max_columns:
        raise UnusableArray(f"{name} has shape {shape}, more than {max_columns} columns")


def _open(path: Path, max_bytes: int) -> io.FileIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise_for_host(error)
        raise UnusableArray(f"{path.name} cannot be read ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnusableArray(f"{path.name} is not a regular file")
    if status.st_size > max_bytes:
        os.close(descriptor)
        raise UnusableArray(f"{path.name} has {status.st_size} bytes, more than {max_bytes}")
    return io.FileIO(descriptor)


def _parse_npz(file: io.FileIO) -> NDArray[np.generic]:
    with open_archive(file) as archive:
        members = {Path(info.filename).stem: info for info in archive.infolist()[:MAX_MEMBERS]}
        chosen = next((members[name] for name in LABEL_NAMES if name in members), None)
        if chosen is None and len(members) == 1:
            chosen = next(iter(members.values()))
        if chosen is None:
            raise UnusableArray(f"an .npz of labels needs one array, or one called {LABEL_NAMES[1]}")
        with archive.open(chosen) as member:
            size = read_header(member).data_bytes  # type: ignore[arg-type]
        if not 0 <= size <= MAX_ARRAY_BYTES:
            raise UnusableArray("the archive's member is too large")
        with archive.open(chosen) as member:
            return parse_npy(member.read(size + MAX_LINE_CHARACTERS))


def _parse_csv(text: str) -> NDArray[np.generic]:
    """One column: the one that a header calls a label, else the last. Numbers become numbers, anything else text."""
    rows = (row for row in csv.reader(_short_lines(text)) if row)
    first = next(rows, None)
    if first is None:
        raise UnusableArray("the .csv is empty")
    header = [cell.strip().lower() for cell in first]
    column = next((header.index(name) for name in LABEL_NAMES if name in header), -1)
    cells = [first[column].strip()]
    for row in rows:
        if len(row) != len(first):
            raise UnusableArray("the .csv has rows of different lengths")
        cells.append(row[column].strip())
        if len(cells) > MAX_ROWS + 1:
            raise UnusableArray(f"the .csv has more than {MAX_ROWS} rows")
    for start in (0, 1):  # without and with a header
        for kind in (np.int64, np.float64):
            try:
                return np.array([kind(cell) for cell in cells[start:]])
            except (ValueError, OverflowError):
                continue
    if any(len(cell) * 4 > MAX_ITEM_BYTES for cell in cells):
        raise UnusableArray("a label of the .csv is too long")
    return np.array(cells[1 if header[column] in LABEL_NAMES else 0 :])


def _short_lines(text: str) -> Iterator[str]:
    for line in io.StringIO(text):
        if len(line) > MAX_LINE_CHARACTERS:
            raise UnusableArray("a line of the .csv is too long")
        yield line
