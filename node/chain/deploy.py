"""Put a token and a market on a chain, and give accounts what they need to take part."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from functools import partial

import trio

from morphware.contracts.loader import Name, load
from morphware.node.chain.abi import Interface, encode_values
from morphware.node.chain.calldata import Target, encode_call, market_interface, token_interface
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.errors import ChainFailure, MalformedAnswer
from morphware.node.chain.rpc import Data, Rpc
from morphware.node.chain.sentences import refuse
from morphware.node.chain.signing import Transaction
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.ports import Receipt, Refused
from morphware.protocol.calls import Approve, Deposit, FundAudits
from morphware.protocol.parameters import Timing
from morphware.protocol.units import Address, Wei


class DeploymentFailed(ChainFailure):
    """The chain did not take the contracts or the funds: check the deployer's balance, and the message below."""


def deployer(
    rpc: Rpc,
    private_key: bytes,
    chain_id: int,
    transaction_log: SqliteTransactionLog,
    settings: SenderSettings | None = None,
) -> Sender:
    """A sender for ``deploy`` and ``fund``; its ``run`` must run beside them."""
    explain = partial(refuse, market_interface())
    return Sender(rpc, private_key, chain_id, transaction_log, explain=explain, settings=settings)


async def deploy(rpc: Rpc, sender: Sender, *, timing: Timing, seat_stake_wei: Wei, supply_wei: Wei) -> Deployment:
    """Create the token, whose whole supply goes to the sender, and the market. Repeated, it finds the same ones.

    Raises:
        DeploymentFailed: the chain refused.
    """
    chain_id = await rpc.chain_id()
    genesis = await rpc.header(0)
    if genesis is None:
        raise MalformedAnswer("there is no first block")
    token, first_block = await _create(rpc, sender, "MorphwareToken", sender.address, supply_wei)
    market, _ = await _create(rpc, sender, "Market", token, seat_stake_wei, astuple(timing))
    return Deployment(
        chain_id=int(chain_id),
        genesis_hash=genesis.hash,
        token=Data(token),
        market=Data(market),
        deploy_block=first_block,
    )


async def fund(
    sender: Sender, token: bytes, accounts: Sequence[Address], *, tokens_wei: Wei, coins_wei: int
) -> list[Receipt]:
    """Give each account tokens and native coins, all side by side: a block or two, however many accounts.

    Gas is estimated once, with the first account: endpoints estimate on all that waits, so that a hundred estimates
    side by side take a hundred times a hundred transfers.

    Raises:
        DeploymentFailed: the chain refused.
    """
    receipts: list[Receipt] = []
    refusals: list[Refused] = []

    async def carry_out(transaction: Transaction, effect_id: str) -> None:
        match await sender.send(transaction, effect_id=effect_id, kind="fund"):
            case Receipt() as receipt:
                receipts.append(receipt)
            case Refused() as refused:
                refusals.append(refused)

    def kinds(account: Address) -> dict[str, Transaction]:
        both = {}
        if tokens_wei:
            data = token_interface().encode("transfer", account, tokens_wei)
            both["tokens"] = Transaction(bytes(token), data)
        if coins_wei:
            both["coins"] = Transaction(account, value_wei=coins_wei)
        return both

    limits: dict[str, int] = {}
    for name, transaction in kinds(accounts[0]).items() if accounts else ():
        limit = await sender.estimate(transaction)
        if isinstance(limit, Refused):
            raise DeploymentFailed(limit.sentence)
        limits[name] = limit
    async with trio.open_nursery() as nursery:
        for account in accounts:
            for name, transaction in kinds(account).items():
                limited = replace(transaction, gas_limit=limits[name])
                nursery.start_soon(carry_out, limited, f"fund {name} {account.hex()}")
    if refusals:
        raise DeploymentFailed(refusals[0].sentence)
    return receipts


async def fund_audits(sender: Sender, deployment: Deployment, amount_wei: Wei) -> None:
    """Give some of the sender's tokens to the pool that random audits are paid from.

    Raises:
        DeploymentFailed: the chain refused.
    """
    for call in (Approve(amount_wei), Deposit(amount_wei), FundAudits(amount_wei)):
        target, data = encode_call(call, market=deployment.market)
        contract = deployment.market if target is Target.MARKET else deployment.token
        outcome = await sender.send(
            Transaction(bytes(contract), data), effect_id=f"audits {type(call).__name__}", kind="fund"
        )
        if isinstance(outcome, Refused):
            raise DeploymentFailed(outcome.sentence)


async def _create(rpc: Rpc, sender: Sender, name: Name, *values: object) -> tuple[bytes, int]:
    contract = load(name)
    data = contract.bytecode + encode_values(Interface(contract.abi).constructor, values)
    outcome = await sender.send(Transaction(None, data), effect_id=f"deploy {name}", kind="deploy")
    if isinstance(outcome, Refused):
        raise DeploymentFailed(f"{name}: {outcome.sentence}")
    found = await rpc.receipt(outcome.transaction_hash)
    if found is None or found.contract_address is None:
        raise MalformedAnswer(f"{name} was created, but where is not known")
    return bytes(found.contract_address), outcome.block_number
