"""The market adapter on the real contracts: deploy, fund, call, hear, read, refuse."""

import sqlite3
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from morphware.node.account_events import (
    AccountEvent,
    AuditsFunded,
    Deposited,
    SeatLeaving,
    SeatsStaked,
    Withdrawn,
)
from morphware.node.chain.deploy import deploy, deployer, fund
from morphware.node.chain.deployment import Deployment, load_deployment, save_deployment
from morphware.node.chain.errors import BadDeployment, ChainUnreachable, NoMarket, WrongChain
from morphware.node.chain.market import ChainSettings, MarketChain, serve_market_chain
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Data
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.ports import Block, Receipt, Refused
from morphware.node.ports import Chain as ChainPort
from morphware.node.testnet.anvil import DEPLOYER_KEY
from morphware.protocol import calls
from morphware.protocol.chain_events import BidCommitted, ChainEvent, JobPosted, NodePublished, StateChanged
from morphware.protocol.parameters import Timing
from morphware.protocol.states import State
from morphware.protocol.units import TOKEN, Address, JobId, Wei

pytestmark = pytest.mark.adapter

TIMING = Timing(60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, seed_blocks=2, audit_one_in=7)
SEAT_STAKE = Wei(100 * TOKEN)
FAST = ChainSettings(poll_s=0.05, patience_s=5)


@dataclass
class Place:
    """A chain with a market on it."""

    chain: Any
    deployment: Deployment

    async def join(self, key: bytes, log: SqliteTransactionLog | None = None) -> MarketChain:
        log = log or SqliteTransactionLog(sqlite3.connect(":memory:"))
        serve = partial(serve_market_chain, self.chain.anvil.url, self.deployment, key, log, settings=FAST)
        market: MarketChain = await self.chain.nursery.start(serve)
        return market


@pytest.fixture
async def place(start_chain: Any) -> Place:
    chain = await start_chain()
    log = SqliteTransactionLog(sqlite3.connect(":memory:"))
    sender = deployer(chain.rpc, DEPLOYER_KEY, chain.anvil.chain_id, log)
    await chain.nursery.start(sender.run)
    supply = Wei(10**6 * TOKEN)
    deployment = await deploy(chain.rpc, sender, timing=TIMING, seat_stake_wei=SEAT_STAKE, supply_wei=supply)
    assert deployment == await deploy(chain.rpc, sender, timing=TIMING, seat_stake_wei=SEAT_STAKE, supply_wei=supply)
    from eth_account import Account

    accounts = [Address(bytes.fromhex(Account.from_key(key(number)).address[2:])) for number in range(4)]
    await fund(sender, bytes(deployment.token), accounts, tokens_wei=Wei(1000 * TOKEN), coins_wei=10**18)
    return Place(chain, deployment)


def key(number: int) -> bytes:
    return bytes([number + 1]) * 32


def terms(seats: int = 1, reserve_wei: int = 10 * TOKEN) -> calls.Terms:
    return calls.Terms(
        reserve_wei=Wei(reserve_wei),
        fee_wei=Wei(TOKEN),
        seats=seats,
        threshold_e6=900_000,
        tolerance_e6=1000,
        fingerprint_tolerance_e9=10**6,
        bidding_s=60,
        training_s=60,
        testing_s=120,
        estimated_s=30,
        train_key_hash=b"\1" * 32,
        test_key_hash=b"\2" * 32,
        seed_hash=b"\3" * 32,
    )


async def carry_out(market: MarketChain, call: calls.Call, name: str) -> Receipt:
    outcome = await market.send(call, effect_id=name)
    assert isinstance(outcome, Receipt), outcome
    return outcome


async def enter(market: MarketChain, deposit_wei: int, seats: int = 0) -> None:
    await carry_out(market, calls.Approve(Wei(deposit_wei)), "approve")
    await carry_out(market, calls.Deposit(Wei(deposit_wei)), "deposit")
    if seats:
        await carry_out(market, calls.Stake(seats), "stake")


async def test_money_goes_in_and_out_and_is_read_back(place: Place) -> None:
    market = await place.join(key(0))
    port: ChainPort = market
    assert port.account == market.account
    await enter(market, 300 * TOKEN, seats=2)
    assert await market.free_balance(market.account) == 100 * TOKEN
    assert await market.wallet_balance(market.account) == 700 * TOKEN
    assert await market.allowance(market.account) == 0
    assert await market.seats(market.account) == (0, 1)
    assert await market.free_seats() == 2
    assert await market.busy_seats() == 0
    await carry_out(market, calls.Withdraw(Wei(100 * TOKEN)), "withdraw")
    assert await market.free_balance(market.account) == 0
    assert await market.wallet_balance(market.account) == 800 * TOKEN
    assert await market.total() == 200 * TOKEN
    assert await market.burned() == 0
    assert await market.coin_balance(market.account) < 10**18
    parameters = await market.parameters()
    assert parameters.seat_stake_wei == SEAT_STAKE
    assert parameters.timing == TIMING
    gas = market.gas()
    assert gas["Deposit"].transactions == 1
    assert sum(use.fee_wei for use in gas.values()) == 10**18 - await market.coin_balance(market.account)


