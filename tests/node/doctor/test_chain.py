"""A real chain with a real market, made wrong in each way that it can be; and endpoints that are none."""

import http.server
import json
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from morphware.node import keys
from morphware.node.chain.deploy import deploy, deployer, fund
from morphware.node.chain.deployment import Deployment, save_deployment
from morphware.node.chain.rpc import Data, Header, Quantity, Rpc
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.doctor.chain import (
    Holdings,
    check_chain,
    clock_finding,
    coins_finding,
    head_finding,
    latency_finding,
    tokens_findings,
)
from morphware.node.doctor.findings import Finding
from morphware.node.journal import Journal
from morphware.node.keys import Keys
from morphware.node.seats import want_seats
from morphware.node.testnet.anvil import DEPLOYER_KEY, Anvil, serve_anvil
from morphware.node.testnet.network import SEAT_STAKE_WEI, SUPPLY_WEI, TEST_TIMING
from morphware.node.wording import tokens
from morphware.protocol.units import TOKEN, Address, Wei
from tests.node.doctor.patient import OK, PROBLEM, WARNING, about, assert_well_formed, config, looked

NOW = 1_900_000_000
PATIENCE_S = 120
WORK = 2**10


@dataclass(frozen=True, slots=True)
class Town:
    """A chain with a market, and a node's folder with keys."""

    anvil: Anvil
    rpc: Rpc
    sender: Sender
    deployment: Deployment
    folder: Path
    keys: Keys

    async def look(self, **settings: Any) -> list[Finding]:
        """Everything that is found of the chain."""
        path = self.folder / "deployment.json"
        save_deployment(self.deployment, path)
        usual = {"node__data_folder": self.folder, "chain__rpc_url": self.anvil.url, "chain__deployment": path}
        return await looked(partial(check_chain, config(**usual | settings)))

    async def give(self, tokens_wei: int, coins_wei: int) -> None:
        """Fund the node's account."""
        account = self.keys.account
        await fund(self.sender, self.deployment.token, [account], tokens_wei=Wei(tokens_wei), coins_wei=coins_wei)


@asynccontextmanager
async def open_town(folder: Path, **settings: Any) -> AsyncIterator[Town]:
    made = await keys.create(folder / "node" / "keys", "", work=WORK)
    with trio.fail_after(PATIENCE_S), closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        async with trio.open_nursery() as nursery:
            anvil = await nursery.start(partial(serve_anvil, folder / "anvil", block_time_s=None, **settings))
            async with Rpc(anvil.url) as rpc:
                quick = SenderSettings(poll_s=0.05)
                sender = deployer(rpc, DEPLOYER_KEY, anvil.chain_id, SqliteTransactionLog(database), quick)
                await nursery.start(sender.run)
                deployed = await deploy(
                    rpc, sender, timing=TEST_TIMING, seat_stake_wei=SEAT_STAKE_WEI, supply_wei=SUPPLY_WEI
                )
                yield Town(anvil, rpc, sender, deployed, folder / "node", made)
                nursery.cancel_scope.cancel()


