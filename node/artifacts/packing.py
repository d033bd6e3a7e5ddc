"""A folder or a file becomes one archive whose bytes follow from its content alone, and back.

The archive is plain POSIX *ustar*, which every ``tar`` reads.  Not pax: its extended headers are a second language
(long names, sparse maps, sizes that contradict the first header), and what ustar cannot say we do not want said;
the price is that one name has at most 100 bytes and a path 255.  Nothing is left to choice:

- entries are plain files and folders, every folder before what it holds, in the order of their names' bytes;
- owner, group, device numbers and times are zero, modes are 0644, or 0755 for folders and executable files;
- data is padded to 512 bytes with zeros, two blocks of zeros end the archive, and nothing follows.

So packing the same tree twice gives the same bytes, and ``unpack`` can be strict in one line: it reads name, size,
kind and mode from a header, builds the only header that may say this, and refuses whatever differs by one bit.
Links, devices, sparse files, foreign extensions and other checksums cannot even be expressed.

Both functions block; under trio, call them in a thread, with ``trio.from_thread.check_cancelled`` as ``check``.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from morphware.node.artifacts.disk import (
    CHUNK_BYTES,
    Check,
    disk_full_named,
    never_stop,
    private_folder,
    require_space,
    written_whole,
)
from morphware.node.artifacts.errors import ArchiveRefused, SourceRefused

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
FOLDER_MODE = EXECUTABLE_MODE = 0o755
FILE_MODE = 0o644
FILE_AT_MOST_BYTES = 8**11 - 1
"""Eleven octal digits: 8 GiB less one byte."""

_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and invisible formatting characters, surrogates, line and paragraph separators."""


@dataclass(frozen=True, slots=True)
class PackingLimits:
    """What an archive may hold; checked on both sides."""

    total_bytes: int = 8 << 30
    """Of the archive, headers included; so it also bounds what unpacking writes."""

    entries: int = 100_000
    depth: int = 32


@dataclass(frozen=True, slots=True)
class _Entry:
    """One folder or file; ``parts`` are the components of its path."""

    parts: tuple[str, ...]
    is_folder: bool
    is_executable: bool
    size_bytes: int

    @property
    def path(self) -> str:
        return "/".join(self.parts)

    @property
    def order(self) -> tuple[bytes, ...]:
        return tuple(part.encode() for part in self.parts)

    @property
    def mode(self) -> int:
        if self.is_folder:
            return FOLDER_MODE
        return EXECUTABLE_MODE if self.is_executable else FILE_MODE

    @property
    def padding_bytes(self) -> int:
        return -self.size_bytes % BLOCK_BYTES


def pack(source: Path, archive: Path, limits: PackingLimits, check: Check = never_stop) -> bytes:
    """Write ``source`` (a folder's content, or one file) to ``archive``; return the archive's SHA-256.

    Raises:
        SourceRefused: it does not exist, holds links or special files, has odd names, exceeds a limit, or changed
            while it was read.
        DiskFull: there is no room for the archive.
    """
    root = source.resolve()  # the named source itself may be a link of the user's; nothing inside may
    if archive.resolve().is_relative_to(root):
        raise SourceRefused(f"the archive {archive} would lie inside of what it holds")
    entries, base = _listed(root, limits)
    require_space(archive.parent, _archive_bytes(entries))
    digest = hashlib.sha256()
    with written_whole(archive) as file:

        def write(data: bytes) -> None:
            file.write(data)
            digest.update(data)

        for entry in entries:
            check()
            write(_header(entry))
            if not entry.is_folder:
                for chunk in _content(base, entry):
                    write(chunk)
                    check()
                write(bytes(entry.padding_bytes))
        write(END)
    return digest.digest()


