"""A local chain that does as it is told: any account sends, each transaction is a block, time passes when asked.

Gas depends on nothing else: blocks are one second apart from a fixed beginning, so that a run gives the same figures,
to the unit, as the run before it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from morphware.contracts.loader import Name, load
from morphware.node.chain.abi import Interface, encode_values
from morphware.node.chain.errors import ChainFailure, MalformedAnswer
from morphware.node.chain.rpc import Data, Log, Quantity, Rpc
from morphware.node.testnet.anvil import CHAIN_ID, serve_anvil
from morphware.protocol.units import Address

BEGINNING_S: Final = 1_800_000_000
"""The chain's first second."""
COINS_WEI: Final = 10**24
GAS_LIMIT: Final = 30_000_000
"""A block of anvil: nothing here may need more."""
RECEIPT_PATIENCE_S: Final = 30.0


class BenchFailed(ChainFailure):
    """The measured job did not go as it must, so its gas means nothing: this is a bug; please report the detail."""


class Mined(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a transaction cost and did."""

    gas_used: Quantity
    status: Quantity
    logs: list[Log]
    contract_address: Data | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A contract on the chain, and what putting it there cost."""

    address: Address
    interface: Interface
    gas: int


class BenchChain:
    """The chain in the hands of a measurement."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._interfaces: list[Interface] = []

    async def create(self, sender: Address, name: Name, *values: object) -> Created:
        """Deploy one of our contracts."""
        contract = load(name)
        interface = Interface(contract.abi, load("MorphwareToken").abi)
        self._interfaces.append(interface)
        mined = await self.send(
            f"create {name}", sender, None, contract.bytecode + encode_values(interface.constructor, values)
        )
        if mined.contract_address is None:
            raise MalformedAnswer(f"{name} was created, but where is not known")
        return Created(Address(bytes(mined.contract_address)), interface, int(mined.gas_used))

    async def give_coins(self, account: Address) -> None:
        """Make an account rich enough for any gas."""
        await self._rpc.ask("anvil_setBalance", Data(account), Quantity(COINS_WEI), answer=Any)

    async def send(self, what: str, sender: Address, to: Address | None, data: bytes, value_wei: int = 0) -> Mined:
        """Carry out a transaction, whoever's it is.

        Raises:
            BenchFailed: it was refused; the detail names ``what`` and why.
        """
        request: dict[str, object] = {
            "from": Data(sender),
            "data": Data(data),
            "value": Quantity(value_wei),
            "gas": Quantity(GAS_LIMIT),
        }
        if to is not None:
            request["to"] = Data(to)
        number = await self._rpc.ask("eth_sendTransaction", request, answer=Data)
        mined = await self._receipt(what, number)
        if mined.status != 1:
            trace = await self._rpc.ask("debug_traceTransaction", Data(number), {"tracer": "callTracer"}, answer=dict)
            raise BenchFailed(f"{what}: {self._reason(trace)}")
        return mined

    async def ask(self, contract: Created, function: str, *values: object) -> tuple[Any, ...]:
        """What a view function answers."""
        request = {"to": Data(contract.address), "data": Data(contract.interface.encode(function, *values))}
        return contract.interface.decode(function, await self._rpc.ask("eth_call", request, "pending", answer=Data))

    async def pass_time(self, seconds: int) -> None:
        """Let the next block be so many seconds after the newest."""
        header = await self._rpc.header("latest")
        if header is None:
            raise MalformedAnswer("there is no newest block")
        await self._rpc.ask("evm_setNextBlockTimestamp", Quantity(header.timestamp + seconds), answer=Any)

    async def pass_blocks(self, blocks: int) -> None:
        """Mine empty blocks."""
        await self._rpc.ask("anvil_mine", Quantity(blocks), Quantity(1), answer=Any)

    async def version(self) -> str:
        """What program the chain is."""
        return str(await self._rpc.ask("web3_clientVersion", answer=str))

    async def _receipt(self, what: str, number: bytes) -> Mined:
        kind = Mined | None
        with trio.move_on_after(RECEIPT_PATIENCE_S):
            while True:
                mined: Mined | None = await self._rpc.ask("eth_getTransactionReceipt", Data(number), answer=kind)
                if mined is not None:
                    return mined
                await trio.sleep(0.005)  # anvil answers before it mines
        raise BenchFailed(f"{what}: not mined")

    def _reason(self, trace: dict[str, Any]) -> str:
        data = bytes.fromhex(str(trace.get("output", "0x"))[2:])
        for interface in self._interfaces:
            revert = interface.decode_revert(data)
            if not revert.name.startswith(("0x", "Reverted")):
                return f"{revert.name} {revert.values}"
        return f"{trace.get('error', 'refused')} {data.hex()}"


@asynccontextmanager
async def bench_chain(folder: Path) -> AsyncIterator[BenchChain]:
    """A fresh local chain on a free port of this machine, which ends with the block."""
    serve = partial(
        serve_anvil,
        folder,
        block_time_s=None,
        began_at=BEGINNING_S,
        extra_arguments=("--gas-limit", str(GAS_LIMIT), "--base-fee", "0"),
    )
    async with trio.open_nursery() as nursery:
        anvil = await nursery.start(serve)
        async with Rpc(anvil.url, patience_s=RECEIPT_PATIENCE_S) as rpc:
            assert await rpc.chain_id() == CHAIN_ID
            await rpc.ask("anvil_autoImpersonateAccount", True, answer=Any)
            await rpc.ask("anvil_setBlockTimestampInterval", 1, answer=Any)
            yield BenchChain(rpc)
        nursery.cancel_scope.cancel()
