"""Arrays from hostile files: ``.npy``, ``.npz`` and ``.csv``, without pickle, and never larger than what was agreed.

numpy's own header parser reads a literal of bounded length; everything after that (type, shape, size) is checked
against the file before one byte of the array is allocated.
"""

import csv
import io
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_ARRAY_BYTES: Final = 1 << 30
MAX_TEXT_BYTES: Final = 64 << 20
MAX_ITEM_BYTES: Final = 512
MAX_MEMBERS: Final = 64
PLAIN_KINDS: Final = frozenset("biufU")
LABEL_NAMES: Final = ("label", "labels", "target", "y", "class")


class UnusableArray(ValueError):
    """A file is no plain array within bounds; the message says why."""


def read_array(path: Path) -> NDArray[np.generic]:
    """The array of a file, by its suffix.

    Raises:
        UnusableArray: not a regular file of a known kind, malformed, or too large.
    """
    suffix = path.suffix.lower()
    data = _bytes(path, MAX_TEXT_BYTES if suffix == ".csv" else MAX_ARRAY_BYTES)
    try:
        if suffix == ".npy":
            return parse_npy(data)
        if suffix == ".npz":
            return _parse_npz(data)
        if suffix == ".csv":
            return _parse_csv(data.decode("utf-8-sig"))
    except (zipfile.BadZipFile, UnicodeDecodeError, csv.Error, NotImplementedError, RuntimeError, EOFError) as error:
        raise UnusableArray(f"{path.name} is malformed ({error})") from error
    raise UnusableArray(f"{path.name} is none of .npy, .npz, .csv")


def parse_npy(data: bytes) -> NDArray[np.generic]:
    """An array in numpy's format, as a read-only view of ``data``.

    Raises:
        UnusableArray: the header lies, or the type could carry code.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(stream)
    except (ValueError, KeyError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError) as error:
        raise UnusableArray(f"not a .npy file ({type(error).__name__})") from error
    if dtype.kind not in PLAIN_KINDS or dtype.names is not None or dtype.subdtype is not None:
        raise UnusableArray(f"arrays of type {dtype} are not accepted")
    if not 0 < dtype.itemsize <= MAX_ITEM_BYTES or len(shape) > 3 or any(size < 0 for size in shape):
        raise UnusableArray("the array's shape or type is out of bounds")
    count = math.prod(shape)
    if count * dtype.itemsize != len(data) - stream.tell():
        raise UnusableArray("the array's header does not agree with the file's size")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=stream.tell())
    array: NDArray[np.generic] = flat.reshape(shape, order="F" if is_fortran else "C")
    return array


def _bytes(path: Path, max_bytes: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableArray(f"{path.name} cannot be read ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableArray(f"{path.name} is not a regular file")
        if status.st_size > max_bytes:
            raise UnusableArray(f"{path.name} has {status.st_size} bytes, more than {max_bytes}")
        return file.read(max_bytes)


def _parse_npz(data: bytes) -> NDArray[np.generic]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {Path(info.filename).stem: info for info in archive.infolist()[:MAX_MEMBERS]}
        chosen = next((members[name] for name in LABEL_NAMES if name in members), None)
        if chosen is None and len(members) == 1:
            chosen = next(iter(members.values()))
        if chosen is None:
            raise UnusableArray(f"an .npz of labels needs one array, or one called {LABEL_NAMES[1]}")
        with archive.open(chosen) as member:
            return parse_npy(_bounded(member.read(MAX_ARRAY_BYTES + 1)))


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_ARRAY_BYTES:
        raise UnusableArray("the archive's member is too large")
    return data


def _parse_csv(text: str) -> NDArray[np.generic]:
    """One column: the one that a header calls a label, else the last. Numbers become numbers, anything else text."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise UnusableArray("the .csv is empty")
    header = [cell.strip().lower() for cell in rows[0]]
    column = next((header.index(name) for name in LABEL_NAMES if name in header), -1)
    cells = [row[column].strip() for row in rows if len(row) == len(rows[0])]
    if len(cells) != len(rows):
        raise UnusableArray("the .csv has rows of different lengths")
    for start in (0, 1):  # without and with a header
        for kind in (np.int64, np.float64):
            try:
                return np.array([kind(cell) for cell in cells[start:]])
            except (ValueError, OverflowError):
                continue
    if any(len(cell) * 4 > MAX_ITEM_BYTES for cell in cells):
        raise UnusableArray("a label of the .csv is too long")
    return np.array(cells[1 if header[column] in LABEL_NAMES else 0 :])
