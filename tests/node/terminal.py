"""A program on a terminal of its own, with somebody who reads and types."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

PATIENCE_S = 120
"""Far more than anything takes here: a busy machine must not fail a test."""
ENTER, SPACE, DOWN, CTRL_C = "\r", " ", "\x1b[B", "\x03"


class Typist:
    """Waits for words on the screen before typing the next."""

    def __init__(self, process: "subprocess.Popen[bytes]", screen: int) -> None:
        self.process = process
        self._screen = screen
        self._seen = ""
        self.everything = ""

    def after(self, words: str, *keys: str) -> Self:
        """Type the keys once the words are on the screen."""
        give_up_at = time.monotonic() + PATIENCE_S
        while words not in self._seen:
            assert time.monotonic() < give_up_at, f"{words!r} did not come: {self._seen}"
            assert self._read(), f"{words!r} did not come before the end: {self._seen}"
        self._seen = self._seen.partition(words)[2]
        # a question takes the terminal's echo away when it listens; what is typed before may be thrown away
        while keys and termios.tcgetattr(self._screen)[3] & termios.ECHO:
            assert time.monotonic() < give_up_at, f"nobody listens after {words!r}"
            time.sleep(0.01)
        for key in keys:
            os.write(self._screen, key.encode())
        return self

    def interrupt(self) -> None:
        """Ctrl-C where the program reads no keys: its foreground group hears it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Read to the end, and return the exit status."""
        give_up_at = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < give_up_at, f"it does not end: {self._seen}"
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], PATIENCE_S)
        try:
            data = os.read(self._screen, 1 << 16) if ready else b""
        except OSError:  # how Linux says that the other end is closed
            return False
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
        self._seen += text
        self.everything += text
        return bool(data)


@contextmanager
def typing(*arguments: object, folder: Path, environment: Mapping[str, str]) -> Iterator[Typist]:
    """``morphware`` with these arguments, in this folder, on a terminal."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MORPHWARE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "morphware.node.cli.main", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "200"} | dict(environment),
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Typist(process, ours)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
