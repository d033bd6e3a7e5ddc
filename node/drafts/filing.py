"""Files under names that strangers chose: they stay in their folder, are told apart by everybody, and are bounded.

Names come from browsers (``webkitRelativePath``) and archives.  One is refused, with the whole upload, if it leads out
of its folder, could not be packed later, or differs from another only by case or by how its letters are composed.
"""

import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from morphware.node.artifacts.disk import require_space
from morphware.node.artifacts.packing import PackingLimits, unpackable
from morphware.node.errors import BadInput

FILES_MOST: Final = 20_000
SPACE_EVERY_BYTES: Final = 64 << 20
SHOWN_CHARACTERS: Final = 80
JUNK: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers put into folders without being asked; nobody means to send it."""

_HERE: Final = re.compile(r"\A(?:\./)+")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


class UploadRefused(BadInput):
    """What was uploaded cannot be used."""


@dataclass(slots=True)
class Budget:
    """What one upload may still bring, over all its fields, unpacked."""

    bytes_left: int
    files_left: int = FILES_MOST
    _unchecked_bytes: int = field(default=0)

    def take_file(self) -> None:
        """One more file or folder. Raises ``UploadRefused``."""
        self.files_left -= 1
        if self.files_left < 0:
            raise UploadRefused(
                f"The upload has more than {FILES_MOST} files and folders: put them into fewer, larger ones."
            )

    def require_files(self, count: int) -> None:
        """Refuse before the first of so many is written. Raises ``UploadRefused``."""
        if count > self.files_left:
            self.files_left = 0
            self.take_file()

    def take_bytes(self, size: int, folder: Path) -> None:
        """So many more bytes. Raises ``UploadRefused``, ``DiskFull``."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise UploadRefused(
                "The upload is larger, unpacked, than this node takes: raise [web] upload_mib, or send less."
            )
        self._unchecked_bytes += size
        if self._unchecked_bytes > SPACE_EVERY_BYTES:
            self._unchecked_bytes = 0
            require_space(folder, 0)


class Filing:
    """One field's folder while it is filled."""

    def __init__(self, root: Path, budget: Budget, field: str) -> None:
        self.root = root
        self.field = field
        self.budget = budget
        self._taken: dict[str, tuple[str, bool]] = {}

    def parts_of(self, name: str) -> tuple[str, ...]:
        """A name as the steps of a path below the folder; none for what is left out. Raises ``UploadRefused``."""
        name = _HERE.sub("", name)
        if not name or name.startswith("/") or _DRIVE.match(name) or "\\" in name:
            raise self.refusal(name, "does not say where below its folder the file lies")
        parts = tuple(name.split("/"))
        if (reason := unpackable(parts, PackingLimits())) is not None:
            raise self.refusal(name, reason)
        if parts[-1] in JUNK or parts[-1].startswith("._") or "__MACOSX" in parts:
            return ()
        return parts

    def create(self, name: str) -> BinaryIO | None:
        """A new file, open for writing; None for what is left out, which counts. Raises ``UploadRefused``."""
        parts = self.parts_of(name)
        if not parts:
            self.budget.take_file()
            return None
        self._claim(parts)
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path.open("xb")

    def name_folder(self, name: str) -> None:
        """An archive names a folder, which is made with its first file; it counts once more each time it is named anew.

        Raises ``UploadRefused``.
        """
        parts, known = self.parts_of(name), len(self._taken)
        self._claim(parts, is_folder=True)
        if len(self._taken) == known:
            self.budget.take_file()

    def write(self, file: BinaryIO | None, data: bytes) -> None:
        """Write within the budget; what is left out (None) counts. Raises ``UploadRefused``, ``DiskFull``."""
        self.budget.take_bytes(len(data), self.root)
        if file is not None:
            file.write(data)

    def refusal(self, name: str, reason: str) -> UploadRefused:
        """Why a name, or an archive's member, is not taken."""
        shown = name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "..."
        return UploadRefused(f"The file name {shown!r} {reason}: rename it, and upload again.", field=self.field)

    def _claim(self, parts: tuple[str, ...], *, is_folder: bool = False) -> None:
        """Take the name of a file or folder, and of those above it, which nothing may have in another spelling."""
        for count in range(1, len(parts) + 1):
            exact = "/".join(parts[:count])
            is_above = is_folder or count < len(parts)
            known = self._taken.get(_folded(exact))
            if known is None:
                self.budget.take_file()
                self._taken[_folded(exact)] = (exact, is_above)
            elif known != (exact, True) or not is_above:
                raise self.refusal(
                    "/".join(parts), f"is there twice, or differs only in spelling from {known[0]!r:.90}"
                )


def _folded(path: str) -> str:
    """The same for all spellings that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())


def without_top(root: Path) -> None:
    """Take away a folder that holds everything else: the one that was picked, or packed, around the files."""
    children = list(root.iterdir())
    if len(children) != 1 or not children[0].is_dir():
        return
    inner = root.with_name(f"{root.name}.inner")
    children[0].rename(inner)
    root.rmdir()
    inner.rename(root)


def remove(folder: Path) -> None:
    """Remove a folder, whatever is left of it."""
    shutil.rmtree(folder, ignore_errors=True)
