"""The sender against a real local chain: once, in order, through crashes, replacements, reorganisations, conflicts."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.chain.errors import OutOfCoins
from morphware.node.chain.rpc import Data, Quantity
from morphware.node.chain.signing import Transaction
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.ports import Receipt, Refused
from morphware.node.testnet.anvil import DEPLOYER_KEY

pytestmark = pytest.mark.adapter

SOMEBODY = b"\x11" * 20
REVERTS_WITH_CALLDATA = "365f5f37365ffd"
REVERTS_AFTER_TIME = "365f5f37600435421160" + "0d" + "57005b365ffd"
"""Reverts with its own calldata once the block's timestamp exceeds the number after the selector."""
STORES_A_WORD = "60015f5500"
LOOPS_FOR_EVER = "5b5f56"
PANIC = bytes.fromhex("4e487b71")


async def test_a_transaction_is_sent_once_for_its_effect(start_chain: Any) -> None:
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    pay = Transaction(SOMEBODY, value_wei=7)
    first = await sender.send(pay, effect_id="pay", kind="pay")
    again = await sender.send(pay, effect_id="pay", kind="pay")
    assert isinstance(first, Receipt)
    assert again == first
    assert first.gas_used == 21000
    assert await chain.balance(SOMEBODY) == 7


async def test_two_waiters_for_one_effect_share_one_transaction(start_chain: Any) -> None:
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    outcomes = []

    async def pay() -> None:
        outcomes.append(await sender.send(Transaction(SOMEBODY, value_wei=7), effect_id="pay", kind="pay"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay)
        nursery.start_soon(pay)
    assert outcomes[0] == outcomes[1]
    assert await chain.balance(SOMEBODY) == 7


async def test_fifty_concurrent_sends_all_land(start_chain: Any) -> None:
    chain = await start_chain(block_time_s=1)
    log = chain.log()
    sender = chain.sender(log)
    await chain.nursery.start(sender.run)
    async with trio.open_nursery() as nursery:
        for number in range(50):
            pay = Transaction(SOMEBODY, value_wei=1)
            nursery.start_soon(partial(sender.send, pay, effect_id=f"pay {number}", kind="pay"))
    assert await chain.balance(SOMEBODY) == 50
    assert log.pending() == []
    assert log.gas()["pay"].transactions == 50
    assert log.gas()["pay"].gas_used == 50 * 21000


async def test_after_a_crash_the_same_transaction_is_awaited_and_no_second_one_is_sent(
    start_chain: Any, tmp_path: Path
) -> None:
    chain = await start_chain(is_mining=False)
    database = tmp_path / "log.sqlite"
    pay = Transaction(SOMEBODY, value_wei=7)
    before = chain.sender(chain.log(database))
    with trio.CancelScope() as crash:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(before.send, pay, effect_id="pay", kind="pay"))
            hashes = await chain.wait_for_pool(before)
            crash.cancel()
    after = chain.sender(chain.log(database))
    await chain.nursery.start(after.run)
    await chain.mine()
    receipt = await after.send(pay, effect_id="pay", kind="pay")
    assert isinstance(receipt, Receipt)
    assert [receipt.transaction_hash] == hashes
    await chain.mine(3)
    assert await chain.balance(SOMEBODY) == 7


async def test_after_a_crash_between_record_and_broadcast_the_recorded_bytes_are_sent(
    start_chain: Any, tmp_path: Path
) -> None:
    chain = await start_chain(is_mining=False)
    database = tmp_path / "log.sqlite"
    pay = Transaction(SOMEBODY, value_wei=7)
    before = chain.sender(chain.log(database))
    with trio.CancelScope() as crash:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(before.send, pay, effect_id="pay", kind="pay"))
            [recorded] = await chain.wait_for_pool(before)
            crash.cancel()
    await chain.rpc.ask("anvil_dropTransaction", Data(recorded), answer=Any)
    after = chain.sender(chain.log(database))
    await chain.nursery.start(after.run)
    assert await chain.wait_for_pool(after) == [recorded]
    await chain.mine()
    receipt = await after.send(pay, effect_id="pay", kind="pay")
    assert isinstance(receipt, Receipt)
    assert receipt.transaction_hash == recorded


