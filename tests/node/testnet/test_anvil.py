"""anvil as a service: starts, keeps its state, tells why it cannot, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import IO

import pytest
import trio

from morphware.node.chain.rpc import Rpc
from morphware.node.testnet.anvil import (
    AnvilFailed,
    AnvilMissing,
    PortInUse,
    find_anvil,
    serve_anvil,
)

pytestmark = pytest.mark.adapter


def spawn(program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def last_word_of(stream: IO[bytes]) -> str:
    """The last word of the first line that has a number."""
    for line in stream:
        if line.strip().isdigit():
            return line.decode().strip()
    raise AssertionError("the child ended without a number")


def is_alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


async def test_it_answers_when_it_has_started_and_is_gone_when_cancelled(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            anvil = await nursery.start(partial(serve_anvil, tmp_path, chain_id=4242))
            async with Rpc(anvil.url) as rpc:
                assert await rpc.chain_id() == 4242
            assert is_alive(anvil.process_id)
            nursery.cancel_scope.cancel()
    assert not is_alive(anvil.process_id)


async def test_the_chain_comes_back_with_its_state(tmp_path: Path) -> None:
    with trio.fail_after(120):
        heads = []
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                anvil = await nursery.start(partial(serve_anvil, tmp_path, is_mining=False))
                async with Rpc(anvil.url) as rpc:
                    heads.append([await rpc.header(0), await rpc.header("latest")])
                    if len(heads) == 1:
                        await rpc.ask("anvil_mine", hex(5), answer=type(None))
                        heads[0][1] = await rpc.header("latest")
                nursery.cancel_scope.cancel()
    assert heads[0] == heads[1]
    assert heads[0][1] is not None
    assert heads[0][1].number == 5


async def test_a_chain_that_came_back_often_still_begins_with_its_first_block(tmp_path: Path) -> None:
    """Whoever knows a chain by its first block's hash, as nodes do, would not know it again."""
    firsts = []
    with trio.fail_after(180):
        for start in range(5):
            async with trio.open_nursery() as nursery:
                serve = partial(serve_anvil, tmp_path, is_mining=False, began_at=1_700_000_000 + start)
                anvil = await nursery.start(serve)
                async with Rpc(anvil.url) as rpc:
                    firsts.append(await rpc.header(0))
                    await rpc.ask("anvil_mine", hex(3), answer=type(None))
                nursery.cancel_scope.cancel()
    assert firsts == firsts[:1] * 5
    assert firsts[0] is not None
    assert firsts[0].timestamp == 1_700_000_000


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port}"):
            await serve_anvil(tmp_path, port=port)


async def test_an_end_of_its_own_is_reported_with_its_log(tmp_path: Path) -> None:
    with trio.fail_after(60), pytest.raises(AnvilFailed, match="unexpected argument"):
        await serve_anvil(tmp_path, extra_arguments=("--no-such-flag",))


async def test_a_killed_chain_is_noticed_at_once(tmp_path: Path) -> None:
    with trio.fail_after(60), pytest.RaisesGroup(AnvilFailed):
        async with trio.open_nursery() as nursery:
            anvil = await nursery.start(partial(serve_anvil, tmp_path))
            os.kill(anvil.process_id, signal.SIGKILL)


def test_a_missing_program_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MORPHWARE_ANVIL", str(tmp_path / "nothing"))
    with pytest.raises(AnvilMissing, match="make setup"):
        find_anvil()


def test_the_program_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("MORPHWARE_ANVIL", str(program))
    assert find_anvil() == program


async def test_killing_the_parent_leaves_no_chain_behind(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import trio
        from functools import partial
        from pathlib import Path
        from morphware.node.testnet.anvil import serve_anvil
        async def main():
            async with trio.open_nursery() as nursery:
                anvil = await nursery.start(partial(serve_anvil, Path({str(tmp_path)!r})))
                print(anvil.process_id, flush=True)
        trio.run(main)
        """
    )
    with trio.fail_after(120):
        with spawn(program) as parent:
            assert parent.stdout is not None
            process_id = int(await trio.to_thread.run_sync(last_word_of, parent.stdout))
            assert is_alive(process_id)
            parent.kill()
            while is_alive(process_id):  # noqa: ASYNC110 - another process's life has no event
                await trio.sleep(0.05)
