"""What a node's data folder tells of the node: its socket, and whether somebody serves on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from morphware.node.errors import MorphwareError

SOCKET_NAME: Final = "node.sock"


class NodeNotRunning(MorphwareError):
    """No node is running on this data folder: start one with `morphware run`."""


class NotYourNode(MorphwareError):
    """The node on this data folder belongs to another user of this machine: ask as that user."""


class NodeRunning(MorphwareError):
    """A node is running on this data folder already: stop it first, or use another --data-folder."""


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """A path to the socket that fits the 108 bytes of a socket address, however deep the folder lies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