def unpack(archive: Path, destination: Path, limits: PackingLimits, check: Check = never_stop) -> None:
    """Recreate the packed tree as the new folder ``destination``; it appears whole or not at all.

    Raises:
        ArchiveRefused: the archive is not exactly what ``pack`` would write, or exceeds a limit.
        FileExistsError: ``destination`` is there already.
        DiskFull: there is no room for the content.
    """
    size_bytes = archive.stat().st_size
    if size_bytes > limits.total_bytes:
        raise ArchiveRefused(f"{size_bytes} bytes, the limit is {limits.total_bytes}")
    if os.path.lexists(destination):
        raise FileExistsError(f"{destination} exists")
    require_space(destination.parent, size_bytes)
    with archive.open("rb") as file, private_folder(destination) as workshop, disk_full_named(workshop):
        root = workshop / "content"
        root.mkdir(mode=0o700)
        last: tuple[bytes, ...] = ()
        folders: set[tuple[str, ...]] = {()}
        count = 0
        while (entry := _next_entry(file, limits)) is not None:
            check()
            count += 1
            if count > limits.entries:
                raise ArchiveRefused(f"more than {limits.entries} entries")
            if entry.order <= last:
                raise ArchiveRefused(f"{entry.path!r} is out of order or there twice")
            if entry.parts[:-1] not in folders:
                raise ArchiveRefused(f"{entry.path!r} lies in a folder that the archive does not hold")
            last = entry.order
            target = root.joinpath(*entry.parts)
            if entry.is_folder:
                folders.add(entry.parts)
                target.mkdir(mode=0o700)
            else:
                _write_file(file, entry, target, check)
        if not count:
            raise ArchiveRefused("the archive is empty")
        for folder in folders:
            root.joinpath(*folder).chmod(FOLDER_MODE)
        # The caller names a folder that nobody else uses, so the name is still free since the look above; were it
        # not, rename refuses everything but an empty folder.
        root.rename(destination)


def _listed(root: Path, limits: PackingLimits) -> tuple[list[_Entry], Path]:
    """All entries in the archive's order, and the folder that their paths are relative to."""
    try:
        mode = root.lstat().st_mode
    except OSError as error:
        raise SourceRefused(f"{root} cannot be read: {error.strerror}") from error
    if stat.S_ISREG(mode):
        found, base = [_entry_of(root, (root.name,), root.lstat())], root.parent
    elif stat.S_ISDIR(mode):
        found, base = list(_walked(root, (), limits)), root
    else:
        raise SourceRefused(f"{root} is neither a file nor a folder")
    if not found:
        raise SourceRefused(f"{root} is empty")
    entries = sorted(found, key=lambda entry: entry.order)
    if _archive_bytes(entries) > limits.total_bytes:
        raise SourceRefused(f"{root} needs {_archive_bytes(entries)} bytes, the limit is {limits.total_bytes}")
    return entries, base


def _walked(root: Path, above: tuple[str, ...], limits: PackingLimits) -> Iterator[_Entry]:
    """Everything below a folder, without recursion, so that a deep tree meets our limit and not Python's."""
    waiting, count = [(root, above)], 0
    while waiting:
        folder, parts = waiting.pop()
        with os.scandir(folder) as children:
            for child in children:
                count += 1
                if count > limits.entries:
                    raise SourceRefused(f"{root} holds more than {limits.entries} files and folders")
                entry = _entry_of(Path(child.path), (*parts, child.name), child.stat(follow_symlinks=False))
                if len(entry.parts) > limits.depth:
                    raise SourceRefused(f"{entry.path!r} is nested more than {limits.depth} deep")
                yield entry
                if entry.is_folder:
                    waiting.append((Path(child.path), entry.parts))


def _entry_of(path: Path, parts: tuple[str, ...], status: os.stat_result) -> _Entry:
    if (reason := _odd_name(parts[-1])) is not None:
        raise SourceRefused(f"the name {str(path)!r} {reason}")
    if stat.S_ISDIR(status.st_mode):
        entry = _Entry(parts, is_folder=True, is_executable=False, size_bytes=0)
    elif stat.S_ISREG(status.st_mode):
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        entry = _Entry(parts, is_folder=False, is_executable=is_executable, size_bytes=status.st_size)
    else:
        raise SourceRefused(f"{str(path)!r} is a link or a special file")
    if _split(entry) is None:
        raise SourceRefused(f"the path {entry.path!r} is too long (a name has at most 100 bytes, a path 255)")
    if entry.size_bytes > FILE_AT_MOST_BYTES:
        raise SourceRefused(f"{str(path)!r} is larger than 8 GiB")
    return entry


def _content(base: Path, entry: _Entry) -> Iterator[bytes]:
    """Exactly the bytes that the header promised."""
    path = base.joinpath(*entry.parts)
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        )  # never wait for a pipe put in its place
    except OSError as error:
        raise SourceRefused(f"{str(path)!r} cannot be read: {error.strerror}") from error
    left_bytes = entry.size_bytes
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while left_bytes:
            chunk = file.read(min(left_bytes, CHUNK_BYTES))
            if not chunk:
                raise SourceRefused(f"{str(path)!r} shrank while it was read")
            left_bytes -= len(chunk)
            yield chunk
        if file.read(1):
            raise SourceRefused(f"{str(path)!r} grew while it was read")


