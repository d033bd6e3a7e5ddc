"""A folder as a zip archive, made in a thread and sent piece by piece."""

import tempfile
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, Final

import trio

from morphware.node.artifacts.disk import Check

PIECE_BYTES: Final = 256 << 10


async def zipped(folder: Path, scratch: Path) -> AsyncGenerator[bytes, None]:
    """The plain files below a folder, in an archive that lies in ``scratch`` while it is sent.

    They are stored as they are: weights hardly shrink, and gigabytes of them would be deflated for minutes.
    """
    with tempfile.TemporaryFile(dir=scratch) as file:
        await trio.to_thread.run_sync(_write, folder, file, trio.from_thread.check_cancelled)
        file.seek(0)
        while piece := await trio.to_thread.run_sync(file.read, PIECE_BYTES):
            yield piece


def _write(folder: Path, file: IO[bytes], check: Check) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                info = zipfile.ZipInfo.from_file(path, path.relative_to(folder).as_posix(), strict_timestamps=False)
                with path.open("rb") as source, archive.open(info, "w") as target:
                    while piece := source.read(PIECE_BYTES):
                        check()
                        target.write(piece)
