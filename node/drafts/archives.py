"""A .zip or .tar (.gz) that somebody uploaded, unpacked within bounds: plain files and folders, or nothing at all.

Ready-made readers believe what an archive says of itself: they read its tables whole, follow its links, and their
patterns can be made to run for hours.  So .tar is read here, in the few forms that people's programs write (ustar,
GNU's long names, pax), and of ``zipfile`` only what stays within a bounded reader's limits.  All of it blocks.
"""

import gzip
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from morphware.node.artifacts.disk import Check, never_stop
from morphware.node.drafts.filing import Filing, UploadRefused

SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
RATIO_MOST: Final = 200
"""Unpacked bytes for one packed byte; tables of numbers stay below 50, and a bomb has a thousand."""
RATIO_FREE_BYTES: Final = 16 << 20
"""So much is unpacked whatever the ratio."""
DIRECTORY_BYTES_MOST: Final = 8 << 20
"""The table of contents of a .zip is read whole."""
HEADER_BYTES_MOST: Final = 64 << 10
"""A long name, or a pax header."""
FARTHEST_BYTES: Final = 1 << 62
CHUNK_BYTES: Final = 64 << 10
BLOCK_BYTES: Final = 512

_DAMAGED: Final = (
    zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, KeyError,
)  # fmt: skip
"""What the readers say of an archive that is none; zipfile refuses what it does not know with a RuntimeError."""
_PAX_LENGTH: Final = re.compile(rb"([0-9]{1,6}) ")


class _Content(Protocol):
    """Data from an archive."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class _Allowance:
    """What may still come out of an archive, whether it is kept or left out; whoever waits for it may stop it."""

    filing: Filing
    check: Check
    left_bytes: int

    def take(self, data: bytes) -> bytes:
        """So much came out. Raises ``UploadRefused``."""
        self.check()
        self.left_bytes -= len(data)
        if self.left_bytes < 0:
            raise _refusal(self.filing, f"unpacks to more than {RATIO_MOST} times its size")
        return data


@dataclass(frozen=True, slots=True)
class _Counted:
    """Data of which every byte counts."""

    content: _Content
    allowance: _Allowance

    def read(self, size: int, /) -> bytes:
        return self.allowance.take(self.content.read(size))


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is one that we unpack."""
    return name.lower().endswith(SUFFIXES)


def unpack_upload(archive: Path, filing: Filing, check: Check = never_stop) -> None:
    """Unpack into a field's folder. ``check`` is called often, and may raise.

    Raises:
        UploadRefused: it holds anything but plain files and folders, leads out of its folder, is no archive, or is
            larger than may be. DiskFull.
    """
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    allowance = _Allowance(filing, check, RATIO_FREE_BYTES + RATIO_MOST * archive.stat().st_size)
    count = 0
    try:
        with archive.open("rb", buffering=0) as raw:
            for name, content in members(raw, archive.name, allowance):
                with filing.create(name) or nullcontext() as target:
                    count += target is not None
                    while chunk := content.read(CHUNK_BYTES):
                        filing.write(target, chunk)
    except _DAMAGED as error:
        raise _refusal(filing, f"is damaged, or of a kind that is not read here ({error})") from error
    if not count:
        raise _refusal(filing, "holds no file")


def _refusal(filing: Filing, reason: str) -> UploadRefused:
    return UploadRefused(f"The archive {reason}: pack plain files and folders anew.", field=filing.field)


# --- zip ------------------------------------------------------------------------------------------------------------


