"""Scalars from TensorBoard event files (TFRecord frames around protobuf), read by hand while the job writes them.

The files are hostile: links are not followed, a record is bounded, and the first malformed one ends the file.
"""

import math
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

READ_BYTES: Final = 1 << 20
MAX_RECORD_BYTES: Final = 1 << 20
MAX_FILES: Final = 8
MAX_ENTRIES: Final = 500
MAX_TAG_BYTES: Final = 64
MAX_STEP: Final = 2**53
_HEADER_BYTES, _FOOTER_BYTES = 12, 4


class Scalar(NamedTuple):
    """One value of one step; ``wall_time_s`` is the job's clock."""

    step: int
    wall_time_s: float
    tag: str
    value: float


class EventFolder:
    """All event files below a folder that a job writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _EventFile] = {}

    def poll(self) -> list[Scalar]:
        """New scalars since the last call, from a bounded number of files."""
        for path in self._event_paths():
            if path not in self._files and len(self._files) < MAX_FILES:
                self._files[path] = _EventFile(path)
        return [scalar for file in self._files.values() for scalar in file.poll()]

    def close(self) -> None:
        """Release the descriptors."""
        for file in self._files.values():
            file.close()

    def _event_paths(self) -> Iterator[str]:
        pending = [os.fspath(self._folder)]
        seen = 0
        while pending:
            try:
                with os.scandir(pending.pop()) as listing:
                    for entry in listing:
                        seen += 1
                        if seen > MAX_ENTRIES:
                            return
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        elif "tfevents" in entry.name and entry.is_file(follow_symlinks=False):
                            yield entry.path
            except OSError:
                continue


class _EventFile:
    def __init__(self, path: str) -> None:
        self._buffer = b""
        self._descriptor: int | None = None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def poll(self) -> list[Scalar]:
        if self._descriptor is None:
            return []
        try:
            self._buffer += os.read(self._descriptor, READ_BYTES)
            return list(self._records())
        except (OSError, ValueError, IndexError, struct.error):
            self.close()
            return []

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _records(self) -> Iterator[Scalar]:
        position = 0
        while len(self._buffer) - position >= _HEADER_BYTES:
            (size,) = struct.unpack_from("<Q", self._buffer, position)
            if size > MAX_RECORD_BYTES:
                raise ValueError("record too long")
            start = position + _HEADER_BYTES
            if len(self._buffer) < start + size + _FOOTER_BYTES:
                break
            position = start + size + _FOOTER_BYTES
            yield from _event(self._buffer[start : start + size])
        self._buffer = self._buffer[position:]


def _event(record: bytes) -> Iterator[Scalar]:
    wall_time_s, step = 0.0, 0
    values: list[tuple[str, float]] = []
    for number, kind, value in _fields(record):
        if (number, kind) == (1, 1):
            (wall_time_s,) = struct.unpack("<d", value)
        elif (number, kind) == (2, 0):
            step = int.from_bytes(value, "little")
        elif (number, kind) == (5, 2):
            values += [_value(part) for inner, wire, part in _fields(value) if (inner, wire) == (1, 2)]
    for tag, number_value in values:
        if tag and tag.isprintable() and math.isfinite(number_value) and 0 <= step <= MAX_STEP:
            yield Scalar(step, wall_time_s if math.isfinite(wall_time_s) else 0.0, tag, number_value)


def _value(data: bytes) -> tuple[str, float]:
    tag, result = "", math.nan
    for number, kind, value in _fields(data):
        if (number, kind) == (1, 2):
            tag = value[:MAX_TAG_BYTES].decode("utf-8", "replace")
        elif (number, kind) == (2, 5):  # simple_value
            (result,) = struct.unpack("<f", value)
        elif (number, kind) == (8, 2):  # tensor, as TensorFlow 2 writes scalars
            for inner, wire, part in _fields(value):
                if ((inner, wire) == (4, 2) and len(part) == 4) or inner == 5:
                    (result,) = struct.unpack("<f", part[:4])
    return tag, result


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(field number, wire type, bytes) of a protobuf message; a varint's value comes as little-endian bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            number, position = _varint(data, position)
            yield key >> 3, kind, number.to_bytes(10, "little")
            continue
        if kind == 2:
            size, position = _varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if position + size > len(data):
            raise ValueError("cut short")
        yield key >> 3, kind, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position
        if shift > 63:
            raise ValueError("varint too long")
