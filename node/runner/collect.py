"""Taking files out of a folder that a job could write: regular files only, bounded, and no link is ever followed."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from morphware.node.runner.errors import raise_for_host

MAX_FILES: Final = 2_000
MAX_DEPTH: Final = 8
MAX_NAME_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Collection:
    """What was copied, and what was refused with the reason; paths are relative."""

    files: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    size_bytes: int


def collect(
    source: Path,
    destination: Path,
    *,
    max_bytes: int,
    max_files: int = MAX_FILES,
    checkpoint: Callable[[], None] = lambda: None,
) -> Collection:
    """Copy what is safe from ``source`` to the (new or empty) folder ``destination``; the job must be dead by now.

    ``checkpoint`` is called before each entry and each mebibyte, and may raise.
    """
    files: list[str] = []
    refused: list[tuple[str, str]] = []
    total = 0

    def take(folder: int, prefix: str, depth: int) -> None:
        nonlocal total
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing)
        for name in names:
            checkpoint()
            path = f"{prefix}{name}"
            if len(files) + len(refused) >= max_files:
                refused.append(("...", f"more than {max_files} files"))
                return
            if not name.isprintable() or "\\" in name or len(name) > MAX_NAME_CHARACTERS:
                refused.append((ascii(path)[:300], "odd name"))
                continue
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                raise_for_host(error)
                refused.append((path, error.strerror or "unreadable"))
                continue
            try:
                status = os.fstat(descriptor)
                if stat.S_ISDIR(status.st_mode):
                    if depth >= MAX_DEPTH:
                        refused.append((path, "too deep"))
                    else:
                        take(descriptor, f"{path}/", depth + 1)
                elif not stat.S_ISREG(status.st_mode):
                    refused.append((path, "not a regular file"))
                elif status.st_nlink > 1:
                    refused.append((path, "hard link"))
                elif total + status.st_size > max_bytes:
                    refused.append((path, f"over the limit of {max_bytes} bytes"))
                else:
                    _copy(descriptor, destination / path, checkpoint)
                    total += status.st_size
                    files.append(path)
            finally:
                os.close(descriptor)

    source.chmod(0o700)  # the job may have closed its own folder
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        destination.mkdir(parents=True, exist_ok=True)
        take(root, "", 0)
    finally:
        os.close(root)
    return Collection(tuple(files), tuple(refused), total)


def _copy(descriptor: int, target: Path, checkpoint: Callable[[], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.dup(descriptor), "rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(1 << 20):
            checkpoint()
            writer.write(chunk)
    target.chmod(0o644)


def is_readable_by_others(folder: Path, *, max_entries: int = 20_000) -> bool:
    """Whether a foreign uid that is shown this folder could read all of it."""
    pending = [os.fspath(folder)]
    seen = 0
    while pending:
        current = pending.pop()
        if os.stat(current).st_mode & 0o005 != 0o005:  # noqa: PTH116
            return False
        with os.scandir(current) as listing:
            for entry in listing:
                seen += 1
                if seen > max_entries:
                    return False
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and not entry.stat(follow_symlinks=False).st_mode & 0o004:
                    return False
    return True
