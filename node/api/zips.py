"""A folder as a zip archive, made in a thread and sent piece by piece."""

import tempfile
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, Final

import trio

PIECE_BYTES: Final = 256 << 10


async def zipped(folder: Path, scratch: Path) -> AsyncGenerator[bytes, None]:
    """The plain files below a folder, in an archive that lies in ``scratch`` while it is sent."""
    with tempfile.TemporaryFile(dir=scratch) as file:
        await trio.to_thread.run_sync(_write, folder, file)
        file.seek(0)
        while piece := await trio.to_thread.run_sync(file.read, PIECE_BYTES):
            yield piece


def _write(folder: Path, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.relative_to(folder).as_posix())
