"""One sandboxed process tree: started on this thread, waited for through pidfds, and gone as a whole.

``trio.run_process`` will not do: it spawns on a worker thread that ends when idle for 10 s, and bubblewrap's death
signal follows the *thread* that spawned it.  So ``Popen`` runs here, on the thread of the event loop.

The outer bwrap exits before its namespace is empty.  The namespace's first process is therefore watched by a pidfd of
its own: the kernel makes that readable only once every other process of the namespace has gone.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import trio

from morphware.node.runner import seccomp
from morphware.node.runner.sandbox import memory_file

METRIC_PIPE_BYTES: Final = 1 << 20
_INFO_BYTES: Final = 4096


class SandboxProcess:
    """A running bwrap; ``output`` carries its stdout and stderr, ``metrics`` what the launcher's helper wrote."""

    def __init__(self, popen: "subprocess.Popen[bytes]", output: int, metrics: int, info: int) -> None:
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)
        self._first_pidfd: int | None = None
        self._info = trio.lowlevel.FdStream(info)
        self.output = trio.lowlevel.FdStream(output)
        self.metrics = trio.lowlevel.FdStream(metrics)
        self.pid = popen.pid

    @classmethod
    def start(cls, program: Path, arguments: Sequence[str], command: Sequence[str], metric_flag: str) -> Self:
        """Spawn. ``metric_flag`` in the command is replaced by the number of the metric pipe's write end."""
        theirs: list[int] = []
        ours: list[int] = []
        try:
            for _ in range(3):
                reader, writer = os.pipe()
                ours.append(reader)
                theirs.append(writer)
            output, metrics, info = theirs
            with contextlib.suppress(OSError):  # the default 64 KiB serves too where pipes are rationed
                fcntl.fcntl(metrics, fcntl.F_SETPIPE_SZ, METRIC_PIPE_BYTES)
            theirs.append(memory_file("seccomp", seccomp.filter_program()))
            theirs.append(memory_file("arguments", b"".join(os.fsencode(word) + b"\0" for word in arguments)))
            words = [str(program), "--args", str(theirs[4]), "--seccomp", str(theirs[3]), "--info-fd", str(info), "--"]
            popen = subprocess.Popen(
                [*words, *(word.replace(metric_flag, str(metrics)) for word in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[metrics, info, theirs[3], theirs[4]],
                env={},
                cwd="/",
                start_new_session=True,
            )
            return cls(popen, *ours)
        except BaseException:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    async def meet_first(self) -> None:
        """Learn which process is the namespace's first; returns at once when bwrap ended before it made one."""
        text = b""
        while len(text) < _INFO_BYTES and (chunk := await self._info.receive_some(_INFO_BYTES)):
            text += chunk
            if b"}" in chunk:
                break
        with contextlib.suppress(ValueError, KeyError, ProcessLookupError):
            self._first_pidfd = os.pidfd_open(int(json.loads(text)["child-pid"]))

    async def wait(self) -> int:
        """Wait until bwrap has ended, and return its exit status."""
        if self._popen.returncode is None:
            await trio.lowlevel.wait_readable(self._pidfd)
            self._popen.wait()
        return int(self._popen.returncode)

    def kill(self) -> None:
        """Kill everything inside. The namespace's first process takes all others with it."""
        for descriptor in (self._first_pidfd, self._pidfd):
            if descriptor is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    async def aclose(self) -> None:
        """Kill what still runs, wait until the namespace is empty, release the descriptors; never half-way."""
        with trio.CancelScope(shield=True):
            self.kill()
            await self.wait()
            if self._first_pidfd is not None:
                await trio.lowlevel.wait_readable(self._first_pidfd)
                with contextlib.suppress(ChildProcessError):  # it is ours to reap only when the node is a subreaper
                    os.waitid(os.P_PIDFD, self._first_pidfd, os.WEXITED | os.WNOHANG)  # noqa: ASYNC222 - it has ended
                os.close(self._first_pidfd)
                self._first_pidfd = None
            os.close(self._pidfd)
            for stream in (self._info, self.output, self.metrics):
                await stream.aclose()
