"""Where every token is and what every transaction cost, so that a receipt can be checked to the wei.

A token is in a wallet, or in the market: there it is free, in a seat's stake, in a job, in the audit pool, or burned.
Nothing else exists, so the parts must add up to the token's supply; a snapshot whose parts do not is not handed out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import trio

from morphware.node.amounts import format_tokens
from morphware.node.chain.abi import decode_values
from morphware.node.chain.calldata import market_interface, token_interface
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.errors import RpcRefusal
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Data, Quantity, Rpc
from morphware.node.errors import MorphwareError
from morphware.protocol.units import Address

TRIES: Final = 10
"""A snapshot takes several requests; when a block falls in between, its parts may not fit, and it is taken again."""
PAUSE_S: Final = 0.3
BLOCKS_AT_A_TIME: Final = 8
BURNED: Final = "burned"
AUDITS: Final = "audits"
CONTRACT: Final = "contract"


class NotConserved(MorphwareError):
    """The balances do not add up: tokens appeared or vanished; do not trust this chain, and report the difference."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """One account's tokens: outside of the market, free inside it, and in its seats."""

    wallet_wei: int
    free_wei: int
    staked_wei: int

    @property
    def sum_wei(self) -> int:
        """All of them."""
        return self.wallet_wei + self.free_wei + self.staked_wei


@dataclass(frozen=True, slots=True)
class Balances:
    """All tokens at one block. ``jobs_wei`` is what the contract holds for jobs that are not closed."""

    block: int
    accounts: dict[str, Holdings]
    jobs_wei: int
    burned_wei: int
    audits_wei: int
    """What the market keeps for random audits."""
    market_wei: int
    """The market contract's own balance in the token: all that is free, staked, in jobs, for audits or burned."""
    supply_wei: int

    @property
    def sum_wei(self) -> int:
        """Everything that is somewhere."""
        held = sum(each.sum_wei for each in self.accounts.values())
        return held + self.jobs_wei + self.audits_wei + self.burned_wei

    def to_plain(self) -> dict[str, str]:
        """One amount for each account, for jobs, for random audits, and the burned one: together the supply."""
        plain = {name: str(each.sum_wei) for name, each in self.accounts.items()}
        shared = {CONTRACT: self.jobs_wei, AUDITS: self.audits_wei, BURNED: self.burned_wei}
        return plain | {name: str(wei) for name, wei in shared.items()}

    def details(self) -> dict[str, Any]:
        """The same, taken apart."""
        return {
            "block": self.block,
            "accounts": {
                name: {
                    "wallet_wei": str(each.wallet_wei),
                    "free_wei": str(each.free_wei),
                    "staked_wei": str(each.staked_wei),
                }
                for name, each in self.accounts.items()
            },
            "market_wei": str(self.market_wei),
            "jobs_wei": str(self.jobs_wei),
            "audits_wei": str(self.audits_wei),
            "burned_wei": str(self.burned_wei),
            "supply_wei": str(self.supply_wei),
        }


async def balances(reader: MarketReader, accounts: Mapping[str, Address]) -> Balances:
    """All tokens now.

    Raises:
        NotConserved: the parts do not add up to the market's holdings and the token's supply.
    """
    for attempt in range(TRIES):
        if attempt:
            await trio.sleep(PAUSE_S)
        taken = await _take(reader, accounts)
        problem = _problem(taken)
        if not problem:
            return taken
    raise NotConserved(problem)


def check_conserved(before: Balances, after: Balances) -> None:
    """The same tokens are there before and after, whoever has them now. Raises ``NotConserved``."""
    if before.sum_wei != after.sum_wei:
        difference = format_tokens(after.sum_wei - before.sum_wei)
        raise NotConserved(
            f"All balances together changed by {difference} tokens between blocks {before.block} and {after.block}: "
            "tokens appeared or vanished; do not trust this chain, and report it."
        )


