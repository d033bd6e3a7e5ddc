"""Keeps enough free balance in the market: tokens leave the wallet when a call needs them, and not before."""

import time
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from morphware.node.amounts import format_tokens
from morphware.node.errors import BadInput
from morphware.node.ports import Receipt, Refused
from morphware.protocol.calls import Approve, Call, Deposit, PublishNode, Stake
from morphware.protocol.units import WEI_MAX, Address, Wei

APPROVAL_WEI: Final = Wei(WEI_MAX)


class Bank(Protocol):
    """What the treasury asks of the chain."""

    @property
    def account(self) -> Address: ...

    async def send(self, call: Call, *, effect_id: str) -> Receipt | Refused: ...

    async def free_balance(self, account: Address) -> Wei: ...

    async def wallet_balance(self, account: Address) -> Wei: ...

    async def allowance(self, account: Address) -> Wei: ...


class NotEnoughTokens(BadInput):
    """The account has fewer tokens than this needs: get more, or ask for less."""


@dataclass(slots=True)
class Treasury:
    """One account's money. One movement at a time, so that two wishes do not count the same tokens."""

    bank: Bank
    _lock: trio.Lock = field(default_factory=trio.Lock)

    async def ensure_free(self, amount: Wei, purpose: str) -> None:
        """Have at least so much free balance. Raises ``NotEnoughTokens``, which names what is missing."""
        async with self._lock:
            await self._deposit(await self._missing_wei(amount, purpose))

    async def missing_wei(self, amount: Wei, purpose: str) -> Wei:
        """What would have to leave the wallet for so much free balance. Raises ``NotEnoughTokens``."""
        async with self._lock:
            return await self._missing_wei(amount, purpose)

    async def deposit(self, amount: Wei, request: str) -> Receipt:
        """Move tokens from the wallet under a request's name: by one name they move once."""
        async with self._lock:
            await self._approve(amount, f"{request}/approve")
            return await self.do(Deposit(amount), f"{request}/Deposit")

    async def fund_bonds(self, bond: Wei, *, most: int, besides: int = 0) -> Wei:
        """Have the free balance for up to so many bonds besides what is promised already; return it.

        An account with fewer tokens than that has what it has: whether to bid is for the brain to say.
        """
        async with self._lock:
            free, wallet = await self._balances()
            payable = min(most, max(0, free + wallet - besides) // max(1, bond))
            missing = besides + payable * bond - free if payable else 0
            await self._deposit(Wei(max(0, missing)))
            return Wei(free + max(0, missing))

    async def _missing_wei(self, amount: Wei, purpose: str) -> Wei:
        free, wallet = await self._balances()
        if free + wallet < amount:
            msg = (
                f"{purpose} needs {format_tokens(amount)} tokens, and this account has "
                f"{format_tokens(free + wallet)}: get more tokens, or ask for less."
            )
            raise NotEnoughTokens(msg)
        return Wei(max(0, amount - free))

    async def _balances(self) -> tuple[Wei, Wei]:
        """Free balance and wallet."""
        account = self.bank.account
        return await self.bank.free_balance(account), await self.bank.wallet_balance(account)

    async def _deposit(self, amount: Wei) -> None:
        """Move tokens from the wallet, if any are needed."""
        if amount > 0:
            await self._approve(amount)
            await self.do(Deposit(amount))

    async def _approve(self, amount: Wei, effect_id: str = "") -> None:
        """Let the market draw tokens from the wallet, where no approval covers so many."""
        if await self.bank.allowance(self.bank.account) < amount:
            await self.do(Approve(APPROVAL_WEI), effect_id)

    async def ensure_seats(self, held: int, wanted: int, stake_wei: Wei) -> None:
        """Hold so many validator seats."""
        missing = wanted - held
        if missing > 0:
            await self.ensure_free(Wei(missing * stake_wei), f"Staking {missing} seats")
            await self.do(Stake(missing))

    async def publish(self, record: PublishNode) -> None:
        """Put this node's keys and addresses on chain."""
        await self.do(record)

    async def do(self, call: Call, effect_id: str = "") -> Receipt:
        """Carry out an account's own call: once under an id, or else anew each time, where it is safe to repeat.

        Raises:
            BadInput: the contract refuses it.
        """
        result = await self.bank.send(call, effect_id=effect_id or f"account/{type(call).__name__}/{time.time_ns()}")
        if isinstance(result, Refused):
            raise BadInput(result.sentence)
        return result
