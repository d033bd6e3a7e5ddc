"""What strangers' programs write, made fit to be kept and shown: no terminal obeys it, and no flood of it fills a disk.

Everything here is hostile: a job may write megabytes a second, and the worker that hands its words on may be a liar.
"""

import re
from collections import deque
from typing import Final

PIECE_CHARACTERS: Final = 4_000
"""Of one piece: four bytes a character, with what surrounds them, fit a frame."""
FIRST_CHARACTERS: Final = 4_000
NEWEST_CHARACTERS: Final = 12_000
"""Of what a job writes between two looks the beginning and the end are kept: a crowd of lines looks alike anyway."""
NAME_CHARACTERS: Final = 64
NAMELESS: Final = "unnamed"
SYSTEM: Final = "system/"
"""Begins the names of the series that the worker's node measures; a job's own series cannot have such a name."""
SYSTEM_SERIES: Final = tuple(
    SYSTEM + name for name in ("cpu_percent", "memory_mib", "disk_mib", "gpu_percent", "gpu_memory_mib")
)
OWN: Final = "own/"

_CONTROL: Final = re.compile(
    r"\x1b\[[0-9;?]{0,16}[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What a terminal obeys, and what turns the direction of the text around it; line feeds and tabs stay."""


def shown(text: str) -> str:
    """Text that can be written down (halves of surrogate pairs cannot) and that no terminal obeys."""
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode("utf-8"))


def shown_name(name: str) -> str:
    """A series' name on one line, not empty, and not longer than a frame may hold."""
    name = name[:NAME_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else "?" for character in name) or NAMELESS


def own_name(name: str) -> str:
    """The name under which a job's own series is kept: fit to be shown, and none that the node measures."""
    name = shown_name(name)
    return shown_name(OWN + name) if name.startswith(SYSTEM) else name


class OutputBuffer:
    """A job's lines between two looks: the first and the newest ones, and how many characters lay between them."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._first: list[str] = []
        self._first_characters = 0
        self._newest: deque[str] = deque()
        self._newest_characters = 0
        self._left_out = 0

    def take(self, line: str) -> None:
        """A line was written; what has no end of line gets one."""
        line = shown(line)
        line = line if line.endswith("\n") else line + "\n"
        if not self._newest and self._first_characters + len(line) <= FIRST_CHARACTERS:
            self._first.append(line)
            self._first_characters += len(line)
            return
        self._newest.append(line)
        self._newest_characters += len(line)
        while self._newest_characters > NEWEST_CHARACTERS:
            gone = self._newest.popleft()
            if not self._newest:  # one endless line: its end stays
                self._newest.append(gone[-NEWEST_CHARACTERS:])
                gone = gone[:-NEWEST_CHARACTERS]
            self._newest_characters -= len(gone)
            self._left_out += len(gone)

    def drain(self) -> list[str]:
        """What was kept since the last time, in pieces; a line says how much was left out in the middle."""
        gap = f"… {self._left_out:,} characters left out …\n" if self._left_out else ""
        text = "".join([*self._first, gap, *self._newest])
        self._forget()
        return cut(text)


def cut(text: str) -> list[str]:
    """Text in pieces, at the ends of lines where there are any."""
    pieces = []
    while text:
        end = text.rfind("\n", 0, PIECE_CHARACTERS) + 1 or PIECE_CHARACTERS
        pieces.append(text[:end])
        text = text[end:]
    return pieces