def _problem(taken: Balances) -> str:
    inside = taken.jobs_wei + taken.audits_wei + taken.burned_wei
    inside += sum(one.free_wei + one.staked_wei for one in taken.accounts.values())
    if inside != taken.market_wei:
        return (
            f"The market holds {format_tokens(taken.market_wei)} tokens, but the accounts, jobs, audits and burned "
            f"amount in it add up to {format_tokens(inside)}: an account that nobody named has a part, or tokens went "
            "astray."
        )
    if taken.sum_wei != taken.supply_wei:
        return (
            f"There are {format_tokens(taken.supply_wei)} tokens, but all balances add up to "
            f"{format_tokens(taken.sum_wei)}: an account that nobody named has a part, or tokens went astray."
        )
    return ""


async def _take(reader: MarketReader, accounts: Mapping[str, Address]) -> Balances:
    held: dict[str, Holdings] = {}
    stake_wei = (await reader.parameters()).seat_stake_wei
    block = await reader.block_number()

    async def read(name: str, account: Address) -> None:
        held[name] = Holdings(
            wallet_wei=await reader.wallet_balance(account),
            free_wei=await reader.free_balance(account),
            staked_wei=len(await reader.seats(account)) * stake_wei,
        )

    async with trio.open_nursery() as nursery:
        for name, account in accounts.items():
            nursery.start_soon(read, name, account)
    return Balances(
        block=block,
        accounts={name: held[name] for name in accounts},
        jobs_wei=await reader.held_in_jobs(),
        burned_wei=await reader.burned(),
        audits_wei=await reader.audit_pool(),
        market_wei=await reader.wallet_balance(reader.deployment.market_address),
        supply_wei=await reader.supply(),
    )


# --- gas ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Use:
    """Transactions and what they used; ``fee_wei`` is in the chain's own coin.

    ``apart`` counts what they hold: so many transactions they would be if nobody shared one.
    """

    transactions: int = 0
    gas: int = 0
    fee_wei: int = 0
    apart: int = 0

    def add(self, gas: int, price_wei: int, parts: int = 1) -> None:
        """Count one transaction."""
        self.transactions += 1
        self.gas += gas
        self.fee_wei += gas * price_wei
        self.apart += parts

    def to_plain(self) -> dict[str, Any]:
        """As the receipt has it."""
        return {
            "transactions": self.transactions,
            "gas": self.gas,
            "fee_wei": str(self.fee_wei),
            "apart": self.apart,
        }


class _Sent(msgspec.Struct, frozen=True):
    hash: Data
    sender: Data = msgspec.field(name="from")
    input: Data = Data()
    to: Data | None = None


class _Block(msgspec.Struct, frozen=True):
    transactions: list[_Sent]


class _Mined(msgspec.Struct, frozen=True, rename="camel"):
    transaction_hash: Data
    gas_used: Quantity
    effective_gas_price: Quantity = Quantity(0)


@dataclass(frozen=True, slots=True)
class Gas:
    """What a range of blocks cost, by (role, function)."""

    uses: dict[tuple[str, str], Use]

    def total(self, is_counted: Callable[[str, str], bool] = lambda _role, _call: True) -> Use:
        """Some of it together."""
        total = Use()
        for (role, call), use in self.uses.items():
            if is_counted(role, call):
                total.transactions += use.transactions
                total.gas += use.gas
                total.fee_wei += use.fee_wei
                total.apart += use.apart
        return total

    def roles(self) -> list[str]:
        """Roles that sent something."""
        return sorted({role for role, _ in self.uses}, key=lambda role: (ROLES.get(role, len(ROLES)), role))

    def calls(self, role: str | None = None) -> list[str]:
        """Functions that were called (by a role), the costliest first."""
        gas: dict[str, int] = {}
        for (by, call), use in self.uses.items():
            if role in (None, by):
                gas[call] = gas.get(call, 0) + use.gas
        return sorted(gas, key=lambda call: (-gas[call], call))

    def to_plain(self) -> dict[str, Any]:
        """As the receipt has it."""
        return self.total().to_plain() | {
            "job": self.total(lambda _, call: call not in ACCOUNT_CALLS).to_plain(),
            "by_role": {
                role: self.total(lambda by, _: by == role).to_plain()  # noqa: B023 - called at once
                | {"calls": {call: self.uses[role, call].to_plain() for call in self.calls(role)}}
                for role in self.roles()
            },
            "by_call": {
                name: self.total(lambda _, call: call == name).to_plain()  # noqa: B023 - called at once
                for name in self.calls()
            },
        }


