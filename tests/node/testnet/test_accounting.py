"""Every token and every unit of gas, on a real chain with the real contracts."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_account import Account

from morphware.node.chain.calldata import encode_call
from morphware.node.chain.deploy import deploy, deployer, fund
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.errors import RpcRefusal
from morphware.node.chain.market import ChainSettings, MarketChain, serve_market_chain
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Data, Rpc
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.ports import Receipt
from morphware.node.testnet.accounting import (
    Balances,
    Gas,
    Holdings,
    NotConserved,
    Use,
    balances,
    check_conserved,
    gas_by_role,
    role_of,
)
from morphware.node.testnet.anvil import DEPLOYER_KEY, serve_anvil
from morphware.protocol import calls
from morphware.protocol.parameters import Timing
from morphware.protocol.units import TOKEN, Address, JobId, Wei
from tests.node.testnet.recorded import terms

KEYS = {name: bytes([number + 1]) * 32 for number, name in enumerate(("user-1", "worker-1", "validator-1"))}
TIMING = Timing(60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 2, audit_one_in=10)
SEAT_STAKE = Wei(100 * TOKEN)
SUPPLY = Wei(10**6 * TOKEN)


@dataclass
class Market:
    rpc: Rpc
    reader: MarketReader
    deployment: Deployment
    accounts: dict[str, Address]
    chains: dict[str, MarketChain]
    first_block: int

    async def do(self, who: str, *wanted: calls.Call) -> None:
        for index, call in enumerate(wanted):
            outcome = await self.chains[who].send(call, effect_id=f"{type(call).__name__}{index}{trio.current_time()}")
            assert isinstance(outcome, Receipt), outcome


def address(key: bytes) -> Address:
    return Address(bytes.fromhex(Account.from_key(key).address[2:]))


def transaction_log() -> SqliteTransactionLog:
    return SqliteTransactionLog(sqlite3.connect(":memory:"))


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    with trio.fail_after(180):
        async with trio.open_nursery() as nursery:
            anvil = await nursery.start(partial(serve_anvil, tmp_path / "anvil", block_time_s=None))
            async with Rpc(anvil.url, patience_s=20) as rpc:
                sender = deployer(rpc, DEPLOYER_KEY, anvil.chain_id, transaction_log())
                await nursery.start(sender.run)
                deployment = await deploy(rpc, sender, timing=TIMING, seat_stake_wei=SEAT_STAKE, supply_wei=SUPPLY)
                accounts = {name: address(key) for name, key in KEYS.items()}
                await fund(
                    sender,
                    bytes(deployment.token),
                    list(accounts.values()),
                    tokens_wei=Wei(2000 * TOKEN),
                    coins_wei=10**18,
                )
                accounts["deployer"] = Address(bytes(sender.address))
                chains = {}
                for name, key in KEYS.items():
                    settings = ChainSettings(poll_s=0.05)
                    serve = partial(
                        serve_market_chain, anvil.url, deployment, key, transaction_log(), settings=settings
                    )
                    chains[name] = await nursery.start(serve)
                first = await rpc.block_number() + 1
                yield Market(rpc, MarketReader(rpc, deployment), deployment, accounts, chains, first)
                nursery.cancel_scope.cancel()


async def open_a_job(market: Market) -> None:
    """Stake sixteen seats, post a job and bid on it."""
    await market.do("validator-1", calls.Approve(Wei(1600 * TOKEN)), calls.Deposit(Wei(1600 * TOKEN)), calls.Stake(16))
    await market.rpc.ask("anvil_mine", hex(1), answer=Any)
    await market.do("user-1", calls.Approve(Wei(300 * TOKEN)), calls.Deposit(Wei(300 * TOKEN)))
    await market.do("user-1", calls.Post(terms(), b"specification"))
    await market.do("worker-1", calls.Approve(Wei(60 * TOKEN)), calls.Deposit(Wei(60 * TOKEN)))
    logs = await market.rpc.ask(
        "eth_getLogs", {"address": market.deployment.market, "fromBlock": "0x0"}, answer=list[dict[str, Any]]
    )
    job_id = next(log["topics"][1] for log in logs if len(log["topics"]) == 3 and log["topics"][1] != log["topics"][2])
    await market.do("worker-1", calls.Commit(JobId(bytes.fromhex(job_id[2:])), b"\7" * 32))


@pytest.mark.adapter
async def test_every_token_is_found_wherever_it_goes(market: Market) -> None:
    before = await balances(market.reader, market.accounts)
    assert before.sum_wei == before.supply_wei == SUPPLY
    assert before.market_wei == before.jobs_wei == 0
    assert before.accounts["user-1"] == Holdings(2000 * TOKEN, 0, 0)
    await open_a_job(market)
    after = await balances(market.reader, market.accounts)
    check_conserved(before, after)
    assert after.accounts["validator-1"] == Holdings(400 * TOKEN, 0, 1600 * TOKEN)
    # reserve 100, five fees of 2, and half of the reserve as the user's bond; then the bid's bond
    assert after.accounts["user-1"] == Holdings(1700 * TOKEN, 140 * TOKEN, 0)
    assert after.accounts["worker-1"] == Holdings(1940 * TOKEN, 10 * TOKEN, 0)
    assert after.jobs_wei == 210 * TOKEN
    assert after.market_wei == (1600 + 140 + 10 + 210) * TOKEN
    plain = after.to_plain()
    assert list(plain) == ["user-1", "worker-1", "validator-1", "deployer", "contract", "audits", "burned"]
    assert sum(map(int, plain.values())) == SUPPLY


@pytest.mark.adapter
async def test_an_account_that_is_left_out_is_missed(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morphware.node.testnet.accounting.PAUSE_S", 0.01)
    await open_a_job(market)
    for left_out, sentence in (("deployer", "all balances add up to"), ("validator-1", "The market holds 1960 tokens")):
        others = {name: account for name, account in market.accounts.items() if name != left_out}
        with pytest.raises(NotConserved, match=sentence):
            await balances(market.reader, others)


@pytest.mark.adapter
@pytest.mark.parametrize("has_block_receipts", [True, False])
async def test_gas_is_counted_by_role_and_function_to_the_last_coin(
    market: Market, monkeypatch: pytest.MonkeyPatch, has_block_receipts: bool
) -> None:
    await open_a_job(market)
    ask = market.rpc.ask

    async def without_block_receipts(method: str, *params: object, **options: Any) -> Any:
        if method == "eth_getBlockReceipts" and not has_block_receipts:
            raise RpcRefusal(-32601, "method not found", None)
        return await ask(method, *params, **options)

    monkeypatch.setattr(market.rpc, "ask", without_block_receipts)
    last = await market.rpc.block_number()
    gas = await gas_by_role(market.rpc, market.deployment, market.first_block, last, market.accounts)
    assert gas.roles() == ["user", "worker", "validator"]
    assert {role: sorted(gas.calls(role)) for role in gas.roles()} == {
        "user": ["approve", "deposit", "post"],
        "worker": ["approve", "commit", "deposit"],
        "validator": ["approve", "deposit", "stake"],
    }
    spent = 0
    for name in KEYS:
        spent += 10**18 - await market.reader.coin_balance(market.accounts[name])
    plain = gas.to_plain()
    assert plain["fee_wei"] == str(spent)
    assert plain["transactions"] == 9
    assert plain["gas"] == sum(use["gas"] for use in plain["by_role"].values())
    assert plain["gas"] == sum(use["gas"] for use in plain["by_call"].values())
    assert plain["by_role"]["user"]["calls"]["post"]["transactions"] == 1
    everything = await gas_by_role(market.rpc, market.deployment, 0, last, market.accounts)
    assert everything.calls("deployer") == ["deploy", "transfer", "send coins"]
    strangers = await gas_by_role(market.rpc, market.deployment, market.first_block, last, {})
    assert strangers.roles() == ["other"]


@pytest.mark.adapter
async def test_an_unknown_function_is_counted_too(market: Market) -> None:
    sent = await market.rpc.ask(
        "eth_sendTransaction",
        {"from": Data(market.accounts["deployer"]), "to": Data(b"\x09" * 20), "data": "0xdeadbeef"},
        answer=Data,
    )
    while (mined := await market.rpc.receipt(sent)) is None:  # noqa: ASYNC110  (the hash may come before the block)
        await trio.sleep(0.02)
    block = mined.block_number
    gas = await gas_by_role(market.rpc, market.deployment, block, block, market.accounts)
    assert gas.calls("deployer") == ["unknown"]


def snapshot(block: int, wallet_wei: int) -> Balances:
    return Balances(block, {"user-1": Holdings(wallet_wei, 0, 0)}, 0, 0, 0, 0, wallet_wei)


def test_a_single_wei_that_appears_or_vanishes_is_an_error() -> None:
    check_conserved(snapshot(1, 5 * TOKEN), snapshot(2, 5 * TOKEN))
    for difference, text in ((1, "by 0.000000000000000001 tokens"), (-1, "by -0.000000000000000001 tokens")):
        with pytest.raises(NotConserved, match=text):
            check_conserved(snapshot(1, 5 * TOKEN), snapshot(2, 5 * TOKEN + difference))
    moved = replace(snapshot(2, 4 * TOKEN), burned_wei=TOKEN)
    check_conserved(snapshot(1, 5 * TOKEN), moved)


def test_a_role_is_a_name_without_its_number() -> None:
    names = ("user-1", "worker-12", "validator-3", "deployer", "mallory", "worker")
    assert [role_of(name) for name in names] == ["user", "worker", "validator", "deployer", "other", "worker"]


@pytest.mark.adapter
async def test_a_shared_transaction_counts_once_and_says_what_it_stands_for(market: Market) -> None:
    """Two pokes in one transaction are refused by the market; their gas is counted all the same."""
    await open_a_job(market)
    first = await market.rpc.block_number() + 1
    job_id = JobId(b"\1" * 32)
    bids = tuple(calls.SignedBid(market.accounts["worker-1"], bytes([number]) * 32, bytes(65)) for number in (1, 2, 3))
    batch = calls.CommitBatch(job_id, bids)
    for call in (calls.Multicall(job_id, (calls.Poke(job_id), calls.Poke(job_id))), batch):
        _, data = encode_call(call, market=market.deployment.market)
        request = {
            "from": Data(market.accounts["deployer"]),
            "to": market.deployment.market,
            "data": Data(data),
            "gas": hex(500_000),
        }
        await market.rpc.ask("eth_sendTransaction", request, answer=Data)
    gas = await gas_by_role(market.rpc, market.deployment, first, await market.rpc.block_number(), market.accounts)
    assert set(gas.calls("deployer")) == {"poke+poke", "commitBatch"}
    plain = gas.to_plain()
    assert (plain["transactions"], plain["apart"]) == (2, 5)
    assert plain["job"] == {name: plain[name] for name in ("transactions", "gas", "fee_wei", "apart")}


def test_what_an_account_does_for_itself_is_no_part_of_the_job() -> None:
    uses = {
        ("worker", "deposit"): Use(1, 50_000, 1, 1),
        ("user", "commitBatch"): Use(1, 200_000, 2, 5),
        ("user", "poke+revealBatch"): Use(1, 150_000, 3, 2),
    }
    plain = Gas(uses).to_plain()
    assert plain["job"] == {"transactions": 2, "gas": 350_000, "fee_wei": "5", "apart": 7}
    assert (plain["transactions"], plain["apart"]) == (3, 8)
