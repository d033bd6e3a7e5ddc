"""Who may ask over the network port: programs with the node's token, and browsers that were let in by a link once.

The token lies in the data folder, readable by its owner only.  A browser never sees it: ``morphware dashboard`` gets a
link over the data folder's socket, which works once and for a minute, and is exchanged for a cookie that is made from
the token but does not tell it.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

LINK_LIFE_S: Final = 60.0
LINKS_MOST: Final = 100
TOKEN_FILE: Final = "web.token"  # noqa: S105 - a file's name


def read_token(folder: Path) -> str:
    """The node's token, made at the first time. A file that holds none is written anew."""
    path = folder / TOKEN_FILE
    if path.is_file():
        path.chmod(0o600)
        token = path.read_text(encoding="ascii", errors="replace").strip()
        if len(token) == 64 and set(token) <= set("0123456789abcdef"):
            return token
    token = secrets.token_hex(32)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    return token


class Keyring:
    """Knows the token, the cookie that stands for it, and the links that are out."""

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self.token = token
        self.cookie = hmac.new(token.encode(), b"morphware cookie", hashlib.sha256).hexdigest()
        self._clock = clock
        self._links: dict[str, float] = {}

    def is_token(self, said: str) -> bool:
        """Whether a program may ask."""
        return hmac.compare_digest(said.encode("utf-8", "replace"), self.token.encode())

    def is_cookie(self, said: str) -> bool:
        """Whether a browser may ask."""
        return hmac.compare_digest(said.encode("utf-8", "replace"), self.cookie.encode())

    def new_link(self) -> str:
        """The secret part of a link that works once; the oldest of too many is forgotten."""
        link = secrets.token_urlsafe(32)
        while len(self._links) >= LINKS_MOST:
            del self._links[next(iter(self._links))]
        self._links[link] = self._clock() + LINK_LIFE_S
        return link

    def use_link(self, said: str) -> bool:
        """Whether a link is good; afterwards it is good no more."""
        until = self._links.pop(said, None)
        return until is not None and self._clock() < until
