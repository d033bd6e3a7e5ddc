"""The compiled market in an in-process EVM, asked and answering with the same classes as the pure one."""

import re
from dataclasses import astuple
from typing import Any

import pyrevm
from eth_hash.auto import keccak

from morphware.contracts.loader import load
from morphware.node.chain.abi import Revert, encode_values
from morphware.node.chain.calldata import Target, encode_call, market_interface, token_interface
from morphware.node.chain.market_events import decode_events
from morphware.node.chain.rpc import Data, Log, Quantity
from morphware.protocol.calls import Call, Multicall
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.parameters import Timing
from morphware.protocol.units import WEI_MAX, Address

CHAIN_ID = 1
"""What pyrevm says unless told otherwise."""

REVERT = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")
HOLDER = keccak(b"holder")[:20]


class EvmMarket:
    """One freshly deployed token and market.

    pyrevm's gas is wrong and its bare ``commit`` halts the next call (ARCHITECTURE.md), so neither is used: calls pile
    up in one journal, which is what a trace wants.
    """

    def __init__(self, timing: Timing, seat_stake_wei: int) -> None:
        self._evm = pyrevm.EVM()
        token = load("MorphwareToken")
        arguments = encode_values(token_interface().constructor, (HOLDER, WEI_MAX))
        self.token = self._evm.deploy(_hex(HOLDER), token.bytecode + arguments)
        market = load("Market")
        arguments = encode_values(
            market_interface().constructor, (bytes.fromhex(self.token[2:]), seat_stake_wei, astuple(timing))
        )
        self.market = self._evm.deploy(_hex(HOLDER), market.bytecode + arguments)
        self._balance_queries: dict[Address, bytes] = {}

    @property
    def address(self) -> Address:
        return Address(bytes.fromhex(self.market[2:]))

    def endow(self, account: Address, wei: int) -> None:
        """Give an account tokens, and the market leave to draw them."""
        transfer = token_interface().encode("transfer", account, wei)
        self._evm.message_call(_hex(HOLDER), self.token, transfer)
        approve = token_interface().encode("approve", self.address, 2**256 - 1)
        self._evm.message_call(_hex(account), self.token, approve)

    def execute(self, caller: Address, call: Call | Multicall, now: int, block: int) -> list[ChainEvent] | Revert:
        """One transaction: its events that brains know, or why it reverted."""
        self._evm.set_block_env(pyrevm.BlockEnv(number=block, timestamp=now))
        target, calldata = encode_call(call, market=self.address)
        try:
            self._evm.message_call(_hex(caller), self.market if target is Target.MARKET else self.token, calldata)
        except RuntimeError as error:
            found = REVERT.search(str(error))
            if found is None:
                raise
            return market_interface().decode_revert(bytes.fromhex(found[1]))
        result = self._evm.result
        assert result is not None
        logs = [entry for entry in result.logs if entry.address.lower() == self.market.lower()]
        return list(decode_events(market_interface(), (_log(entry, index) for index, entry in enumerate(logs))))

    def free(self, account: Address) -> int:
        """An account's free balance."""
        if account not in self._balance_queries:
            self._balance_queries[account] = market_interface().encode("freeBalance", account)
        return int.from_bytes(self._view(self._balance_queries[account]), "big")

    def number(self, name: str) -> int:
        """What a view without arguments answers: burned, total, freeSeats, busySeats, nextSeat."""
        return int.from_bytes(self._view(market_interface().encode(name)), "big")

    def freed(self) -> list[int]:
        """Numbers of dissolved seats, the next to be given away last."""
        return list(market_interface().decode("freed", self._view(market_interface().encode("freed")))[0])

    def record(self, view: str, *arguments: object) -> dict[str, Any]:
        """What a view answers with one struct, by the names of the contract."""
        function = market_interface().functions[view]
        [values] = market_interface().decode(view, self._view(market_interface().encode(view, *arguments)))
        return dict(zip(function.output_names[0], values, strict=True))

    def records(self, view: str, *arguments: object) -> list[dict[str, Any]]:
        """What a view answers with an array of structs."""
        function = market_interface().functions[view]
        [rows] = market_interface().decode(view, self._view(market_interface().encode(view, *arguments)))
        return [dict(zip(function.output_names[0], row, strict=True)) for row in rows]

    def _view(self, calldata: bytes) -> bytes:
        return bytes(self._evm.message_call(_hex(HOLDER), self.market, calldata, is_static=True))


def _hex(address: bytes) -> str:
    return "0x" + address.hex()


def _log(entry: pyrevm.Log, index: int) -> Log:
    topics, data = entry.data
    return Log(
        address=Data(bytes.fromhex(entry.address[2:])),
        topics=[Data(bytes(topic)) for topic in topics],
        data=Data(bytes(data)),
        block_hash=Data(bytes(32)),
        block_number=Quantity(0),
        log_index=Quantity(index),
    )
