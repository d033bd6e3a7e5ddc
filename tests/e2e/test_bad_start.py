"""Bad input at the door: one sentence that says what to do, the right exit status, and nothing lost."""

import json
import queue
import shutil
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from sqlite3 import connect as open_database
from subprocess import CompletedProcess
from typing import Any

import msgspec
import pytest
import trio

from morphware.node import keys as node_keys
from morphware.node.chain.deploy import deploy, deployer, fund
from morphware.node.chain.deployment import Deployment, load_deployment, save_deployment
from morphware.node.chain.rpc import Data, Rpc
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.client.client import AsyncClient
from morphware.node.errors import ExitStatus, MorphwareError
from morphware.node.testnet.anvil import DEPLOYER_KEY, Anvil, serve_anvil
from morphware.node.testnet.network import SEAT_STAKE_WEI, SUPPLY_WEI, TEST_TIMING
from morphware.protocol.units import Address, Wei
from tests.e2e.market import JOBS, make_clouds
from tests.e2e.processes import PATIENCE_S, finish, started

pytestmark = pytest.mark.e2e
PASSWORD = "correct horse"
WORK = 2**12
TOKENS_WEI = Wei(SEAT_STAKE_WEI * 3 // 2)


# --- a market without nodes, and folders for nodes ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Door:
    """A node's folder with its configuration, and the market that it is for."""

    folder: Path
    config: Path
    url: str

    def run(self, *arguments: object, password: str | None = PASSWORD) -> CompletedProcess[str]:
        """Start the node; it is expected to end by itself."""
        given = {} if password is None else {"MORPHWARE_PASSWORD": password}
        return finish("run", "--config", self.config, *arguments, **given)

    def treasures(self) -> dict[str, str]:
        """What must not change when a start fails: keys, and what the journals say."""
        kept = {
            path.name: sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode)
            for path in sorted((self.folder / "keys").glob("*"))
        }
        for name in ("journal.sqlite", "transactions.sqlite"):
            if (self.folder / name).exists():
                database = open_database(f"file:{self.folder / name}?mode=ro", uri=True)
                kept[name] = "\n".join(database.iterdump())
                database.close()
        return kept


@dataclass(frozen=True, slots=True)
class Town:
    """A chain with a market on it, for all tests here; nodes get their folders from it."""

    folder: Path
    anvil: Anvil
    deployment: Path

    def door(self, name: str, *, is_funded: bool = False, url: str | None = None, **settings: object) -> Door:
        """A new node's folder: with keys, and tokens and coins if wanted."""
        folder = self.folder / name
        keys = trio.run(partial(node_keys.create, folder / "keys", PASSWORD, work=WORK))
        if is_funded:
            trio.run(self._fund, keys.account)
        url = url or self.anvil.url
        chain = {"rpc_url": url, "deployment": str(self.deployment), "finality_blocks": 0, "poll_s": 0.1}
        sections: dict[str, dict[str, object]] = {"node": {"data_folder": str(folder)}, "chain": dict(chain)}
        for key, value in settings.items():
            section, _, field = key.partition("__")
            sections.setdefault(section, {})[field] = value
        text = ""
        for section, fields in sections.items():
            text += f"[{section}]\n" + "".join(f"{field} = {json.dumps(value)}\n" for field, value in fields.items())
        (folder / "morphware.toml").write_text(text)
        return Door(folder, folder / "morphware.toml", url)

    async def _fund(self, account: Address) -> None:
        token = load_deployment(self.deployment).token
        async with _treasury(self.anvil, self.folder) as (_, sender):
            await fund(sender, token, [account], tokens_wei=TOKENS_WEI, coins_wei=10**18)

    def other_deployment(self, name: str, **changes: Any) -> Path:
        """The deployment file with something else in it."""
        path = self.folder / f"{name}.json"
        save_deployment(msgspec.structs.replace(load_deployment(self.deployment), **changes), path)
        return path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One chain and market for all; a module's fixtures have no event loop, so the chain has a thread of its own."""
    folder = tmp_path_factory.mktemp("town")
    with _chain_in_a_thread(folder / "chain") as anvil:
        save_deployment(trio.run(_deploy, anvil, folder), folder / "deployment.json")
        yield Town(folder, anvil, folder / "deployment.json")


@contextmanager
def _chain_in_a_thread(folder: Path) -> Iterator[Anvil]:
    answers: queue.Queue[tuple[Anvil, trio.lowlevel.TrioToken, trio.CancelScope]] = queue.Queue()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            anvil = await nursery.start(partial(serve_anvil, folder, block_time_s=None))
            answers.put((anvil, trio.lowlevel.current_trio_token(), nursery.cancel_scope))

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    anvil, token, scope = answers.get(timeout=PATIENCE_S)
    try:
        yield anvil
    finally:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join()


