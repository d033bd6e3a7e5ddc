"""An account's history, read from nothing but a real chain's logs, is what the real contract says that it has."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from morphware.node.account_history import account_history
from morphware.node.chain.calldata import market_interface
from morphware.node.chain.market_events import decode_account_event, decode_event, transaction_of
from morphware.node.chain.rpc import Log, from_hexadecimal
from morphware.node.job_money import REFUTED, SILENT, Entry, Kind
from morphware.node.job_moves import balance, job_moves
from morphware.node.journal import Journal
from morphware.node.testnet.rehearsal import account_of, audits_wei, rehearse
from morphware.node.testnet.scenarios import Scenario, find
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.events import Moment
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, Timestamp
from tests.contracts.anvil_market import AnvilMarket, Chain, Stage, with_anvil
from tests.contracts.rehearsed import INPUTS

SCENARIOS = ("vanish:INSPECT:validators", "vanish:VCOMMIT:validator", "vanish:TRAINING:winner", "appeal", "audit")


@pytest.mark.adapter
async def test_the_history_from_a_real_chains_logs_is_what_the_contract_says(tmp_path: Path) -> None:
    told: dict[tuple[str, str], list[Entry]] = {}
    await with_anvil(tmp_path, lambda chain: told.update(_told(chain, tmp_path)))
    paid = {name: _kinds(told["vanish:INSPECT:validators", name]) for name in ("user-1", "worker-1", "worker-2")}
    assert paid["user-1"][Kind.PRICE_PAID] == -400
    assert paid["worker-1"][Kind.PRICE_RECEIVED] == 400
    assert paid["worker-2"] == {Kind.DEPOSITED: paid["worker-2"][Kind.DEPOSITED]}
    assert _reasons(told, "vanish:VCOMMIT:validator") == {SILENT}
    assert _reasons(told, "appeal") == {REFUTED}
    assert _kinds(told["vanish:TRAINING:winner", "worker-1"])[Kind.BOND_LOST] == -500
    audited = [history for (name, _), history in told.items() if name == "audit"]
    assert sum(entry.net_wei for history in audited for entry in history if entry.kind is Kind.FEE_EARNED) > 5 * 20


def _told(chain: Chain, folder: Path) -> Iterator[tuple[tuple[str, str], list[Entry]]]:
    """The history of everybody in every scenario, held against the contract's balances."""
    stage = Stage(chain)
    for name in SCENARIOS:
        scenario = replace(find(name), seats=5, validators=17)
        if scenario.liars:
            scenario = replace(scenario, liars=3 if scenario.liars < find(name).seats else 5)
        market = _played(stage, scenario)
        logs = chain.ask("eth_getLogs", {"address": "0x" + stage.market.hex(), "fromBlock": "0x0"})
        entries = msgspec.convert(logs, list[Log], strict=False, dec_hook=from_hexadecimal)
        times = {int(entry.block_number): _time_of(chain, entry.block_number) for entry in entries}
        for who in ("user-1", "worker-1", "worker-2", "stranger", *(f"validator-{n + 1}" for n in range(17))):
            account = account_of(who)
            path = folder / f"{name.replace(':', '-')}-{who}.sqlite"
            with closing(_journal(path, entries, times, account)) as journal, closing(journal.reader()) as reader:
                history = account_history(reader, account, INPUTS.seat_stake_wei)
                moves = job_moves(journal.timeline(*journal.jobs()))
            free_wei = sum(entry.free_wei for entry in history)
            assert free_wei == market._ask("freeBalance", account)[0], (name, who)
            assert free_wei + sum(entry.locked_wei for entry in history) == market.worth(account), (name, who)
            assert all(entry.transaction_hash is not None for entry in history)
            of_job = sum(entry.net_wei for entry in history if entry.job_id is not None)
            assert balance(moves, account) == of_job, (name, who)
            assert balance(moves, "market") == 0, name
            assert balance(moves, "audits") == market.audit_pool() - audits_wei(scenario, INPUTS), name
            yield (name, who), history


def _played(stage: Stage, scenario: Scenario) -> AnvilMarket:
    markets: list[AnvilMarket] = []

    def open_market(parameters: Parameters) -> AnvilMarket:
        markets.append(AnvilMarket(stage, parameters))
        return markets[0]

    rehearse(scenario, INPUTS, open_market)
    return markets[0]


def _journal(path: Path, entries: list[Log], times: dict[int, Timestamp], account: Address) -> Journal:
    """What the account's node keeps of these logs."""
    journal, interface = Journal(path), market_interface()
    journal.connection.execute("PRAGMA synchronous=OFF")
    with journal.transaction():
        for entry in entries:
            now, known = Moment(times[entry.block_number], entry.block_number), transaction_of(entry)
            event = decode_event(interface, entry)
            if event is not None and not isinstance(event, NodePublished):
                journal.add_event(event.job_id, None, event, now, is_behind=False, transaction_hash=known)
            about_us = decode_account_event(interface, entry, account)
            if about_us is not None:
                journal.add_account_event(about_us, now, known)
    return journal


def _kinds(history: list[Entry]) -> dict[Kind, int]:
    """What each kind of movement brought or cost; what only locks or frees is left out."""
    found: dict[Kind, int] = {}
    for entry in history:
        if entry.net_wei:
            found[entry.kind] = found.get(entry.kind, 0) + entry.net_wei
    return found


def _reasons(told: dict[tuple[str, str], list[Entry]], scenario: str) -> set[str]:
    histories = [history for (name, _), history in told.items() if name == scenario]
    return {entry.reason for history in histories for entry in history if entry.kind is Kind.SLASHED}


def _time_of(chain: Chain, number: int) -> Timestamp:
    return Timestamp(int(chain.ask("eth_getBlockByNumber", hex(number), False)["timestamp"], 16))
