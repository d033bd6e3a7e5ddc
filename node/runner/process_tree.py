"""The processes of one sandbox, as ``/proc`` shows them."""

import os
from typing import Final

MAX_SEEN_PROCESSES: Final = 5_000


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants that can be seen now."""
    found: list[int] = []
    pending = [pid]
    while pending and len(found) < MAX_SEEN_PROCESSES:
        current = pending.pop()
        found.append(current)
        pending += children(current)
    return found


def children(pid: int) -> list[int]:
    """The processes that it started, or inherited."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a thousand Paths per look would cost
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        pass  # it ended while we looked
    return found
