"""A node's ports in the world: an account on its chain, gossip by its rules, one swarm, and canned results."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from morphware.node.artifacts.errors import ArtifactUnavailable
from morphware.node.artifacts.metainfo import sealed_name
from morphware.node.brake import Brake
from morphware.node.chain.errors import ChainUnreachable
from morphware.node.curve import PROTOCOL as PROGRESS
from morphware.node.gossip.errors import PeerUnreachable
from morphware.node.ports import (
    Block,
    Limits,
    MetricPoint,
    PeerAddress,
    Receipt,
    Refused,
    RunResult,
    Score,
    Transfer,
    UsageSample,
)
from morphware.protocol import calls
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Call
from morphware.protocol.commitments import keccak
from morphware.protocol.crypto import sha256_of
from morphware.protocol.units import Address, Wei
from tests.node.fuse import Fuse

if TYPE_CHECKING:
    from tests.node.world import Node, World

FIRST_BLOCK = 100
TICK_S = 0.1


@dataclass(frozen=True)
class Transaction:
    account: Address
    effect_id: str
    call: Call | calls.Multicall


class MemoryChain:
    """One account on the world's market: the Chain port, and what the treasury asks."""

    def __init__(self, world: "World", account: Address, fuse: Fuse) -> None:
        self.world = world
        self._account = account
        self._fuse = fuse

    @property
    def account(self) -> Address:
        return self._account

    async def send(self, call: Call | calls.Multicall, *, effect_id: str) -> Receipt | Refused:
        await trio.lowlevel.checkpoint()
        self._require_up()
        self._fuse.burn("before a call is sent")
        world, key = self.world, (self._account, effect_id)
        transaction = Transaction(self._account, effect_id, call)
        if transaction not in world.sent:
            assert all((sent.account, sent.effect_id) != key for sent in world.sent), f"{effect_id} has two meanings"
            world.sent.append(transaction)
            world.waiting.append(transaction)
        self._fuse.burn("after a call is sent")
        while key not in world.receipts:
            await world.mined.wait()
        return world.receipts[key]

    async def follow(self, after_block: int, *, after_hash: bytes | None = None) -> AsyncGenerator[Block, None]:
        position = max(0, after_block + 1 - FIRST_BLOCK)
        if after_hash is not None:
            assert self.world.blocks[position - 1].hash == after_hash
        while True:
            while position < len(self.world.blocks):
                block = self.world.blocks[position]
                told = self.world.market.account_events[self._account]
                own = tuple((event, known) for event, now, known in told if now.block == block.number)
                yield replace(block, account_events=own)
                position += 1
                await trio.lowlevel.checkpoint()
            await self.world.mined.wait()

    async def free_balance(self, account: Address) -> Wei:
        await trio.lowlevel.checkpoint()
        self._require_up()
        if self.world.balance_reads_fail > 0:
            self.world.balance_reads_fail -= 1
            raise ChainUnreachable("no answer")
        return Wei(self.world.market.ledger.free(account))

    async def wallet_balance(self, account: Address) -> Wei:
        await trio.lowlevel.checkpoint()
        self._require_up()
        return Wei(self.world.wallets.get(account, 0))

    async def allowance(self, account: Address) -> Wei:
        await trio.lowlevel.checkpoint()
        self._require_up()
        return Wei(self.world.allowances.get(account, 0))

    def _require_up(self) -> None:
        if self.world.is_chain_down:
            raise ChainUnreachable("no answer")


# --- gossip, artifacts, runner --------------------------------------------------------------------------------------


class MemoryFrames:
    def __init__(self, channel: trio.MemorySendChannel[bytes]) -> None:
        self._channel = channel

    async def send(self, frame: bytes) -> None:
        try:
            await self._channel.send(frame)
        except trio.BrokenResourceError:
            raise PeerUnreachable("the peer hung up") from None


