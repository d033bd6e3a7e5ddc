"""A whole market in memory: real engines, journals, performers and speakers on ports that need no network.

The chain is the pure ``protocol.market.Market`` with a block a second under trio's autojump clock; gossip is judged by
the real rules; artifacts lie in one swarm; jobs have canned results.  A node can be killed between any two statements
of its journal and at the edges of every effect, and started again on the same folder.

No thread may run under a clock that jumps: ``no_threads`` makes the few calls that want one run at once.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_keys.datatypes import PrivateKey

from morphware.node.amounts import format_tokens
from morphware.node.brake import Brakes
from morphware.node.chain.calldata import name_of
from morphware.node.config import Config, WorkerSection
from morphware.node.curve import ProgressReceiver
from morphware.node.directory import Directory
from morphware.node.engine import Engine, Roles
from morphware.node.feed import Feed
from morphware.node.gossip.pubsub import GossipMessage
from morphware.node.journal import Journal
from morphware.node.machines import Machine, Sources
from morphware.node.offers import offer_of
from morphware.node.operating import Operating
from morphware.node.ports import (
    Block,
    Receipt,
    Refused,
)
from morphware.node.speech import Listener, Speaker
from morphware.node.treasury import Treasury
from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol.brain import Identity, Relaying
from morphware.protocol.calls import Call
from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.crypto import encryption_public_key, peer_public_key
from morphware.protocol.effects import Effect
from morphware.protocol.gossip import Knowledge, net_of
from morphware.protocol.parameters import Timing
from morphware.protocol.signatures import sign_digest
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.user import Submission
from morphware.protocol.verdicts import Accept
from tests.node.fuse import Fuse, FusedConnection, FusedPerformer, Killed, SequentialEntropy
from tests.node.memory_ports import (
    FIRST_BLOCK,
    MemoryArtifacts,
    MemoryChain,
    MemoryGossip,
    MemoryRunner,
    Transaction,
)
from tests.node.recording_market import RecordingMarket

START_S = 1_800_000_000
BLOCK_S = 1.0
RICH_WEI = 10_000
SEAT_STAKE_WEI = Wei(70)
DOMAIN = Domain(31337, Address(bytes(range(20))))
NET = net_of(DOMAIN, bytes(32))
TIMING = Timing(
    revealing_s=12,
    keys_s=10,
    acknowledge_s=12,
    dispute_s=10,
    seed_s=12,
    keying_s=10,
    report_reveal_s=10,
    appeal_s=8,
    claim_s=10,
    inspect_s=12,
    draw_s=3,
    unbonding_s=1,
    seed_blocks=2,
    audit_one_in=10,
)
SUBMISSION = Submission(
    name="digits",
    kind="script",
    entry="train.py",
    metric="accuracy",
    threshold_e6=900_000,
    reserve_wei=Wei(100),
    fee_wei=Wei(2),
    seats=5,
    bidding_s=10,
    training_s=30,
    testing_s=24,
    estimated_s=10,
)
HORIZON_S = 1_000


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that wants a thread is done at once: the clock would jump over a running thread."""

    async def run(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run)
    monkeypatch.setattr(trio.from_thread, "check_cancelled", lambda: None)


# --- the chain ------------------------------------------------------------------------------------------------------


