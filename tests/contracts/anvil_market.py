"""The pure market with a real chain in tow: every call is a transaction on anvil first, and both must say the same.

The chain is the clock.  A call is carried out in a block of its own, no earlier than the caller's time, and as many
blocks after the last as the caller says; the pure machine then gets the time and the number of that block, and the
chain's own block hashes.
"""

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio

from morphware.contracts.loader import load
from morphware.node.chain.abi import encode_values
from morphware.node.chain.calldata import Target, encode_call, market_interface, token_interface
from morphware.node.chain.market_events import decode_events
from morphware.node.chain.rpc import Data, Log, Quantity
from morphware.node.testnet.anvil import CHAIN_ID, Anvil, serve_anvil
from morphware.protocol import calls
from morphware.protocol.calls import Call
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.market import Market
from morphware.protocol.refusals import Refusal
from morphware.protocol.turn import Parameters
from morphware.protocol.units import WEI_MAX, Address, Timestamp

HOLDER = Address(keccak(b"holder of all tokens")[12:])
GAS = "0x1c9c380"
FIRST_SECOND = 1_800_000_000


class AnvilMarket(Market):
    """A pure market whose every answer is held against the one that stands on a chain."""

    def __init__(self, stage: "Stage", parameters: Parameters) -> None:
        self.stage, self.chain = stage, stage.chain
        self._asked_block = 0
        self._prepared = iter(stage.prepare(parameters))
        super().__init__(Domain(CHAIN_ID, stage.market), parameters, stage.chain.blockhash)

    def execute(
        self, caller: Address, call: Call | calls.Multicall, now: Timestamp, block: int
    ) -> list[ChainEvent] | Refusal:
        """The call, on the chain and in the machine."""
        if isinstance(call, calls.Deposit | calls.Stake):
            again = next(self._prepared, None)
            if again is not None:  # the chain has come back to where this was done
                return super().execute(caller, call, *again)
            if isinstance(call, calls.Deposit):
                self.stage.endow(caller, call.amount_wei)
        elif not self.stage.is_set:
            self.stage.keep()
        target, calldata = encode_call(call, market=self.stage.market)
        assert target is Target.MARKET
        skipped = max(0, block - self._asked_block - 1) if self._asked_block else 0
        self._asked_block = block
        mined = self.chain.send(caller, self.stage.market, calldata, now=now, skipped=skipped)
        at = (Timestamp(self.chain.time_s), self.chain.number)
        if not self.stage.is_set:
            self.stage.done.append(at)
        answer = super().execute(caller, call, *at)
        assert isinstance(answer, list) == (mined["status"] == "0x1"), (call, answer)
        logs = [_log(entry) for entry in mined["logs"] if entry["address"] == _hex(self.stage.market)]
        if isinstance(answer, list):
            assert list(decode_events(market_interface(), logs)) == answer, call
        return answer

    def worth(self, account: Address) -> int:
        """What the chain says that an account has: its free balance, and the stakes of its seats."""
        seats = sum(seat.owner == account for seat in self.registry.seats.values())
        return int(self._ask("freeBalance", account)[0]) + seats * self.parameters.seat_stake_wei

    def burned(self) -> int:
        """What the chain says that was burned."""
        return int(self._ask("burned")[0])

    def audit_pool(self) -> int:
        """What the chain says that there is for audits."""
        return int(self._ask("auditPool")[0])

    def _ask(self, function: str, *arguments: object) -> tuple[Any, ...]:
        encoded = market_interface().encode(function, *arguments)
        return market_interface().decode(function, self.chain.view(self.stage.market, encoded))