class MemoryGossip:
    """Everybody is everybody's neighbour; each judges with its own knowledge, and hears nothing of itself."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.known: list[str] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        return (f"/ip4/127.0.0.1/tcp/4001/p2p/{self._node.name}",)

    async def publish(self, topic: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        for other in self._node.world.nodes.values():
            if other is not self._node and other.is_up and not other.is_deaf:
                other.hear(topic, data, self._node.peer_key)

    async def request(self, peer_key: bytes, protocol: str, data: bytes, *, timeout_s: float = 10) -> bytes:
        raise PeerUnreachable("nobody answers requests here")

    @asynccontextmanager
    async def stream_to(self, peer_key: bytes, protocol: str) -> AsyncIterator[MemoryFrames]:
        other = next((node for node in self._node.world.nodes.values() if node.peer_key == peer_key), None)
        if other is None or not other.is_up or other.nursery is None or protocol != PROGRESS:
            raise PeerUnreachable("the peer is not there")
        send, receive = trio.open_memory_channel[bytes](8)
        try:
            other.nursery.start_soon(self._receive, other, receive)
        except RuntimeError:
            raise PeerUnreachable("the peer is just dying") from None
        with send:
            yield MemoryFrames(send)

    async def _receive(self, other: "Node", frames: trio.MemoryReceiveChannel[bytes]) -> None:
        with frames:
            await other.receiver.receive(self._node.peer_key, frames)

    async def connect(self, addresses: Sequence[str]) -> None:
        await trio.lowlevel.checkpoint()
        self.known += addresses


class MemoryArtifacts:
    """One swarm for all: a file can be had while some node that serves it is up."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.served: dict[bytes, Path] = {}

    @property
    def address(self) -> PeerAddress:
        return ("127.0.0.1", 4102)

    async def seed(self, path: Path) -> SealedFile:
        await trio.lowlevel.checkpoint()
        content = path.read_bytes()
        sha256 = sha256_of(content)
        self.served[sha256] = path
        return SealedFile(f"magnet:?xt=urn:btih:{sha256[:20].hex()}", len(content), sha256)

    async def fetch(
        self,
        file: SealedFile,
        destination: Path,
        *,
        peers: Sequence[PeerAddress] = (),
        progress: Callable[[Transfer], None] | None = None,
    ) -> Path:
        await trio.sleep(0.1)
        final = destination / sealed_name(file.sha256)
        if not final.exists():
            others = [node for node in self._node.world.nodes.values() if node.is_up]
            source = next((node.artifacts.served.get(file.sha256) for node in others if self._has(node, file)), None)
            if source is None:
                raise ArtifactUnavailable("nobody has it")
            final.write_bytes(source.read_bytes())
        self.served[file.sha256] = final
        if progress is not None:
            progress(Transfer(file.size_bytes, file.size_bytes, 1.0, 1))
        return final

    @staticmethod
    def _has(node: "Node", file: SealedFile) -> bool:
        return file.sha256 in node.artifacts.served

    def add_peers(self, file: SealedFile, peers: Sequence[PeerAddress]) -> None:
        pass

    async def unseed(self, file: SealedFile) -> None:
        await trio.lowlevel.checkpoint()
        self.served.pop(file.sha256, None)


@dataclass
class MemoryRunner:
    """Canned results; ``runs`` counts what was run at the same time."""

    train_s: float = 0.3
    metric_e6: int = 950_000
    failures: list[Exception] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    trainings: int = 0

    async def train(
        self,
        *,
        code: Path,
        entry: str,
        train: Path,
        model: Path,
        limits: Limits,
        on_metric: Callable[[MetricPoint], None],
        on_log: Callable[[str], None],
        on_usage: Callable[[UsageSample], None] | None = None,
        brake: Brake | None = None,
    ) -> RunResult:
        if self.failures:
            raise self.failures.pop(0)
        assert (code / entry).is_file()
        assert (train / "inputs.csv").is_file()
        self.running += 1
        self.trainings += 1
        self.most_running = max(self.running, self.most_running)
        try:
            for step in range(3):
                on_metric(MetricPoint(step, float(step), {"loss": 1.0 / (step + 1)}))
                on_log(f"step {step}\n")
                if on_usage is not None:
                    on_usage(UsageSample(float(step), 100.0, 64 << 20, 1 << 20))
                await _work(self.train_s / 3, limits, brake)
        finally:
            self.running -= 1
        (model / "model.txt").write_text("a model")
        return RunResult(0, "", self.train_s, 1 << 20, "")

    async def evaluate(
        self,
        *,
        code: Path,
        entry: str,
        model: Path,
        test: Path,
        metric: str,
        validator: Address,
        limits: Limits,
    ) -> Score:
        if self.failures:
            raise self.failures.pop(0)
        assert (code / entry).is_file()
        assert (test / "labels.csv").is_file()
        assert (model / "model.txt").is_file()
        await trio.sleep(0.3)
        return Score(self.metric_e6, 123_456_789, keccak(validator))


async def _work(seconds: float, limits: Limits, brake: Brake | None) -> None:
    """Run for so long, and stand still meanwhile as the sandbox would."""
    if brake is None:
        await trio.sleep(seconds)
        return
    end_s = trio.current_time() + limits.deadline_s - brake.ran_s - brake.frozen_s
    goal_s = brake.ran_s + seconds
    while brake.ran_s < goal_s:
        tick_s = min(TICK_S, goal_s - brake.ran_s)
        await trio.sleep(tick_s)
        brake.holds(tick_s, end_s - trio.current_time())
