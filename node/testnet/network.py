"""A local market: a chain with the contracts, and node processes, all below one folder.

A stopped testnet can be started again on the same folder: same chain, same accounts, same ports, and the same shape.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from os import dup, environ, kill
from pathlib import Path
from sqlite3 import connect as open_database
from typing import Any, Final

import trio

from morphware.node import keys as node_keys
from morphware.node.amounts import format_tokens
from morphware.node.chain.deploy import deploy, deployer, fund, fund_audits
from morphware.node.chain.deployment import Deployment, load_deployment, save_deployment
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Rpc
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import SenderSettings
from morphware.node.client import AsyncClient
from morphware.node.data_folder import NodeNotRunning
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.testnet.anvil import CHAIN_ID, DEPLOYER_KEY, Anvil, PortInUse, serve_anvil
from morphware.node.testnet.shape import Shape
from morphware.protocol.parameters import Timing
from morphware.protocol.units import TOKEN, Address, Wei

NOTHING: Final = Wei(0)
SUPPLY_WEI: Final = Wei(1_000_000_000 * TOKEN)
TOKENS_EACH_WEI: Final = Wei(10_000 * TOKEN)
COINS_EACH_WEI: Final = 100 * 10**18
SEAT_STAKE_WEI: Final = Wei(100 * TOKEN)
PASSWORD: Final = "testnet"  # noqa: S105 - guards nothing: a testnet's tokens are worth nothing
KEYSTORE_WORK: Final = 2**12
START_PATIENCE_S: Final = 90.0
BLOCK_S: Final = 1
FAST_BLOCK_S: Final = 0.1
SETUP_MOST_S: Final = 3600

TEST_TIMING: Final = Timing(
    revealing_s=12,
    keys_s=20,
    acknowledge_s=40,
    dispute_s=20,
    seed_s=25,
    keying_s=25,
    report_reveal_s=15,
    appeal_s=4,
    claim_s=30,
    inspect_s=8,
    draw_s=3,
    unbonding_s=600,
    seed_blocks=1,
    audit_one_in=10,
)
"""Windows for a chain with a block a second. All but the appeal window end early when everybody does his part."""


class NodeFailed(MorphwareError):
    """A node process of the testnet ended by itself; the end of its log says why."""


@dataclass(slots=True)
class NodeProcess:
    """One node of the testnet: where it lives, and its process while it runs."""

    name: str
    role: str
    folder: Path
    account: Address
    pid: int | None = None
    ended: trio.Event = field(default_factory=trio.Event)

    @property
    def client(self) -> AsyncClient:
        """Talks to the node."""
        return AsyncClient(self.folder)

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "morphware.toml"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "node.log"

    def log_tail(self, size: int = 1500) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-size:] if self.log.exists() else ""


class Network:
    """A running testnet. ``nodes`` by name; processes are started, killed and started again by name."""

    def __init__(self, folder: Path, anvil: Anvil, deployment: Deployment, reader: MarketReader, rpc: Rpc) -> None:
        self.folder = folder
        self.anvil = anvil
        self.deployment = deployment
        self.reader = reader
        self.rpc = rpc
        self.deployer = Address(b"")
        self.nodes: dict[str, NodeProcess] = {}
        self.deviation: Mapping[str, Any] = {}
        """What every node does otherwise than a node should; empty but in scenarios."""
        self._zygote: subprocess.Popen[bytes] | None = None
        self._started: dict[str, tuple[trio.Event, list[int]]] = {}

    @property
    def names(self) -> dict[Address, str]:
        """Names by account."""
        return {node.account: node.name for node in self.nodes.values()}

    def by_role(self, role: str) -> list[NodeProcess]:
        """The nodes of one role, in the order of their numbers."""
        return [node for node in self.nodes.values() if node.role == role]

    async def start(self, name: str) -> None:
        """Start a node's process, and wait until it takes part in the market."""
        node = self.nodes[name]
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        done, answer = trio.Event(), list[int]()
        self._started[str(node.config)] = (done, answer)
        node.ended = trio.Event()
        request = {"start": str(node.config), "log": str(node.log), "deviation": dict(self.deviation)}
        self._zygote.stdin.write(json.dumps(request).encode() + b"\n")
        self._zygote.stdin.flush()
        await done.wait()
        [node.pid] = answer
        await self.until_ready(name)

    async def until_ready(self, name: str) -> None:
        """Wait until a node answers. Raises ``NodeFailed`` if it ends before."""
        node = self.nodes[name]
        give_up_at = trio.current_time() + START_PATIENCE_S
        while True:
            try:
                await node.client.known_nodes()
                return
            except NodeNotRunning as error:
                if node.ended.is_set() or trio.current_time() > give_up_at:
                    raise NodeFailed(f"{name} did not start: {node.log_tail()}") from error
            await trio.sleep(0.05)

    async def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a node's process, by default without a warning, and wait for its end."""
        node = self.nodes[name]
        if node.pid is not None and not node.ended.is_set():
            kill(node.pid, number)
            await node.ended.wait()

    async def serve(self, zygote: "subprocess.Popen[bytes]", *, task_status: trio.TaskStatus[None]) -> None:
        """Take in what the zygote says until cancelled."""
        self._zygote = zygote
        assert zygote.stdout is not None
        async with trio.lowlevel.FdStream(dup(zygote.stdout.fileno())) as stream:
            buffer = b""
            async for chunk in stream:
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    self._note(json.loads(line), task_status)

    def _note(self, message: Mapping[str, Any], task_status: trio.TaskStatus[None]) -> None:
        match message:
            case {"ready": _}:
                task_status.started()
            case {"started": config, "pid": pid}:
                done, answer = self._started.pop(config)
                answer.append(pid)
                done.set()
            case {"ended": pid}:
                for node in self.nodes.values():
                    if node.pid == pid:
                        node.ended.set()
            case _:
                pass