@pytest.mark.adapter
async def test_a_funded_account_on_the_right_chain_is_fine(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        poor = await town.look()
        assert about(poor, "coins").standing is PROBLEM
        assert "no coins" in about(poor, "coins").found
        assert f"0x{town.keys.account.hex()}" in about(poor, "coins").advice
        assert about(poor, "tokens").standing is WARNING, "an end user may earn or buy them later"

        await town.give(SEAT_STAKE_WEI, 10 * TOKEN)
        rich = await town.look()
        assert [finding.standing for finding in rich] == [OK] * 6, rich
        assert "serves chain 31337" in about(rich, "chain").found

        validator = about(await town.look(node__roles="validator", validator__seats=2), "tokens")
        assert validator.standing is PROBLEM
        assert f"Staking 2 more seats needs {tokens(2 * SEAT_STAKE_WEI)} tokens" in validator.found
        journal = Journal(town.folder / "journal.sqlite")
        want_seats(journal, 2, 1)  # as `morphware unstake 1` does
        journal.close()
        fewer = about(await town.look(node__roles="validator", validator__seats=2), "tokens")
        assert (fewer.standing, "0 of 1 seats" in fewer.found) == (OK, True), "the owner's newest word counts"
        assert about(await town.look(node__roles="validator"), "tokens").standing is OK
        assert about(await town.look(node__roles="worker"), "tokens").standing is OK
        staking = await town.look(node__roles="validator,worker")
        assert [each.standing for each in staking if each.subject == "tokens"] == [OK, PROBLEM], "the stake binds all"


@pytest.mark.adapter
async def test_another_chain_or_market_is_a_problem(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        elsewhere: dict[str, dict[str, Any]] = {
            "31337 instead of 5": {"chain_id": 5},
            "first block is another": {"genesis_hash": Data(bytes(32))},
            "no market at": {"market": Data(bytes(19) + b"\1")},
            "has another token": {"token": Data(bytes(19) + b"\1")},
        }
        for words, changes in elsewhere.items():
            path = tmp_path / "elsewhere.json"
            save_deployment(msgspec.structs.replace(town.deployment, **changes), path)
            findings = await town.look(chain__deployment=path)
            market = about(findings, "market")
            assert market.standing is PROBLEM
            assert words in market.found
            assert about(findings, "chain").standing is OK, "the endpoint itself is well"
            assert not [each for each in findings if each.subject in ("coins", "tokens")]
        wanted = about(await town.look(chain__chain_id=1), "market")
        assert (wanted.standing, "wants chain 1" in wanted.found) == (PROBLEM, True)
        for missing in (None, tmp_path / "absent.json"):
            found = about(await town.look(chain__deployment=missing), "market")
            assert found.standing is PROBLEM


@pytest.mark.adapter
async def test_a_chain_of_another_time_is_told_by_its_newest_block(tmp_path: Path) -> None:
    async with open_town(tmp_path, began_at=int(time.time()) - 3 * 86_400) as town:
        old = await town.look()
        assert (about(old, "clock").standing, about(old, "head").standing) == (WARNING, WARNING)
        assert "3 days ahead" in about(old, "clock").found
        assert "3 days ago" in about(old, "head").found
        await town.rpc.ask("evm_setNextBlockTimestamp", int(time.time()) + 4 * 3600 + 60, answer=Any)
        await town.rpc.ask("evm_mine", answer=Any)
        future = about(await town.look(), "clock")
        assert future.standing is PROBLEM
        assert "4 hours behind the newest block's time (peers bear 60 s)" in future.found
        assert "timedatectl" in future.advice


# --- endpoints that are none ----------------------------------------------------------------------------------------


async def look_at(url: str, folder: Path) -> Finding:
    findings = await looked(partial(check_chain, config(node__data_folder=folder, chain__rpc_url=url)))
    return about(findings, "chain")


async def test_a_chain_that_is_down_is_a_problem_that_keeps_its_secrets(tmp_path: Path) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        found = await look_at(f"http://127.0.0.1:{bound.getsockname()[1]}/v3/secret", tmp_path)
    assert (found.standing, "does not answer" in found.found) == (PROBLEM, True)
    assert "secret" not in found.found + found.advice


async def test_a_chain_that_hangs_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it listens, and never answers
        found = await look_at(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path)
    assert (found.standing, "does not answer" in found.found) == (PROBLEM, True)


@contextmanager
def endpoint(answers: dict[str, Any]) -> Iterator[str]:
    """An endpoint that says the same whenever it is asked; text is sent as it is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = answers[request["method"]]
            error = isinstance(answer, str) and answer.startswith("<")
            said = answer if error else json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer})
            self.send_response(200)
            self.send_header("content-length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def test_a_web_page_is_no_chain(tmp_path: Path) -> None:
    with endpoint({"eth_chainId": "<html>\x1b[2J welcome</html>"}) as url:
        found = await look_at(url, tmp_path)
    assert (found.standing, "makes no sense" in found.found) == (PROBLEM, True)


@pytest.mark.parametrize(
    "lies",
    [
        {"eth_chainId": "0x" + "f" * 20_000},
        {"timestamp": "0x" + "f" * 400},
        {"number": "0x" + "f" * 20_000},
    ],
)
async def test_numbers_beyond_all_bounds_are_no_bug_of_ours(tmp_path: Path, lies: dict[str, str]) -> None:
    block = {"number": "0x7", "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32, "timestamp": "0x1"} | lies
    told = {"eth_chainId": "0x1", "eth_syncing": False, "eth_getBlockByNumber": block} | lies
    with endpoint(told) as url:
        findings = await looked(partial(check_chain, config(node__data_folder=tmp_path, chain__rpc_url=url)))
    assert [each for each in findings if each.standing is not OK and "make no sense" in each.found]


async def test_an_endpoint_that_synchronises_is_a_problem(tmp_path: Path) -> None:
    block = {"number": "0x7", "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32, "timestamp": "0x1"}
    told = {"eth_chainId": "0x1", "eth_syncing": {"currentBlock": "0x7"}, "eth_getBlockByNumber": block}
    with endpoint(told) as url:
        findings = await looked(partial(check_chain, config(node__data_folder=tmp_path, chain__rpc_url=url)))
    head = about(findings, "head")
    assert (head.standing, "block 7" in head.found) == (PROBLEM, True)
    with endpoint(told | {"eth_syncing": False, "eth_getBlockByNumber": None}) as url:
        findings = await looked(partial(check_chain, config(node__data_folder=tmp_path, chain__rpc_url=url)))
    assert "no block" in about(findings, "head").found


# --- limits ---------------------------------------------------------------------------------------------------------


def header(number: int, timestamp: int) -> Header:
    return Header(
        number=Quantity(number), hash=Data(bytes(32)), parent_hash=Data(bytes(32)), timestamp=Quantity(timestamp)
    )


@pytest.mark.parametrize(
    ("ahead_s", "standing"), [(0, OK), (60, OK), (61, PROBLEM), (-60, OK), (-61, WARNING), (86_400 * 400, PROBLEM)]
)
def test_the_clock_may_be_off_by_what_peers_bear(ahead_s: int, standing: str) -> None:
    assert assert_well_formed(clock_finding(header(9, NOW + ahead_s), NOW)).standing == standing


@pytest.mark.parametrize(
    ("age_s", "usual_s", "standing"),
    [(60, 1, OK), (61, 1, WARNING), (119, 12, OK), (121, 12, WARNING), (3600, 600, OK), (61, 0, WARNING), (-5, 12, OK)],
)
def test_a_head_is_stale_after_ten_usual_pauses(age_s: int, usual_s: int, standing: str) -> None:
    newest = header(100, NOW - age_s)
    past = header(84, newest.timestamp - 16 * usual_s) if usual_s else newest
    assert assert_well_formed(head_finding(newest, past, NOW)).standing == standing


def test_a_slow_endpoint_is_a_warning() -> None:
    assert latency_finding("http://x", 1, 0.2).standing is OK
    assert assert_well_formed(latency_finding("http://x", 1, 2.5)).standing is WARNING


def holdings(**changes: Any) -> Holdings:
    usual: dict[str, Any] = {"coins_wei": TOKEN, "gas_price_wei": 10**9, "tokens_wei": TOKEN, "seat_stake_wei": TOKEN}
    return Holdings(account=Address(bytes(20)), **(usual | {"seats": None, "seats_wanted": 3} | changes))


@pytest.mark.parametrize(
    ("coins_wei", "gas_price_wei", "standing"),
    [
        (0, 10**9, PROBLEM),
        (799_999 * 10**9, 10**9, PROBLEM),
        (800_000 * 10**9, 10**9, WARNING),
        (8_000_000 * 10**9, 10**9, OK),
        (0, 0, OK),
    ],
)
def test_coins_are_counted_in_jobs(coins_wei: int, gas_price_wei: int, standing: str) -> None:
    found = coins_finding(config(), holdings(coins_wei=coins_wei, gas_price_wei=gas_price_wei))
    assert assert_well_formed(found).standing == standing


def test_each_role_wants_its_tokens() -> None:
    patient = config(node__roles="user,worker,validator", validator__seats=3)
    enough = tokens_findings(patient, holdings(seats=1, tokens_wei=3 * TOKEN))
    assert [each.standing for each in enough] == [OK, OK]
    bound = tokens_findings(patient, holdings(seats=1, tokens_wei=2 * TOKEN))
    assert [each.standing for each in bound] == [OK, PROBLEM, WARNING], "what is staked pays no bond and no job"
    for finding in (*enough, *bound):
        assert_well_formed(finding)
