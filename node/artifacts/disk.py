"""Files appear whole or not at all: everything is written beside its place and renamed when it is finished."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from morphware.node.artifacts.errors import DiskFull

CHUNK_BYTES = 1 << 20
"""Read and write size; long enough that Python's share of the time vanishes."""

MARGIN_BYTES = 64 << 20
"""Space left over for the journal and the logs, so that a large file does not stop the node itself."""

Check = Callable[[], None]
"""Called between chunks; it may raise, to stop a long run in a thread."""


def never_stop() -> None:
    """The ``Check`` of a caller who does not cancel."""


def require_space(folder: Path, size_bytes: int) -> None:
    """Refuse before the first byte. Raises ``DiskFull`` when ``folder``'s disk cannot hold ``size_bytes`` more."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes + MARGIN_BYTES:
        raise DiskFull(f"{size_bytes} bytes are needed in {folder}, {free_bytes} are free")


@contextmanager
def disk_full_named(folder: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into our sentence; space can run out in spite of the first look."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk of {folder} filled up") from error
        raise


@contextmanager
def written_whole(final: Path) -> Iterator[BinaryIO]:
    """Open a private file beside ``final``; it takes its name when the block ends well, and vanishes otherwise."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=final.parent)
    partial = Path(name)
    try:
        with disk_full_named(final.parent), os.fdopen(descriptor, "wb", buffering=CHUNK_BYTES) as file:
            yield file
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def private_folder(beside: Path) -> Iterator[Path]:
    """A folder of mode 0700 next to ``beside``, which is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=beside.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash left half-written (plain archives among it); for the start, before anyone writes here.

    A download's ``<infohash>.part`` stays: the next fetch goes on from it.
    """
    for leftover in folder.glob(".*.part"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sha256_of(path: Path, check: Check = never_stop) -> bytes:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            check()
    return digest.digest()