@asynccontextmanager
async def _treasury(anvil: Anvil, folder: Path) -> AsyncIterator[tuple[Rpc, Sender]]:
    with closing(open_database(folder / "deployer.sqlite", isolation_level=None)) as database:
        async with Rpc(anvil.url) as rpc, trio.open_nursery() as nursery:
            settings = SenderSettings(poll_s=0.05)
            sender = deployer(rpc, DEPLOYER_KEY, anvil.chain_id, SqliteTransactionLog(database), settings)
            await nursery.start(sender.run)
            yield rpc, sender
            nursery.cancel_scope.cancel()


async def _deploy(anvil: Anvil, folder: Path) -> Deployment:
    async with _treasury(anvil, folder) as (rpc, sender):
        return await deploy(rpc, sender, timing=TEST_TIMING, seat_stake_wei=SEAT_STAKE_WEI, supply_wei=SUPPLY_WEI)


def refusal(result: CompletedProcess[str], status: ExitStatus, *words: object) -> str:
    """The one sentence of a command that refused; lines of the node's log may stand before it."""
    print(result.stderr)
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    sentences = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(sentences) == 1, sentences
    assert "Traceback" not in result.stderr
    [sentence] = sentences
    assert sentence.endswith((".", "?")), sentence
    assert ". " not in sentence, f"one sentence, not two: {sentence}"
    assert ": " in sentence or "; " in sentence, f"what is wrong, and then what to do: {sentence}"
    for word in words:
        assert str(word) in sentence, sentence
    return sentence


@contextmanager
def untouched(door: Door) -> Iterator[None]:
    """Keys and journals are the same afterwards."""
    before = door.treasures()
    yield
    after = door.treasures()
    assert {name: after.get(name) for name in before} == before


@contextmanager
def taken_port() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# --- the configuration ----------------------------------------------------------------------------------------------


def test_an_unknown_key_is_answered_with_the_nearest_known_one(town: Town) -> None:
    door = town.door("unknown-key", chain__finallity=3)
    with untouched(door):
        refusal(door.run(), ExitStatus.BAD_INPUT, door.config, "finallity", "did you mean finality_blocks?")


def test_a_configuration_that_is_not_there_is_named(town: Town) -> None:
    path = town.folder / "nowhere.toml"
    refusal(finish("run", "--config", path), ExitStatus.BAD_INPUT, path, "--config")


def test_a_deployment_file_that_is_missing_or_spoiled_is_named(town: Town) -> None:
    door = town.door("no-deployment")
    spoiled = town.folder / "spoiled.json"
    spoiled.write_text('{"chain_id": 31337')
    with untouched(door):
        gone = door.run("--set", f"chain.deployment={town.folder / 'gone.json'}")
        refusal(gone, ExitStatus.BAD_INPUT, "gone.json", "deployment")
        refusal(door.run("--set", f"chain.deployment={spoiled}"), ExitStatus.BAD_INPUT, spoiled, "deployment")
        refusal(door.run("--set", "chain.deployment="), ExitStatus.BAD_INPUT, "set [chain] deployment")


def test_a_data_folder_that_cannot_be_one_is_named(town: Town) -> None:
    door = town.door("no-folder")
    refusal(door.run("--data-folder", door.config), ExitStatus.BAD_INPUT, door.config, "--data-folder")


# --- the keys -------------------------------------------------------------------------------------------------------


def test_a_wrong_password_opens_nothing_and_spoils_nothing(town: Town) -> None:
    door = town.door("wrong-password")
    with untouched(door):
        refusal(door.run(password="wrong"), ExitStatus.BAD_INPUT, "password does not open")
        refusal(door.run(password=None), ExitStatus.BAD_INPUT, "MORPHWARE_PASSWORD", "password_file")
        missing = town.folder / "no-password"
        refused = door.run("--set", f"keys.password_file={missing}", password=None)
        refusal(refused, ExitStatus.BAD_INPUT, missing, "password_file")


def test_missing_keys_are_missed_before_their_password(town: Town) -> None:
    door = town.door("no-keys")
    shutil.rmtree(door.folder / "keys")
    refusal(door.run(password=None), ExitStatus.BAD_INPUT, door.folder / "keys", "morphware keys create")
    assert not (door.folder / "keys").exists()