async def test_a_transaction_dropped_from_the_pool_is_broadcast_again(
    start_chain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morphware.node.chain.transactions.LOOK_AGAIN_S", 0.1)
    chain = await start_chain(is_mining=False)
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    async with trio.open_nursery() as nursery:
        pay = Transaction(SOMEBODY, value_wei=7)
        nursery.start_soon(partial(sender.send, pay, effect_id="pay", kind="pay"))
        [sent] = await chain.wait_for_pool(sender)
        await chain.rpc.ask("anvil_dropTransaction", Data(sent), answer=Any)
        assert await chain.wait_for_pool(sender) == [sent]
        await chain.mine()
    assert await chain.balance(SOMEBODY) == 7


async def test_a_stuck_transaction_is_replaced_with_a_higher_fee_and_paid_once(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    sender = chain.sender(chain.log(), SenderSettings(poll_s=0.05, bump_s=0.2))
    outcomes = []

    async def pay() -> None:
        outcomes.append(await sender.send(Transaction(SOMEBODY, value_wei=7), effect_id="pay", kind="pay"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay)
        [first] = await chain.wait_for_pool(sender)
        await chain.nursery.start(sender.run)
        assert len(await chain.wait_for_pool(sender, other_than=[first])) == 1
        await chain.mine()
    assert isinstance(outcomes[0], Receipt)
    assert outcomes[0].transaction_hash != first
    assert await chain.balance(SOMEBODY) == 7


async def test_a_fee_is_never_raised_above_its_limit(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    settings = SenderSettings(poll_s=0.02, bump_s=0.05, fee_limit_wei=3 * 10**9)
    sender = chain.sender(chain.log(), settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(sender.send, Transaction(SOMEBODY, value_wei=7), effect_id="pay", kind="pay"))
        hashes = await chain.wait_for_pool(sender)
        await chain.nursery.start(sender.run)
        await trio.sleep(1)  # many times longer than a bump takes
        assert await chain.wait_for_pool(sender) == hashes
        await chain.mine()


async def test_a_nonce_taken_by_another_program_costs_no_effect(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    ours, other = chain.sender(chain.log()), chain.sender(chain.log())
    outcomes = {}

    async def pay(sender: Sender, name: str, value_wei: int) -> None:
        pay = Transaction(SOMEBODY, value_wei=value_wei)
        outcomes[name] = await sender.send(pay, effect_id=name, kind="pay")

    await chain.nursery.start(ours.run)
    await chain.nursery.start(other.run)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay, ours, "ours", 1)
        [sent] = await chain.wait_for_pool(ours)
        await chain.rpc.ask("anvil_dropTransaction", Data(sent), answer=Any)
        nursery.start_soon(pay, other, "other", 2)
        await chain.wait_for_pool(other, other_than=[sent])
        while len(outcomes) < 2:
            await chain.mine()
            await trio.sleep(0.1)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes.values())
    assert await chain.balance(SOMEBODY) == 3


async def test_two_senders_with_one_key_and_one_pool_both_land(start_chain: Any) -> None:
    chain = await start_chain(block_time_s=1)
    senders = [chain.sender(chain.log()) for _ in range(2)]
    async with trio.open_nursery() as nursery:
        for number, sender in enumerate(senders):
            await chain.nursery.start(sender.run)
            for payment in range(3):
                pay = Transaction(SOMEBODY, value_wei=10**number)  # equal ones would be one and the same transaction
                nursery.start_soon(partial(sender.send, pay, effect_id=f"{number} {payment}", kind="pay"))
    assert await chain.balance(SOMEBODY) == 33


async def test_a_call_that_would_revert_is_refused_and_takes_no_nonce(start_chain: Any) -> None:
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    contract = await chain.create(sender, REVERTS_WITH_CALLDATA)
    nonce = await chain.rpc.nonce(sender.address, "latest")
    call = Transaction(contract, PANIC + (17).to_bytes(32))
    refused = await sender.send(call, effect_id="call", kind="call")
    assert isinstance(refused, Refused)
    assert (refused.error, refused.values) == ("Panic", {"code": 17})
    assert await chain.rpc.nonce(sender.address, "pending") == nonce


async def test_a_call_that_reverts_in_its_block_is_refused_with_the_replayed_reason(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    log = chain.log()
    sender = chain.sender(log)
    await chain.nursery.start(sender.run)
    outcomes = []
    async with trio.open_nursery() as nursery:

        async def create() -> None:
            outcomes.append(await chain.create(sender, REVERTS_AFTER_TIME))

        nursery.start_soon(create)
        await chain.wait_for_pool(sender)
        await chain.mine()
    head = await chain.rpc.header("latest")
    assert head is not None
    limit = head.timestamp + 1000

    async def call() -> None:
        call = Transaction(outcomes[0], PANIC + limit.to_bytes(32))
        outcomes.append(await sender.send(call, effect_id="call", kind="call"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await chain.wait_for_pool(sender)
        await chain.rpc.ask("evm_setNextBlockTimestamp", Quantity(limit + 1), answer=Any)
        await chain.mine()
    refused = outcomes[1]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.values) == ("Panic", {"code": limit})
    assert log.outcome("call") == refused
    assert log.gas()["call"].gas_used > 21000


async def test_a_call_that_runs_out_of_gas_is_sent_again_with_more(start_chain: Any) -> None:
    chain = await start_chain()
    log = chain.log()
    sender = chain.sender(log)
    await chain.nursery.start(sender.run)
    contract = await chain.create(sender, STORES_A_WORD)
    receipt = await sender.send(Transaction(contract, gas_limit=30_000), effect_id="call", kind="call")
    assert isinstance(receipt, Receipt)
    assert 43_000 < receipt.gas_used < 44_000
    assert log.gas()["call"].gas_used == receipt.gas_used + 30_000


async def test_a_call_that_no_gas_is_enough_for_is_refused_at_last(start_chain: Any) -> None:
    chain = await start_chain()
    sender = chain.sender(chain.log())
    await chain.nursery.start(sender.run)
    contract = await chain.create(sender, LOOPS_FOR_EVER)
    refused = await sender.send(Transaction(contract, gas_limit=30_000), effect_id="call", kind="call")
    assert isinstance(refused, Refused)


async def test_with_finality_a_transaction_that_was_taken_back_is_sent_again(start_chain: Any) -> None:
    chain = await start_chain(is_mining=False)
    sender = chain.sender(chain.log(), SenderSettings(finality_blocks=3, poll_s=0.05))
    await chain.nursery.start(sender.run)
    await chain.mine(5)
    outcomes = []

    async def pay() -> None:
        outcomes.append(await sender.send(Transaction(SOMEBODY, value_wei=7), effect_id="pay", kind="pay"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay)
        await chain.wait_for_pool(sender)
        await chain.mine()
        assert await chain.balance(SOMEBODY) == 7
        await chain.rpc.ask("anvil_reorg", 2, [], answer=Any)
        assert await chain.balance(SOMEBODY) == 0
        assert outcomes == []
        while not outcomes:
            await chain.mine()
            await trio.sleep(0.1)
    assert isinstance(outcomes[0], Receipt)
    assert await chain.balance(SOMEBODY) == 7


async def test_an_account_without_coins_is_told_so(start_chain: Any) -> None:
    chain = await start_chain()
    poor = chain.sender(chain.log(), key=b"\x42" * 32)
    await chain.nursery.start(poor.run)
    with pytest.raises(OutOfCoins, match="native coins"):
        await poor.send(Transaction(SOMEBODY), effect_id="call", kind="call")
    await chain.rpc.ask("anvil_setBalance", Data(poor.address), Quantity(10**18), answer=Any)
    assert isinstance(await poor.send(Transaction(SOMEBODY), effect_id="call", kind="call"), Receipt)


async def test_the_key_is_not_shown(start_chain: Any) -> None:
    chain = await start_chain()
    assert DEPLOYER_KEY.hex() not in repr(chain.sender(chain.log()))


def test_what_the_log_kept_is_there_after_reopening(tmp_path: Path) -> None:
    import sqlite3

    from morphware.node.chain.transaction_log import Signed, SqliteTransactionLog

    path = tmp_path / "log.sqlite"
    signed = Signed("effect", "Commit", 3, b"\x01" * 32, b"raw", b"{}")
    refused = Refused("TooLate", {"jobId": b"\x02" * 32, "deadline": 2**200, "inner": [b"x", 1]}, "Too late.")
    connection = sqlite3.connect(path)
    log = SqliteTransactionLog(connection)
    log.record(signed)
    log.record(signed)
    log.finished("other", "Poke", refused, gas_used=5, fee_wei=2**70)
    connection.close()
    connection = sqlite3.connect(path)
    log = SqliteTransactionLog(connection)
    assert log.pending() == [signed]
    kept = log.outcome("other")
    assert isinstance(kept, Refused)
    assert kept.values == {"jobId": b"\x02" * 32, "deadline": 2**200, "inner": (b"x", 1)}
    assert log.gas()["Poke"].fee_wei == 2**70
    log.discard(signed.hash)
    assert log.pending() == []
    connection.close()