async def test_a_node_hears_of_its_own_money_and_seats_and_of_nobody_elses(place: Place) -> None:
    market, other = await place.join(key(0)), await place.join(key(1))
    await enter(other, 500 * TOKEN, seats=1)
    await enter(market, 300 * TOKEN, seats=2)
    await carry_out(market, calls.RequestUnstake(2), "leave")
    assert (await market.seats(market.account), await market.staying_seats(market.account)) == ((1, 2), (1,))
    await carry_out(market, calls.FundAudits(Wei(7)), "audits")
    receipt = await carry_out(market, calls.Withdraw(Wei(TOKEN)), "withdraw")
    heard: list[tuple[AccountEvent, bytes | None]] = []
    async with aclosing(market.follow(place.deployment.deploy_block - 1)) as final:
        async for block in final:
            heard += block.account_events
            if block.number == receipt.block_number:
                break
    deposited, staked, leaving, funded = [event for event, _ in heard[:-1]]
    assert deposited == Deposited(market.account, Wei(300 * TOKEN))
    assert staked == SeatsStaked(market.account, (1, 2))
    assert isinstance(leaving, SeatLeaving)
    assert (leaving.account, leaving.seat) == (market.account, 2)
    assert funded == AuditsFunded(market.account, Wei(7))
    assert heard[-1] == (Withdrawn(market.account, Wei(TOKEN)), receipt.transaction_hash)
    reader = MarketReader(place.chain.rpc, place.deployment)
    async with aclosing(reader.follow(receipt.block_number - 1)) as final:
        assert (await anext(final)).account_events == ()


async def test_a_job_is_posted_bid_on_and_heard_by_everybody(place: Place) -> None:
    user, worker, validator = [await place.join(key(number)) for number in range(3)]
    await enter(validator, 400 * TOKEN, seats=4)
    await enter(user, 100 * TOKEN)
    await enter(worker, 100 * TOKEN)
    await carry_out(worker, calls.PublishNode(b"\5" * 32, b"\6" * 32, ("/ip4/127.0.0.1/tcp/1",)), "publish")
    await place.chain.mine()  # a seat must be older than the job
    receipt = await carry_out(user, calls.Post(terms(), b"specification"), "post")
    events: list[ChainEvent] = []
    blocks: list[Block] = []
    posted: JobPosted | None = None
    async with aclosing(worker.follow(place.deployment.deploy_block - 1)) as final:
        async for block in final:
            blocks.append(block)
            events += block.events
            found = [event for event in block.events if isinstance(event, JobPosted)]
            if found:
                posted = found[0]
                await carry_out(worker, calls.Commit(posted.job_id, b"\7" * 32), "commit")
            if any(isinstance(event, BidCommitted) for event in block.events):
                break
    assert isinstance(blocks[0], Block)
    assert posted is not None
    assert posted.user == user.account
    assert posted.terms == terms()
    assert posted.spec == b"specification"
    assert next(block.number for block in blocks if posted in block.events) == receipt.block_number
    caused = dict(pair for block in blocks for pair in block.caused)
    assert caused[posted] == receipt.transaction_hash
    assert all(transaction_hash is not None for transaction_hash in caused.values())
    assert NodePublished(worker.account, b"\5" * 32, b"\6" * 32, ("/ip4/127.0.0.1/tcp/1",)) in events
    assert BidCommitted(posted.job_id, worker.account, b"\7" * 32, 0) in events
    job = await user.job(posted.job_id)
    assert job.state is State.BIDDING
    assert job.user == user.account
    assert job.commitments == 1
    assert job.reserve_wei == 10 * TOKEN
    assert StateChanged(posted.job_id, State.BIDDING, job.deadline) in events
    assert await user.pending_timestamp() < job.deadline
    refused = await user.send(calls.Cancel(posted.job_id), effect_id="cancel")
    assert isinstance(refused, Refused)
    assert refused.error == "AlreadyBid"
    refused = await user.send(calls.Poke(posted.job_id), effect_id="poke")
    assert isinstance(refused, Refused)
    assert refused.error == "TooEarly"
    assert refused.values["deadline"] == job.deadline


