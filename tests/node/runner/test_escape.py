"""What a hostile job cannot do: see, touch or reach anything that is not its own."""

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from morphware.node.runner.process_tree import process_tree
from tests.node.runner.stranger import LIMITS, Stranger

pytestmark = pytest.mark.adapter

PROBES = """
import ctypes, json, os, socket, subprocess, sys
SECRET, PORT = {secret!r}, {port}
libc = ctypes.CDLL(None, use_errno=True)
found = {{}}
def attempt(name, action):
    try:
        found[name] = "ESCAPED: " + repr(action())[:100]
    except OSError as error:
        found[name] = "contained"
    except Exception as error:
        found[name] = "contained"
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "done"
def connect(address):
    with socket.create_connection(address, timeout=3) as s: return s
def write(path):
    with open(path, "w") as f: f.write("x")
def contains_secret():
    for pid in os.listdir("/proc"):
        for name in ("environ", "cmdline"):
            try: data = open(f"/proc/{{pid}}/{{name}}", "rb").read()
            except OSError: continue
            if b"SECRET-OF-THE-NODE" in data: return data
    raise OSError("nothing")
attempt("read a file of the node", lambda: open(SECRET).read())
attempt("read through the first process", lambda: open("/proc/1/root" + SECRET).read())
attempt("see the node's environment", contains_secret)
attempt("read a home folder", lambda: open("/root/.bashrc").read())
attempt("read the system's accounts", lambda: open("/etc/passwd").read())
attempt("write its own code", lambda: write("/job/code/train.py"))
attempt("write the training data", lambda: write("/job/train/inputs.csv"))
attempt("write the interpreter", lambda: write(sys.prefix + "/x"))
attempt("write the system", lambda: write("/usr/x"))
attempt("write the root folder", lambda: write("/x"))
attempt("write a kernel setting", lambda: write("/proc/sys/kernel/core_pattern"))
attempt("press a kernel key", lambda: write("/proc/sysrq-trigger"))
attempt("reach the node's ports", lambda: connect(("127.0.0.1", PORT)))
attempt("reach the internet", lambda: connect(("1.1.1.1", 53)))
attempt("become root", lambda: os.setuid(0))
attempt("become another group", lambda: os.setgroups([0]))
attempt("open a raw socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("open a device socket", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15))
attempt("make a namespace", lambda: call(272, 0x10000000))
attempt("clone into a namespace", lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0))
attempt("mount", lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, 0))
attempt("trace a process", lambda: call(101, 16, 1, 0, 0))
attempt("load a program into the kernel", lambda: call(321, 0, 0, 0))
attempt("use a kernel key ring", lambda: call(250, 0, -3, 0))
attempt("use io_uring", lambda: call(425, 1, 0))
attempt("make a device", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)))
attempt("use a setuid program", lambda: subprocess.run(["su", "-c", "id"], check=True, capture_output=True))
found["open descriptors"] = len(os.listdir("/proc/self/fd"))
found["processes"] = len([p for p in os.listdir("/proc") if p.isdigit()])
found["environment"] = sorted(k for k in os.environ if "KEY" in k or "SECRET" in k)
with open(os.environ["MORPHWARE_MODEL_DIR"] + "/found.json", "w") as f: json.dump(found, f)
"""


async def test_no_probe_gets_out(stranger: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "keystore"
    secret.write_text("SECRET-OF-THE-NODE")
    monkeypatch.setenv("NODE_SECRET", "SECRET-OF-THE-NODE")
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = PROBES.format(secret=str(secret), port=server.getsockname()[1])
        result = await stranger.train(source)
    assert result.reason == "", result.log_tail
    found = json.loads((stranger.model / "found.json").read_text())
    assert found.pop("open descriptors") <= 5  # three standard ones, the metric pipe, the listing itself
    assert found.pop("processes") <= 3
    assert found.pop("environment") == []
    assert {name for name, outcome in found.items() if outcome != "contained"} == set(), found


async def test_a_job_never_has_uid_0_outside(stranger: Stranger) -> None:
    seen: set[int] = set()
    ready = trio.Event()
    stranger.told.lines = _Lines(ready)

    async def look() -> None:
        await ready.wait()
        seen.update(uids_of_jobs())
        nursery.cancel_scope.cancel()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stranger.train, "import time; print('here'); time.sleep(50)")
            nursery.start_soon(look)
    assert seen
    assert 0 not in seen


def uids_of_jobs() -> set[int]:
    """Uids, as the host counts them, of every process below us that runs the launcher."""
    found: set[int] = set()
    for pid in process_tree(os.getpid()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"/morphware/launch.py" in command and "Name:\tbwrap" not in status:
            uids = next(line for line in status.splitlines() if line.startswith("Uid:"))
            found.update(int(word) for word in uids.split()[1:])
    return found


class _Lines(list[str]):
    def __init__(self, ready: trio.Event) -> None:
        self._ready = ready

    def append(self, _: str) -> None:
        self._ready.set()


async def test_cancelling_kills_the_whole_tree(stranger: Stranger) -> None:
    ready = trio.Event()
    stranger.told.lines = _Lines(ready)
    before = set(process_tree(os.getpid()))
    source = """
        import os, signal, time
        for _ in range(3):
            if os.fork() == 0:
                os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)
        print("forked"); time.sleep(600)
    """
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stranger.train, source)
            await ready.wait()
            grown = set(process_tree(os.getpid())) - before
            nursery.cancel_scope.cancel()
    assert len(grown) >= 5
    assert not [pid for pid in grown if _is_ours(pid)]
    assert list((stranger.folder / "scratch").iterdir()) == []


def _is_ours(pid: int) -> bool:
    """Not a zombie that waits for a lazy init, nor a number given out anew."""
    try:
        return "State:\tZ" not in (text := Path(f"/proc/{pid}/status").read_text()) and "python" in text
    except OSError:
        return False


NODE = """
import sys, trio
from pathlib import Path
from morphware.node.runner.runner import SandboxRunner
from tests.node.runner.stranger import Stranger
folder = Path(sys.argv[1])
stranger = Stranger(SandboxRunner(folder / "scratch"), folder)
stranger.told.lines = type("Lines", (), {"append": lambda self, line: print(line, flush=True)})()
trio.run(stranger.train, "import time; print('here'); time.sleep(600)")
"""


def test_a_job_dies_with_its_node(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as node:
        assert node.stdout is not None
        lines = (line for line in node.stdout if line.strip() == "here")
        assert next(lines, None) is not None
        jobs = [os.pidfd_open(pid) for pid in process_tree(node.pid)[1:]]
        assert len(jobs) >= 3
        node.kill()
    for job in jobs:
        assert select.select([job], [], [], 30)[0]  # a pidfd is readable once its process has ended
        os.close(job)


async def test_stragglers_do_not_outlive_the_script(stranger: Stranger) -> None:
    source = """
        import os, time
        open(os.environ["MORPHWARE_MODEL_DIR"] + "/m.txt", "w").write("x")
        if os.fork() == 0:
            os.setsid(); os.close(1); os.close(2); time.sleep(600)
    """
    before = set(process_tree(os.getpid()))
    with trio.fail_after(60):
        result = await stranger.train(source, LIMITS)
    assert result.reason == ""
    assert not [pid for pid in set(process_tree(os.getpid())) - before if _is_ours(pid)]
