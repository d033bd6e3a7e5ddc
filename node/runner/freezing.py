"""Stops every process of a sandbox where it stands, and lets all of them go on.

A stopped process makes no children and wakes nobody, so the tree is looked through again until nothing of it runs.
A process that is missed, or woken by one that was, is stopped at the watchdog's next look.  Bubblewrap's own two
processes stay awake: the outer one is our child, and the first one inside only buries the dead.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import Final

from morphware.node.runner.process_tree import children, process_tree

PASSES_MOST: Final = 5
"""A tree that still moves after so many passes is looked at again a tenth of a second later."""


def freeze(outer_pid: int) -> bool:
    """Stop all that runs inside; True once nothing does."""
    for _ in range(PASSES_MOST):
        awake = [pid for pid in job_processes(outer_pid) if not is_stopped(pid)]
        if not awake:
            return True
        _send(signal.SIGSTOP, awake, outer_pid)
    return False


def thaw(outer_pid: int) -> None:
    """Let everything inside go on."""
    _send(signal.SIGCONT, job_processes(outer_pid), outer_pid)


def job_processes(outer_pid: int) -> list[int]:
    """The processes of the job itself: all below bubblewrap's two."""
    ours = {outer_pid, *children(outer_pid)}
    return [pid for pid in process_tree(outer_pid) if pid not in ours]


def is_stopped(pid: int) -> bool:
    """No thread of it runs: each is stopped or dead. The first thread alone says nothing, as it may have ended."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - many times a second
        return all(_state(f"/proc/{pid}/task/{thread}/stat") in (b"T", b"Z", b"X") for thread in threads)
    except OSError:
        return True  # it is gone


def _send(number: signal.Signals, pids: Iterable[int], outer_pid: int) -> None:
    """A number may be a stranger's process by now: each is held fast, and signalled if it is in the tree even then."""
    held: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(OSError):
                held[pid] = os.pidfd_open(pid)
        for pid in set(process_tree(outer_pid)) & held.keys():
            with contextlib.suppress(OSError):  # it ended just now
                signal.pidfd_send_signal(held[pid], number)
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _state(path: str) -> bytes:
    """The letter behind the name, which is in parentheses and may hold some itself."""
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read().rpartition(b")")[2].split()[0]