@pytest.mark.parametrize("name", [".", "account.json", "peer.key"])
def test_keys_that_others_can_read_are_not_used(town: Town, name: str) -> None:
    door = town.door(f"exposed-{name.strip('.') or 'folder'}")
    path = door.folder / "keys" / name
    path.chmod(0o755 if path.is_dir() else 0o644)
    with untouched(door):
        refusal(door.run(), ExitStatus.BAD_INPUT, "keys", "chmod", "755" if path.is_dir() else "644")


# --- the chain ------------------------------------------------------------------------------------------------------


def test_a_wrong_chain_is_refused_and_takes_no_hold_of_the_folder(town: Town) -> None:
    door = town.door("wrong-chain", is_funded=True)
    with untouched(door):
        refusal(door.run("--set", "chain.chain_id=1"), ExitStatus.BAD_INPUT, "chain 1", "31337", "correct chain_id")
    elsewhere: dict[str, dict[str, Any]] = {
        "31337 instead of 5": {"chain_id": 5},
        "first block": {"genesis_hash": Data(bytes(32))},
        "no market at": {"market": Data(bytes(19) + b"\1")},
    }
    for words, changes in elsewhere.items():
        path = town.other_deployment("elsewhere", **changes)
        refusal(door.run("--set", f"chain.deployment={path}"), ExitStatus.BAD_INPUT, words)
    with _running(door):
        pass  # the right market still finds a folder that is nobody's


def test_a_chain_that_does_not_answer_is_named_without_its_secrets(town: Town) -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        door = town.door("deaf-chain", url=f"{address}/v3/secret")
        with untouched(door):
            sentence = refusal(door.run(), ExitStatus.WORLD_FAILED, "does not answer", "check that it runs")
    assert "secret" not in sentence


def test_an_account_without_coins_or_tokens_is_told_what_it_lacks(town: Town) -> None:
    poor = town.door("no-coins")
    refusal(poor.run(), ExitStatus.WORLD_FAILED, "cannot pay for gas", "send it some")
    modest = town.door("few-tokens", is_funded=True, validator__seats=2)
    wanted = modest.run("--role", "validator")
    refusal(wanted, ExitStatus.BAD_INPUT, "Staking 2 seats needs 200 tokens", "has 150", "get more tokens")


# --- ports and folders ----------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named(town: Town) -> None:
    door = town.door("ports", is_funded=True)
    with taken_port() as port:
        gossip = door.run("--set", f"gossip.listen=/ip4/127.0.0.1/tcp/{port}")
        refusal(gossip, ExitStatus.WORLD_FAILED, "gossip port", port, "choose another")
        artifacts = door.run("--set", f"artifacts.listen=127.0.0.1:{port}")
        refusal(artifacts, ExitStatus.WORLD_FAILED, "BitTorrent port", port, "choose another")


def test_a_folder_serves_one_node_of_one_network(town: Town) -> None:
    door = town.door("one-folder", is_funded=True)
    with _running(door):
        busy = door.run()
        refusal(busy, ExitStatus.WORLD_FAILED, "running on the data folder", door.folder, "--data-folder")
    other = town.other_deployment("other-market", market=Data(bytes(19) + b"\1"))
    with untouched(door):
        foreign = door.run("--set", f"chain.deployment={other}")
        refusal(foreign, ExitStatus.BAD_INPUT, "belongs to", "another --data-folder")
    with _running(door):
        pass  # nothing was lost


@contextmanager
def _running(door: Door) -> Iterator[None]:
    """The node takes part in the market; asked to end, it does so quietly."""
    arguments = ("run", "--config", door.config, "--set", f"keys.password_file={_password_file(door)}")
    with started(door.folder / "output", *arguments) as node:
        node.until(lambda: _answers(door.folder))
        yield
        node.process.send_signal(signal.SIGTERM)
        assert node.wait() == ExitStatus.SUCCESS, node.err.read_text()[-2000:]
        assert all(line.startswith("{") for line in node.err.read_text().splitlines())
        assert node.out.read_text() == ""


def _password_file(door: Door) -> Path:
    path = door.folder / "password"
    path.write_text(PASSWORD + "\n")
    return path


def _answers(folder: Path) -> bool:
    try:
        trio.run(AsyncClient(folder).status)
    except MorphwareError:
        return False
    return True


# --- before the start: init and doctor ------------------------------------------------------------------------------


