"""A model's archive on its way into a folder: nothing lands elsewhere, and the folder is there whole or not at all.

The archive comes from the reader's own node, but what is in it comes from a worker.
"""

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

from morphware.node.errors import BadInput, MorphwareError

PIECE_BYTES: Final = 1 << 20


class UnusableArchive(MorphwareError):
    """The node sent no archive that can be unpacked: look at its log."""


class Room:
    """The archive beside its folder-to-be."""

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        self._folder = folder
        self._file = file

    def take(self, piece: bytes) -> None:
        """The archive's next bytes."""
        with _writing(self._folder):
            self._file.write(piece)

    def unpack(self) -> None:
        """Make the folder of it.

        Raises:
            UnusableArchive: it is none, or something in it would lie outside of the folder.
        """
        name, beside = self._folder.name, self._folder.parent
        with _writing(self._folder), tempfile.TemporaryDirectory(prefix=f".{name}-", dir=beside) as scratch:
            made = Path(scratch) / name
            made.mkdir()
            _unpack(self._file, made)
            check_free(self._folder)
            made.rename(self._folder)


@contextmanager
def room_for(folder: Path) -> Iterator[Room]:
    """A place for the archive of a folder that is not there yet. Raises ``BadInput`` if it is."""
    check_free(folder)
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder.parent)  # noqa: SIM115 - closed below
    with file:
        yield Room(folder, file)


def check_free(folder: Path) -> None:
    """Nothing is ever overwritten; an empty folder may be filled."""
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise BadInput(f"{folder} is there already, and nothing is overwritten: name another folder.")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror or error}): name another folder.") from error


def _unpack(file: IO[bytes], folder: Path) -> None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                target = folder / _place(info)
                if info.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as packed, target.open("xb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, PIECE_BYTES)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnusableArchive("The node's archive names a file twice: nothing was saved.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UnusableArchive from error


def _place(info: zipfile.ZipInfo) -> PurePosixPath:
    """Where in the folder a member belongs."""
    name = info.filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    parts = name.removesuffix("/").split("/")
    is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    if not is_plain or "\\" in name or "\0" in name or any(part in ("", os.curdir, os.pardir) for part in parts):
        raise UnusableArchive(f"The node's archive holds {name!r:.80}, which is no plain file: nothing was saved.")
    return PurePosixPath(*parts)