class Stage:
    """A market on a chain whose deposits and stakes are made once: the chain goes back to them for every life."""

    def __init__(self, chain: "Chain") -> None:
        self.chain = chain
        self.done: list[tuple[Timestamp, int]] = []
        """When each deposit and stake was made."""
        self._snapshot: tuple[str, int, int] | None = None

    @property
    def is_set(self) -> bool:
        """Whether the deposits and stakes are made."""
        return self._snapshot is not None

    def prepare(self, parameters: Parameters) -> list[tuple[Timestamp, int]]:
        """The market, fresh or as it was before anything but deposits and stakes; and when those were made."""
        if self._snapshot is not None:
            name, self.chain.number, self.chain.time_s = self._snapshot
            assert self.chain.ask("evm_revert", name)
            self.keep()
            return self.done
        supply = encode_values(token_interface().constructor, (HOLDER, WEI_MAX))
        self.token = self.chain.create(load("MorphwareToken").bytecode + supply)
        arguments = (self.token, parameters.seat_stake_wei, astuple(parameters.timing))
        market = load("Market").bytecode + encode_values(market_interface().constructor, arguments)
        self.market = self.chain.create(market)
        return []

    def keep(self) -> None:
        """Remember the chain as it is."""
        self._snapshot = self.chain.ask("evm_snapshot"), self.chain.number, self.chain.time_s

    def endow(self, account: Address, wei: int) -> None:
        """Give an account tokens, and the market leave to draw them."""
        self.chain.send(HOLDER, self.token, token_interface().encode("transfer", account, wei))
        self.chain.send(account, self.token, token_interface().encode("approve", self.market, wei))


class Chain:
    """An anvil in which everybody's transactions are free and each is a block."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.ask("anvil_autoImpersonateAccount", True)
        latest = self._block("latest")
        self.number, self.time_s = int(latest["number"], 16), int(latest["timestamp"], 16)

    def ask(self, method: str, *parameters: object) -> Any:
        """One JSON-RPC call."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = self._client.post("/", json=body).json()
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def create(self, code: bytes) -> Address:
        """A new contract's address."""
        return Address(bytes.fromhex(self.send(HOLDER, None, code)["contractAddress"][2:]))

    def send(
        self, sender: Address, to: Address | None, data: bytes, *, now: int = 0, skipped: int = 0
    ) -> dict[str, Any]:
        """The receipt of a transaction in a block of its own, not before the given time, and after empty blocks."""
        if skipped:
            self.ask("anvil_mine", hex(skipped), "0x1")
            self.number, self.time_s = self.number + skipped, int(self._block("latest")["timestamp"], 16)
        self.number, self.time_s = self.number + 1, max(now, self.time_s + 1)
        self.ask("evm_setNextBlockTimestamp", self.time_s)
        request = {"from": _hex(sender), "data": "0x" + data.hex(), "gas": GAS, "gasPrice": "0x0"}
        if to is not None:
            request["to"] = _hex(to)
        number = self.ask("eth_sendTransaction", request)
        receipt: dict[str, Any] | None = None
        while receipt is None:  # anvil answers before it mines
            receipt = self.ask("eth_getTransactionReceipt", number)
        assert int(receipt["blockNumber"], 16) == self.number
        return receipt

    def view(self, to: Address, data: bytes) -> bytes:
        """What a call would answer now."""
        answer: str = self.ask("eth_call", {"to": _hex(to), "data": "0x" + data.hex()}, "latest")
        return bytes.fromhex(answer[2:])

    def blockhash(self, number: int) -> bytes:
        """A block's hash."""
        return bytes.fromhex(self._block(hex(number))["hash"][2:])

    def _block(self, number: str) -> dict[str, Any]:
        block: dict[str, Any] = self.ask("eth_getBlockByNumber", number, False)
        return block


async def with_anvil(folder: Path, use: Callable[[Chain], None]) -> None:
    """Run something blocking beside an anvil of its own."""
    extra = ("--gas-limit", "30000000", "--base-fee", "0")
    serve = partial(serve_anvil, folder, block_time_s=None, began_at=FIRST_SECOND, extra_arguments=extra)
    async with trio.open_nursery() as nursery:
        anvil: Anvil = await nursery.start(serve)
        with httpx.Client(base_url=anvil.url, timeout=60) as client:
            await trio.to_thread.run_sync(use, Chain(client))
        nursery.cancel_scope.cancel()


def _hex(address: bytes) -> str:
    return "0x" + address.hex()


def _log(entry: dict[str, Any]) -> Log:
    return Log(
        address=Data(bytes.fromhex(entry["address"][2:])),
        topics=[Data(bytes.fromhex(topic[2:])) for topic in entry["topics"]],
        data=Data(bytes.fromhex(entry["data"][2:])),
        block_hash=Data(bytes(32)),
        block_number=Quantity(0),
        log_index=Quantity(int(entry["logIndex"], 16)),
    )