ACCOUNT_CALLS: Final = frozenset(
    {"approve", "deposit", "withdraw", "stake", "requestUnstake", "unstake", "publishNode", "transfer", "send coins"}
)
"""What an account does for itself, whatever jobs there are."""
BATCHES: Final = frozenset({"commitBatch", "commitReportBatch"})
"""Each element of their list, the last argument of two, would be a transaction of its own."""
BATCH_MOST: Final = 64
MULTICALL: Final = "multicall"
MULTICALL_MOST: Final = 4
"""So many of the calls that share a transaction are named."""
ROLES: Final = {"user": 0, "worker": 1, "validator": 2, "deployer": 3, "other": 4}


async def gas_by_role(
    rpc: Rpc, deployment: Deployment, from_block: int, to_block: int, accounts: Mapping[str, Address]
) -> Gas:
    """Every transaction of these blocks (both ends included), by the sender's role and the function that it called.

    Args:
        accounts: by name; a role is the name without its number (``worker-2`` is a worker).
    """
    roles = {bytes(account): role_of(name) for name, account in accounts.items()}
    functions = _functions(deployment)
    by_block: dict[int, list[tuple[_Sent, _Mined]]] = {}
    limit = trio.CapacityLimiter(BLOCKS_AT_A_TIME)

    async def read(number: int) -> None:
        async with limit:
            by_block[number] = await _mined_in(rpc, number)

    async with trio.open_nursery() as nursery:
        for number in range(from_block, to_block + 1):
            nursery.start_soon(read, number)
    uses: dict[tuple[str, str], Use] = {}
    for number in sorted(by_block):
        for sent, mined in by_block[number]:
            key = roles.get(bytes(sent.sender), "other"), _function(sent, functions)
            parts = _parts(key[1], bytes(sent.input))
            uses.setdefault(key, Use()).add(mined.gas_used, mined.effective_gas_price, parts)
    return Gas(uses)


def role_of(name: str) -> str:
    """``worker-2`` is a worker; a name of no known role belongs to the others."""
    role = re.sub(r"-\d+\Z", "", name)
    return role if role in ROLES else "other"


async def _mined_in(rpc: Rpc, number: int) -> list[tuple[_Sent, _Mined]]:
    block: _Block | None = await rpc.ask("eth_getBlockByNumber", hex(number), True, answer=_Block | None)
    if block is None or not block.transactions:
        return []
    try:
        receipts = await rpc.ask("eth_getBlockReceipts", hex(number), answer=list[_Mined])
    except RpcRefusal:  # not every endpoint has it
        receipts = [await rpc.ask("eth_getTransactionReceipt", sent.hash, answer=_Mined) for sent in block.transactions]
    mined = {bytes(receipt.transaction_hash): receipt for receipt in receipts}
    return [(sent, mined[bytes(sent.hash)]) for sent in block.transactions if bytes(sent.hash) in mined]


def _functions(deployment: Deployment) -> dict[tuple[bytes, bytes], str]:
    known = ((deployment.market, market_interface()), (deployment.token, token_interface()))
    return {
        (bytes(contract), function.selector): function.name
        for contract, interface in known
        for function in interface.functions.values()
    }


def _parts(name: str, data: bytes) -> int:
    """How many transactions a call would be if nobody shared one."""
    if name not in BATCHES:
        return 1 + name.count("+")
    start = 4 + int.from_bytes(data[36:68])
    return max(1, min(BATCH_MOST, int.from_bytes(data[start : start + 32])))


def _function(sent: _Sent, functions: Mapping[tuple[bytes, bytes], str]) -> str:
    """The function that a transaction called."""
    if sent.to is None:
        return "deploy"
    if not sent.input:
        return "send coins"
    name = functions.get((bytes(sent.to), bytes(sent.input[:4])), "unknown")
    if name != MULTICALL:
        return name
    try:
        [inside] = decode_values(["bytes[]"], bytes(sent.input[4:]))
    except ValueError:
        return name
    return "+".join(functions.get((bytes(sent.to), data[:4]), "unknown") for data in inside[:MULTICALL_MOST]) or name