def test_what_init_begins_the_doctor_finds_well_and_run_starts(town: Town) -> None:
    folder = town.folder / "journey"
    password = town.folder / "journey-password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    asked = ("--role", "user", "--deployment", town.deployment, "--rpc-url", town.anvil.url)
    begun = finish("init", *asked, "--password-file", password, "--data-folder", folder, "--yes", "--json")
    assert begun.returncode == ExitStatus.SUCCESS, begun.stderr
    account = json.loads(begun.stdout)["account"]

    poor = finish("doctor", "--data-folder", folder, "--json")
    assert poor.returncode == ExitStatus.WORLD_FAILED
    findings = json.loads(poor.stdout)["findings"]
    assert [each["subject"] for each in findings if each["standing"] == "problem"] == ["coins"], findings
    assert account in next(each["advice"] for each in findings if each["subject"] == "coins")

    trio.run(town._fund, Address(bytes.fromhex(account[2:])))
    well = finish("doctor", "--data-folder", folder)
    assert well.returncode == ExitStatus.SUCCESS, well.stdout

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # a chain that makes no blocks of its own has none that lie on top of another
    settings = {"chain.finality_blocks": 0, "chain.poll_s": 0.1, "artifacts.listen": f"127.0.0.1:{port}"}
    flags = [each for key, value in settings.items() for each in ("--set", f"{key}={value}")]
    with started(town.folder / "journey-output", "run", "--data-folder", folder, *flags) as node:
        node.until(lambda: _answers(folder))
        beside = finish("doctor", "--data-folder", folder, "--json", MORPHWARE_ARTIFACTS_LISTEN=f"127.0.0.1:{port}")
        assert beside.returncode == ExitStatus.SUCCESS, beside.stdout
        found = {each["subject"]: each["found"] for each in json.loads(beside.stdout)["findings"]}
        assert f"process {node.process.pid}" in found["node"]
        assert f"held by this node, which is running (process {node.process.pid})" in found["artifacts port"]
        node.process.send_signal(signal.SIGTERM)
        assert node.wait() == ExitStatus.SUCCESS, node.err.read_text()[-2000:]


# --- submitting -----------------------------------------------------------------------------------------------------


def test_a_job_that_cannot_be_submitted_is_refused_before_any_node_is_asked(tmp_path: Path) -> None:
    train, test = make_clouds(tmp_path / "data")
    good: dict[str, Any] = {
        "script": JOBS / "centroids" / "train.py",
        "train": train,
        "test": test,
        "metric": "accuracy",
    }
    good |= {"threshold": "0.9", "reserve": "100"}
    broken = tmp_path / "broken.py"
    broken.write_text("import os\n\ndef train(:\n    pass\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    wrong: dict[tuple[str, ...], dict[str, Any]] = {
        ("broken.py", "line 3"): {"script": broken},
        ("nowhere.py", "does not exist"): {"script": tmp_path / "nowhere.py"},
        ("training set", "nowhere", "does not exist"): {"train": tmp_path / "nowhere"},
        ("training data", str(empty), "empty"): {"train": empty},
        ("testing data", str(empty), "empty"): {"test": empty},
        ("bleu", "accuracy", "test()"): {"metric": "bleu"},
        ("accuracy lies between 0 and 1",): {"threshold": "90"},
        ("reserve",): {"reserve": None},
        ("amount", "ten"): {"reserve": "ten"},
        ("No node is running", "morphware run --data-folder"): {},
    }
    for words, changes in wrong.items():
        wish = good | changes
        flags = [f"--{name}={value}" for name, value in wish.items() if name != "script" and value is not None]
        result = finish("submit", wish["script"], *flags, "--data-folder", tmp_path)
        refusal(result, ExitStatus.BAD_INPUT if changes else ExitStatus.WORLD_FAILED, *words)
    refused = finish("submit", good["script"], *flags, "--data-folder", tmp_path / "no-folder")
    refusal(refused, ExitStatus.WORLD_FAILED, "No node is running", tmp_path / "no-folder")


def test_a_testnet_says_what_is_wrong_with_a_job_before_it_starts_anything(tmp_path: Path) -> None:
    make_clouds(tmp_path / "job")
    shutil.copy(JOBS / "centroids" / "train.py", tmp_path / "job")
    asked = ("testnet", "--folder", tmp_path / "net", "--job")
    refusal(finish(*asked, "nonsense"), ExitStatus.BAD_INPUT, "no job nonsense", "digits")
    refusal(finish(*asked, tmp_path / "job"), ExitStatus.BAD_INPUT, "metric", "morphware.toml")
    (tmp_path / "job" / "morphware.toml").write_text('metric = "accuracy"\nthreshold = 0.9\nreserve = "60"\n')
    few = finish(*asked, tmp_path / "job", "--validators", 2)
    refusal(few, ExitStatus.BAD_INPUT, "committee of 1", "at most 50 tokens", "ask for more validators")
    shutil.rmtree(tmp_path / "job" / "test")
    refusal(finish(*asked, tmp_path / "job"), ExitStatus.BAD_INPUT, "no folder test/")
    assert not (tmp_path / "net").exists()
