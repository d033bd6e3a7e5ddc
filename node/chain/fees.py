"""What to pay for gas: enough for a base fee that doubles, more for a replacement, never above the limit."""

from typing import Final

import msgspec
import trio

from morphware.node.chain.errors import RpcRefusal
from morphware.node.chain.rpc import Quantity, Rpc
from morphware.node.chain.signing import Draft

TIP_WEI: Final = 10**9
"""Where an endpoint does not suggest a priority fee."""
FRESH_S: Final = 1.0
"""A suggestion serves a burst of calls."""


class FeeAdvisor:
    """Suggests fees, up to ``limit_wei`` a unit of gas."""

    def __init__(self, rpc: Rpc, limit_wei: int) -> None:
        self._rpc = rpc
        self._limit_wei = limit_wei
        self._suggested_at = -FRESH_S
        self._suggested: tuple[Quantity, Quantity | None] = (Quantity(0), None)

    async def with_fee(self, draft: Draft) -> Draft:
        """The draft with the fee of the day."""
        fee, tip = await self._suggest()
        return msgspec.structs.replace(draft, fee=fee, tip=tip)

    async def with_higher_fee(self, draft: Draft) -> Draft | None:
        """The draft as a replacement: pools want at least a tenth more on fee and tip. None above the limit."""
        suggested_fee, suggested_tip = await self._suggest()
        fee = Quantity(max(suggested_fee, draft.fee * 9 // 8 + 1))
        if fee > self._limit_wei:
            return None
        if draft.tip is None:
            return msgspec.structs.replace(draft, fee=fee)
        tip = Quantity(min(fee, max(suggested_tip or 0, draft.tip * 9 // 8 + 1)))
        return msgspec.structs.replace(draft, fee=fee, tip=tip)

    async def _suggest(self) -> tuple[Quantity, Quantity | None]:
        if trio.current_time() - self._suggested_at >= FRESH_S:
            self._suggested = await self._ask()
            self._suggested_at = trio.current_time()
        return self._suggested

    async def _ask(self) -> tuple[Quantity, Quantity | None]:
        header = await self._rpc.header("latest")
        if header is None or header.base_fee_per_gas is None:
            return Quantity(min(await self._rpc.ask("eth_gasPrice", answer=Quantity), self._limit_wei)), None
        try:
            tip = await self._rpc.ask("eth_maxPriorityFeePerGas", answer=Quantity)
        except RpcRefusal:
            tip = Quantity(TIP_WEI)
        fee = min(2 * header.base_fee_per_gas + tip, self._limit_wei)
        return Quantity(fee), Quantity(min(tip, fee))
