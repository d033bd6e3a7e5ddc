"""A real local chain for each test that asks for one, and small contracts written by hand."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.chain.abi import Interface
from morphware.node.chain.rpc import Data, Rpc
from morphware.node.chain.signing import Transaction
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.ports import Receipt, Refused
from morphware.node.testnet.anvil import DEPLOYER_KEY, Anvil, serve_anvil

PATIENCE_S = 120


def explain(data: bytes) -> Refused:
    revert = Interface([]).decode_revert(data)
    return Refused(revert.name, revert.values, revert.name)


def creation(runtime: bytes) -> bytes:
    """Code that creates a contract of at most 32 bytes."""
    return (
        bytes([0x5F + len(runtime)]) + runtime + bytes([0x5F, 0x52, 0x60, len(runtime), 0x60, 32 - len(runtime), 0xF3])
    )


class Chain:
    """A local chain in the hands of a test."""

    def __init__(self, anvil: Anvil, rpc: Rpc, nursery: trio.Nursery) -> None:
        self.anvil = anvil
        self.rpc = rpc
        self.nursery = nursery

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc.ask("anvil_mine", hex(blocks), answer=Any)

    def log(self, path: Path | str = ":memory:") -> SqliteTransactionLog:
        return SqliteTransactionLog(sqlite3.connect(path))

    def sender(
        self,
        transaction_log: SqliteTransactionLog,
        settings: SenderSettings | None = None,
        key: bytes = DEPLOYER_KEY,
        rpc: Rpc | None = None,
    ) -> Sender:
        settings = settings or SenderSettings(poll_s=0.05)
        return Sender(rpc or self.rpc, key, self.anvil.chain_id, transaction_log, explain=explain, settings=settings)

    async def create(self, sender: Sender, runtime: str) -> bytes:
        """Create a contract and return its address."""
        code = creation(bytes.fromhex(runtime))
        receipt = await sender.send(Transaction(None, code), effect_id=f"create {runtime}", kind="create")
        assert isinstance(receipt, Receipt)
        found = await self.rpc.receipt(receipt.transaction_hash)
        assert found is not None
        assert found.contract_address
        return bytes(found.contract_address)

    async def wait_for_pool(self, sender: Sender, other_than: list[bytes] | None = None) -> list[bytes]:
        """Hashes of the account's transactions in the pool, once there are some (others than those), by nonce."""
        while True:
            pool = await self.rpc.ask("txpool_content", answer=dict)
            for account, by_nonce in pool["pending"].items():
                if bytes.fromhex(account[2:]) == sender.address:
                    ordered = sorted(by_nonce.items(), key=lambda item: int(item[0]))
                    hashes = [bytes.fromhex(each["hash"][2:]) for _, each in ordered]
                    if hashes and hashes != other_than:
                        return hashes
            await trio.sleep(0.02)

    async def balance(self, account: bytes) -> int:
        return int(await self.rpc.ask("eth_getBalance", Data(account), "latest", answer=str), 16)


StartChain = Callable[..., Awaitable[Chain]]


@pytest.fixture
async def start_chain(tmp_path: Path) -> AsyncIterator[StartChain]:
    """Starts a chain: ``await start_chain(block_time_s=..., is_mining=...)``; services run in ``chain.nursery``."""
    async with AsyncExitStack() as stack:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:

                async def start(folder: Path | None = None, patience_s: float = 20, **settings: Any) -> Chain:
                    settings.setdefault("block_time_s", None)
                    anvil = await nursery.start(partial(serve_anvil, folder or tmp_path / "anvil", **settings))
                    rpc = await stack.enter_async_context(Rpc(anvil.url, patience_s=patience_s))
                    return Chain(anvil, rpc, nursery)

                yield start
                nursery.cancel_scope.cancel()