async def test_refusals_name_the_error_its_values_and_what_to_do(place: Place) -> None:
    market = await place.join(key(0))
    refused = await market.send(calls.Withdraw(Wei(5 * TOKEN)), effect_id="withdraw")
    assert isinstance(refused, Refused)
    assert refused.error == "InsufficientBalance"
    assert refused.values == {"account": market.account, "balance": 0, "needed": 5 * TOKEN}
    assert "has 0 tokens in the market but the call needs 5" in refused.sentence
    refused = await market.send(calls.Deposit(Wei(5 * TOKEN)), effect_id="deposit")
    assert isinstance(refused, Refused)
    assert refused.error == "ERC20InsufficientAllowance"
    refused = await market.send(calls.Poke(JobId(b"\x99" * 32)), effect_id="poke")
    assert isinstance(refused, Refused)
    assert refused.error == "WrongState"
    assert "knows no job 99999999" in refused.sentence
    assert (await market.job(JobId(b"\x99" * 32))).state is State.NONE


async def test_a_refused_call_may_be_sent_again_under_its_id_when_things_have_changed(place: Place) -> None:
    market = await place.join(key(0))
    assert isinstance(await market.send(calls.Deposit(Wei(TOKEN)), effect_id="deposit"), Refused)
    await carry_out(market, calls.Approve(Wei(TOKEN)), "approve")
    await carry_out(market, calls.Deposit(Wei(TOKEN)), "deposit")


async def test_another_chain_is_refused_at_the_start(place: Place) -> None:
    import msgspec

    known = place.deployment
    wrong: list[tuple[dict[str, object], type[Exception]]] = [
        ({"chain_id": 1}, WrongChain),
        ({"genesis_hash": Data(b"\1" * 32)}, WrongChain),
        ({"market": Data(b"\1" * 20)}, NoMarket),
        ({"market": known.token}, NoMarket),
        ({"token": Data(b"\1" * 20)}, NoMarket),
    ]
    for change, error in wrong:
        log = SqliteTransactionLog(sqlite3.connect(":memory:"))
        changed = msgspec.structs.replace(known, **change)
        with pytest.raises(error):
            await serve_market_chain(place.chain.anvil.url, changed, key(0), log, settings=FAST)


async def test_an_unreachable_endpoint_is_reported_without_its_address_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morphware.node.chain.market_reader.START_PATIENCE_S", 0.3)
    hash_, address = Data(b"\1" * 32), Data(b"\1" * 20)
    deployment = Deployment(chain_id=1, genesis_hash=hash_, token=address, market=address, deploy_block=0)
    log = SqliteTransactionLog(sqlite3.connect(":memory:"))
    with pytest.raises(ChainUnreachable, match="does not answer: check") as caught:
        await serve_market_chain("http://127.0.0.1:1/SECRET", deployment, key(0), log)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_forty_accounts_are_funded_in_a_few_blocks(start_chain: Any) -> None:
    chain = await start_chain(block_time_s=1)
    log = SqliteTransactionLog(sqlite3.connect(":memory:"))
    sender = deployer(chain.rpc, DEPLOYER_KEY, chain.anvil.chain_id, log)
    await chain.nursery.start(sender.run)
    deployment = await deploy(
        chain.rpc, sender, timing=TIMING, seat_stake_wei=SEAT_STAKE, supply_wei=Wei(10**6 * TOKEN)
    )
    accounts = [Address(bytes([number + 1]) * 20) for number in range(40)]
    receipts = await fund(sender, bytes(deployment.token), accounts, tokens_wei=Wei(TOKEN), coins_wei=10**18)
    assert len(receipts) == 80
    blocks = {receipt.block_number for receipt in receipts}
    assert max(blocks) - min(blocks) <= 10
    assert await chain.balance(accounts[39]) == 10**18


def test_a_deployment_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    deployment = Deployment(
        chain_id=31337,
        genesis_hash=Data(b"\1" * 32),
        token=Data(b"\2" * 20),
        market=Data(b"\3" * 20),
        deploy_block=5,
    )
    save_deployment(deployment, path)
    assert load_deployment(path) == deployment
    assert [each.name for each in tmp_path.iterdir()] == ["deployment.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"chain_id":1,"genesis_hash":"0x01","token":"0x02","market":"0x03","deploy_block":0}',
        b'{"chain_id":1,"genesis_hash":"zz","token":"0x02","market":"0x03","deploy_block":0}',
        b"x" * 100_000,
    ],
)
def test_a_spoiled_deployment_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "deployment.json"
    path.write_bytes(content)
    with pytest.raises(BadDeployment, match="take it again"):
        load_deployment(path)


def test_a_missing_deployment_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDeployment):
        load_deployment(tmp_path / "deployment.json")


async def test_the_lag_is_what_finality_and_one_more_block_take(place: Place) -> None:
    market = await place.join(key(0))
    await place.chain.rpc.ask("anvil_mine", hex(20), hex(12), answer=Any)  # a block each 12 seconds
    assert await market.lag_s(0) == 12
    assert await market.lag_s(2) == 36
