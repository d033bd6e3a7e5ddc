"""From what a transaction does to the signed bytes that do it."""

from dataclasses import dataclass
from typing import Any

import msgspec

from morphware.node.chain.rpc import Data, Quantity, from_hexadecimal, to_hexadecimal
from morphware.node.chain.transaction_log import Signed
from morphware.node.recursion import recursion_limit_kept


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a transaction does.

    ``to`` None creates a contract.  ``gas_limit`` saves the estimate where the gas is known, and with it the refusal
    before anything is sent.
    """

    to: bytes | None
    data: bytes = b""
    value_wei: int = 0
    gas_limit: int | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """All that goes into a transaction but nonce and chain; ``tip`` is None on chains without EIP-1559."""

    to: Data | None
    data: Data
    value: Quantity
    gas: Quantity = Quantity(0)
    fee: Quantity = Quantity(0)
    tip: Quantity | None = None

    @classmethod
    def of(cls, transaction: Transaction) -> "Draft":
        """A draft without gas and fee yet."""
        return cls(
            to=None if transaction.to is None else Data(transaction.to),
            data=Data(transaction.data),
            value=Quantity(transaction.value_wei),
        )

    def request(self, sender: bytes) -> dict[str, Any]:
        """The same as an argument of ``eth_call`` and ``eth_estimateGas``."""
        request: dict[str, Any] = {"from": Data(sender), "data": self.data, "value": self.value}
        return request if self.to is None else {**request, "to": self.to}


class Signer:
    """Signs one account's transactions for one chain; never shows its key."""

    def __init__(self, private_key: bytes, chain_id: int) -> None:
        with recursion_limit_kept():
            from eth_account import Account  # a second of import time, which those who only read do not owe

        self._account = Account.from_key(private_key)
        self._chain_id = chain_id

    def __repr__(self) -> str:
        return f"Signer({self._account.address})"

    @property
    def address(self) -> bytes:
        """The account, as 20 bytes."""
        return bytes.fromhex(self._account.address[2:])

    def sign(self, effect_id: str, kind: str, nonce: int, draft: Draft) -> Signed:
        """Sign; the same input gives the same bytes (RFC 6979)."""
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": nonce,
            "data": bytes(draft.data),
            "value": int(draft.value),
            "gas": int(draft.gas),
        }
        if draft.to is not None:
            fields["to"] = bytes(draft.to)
        if draft.tip is None:
            fields["gasPrice"] = int(draft.fee)
        else:
            fields |= {"type": 2, "maxFeePerGas": int(draft.fee), "maxPriorityFeePerGas": int(draft.tip)}
        result = self._account.sign_transaction(fields)
        encoded = msgspec.json.encode(draft, enc_hook=to_hexadecimal)
        return Signed(effect_id, kind, nonce, bytes(result.hash), bytes(result.raw_transaction), encoded)


def draft_of(signed: Signed) -> Draft:
    """What a transaction was signed from."""
    return msgspec.json.decode(signed.draft, type=Draft, dec_hook=from_hexadecimal)
