"""Putting a market on a chain with the command line, as somebody who starts a network of their own would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from morphware.node import keys as node_keys
from morphware.node.chain.deployment import load_deployment
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Rpc
from morphware.node.cli.deploy import USUAL_TIMING
from morphware.node.keys import TESTNET_WORK
from morphware.node.testnet.anvil import serve_anvil
from morphware.protocol.units import TOKEN

pytestmark = pytest.mark.adapter


async def test_a_market_deployed_from_the_command_line_has_the_windows_of_the_protocol(tmp_path: Path) -> None:
    made = await node_keys.create(tmp_path / "keys", "secret", work=TESTNET_WORK)
    output = tmp_path / "deployment.json"
    command = [sys.executable, "-m", "morphware.node.cli.main", "deploy", "--data-folder", str(tmp_path)]
    environment = {**os.environ, "MORPHWARE_PASSWORD": "secret"}

    async def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return await trio.run_process(
            [*command, *arguments], env=environment, capture_stdout=True, capture_stderr=True, check=False
        )

    async with trio.open_nursery() as nursery:
        anvil = await nursery.start(serve_anvil, tmp_path / "chain")
        wanted = ("--rpc-url", anvil.url, "--output", str(output), "--finality-blocks", "0")

        poor = await run(*wanted)
        assert poor.returncode == 3, poor.stderr
        assert b"Traceback" not in poor.stderr
        assert not output.exists()

        async with Rpc(anvil.url, patience_s=10) as rpc:
            await rpc.ask("anvil_setBalance", "0x" + made.account.hex(), hex(10**18), answer=type(None))
            with trio.fail_after(120):
                rich = await run(*wanted, "--seat-stake", "250")
            assert rich.returncode == 0, rich.stderr
            reader = MarketReader(rpc, load_deployment(output))
            await reader.check()
            parameters = await reader.parameters()
            assert parameters.timing == USUAL_TIMING
            assert parameters.seat_stake_wei == 250 * TOKEN
            assert await reader.wallet_balance(made.account) == 10**9 * TOKEN

        again = await run(*wanted)
        assert again.returncode == 2, "a deployment file is never overwritten"
        nursery.cancel_scope.cancel()