def _archive_bytes(entries: list[_Entry]) -> int:
    return sum(BLOCK_BYTES + entry.size_bytes + entry.padding_bytes for entry in entries) + len(END)


def unpackable(parts: tuple[str, ...], limits: PackingLimits) -> str | None:
    """Why a file of this path could not be packed, or None; for a refusal before anything was copied."""
    for part in parts:
        if (reason := _odd_name(part)) is not None:
            return reason
    if len(parts) > limits.depth:
        return f"is nested more than {limits.depth} deep"
    if _split(_Entry(parts, is_folder=False, is_executable=False, size_bytes=0)) is None:
        return "is too long (a name has at most 100 bytes, a path 255)"
    return None


def _odd_name(name: str) -> str | None:
    """Why a single name may not travel, or None."""
    if name in {"", ".", ".."}:
        return "is no name"
    if "/" in name or "\\" in name:
        return "holds a slash or backslash"
    if any(unicodedata.category(character) in _ODD_CATEGORIES for character in name):
        return "holds invisible characters or is not UTF-8"
    return None


def _split(entry: _Entry) -> tuple[bytes, bytes] | None:
    """ustar's two fields (prefix, name); the prefix is as short as it can be, so that there is only one way."""
    path = entry.path.encode() + (b"/" if entry.is_folder else b"")
    if len(path) <= 100:
        return b"", path
    for index, byte in enumerate(path[:156]):
        if byte == 0x2F and len(path) - index - 1 <= 100 and index < len(path) - 1:
            return path[:index], path[index + 1 :]
    return None


def _header(entry: _Entry) -> bytes:
    """The one header that says this."""
    fields = _split(entry)
    assert fields is not None  # checked when the entry was made
    prefix, name = fields
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % entry.mode,
            b"%07o\0" % 0,  # owner
            b"%07o\0" % 0,  # group
            b"%011o\0" % entry.size_bytes,
            b"%011o\0" % 0,  # modification time
            b" " * 8,  # the checksum counts itself as spaces
            b"5" if entry.is_folder else b"0",
            bytes(100),  # link target
            b"ustar\x0000",
            bytes(32 + 32),  # names of owner and group
            b"%07o\0" % 0 * 2,  # device numbers
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _next_entry(file: BinaryIO, limits: PackingLimits) -> _Entry | None:
    """Decode, encode again, compare; None at the end of the archive."""
    block = file.read(BLOCK_BYTES)
    if not any(block):
        if block + file.read(BLOCK_BYTES + 1) != END:
            raise ArchiveRefused("the archive is cut short, or something follows its end")
        return None
    try:
        prefix, name = block[345:500].rstrip(b"\0").decode(), block[:100].rstrip(b"\0").decode()
        mode, size_bytes = int(block[100:107], 8), int(block[124:135], 8)
    except ValueError as error:
        raise ArchiveRefused("a header is damaged") from error
    path = f"{prefix}/{name}" if prefix else name
    is_folder = path.endswith("/")
    parts = tuple(path.removesuffix("/").split("/"))
    for part in parts:
        if (reason := _odd_name(part)) is not None:
            raise ArchiveRefused(f"the name {path!r} {reason}")
    if len(parts) > limits.depth:
        raise ArchiveRefused(f"{path!r} is nested more than {limits.depth} deep")
    entry = _Entry(parts, is_folder, not is_folder and mode == EXECUTABLE_MODE, size_bytes)
    if size_bytes < 0 or (is_folder and size_bytes) or _split(entry) is None or _header(entry) != block:
        raise ArchiveRefused(f"the header of {path!r} is not one that we write")
    return entry


def _write_file(file: BinaryIO, entry: _Entry, target: Path, check: Check) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    left_bytes = entry.size_bytes
    with os.fdopen(descriptor, "wb", buffering=0) as output:
        while left_bytes:
            chunk = file.read(min(left_bytes, CHUNK_BYTES))
            if not chunk:
                raise ArchiveRefused("the archive is cut short")
            output.write(chunk)
            left_bytes -= len(chunk)
            check()
        os.fchmod(output.fileno(), entry.mode)
    padding = file.read(entry.padding_bytes)
    if padding != bytes(entry.padding_bytes):
        raise ArchiveRefused("the archive is cut short or padded with something")