@asynccontextmanager
async def running_network(
    folder: Path,
    shape: Shape,
    *,
    timing: Timing = TEST_TIMING,
    settings: Mapping[str, str] | None = None,
    deviation: Mapping[str, Any] | None = None,
    audits_wei: Wei = NOTHING,
) -> AsyncIterator[Network]:
    """A whole market with all nodes taking part; nothing is left behind when the block ends.

    Args:
        settings: further lines of every node's configuration, as ``section.key`` to TOML value.
        deviation: what the nodes do otherwise than they should (``deviations.py``).
        audits_wei: what a new market's audit pool begins with.
    """
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one call, before anything runs
    shape.keep(folder)
    zygote = subprocess.Popen(  # noqa: ASYNC220 - on this thread: a death signal would follow another
        [sys.executable, "-m", "morphware.node.testnet.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=_environment(),
    )
    try:
        async with trio.open_nursery() as nursery:
            anvil: Anvil = await nursery.start(_serve_chain, folder)
            async with Rpc(anvil.url, patience_s=30) as rpc, _mined_fast(rpc):
                deployment, accounts, market_deployer = await _found_market(folder, rpc, shape, timing, audits_wei)
                reader = MarketReader(rpc, deployment)
                network = Network(folder, anvil, deployment, reader, rpc)
                network.deployer = market_deployer
                network.deviation = deviation or {}
                costs = shape.costs()
                for name, account in accounts.items():
                    node = NodeProcess(name, name.split("-")[0], folder / "nodes" / name, account)
                    price = costs[int(name.split("-")[1]) - 1] if node.role == "worker" else None
                    seats = {"validator.seats": str(shape.seats_each)} if node.role == "validator" else {}
                    text = _config_text(node, anvil, folder, price, seats | dict(settings or {}))
                    node.config.write_text(text, encoding="utf-8")
                    network.nodes[name] = node
                await nursery.start(_serve_zygote, network, zygote)
                async with trio.open_nursery() as starting:
                    for name in network.nodes:
                        starting.start_soon(network.start, name)
                await _until_acquainted(network)
            async with Rpc(anvil.url, patience_s=30) as network.rpc:
                network.reader = MarketReader(network.rpc, deployment)
                yield network
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _end_zygote(zygote)


async def _serve_zygote(
    network: Network, zygote: "subprocess.Popen[bytes]", *, task_status: trio.TaskStatus[None]
) -> None:
    await network.serve(zygote, task_status=task_status)


async def _serve_chain(folder: Path, *, task_status: trio.TaskStatus[Anvil]) -> None:
    port_file = folder / "chain" / "port"
    port = int(port_file.read_text(encoding="ascii")) if port_file.exists() else 0

    async with trio.open_nursery() as nursery:
        began_at = int(time.time()) - SETUP_MOST_S
        start = partial(serve_anvil, folder / "chain", port=port, is_mining=False, began_at=began_at)
        try:
            anvil: Anvil = await nursery.start(start)
        except PortInUse as error:
            raise BadInput(
                f"A testnet runs in {folder} already, or another program has its chain's port {port}: "
                "stop that, or name another --folder."
            ) from error
        port_file.write_text(str(anvil.port), encoding="ascii")
        task_status.started(anvil)


@asynccontextmanager
async def _mined_fast(rpc: Rpc) -> AsyncIterator[None]:
    """Mine many blocks a second while the market is set up, and one a second, in step with the clock, from then on.

    The chain's clock begins in the past, so that it has not overtaken the real one when it is set to it.
    """

    async def mine() -> None:
        while True:
            await rpc.ask("evm_mine", answer=str)
            await trio.sleep(FAST_BLOCK_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mine)
        yield
        nursery.cancel_scope.cancel()
    await rpc.ask("evm_setTime", int(time.time()), answer=int)
    await rpc.ask("evm_setIntervalMining", BLOCK_S, answer=type(None))


async def _found_market(
    folder: Path, rpc: Rpc, shape: Shape, timing: Timing, audits_wei: Wei
) -> tuple[Deployment, dict[str, Address], Address]:
    """Deploy and fund, or find again what an earlier run of this folder deployed."""
    names = ["user-1", *[f"worker-{i + 1}" for i in range(shape.workers)]]
    names += [f"validator-{i + 1}" for i in range(shape.validators)]
    accounts: dict[str, Address] = {}

    async def make_keys(name: str) -> None:
        keys_folder = folder / "nodes" / name / "keys"
        if not keys_folder.exists():
            keys_folder.parent.mkdir(parents=True, exist_ok=True)
            await node_keys.create(keys_folder, PASSWORD, work=KEYSTORE_WORK)
        accounts[name] = node_keys.read_account(keys_folder)

    log = SqliteTransactionLog(open_database(folder / "deployer.sqlite", isolation_level=None))
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as making:
            for name in names:
                making.start_soon(make_keys, name)
        sender = deployer(rpc, DEPLOYER_KEY, CHAIN_ID, log, SenderSettings())
        await nursery.start(sender.run)
        if (folder / "deployment.json").exists():
            deployment = load_deployment(folder / "deployment.json")
        else:
            deployment = await deploy(rpc, sender, timing=timing, seat_stake_wei=SEAT_STAKE_WEI, supply_wei=SUPPLY_WEI)
            everybody = [accounts[name] for name in names]
            await fund(sender, deployment.token, everybody, tokens_wei=TOKENS_EACH_WEI, coins_wei=COINS_EACH_WEI)
            if audits_wei:
                await fund_audits(sender, deployment, audits_wei)
            save_deployment(deployment, folder / "deployment.json")
        nursery.cancel_scope.cancel()
    return deployment, {name: accounts[name] for name in names}, Address(sender.address)


def _config_text(node: NodeProcess, anvil: Anvil, folder: Path, price: Wei | None, settings: Mapping[str, str]) -> str:
    """A node's configuration file."""
    (node.folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (node.folder / "password").chmod(0o600)
    lines: dict[str, str] = {
        "node.data_folder": json.dumps(str(node.folder)),
        "node.roles": json.dumps([node.role]),
        "node.name": json.dumps(node.name),
        "chain.rpc_url": json.dumps(anvil.url),
        "chain.deployment": json.dumps(str(folder / "deployment.json")),
        "chain.finality_blocks": "0",
        "chain.poll_s": "0.2",
        "chain.patience_s": "3",
        "worker.threads": "1",
        "worker.minimum_price": '"0.001"',
        # one worker always hides among decoys, so that every demonstration has some
        "worker.decoy_probability": "1.0" if node.name == "worker-1" else "0.3",
        "keys.password_file": json.dumps(str(node.folder / "password")),
    }
    if price is not None:
        lines["worker.price_per_hour"] = json.dumps(format_tokens(price))
    lines |= settings
    sections: dict[str, list[str]] = {}
    for key, value in lines.items():
        section, name = key.split(".", 1)
        sections.setdefault(section, []).append(f"{name} = {value}")
    return "\n".join(f"[{section}]\n" + "\n".join(rows) + "\n" for section, rows in sections.items())


async def _until_acquainted(network: Network) -> None:
    """Wait until every node knows every other one, so that the first job's bids have somebody to hear them."""
    for name, node in network.nodes.items():
        give_up_at = trio.current_time() + START_PATIENCE_S
        while await node.client.known_nodes() < len(network.nodes):
            if trio.current_time() > give_up_at:
                raise NodeFailed(f"{name} does not find the other nodes: {node.log_tail()}")
            await trio.sleep(0.1)


async def _end_zygote(zygote: "subprocess.Popen[bytes]") -> None:
    """Close its standard input, at which it stops every node, and wait for it."""
    if zygote.stdin is not None:
        zygote.stdin.close()
    await trio.to_thread.run_sync(zygote.wait)
    if zygote.stdout is not None:
        zygote.stdout.close()


def _environment() -> dict[str, str]:
    """One thread for numeric libraries: a dozen nodes share this machine, and forking wants no threads."""
    return {**environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
