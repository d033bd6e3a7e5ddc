"""Run anvil, the local chain, as a service: ours to start, to wait for, and to stop without a trace.

anvil keeps its state in a file and writes it every second, so a testnet that was killed comes back with its chain.  It
makes a first block anew at each start, though, keeps those of earlier starts, and takes any of them for the first one:
so each start is given the first one's time, which makes them one block.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from morphware.node.chain.errors import ChainFailure, ChainUnreachable
from morphware.node.chain.rpc import Rpc
from morphware.node.errors import ExitStatus

HARDFORK: Final = "cancun"
"""Pinned: the contracts are compiled for it, and anvil's default moves with its versions."""
CHAIN_ID: Final = 31337
DEPLOYER_KEY: Final = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""anvil's first account, known to everybody and rich on every test chain."""
START_PATIENCE_S: Final = 60.0
STOP_PATIENCE_S: Final = 5.0
LOG_TAIL_BYTES: Final = 2000

log = structlog.get_logger()


class AnvilMissing(ChainFailure):
    """The local chain's program, anvil, is not installed: run `make setup`, or name its path in MORPHWARE_ANVIL."""


class AnvilFailed(ChainFailure):
    """The local chain, anvil, ended by itself: read its log, whose last lines follow."""


class PortInUse(ChainFailure):
    """The port for the local chain is in use: stop the other program, or choose another port."""

    exit_status = ExitStatus.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Anvil:
    """A running local chain."""

    url: str
    port: int
    chain_id: int
    process_id: int
    log_path: Path


def find_anvil() -> Path:
    """Find the anvil binary: MORPHWARE_ANVIL, the checkout's cache and npm packages, then PATH."""
    named = os.environ.get("MORPHWARE_ANVIL")
    if named:
        if os.access(named, os.X_OK) and Path(named).is_file():
            return Path(named)
        raise AnvilMissing("MORPHWARE_ANVIL names no program")
    checkout = Path(__file__).resolve().parents[2]
    package = Path("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")
    candidates = [
        checkout / ".cache" / "anvil",
        checkout / ".cache" / "bin" / "anvil",
        checkout / ".cache" / package,
        checkout / ".cache" / "npm" / package,
        checkout / "contracts" / package,
    ]
    on_path = shutil.which("anvil")
    for candidate in [*candidates, *([Path(on_path)] if on_path else [])]:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise AnvilMissing


async def serve_anvil(
    folder: Path,
    *,
    port: int = 0,
    block_time_s: float | None = 1,
    chain_id: int = CHAIN_ID,
    accounts: int = 10,
    is_mining: bool = True,
    began_at: int | None = None,
    extra_arguments: tuple[str, ...] = (),
    task_status: trio.TaskStatus[Anvil] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run anvil on loopback with its state and log in ``folder`` until cancelled; started once it answers.

    Args:
        port: 0 chooses a free one.
        block_time_s: seconds between blocks; None mines a block per transaction.
        accounts: how many of its well-known accounts are rich.
        is_mining: False mines only when asked by ``evm_mine``.
        began_at: a new chain's first block's time; None: now.

    Raises:
        AnvilMissing: there is no anvil.
        PortInUse: another program listens on the port.
        AnvilFailed: anvil ended before it answered, or while it was needed.
    """
    binary = find_anvil()
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one call, before anything runs
    log_path = folder / "anvil.log"
    port = port or _free_port()
    _check_free(port)
    arguments = [str(binary), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id)]
    arguments += ["--accounts", str(accounts), "--hardfork", HARDFORK, "--silent"]
    arguments += ["--timestamp", str(_first_time(folder, began_at))]
    arguments += ["--state", str(folder / "anvil.json"), "--state-interval", "1", "--cache-path", str(folder / "cache")]
    if not is_mining:
        arguments += ["--no-mining"]
    elif block_time_s is not None:
        arguments += ["--block-time", str(block_time_s)]
    with log_path.open("ab") as log_file:
        # not trio.run_process: a death signal would follow its worker thread, which ends when idle; and in a session
        # of its own, as the terminal's Ctrl-C is for us, who stop our children in order
        process = subprocess.Popen(  # noqa: ASYNC220
            [*_dying_with_us(), *arguments, *extra_arguments],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _wait_ready(url, chain_id, process, log_path)
        log.info("anvil_started", port=port, process_id=process.pid)
        task_status.started(Anvil(url, port, chain_id, process.pid, log_path))
        await wait_process(process)
        raise _failure(process, log_path)
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


def _first_time(folder: Path, began_at: int | None) -> int:
    """The time of the chain's first block, which is written down when it is new."""
    file = folder / "began"
    if not file.exists():
        fresh = folder / "began.new"
        fresh.write_text(str(int(time.time()) if began_at is None else began_at), encoding="ascii")
        fresh.replace(file)
    return int(file.read_text(encoding="ascii"))


def _dying_with_us() -> list[str]:
    """A prefix that ties the child's life to this thread's, if the system has it: SIGKILL leaves no chain behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


async def _wait_ready(url: str, chain_id: int, process: "subprocess.Popen[bytes]", log_path: Path) -> None:
    give_up_at = trio.current_time() + START_PATIENCE_S
    async with Rpc(url, patience_s=0) as rpc:
        while True:
            if process.poll() is not None:
                raise _failure(process, log_path)
            try:
                answered = await rpc.chain_id()
                break
            except ChainUnreachable:
                if trio.current_time() > give_up_at:
                    raise
            await trio.sleep(0.02)
    if answered != chain_id:
        raise PortInUse(f"{url} is another chain, {answered}")


def _failure(process: "subprocess.Popen[bytes]", log_path: Path) -> AnvilFailed:
    tail = log_path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    return AnvilFailed(f"exit status {process.returncode}; {tail}")


async def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask anvil to end (it writes its state then), and end it after a moment."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(STOP_PATIENCE_S):
            await wait_process(process)
        if process.poll() is None:
            process.kill()
    process.wait()  # it has ended, or was killed


async def wait_process(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a child's end through its pidfd, and return its exit status."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return process.wait()
    try:
        while process.poll() is None:
            await trio.lowlevel.wait_readable(descriptor)
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUse(f"port {port}: {error.strerror}") from None