class World:
    """Everything outside of the nodes. It outlives every one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.market = RecordingMarket(
            DOMAIN, Parameters(TIMING, SEAT_STAKE_WEI), lambda number: keccak(number.to_bytes(8, "big"))
        )
        self.blocks: list[Block] = []
        self.wallets: dict[Address, int] = {}
        self.allowances: dict[Address, int] = {}
        self.waiting: list[Transaction] = []
        self.receipts: dict[tuple[Address, str], Receipt | Refused] = {}
        self.sent: list[Transaction] = []
        self.mined = trio.Event()
        self.swarm: dict[bytes, set[Path]] = {}
        self.nodes: dict[str, Node] = {}
        self.is_chain_down = False
        self.balance_reads_fail = 0

    @property
    def number(self) -> int:
        return FIRST_BLOCK + len(self.blocks) - 1

    @property
    def now(self) -> Timestamp:
        return Timestamp(START_S + len(self.blocks))

    def mine(self) -> None:
        """One block with everything that waits."""
        number, now = self.number + 1, Timestamp(self.now + 1)
        events: list[ce.ChainEvent] = []
        hashes: list[bytes] = []
        due, self.waiting = self.waiting, []
        for transaction in due:
            result = self._execute(transaction.account, transaction.call, now, number)
            if isinstance(result, list):
                events += result
                transaction_hash = keccak(transaction.account + transaction.effect_id.encode())
                hashes += [transaction_hash] * len(result)
                receipt: Receipt | Refused = Receipt(transaction_hash, number, 50_000, 7)
            else:
                receipt = Refused(type(result).__name__, {}, str(result)) if not isinstance(result, Refused) else result
            self.receipts[transaction.account, transaction.effect_id] = receipt
        assert self.market.ledger.is_conserved()
        self.blocks.append(Block(number, keccak(number.to_bytes(8, "big")), now, tuple(events), tuple(hashes)))
        self.mined.set()
        self.mined = trio.Event()

    def _execute(self, account: Address, call: Call | calls.Multicall, now: Timestamp, number: int) -> Any:
        if isinstance(call, calls.Approve):
            self.allowances[account] = int(call.amount_wei)
        if isinstance(call, calls.Deposit):
            amount = int(call.amount_wei)
            if amount > self.wallets.get(account, 0) or amount > self.allowances.get(account, 0):
                return Refused("ERC20InsufficientBalance", {}, "The token refuses to move so much.")
            self.wallets[account] -= amount
            self.allowances[account] -= amount
        return self.market.execute(account, call, now, number)

    async def tick(self) -> None:
        """A block every second, for ever."""
        while True:
            await trio.sleep(BLOCK_S)
            self.mine()

    async def until(self, condition: Callable[[], bool], horizon_s: int = HORIZON_S) -> None:
        """Wait, block by block, until something is true."""
        with trio.fail_after(horizon_s):
            while not condition():  # noqa: ASYNC110 - conditions look at anything, and time costs nothing here
                await trio.sleep(BLOCK_S / 4)

    async def until_sent(self, count: int) -> None:
        """Wait until so many calls are in the pool; no block is made meanwhile."""
        await self.until(lambda: len(self.waiting) >= count)

    def state(self, job_id: JobId) -> State:
        return self.market.jobs[job_id].state if job_id in self.market.jobs else State.NONE

    def outcome(self, job_id: JobId) -> Outcome:
        return self.market.jobs[job_id].outcome if job_id in self.market.jobs else Outcome.NONE

    def calls_of(self, name: str) -> list[str]:
        account = self.nodes[name].account
        return [
            name
            for transaction in self.sent
            if transaction.account == account
            for name in name_of(transaction.call).split("+")
        ]


# --- a node ---------------------------------------------------------------------------------------------------------


class Node:
    """One node: what survives it is its folder, its keys and its entropy's place."""

    def __init__(self, world: World, name: str, *roles: str, cost: int = 30, capacity: int = 1) -> None:
        self.world = world
        self.name = name
        self.roles = roles
        self.config = Config(
            worker=WorkerSection(
                price_per_hour="0",
                minimum_price=format_tokens(cost),
                decoy_probability=0,
                capacity=capacity,
                memory_gib=8,
                disk_gib=8,
            )
        )
        self.private_key = keccak(b"account " + name.encode())
        self.account = Address(PrivateKey(self.private_key).public_key.to_canonical_address())
        self.peer_seed = keccak(b"ed25519 " + name.encode())
        self.peer_key = peer_public_key(self.peer_seed)
        self.encryption_secret = keccak(b"x25519 " + name.encode())
        self.folder = world.folder / name
        self.entropy = SequentialEntropy(name)
        self.runner = MemoryRunner()
        self.fuse = Fuse()
        self.bug: Callable[[Machine, Effect], None] = lambda _machine, _effect: None
        self.before_run: Callable[[Engine], None] = lambda _engine: None
        self.is_up = False
        self.is_deaf = False
        self.does_relay = True
        self.starts = 0
        self.nursery: trio.Nursery | None = None
        self.chain = MemoryChain(world, self.account, self.fuse)
        self.artifacts = MemoryArtifacts(self)
        self.notices: list[dict[str, Any]] = []
        self.is_live = False
        self._scope: trio.CancelScope | None = None
        self._gone = trio.Event()
        world.nodes[name] = self

    def enrol(self, *, free_wei: int = RICH_WEI, wallet_wei: int = 0, seats: int = 0) -> "Node":
        """Be known on the chain before the story begins."""
        market, now, number = self.world.market, self.world.now, self.world.number
        record = calls.PublishNode(
            encryption_public_key(self.encryption_secret), self.peer_key, (f"/ip4/127.0.0.1/tcp/1/p2p/{self.name}",)
        )
        published = market.execute(self.account, record, now, number)
        assert isinstance(published, list)
        self.world.wallets[self.account] = wallet_wei
        if free_wei:
            market.execute(self.account, calls.Deposit(Wei(free_wei)), now, number + 1)
        if seats:
            assert isinstance(market.execute(self.account, calls.Stake(seats), now, number + 1), list)
        self.world.blocks.append(Block(number + 1, keccak((number + 1).to_bytes(8, "big")), now, tuple(published)))
        return self

    async def start(self, nursery: trio.Nursery) -> "Node":
        """Start, or start again on the same folder; returns once the node has caught up (or was killed meanwhile)."""
        self._gone = trio.Event()
        await nursery.start(self._live)
        return self

    async def run_on(self, nursery: trio.Nursery, down_s: float = 2 * BLOCK_S) -> None:
        """Start, and start again a little later whenever the fuse blows, as a service manager would."""
        while True:
            await self.start(nursery)
            await self._gone.wait()
            await trio.sleep(down_s)

    async def kill(self) -> None:
        """The process is gone: nothing of it runs on."""
        if self._scope is not None:
            self._scope.cancel()
            await self._gone.wait()

    async def _live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        is_started = False
        journal: Journal | None = None
        try:
            with trio.CancelScope() as self._scope:
                journal = self._open()
                async with trio.open_nursery() as nursery:
                    self.nursery = nursery
                    heard, hearing = trio.open_memory_channel[GossipMessage](1_000)
                    self._heard = heard
                    self.is_up = True
                    nursery.start_soon(self._serve_old_files, journal)
                    self.before_run(self.engine)
                    nursery.start_soon(self.listener.listen, hearing)
                    nursery.start_soon(self._note)
                    await nursery.start(self.engine.run, FIRST_BLOCK, self.world.number)
                    nursery.start_soon(self.listener.keep_time, self.feed)
                    is_started = self.is_live = True
                    task_status.started()
        except* Killed:
            pass
        finally:
            self.is_up = self.is_live = False
            self.nursery = None
            if journal is not None:
                journal.close()
            if not is_started:
                task_status.started()
            self._gone.set()

    def _open(self) -> Journal:
        self.starts += 1
        self.fuse.count, self.fuse.places = 0, []
        self.journal = Journal(self.folder / "journal.sqlite")
        self.journal.connection.execute("PRAGMA synchronous=OFF")
        self.journal.connection = FusedConnection(self.journal.connection, self.fuse)  # type: ignore[assignment]
        self.directory, self.feed = Directory(self.journal.nodes()), Feed()
        self.gossip, self.artifacts = MemoryGossip(self), MemoryArtifacts(self)
        identity = Identity(
            domain=DOMAIN,
            timing=TIMING,
            account=self.account,
            encryption_secret=self.encryption_secret,
            encryption_keys=self.directory,
            patience_s=3,
            torrent=self.artifacts.address,
            seat_stake_wei=SEAT_STAKE_WEI,
            relaying=Relaying(partial(sign_digest, self.private_key), lag_s=1) if self.does_relay else None,
        )
        self.engine = Engine(
            journal=self.journal,
            chain=self.chain,
            entropy=self.entropy,
            identity=identity,
            roles=Roles(frozenset(self.roles), offer_of(self.config.worker), self.config.worker.capacity),
            feed=self.feed,
            directory=self.directory,
            treasury=Treasury(self.chain),
        )
        self.knowledge = Knowledge(DOMAIN, NET, self.directory.peer_keys, self.engine.views)
        self.listener = Listener(self.knowledge, self.engine.hear, self.engine.note_node, self.directory.move)
        self.receiver = ProgressReceiver(self.journal, self.feed, self.directory, self.engine.views, self.account)
        speaker = Speaker(self.knowledge, self.account, self.private_key, self.peer_seed, self.gossip)
        brakes = Brakes()
        performer = FusedPerformer(
            self.folder / "jobs", self.account, self.journal, self.chain, self.artifacts, self.gossip, speaker,
            self.runner, self.directory, self.feed, self.engine.treasury, self.engine.promised_wei,
            self.engine.limits, brakes,
        )  # fmt: skip
        object.__setattr__(performer, "fuse", self.fuse)
        object.__setattr__(performer, "bug", lambda machine, effect: self.bug(machine, effect))
        self.engine.performer, self.engine.connect = performer, self.gossip.connect
        self.operating = Operating(self.engine, brakes, self.config)
        return self.journal

    async def _serve_old_files(self, journal: Journal) -> None:
        for _, _, _, path in journal.files():
            if path.exists():
                await self.artifacts.seed(path)

    async def _note(self) -> None:
        with self.feed.listen() as notices:
            async for notice in notices:
                self.notices.append(notice)

    def hear(self, topic: str, data: bytes, author_key: bytes) -> None:
        """A message comes from a peer."""
        if isinstance(self.listener.rule(topic)(author_key, data), Accept):
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                self._heard.send_nowait(GossipMessage(topic, author_key, data))

    async def submit(self, **changes: Any) -> JobId:
        """Submit the usual job, from folders made for it."""
        source = self.folder / "mine"
        for name, files in {
            "code": {"train.py": "print('training')"},
            "train": dict.fromkeys(("inputs.csv", "labels.csv"), "".join(f"{row}\n" for row in range(12))),
            "test": {"inputs.csv": "1\n", "labels.csv": "1\n"},
        }.items():
            (source / name).mkdir(parents=True, exist_ok=True)
            for file, text in files.items():
                (source / name / file).write_text(text)

        def keep(job_id: JobId) -> Sources:
            kept = self.folder / "jobs" / job_id.hex() / "user"
            for name in ("code", "train") if changes.get("chunks") else ("code", "train", "test"):
                shutil.copytree(source / name, kept / name, dirs_exist_ok=True)
            return Sources(kept / "code", kept / "train", kept / "test")

        return await self.engine.submit(replace(SUBMISSION, **changes), keep)

    def journal_points(self, job_id: JobId) -> list[tuple[int, float, str, float]]:
        """The curve as it lies on this node's disk, whether the node runs or not."""
        journal = Journal(self.folder / "journal.sqlite")
        try:
            return journal.points(job_id)
        finally:
            journal.close()

    def costs(self) -> list[dict[str, str | int | None]]:
        """What the node's journal says of gas."""
        journal = Journal(self.folder / "journal.sqlite")
        try:
            return journal.costs()
        finally:
            journal.close()

    def seen(self, kind: str) -> list[dict[str, Any]]:
        """Notices of a kind since the beginning, over all lives."""
        return [notice for notice in self.notices if notice["kind"] == kind]


def market_of(folder: Path, *, workers: Sequence[int] = (30, 40), validators: int = 11) -> World:
    """An end user, workers with these costs, validators with seats enough for one job; nobody runs yet."""
    world = World(folder)
    Node(world, "user", "user").enrol()
    for index, cost in enumerate(workers):
        Node(world, f"worker{index}", "worker", cost=cost).enrol()
    for index in range(validators):
        Node(world, f"validator{index}", "validator").enrol(seats=-(-(3 * SUBMISSION.seats + 1) // validators))
    return world