class _ShortReads(io.RawIOBase):
    """A file from which nothing long is read at once."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and not 0 <= offset <= FARTHEST_BYTES:
            raise ValueError("a part of it is said to be where nothing can be")
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size > DIRECTORY_BYTES_MOST:
            raise ValueError("its table of contents is too long")
        data = self._raw.read(DIRECTORY_BYTES_MOST + 1 if size < 0 else size)
        if len(data) > DIRECTORY_BYTES_MOST:
            raise ValueError("its table of contents is too long")
        return data


def _zip_members(raw: BinaryIO, _: str, allowance: _Allowance) -> Iterator[tuple[str, _Content]]:
    filing = allowance.filing
    with zipfile.ZipFile(_ShortReads(raw)) as packed:
        filing.budget.require_files(len(packed.infolist()))
        for info in packed.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(filing, f"holds a link or a special file, {info.orig_filename!r:.90}")
            if info.flag_bits & 1:
                raise _refusal(filing, "asks for a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refusal(filing, "is packed in a way that is not read here")
            if info.orig_filename.endswith("/"):
                filing.name_folder(info.orig_filename.rstrip("/"))
                continue
            with packed.open(info) as content:
                yield info.orig_filename, _Counted(content, allowance)


# --- tar ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Member:
    """The data of one file in a .tar."""

    source: _Content
    left_bytes: int

    def read(self, size: int, /) -> bytes:
        data = self.source.read(min(size, self.left_bytes))
        if not data and self.left_bytes:
            raise EOFError("it is cut short")
        self.left_bytes -= len(data)
        return data


def _tar_members(raw: BinaryIO, name: str, allowance: _Allowance) -> Iterator[tuple[str, _Content]]:
    packed: Any = raw if name.lower().endswith(".tar") else gzip.GzipFile(fileobj=raw)
    with io.BufferedReader(packed, CHUNK_BYTES) as source:
        yield from _read_members(_Counted(source, allowance), allowance.filing)


def _read_members(source: _Content, filing: Filing) -> Iterator[tuple[str, _Content]]:
    said: dict[str, str] = {}
    headers = 0
    while any(block := source.read(BLOCK_BYTES)):
        if len(block) < BLOCK_BYTES or int(block[148:156].strip(b" \0") or b"0", 8) != _checksum(block):
            raise ValueError("a header is damaged")
        kind, size = block[156:157], _number(block[124:136])
        path = said.pop("path", None) or _path(block)
        if kind in b"LKxg":
            headers += 1
            if not 0 <= size <= HEADER_BYTES_MOST or headers > 4:
                raise ValueError("its headers are too long")
            said |= _said(kind, _Member(source, size).read(size).ljust(size, b"\0"))
            _skip(source, -size % BLOCK_BYTES)
            continue
        headers = 0
        size = int(said.pop("size", size))
        if kind == b"5" or (kind in b"0\0" and path.endswith("/") and not size):
            if path.strip("./"):
                filing.name_folder(path.rstrip("/"))
        elif kind in b"0\0" and not said and size >= 0:
            yield path, _Member(source, size)
            _skip(source, -size % BLOCK_BYTES)
        else:
            raise _refusal(filing, f"holds a link or a special file, {path!r:.90}")
        said = {}


def _said(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header says of the next member: its name, its size; anything else that matters is kept, to be refused."""
    if kind in b"LK":
        return {"path" if kind == b"L" else "linkpath": data.rstrip(b"\0").decode()}
    said = {}
    while data.rstrip(b"\0"):
        length = _PAX_LENGTH.match(data)
        if length is None or not length.end() < int(length[1]) <= len(data):
            raise ValueError("a header is damaged")
        record, data = data[length.end() : int(length[1]) - 1], data[int(length[1]) :]
        key, _, value = record.partition(b"=")
        if key in (b"path", b"size", b"linkpath") or key.startswith(b"GNU.sparse"):
            said[key.decode()] = value.decode()
    if kind == b"g" and said:
        raise ValueError("a header speaks of all members at once")
    if "size" in said and not re.fullmatch("[0-9]{1,15}", said["size"]):
        raise ValueError("a header is damaged")
    return said


def _path(block: bytes) -> str:
    name, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
    is_ustar = block[257:263] == b"ustar\0"
    return (prefix + b"/" + name if is_ustar and prefix else name).decode()


def _number(digits: bytes) -> int:
    if digits[0] & 0x80:
        return int.from_bytes(digits[1:], "big") if digits[0] == 0x80 else -1
    return int(digits.strip(b" \0") or b"0", 8)


def _checksum(block: bytes) -> int:
    return sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")


def _skip(source: _Content, size: int) -> None:
    """Read on to the end of a block."""
    if len(source.read(size)) < size:
        raise EOFError("it is cut short")
