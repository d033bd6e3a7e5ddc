"""The whole seam between the node and the world: what the engine asks of gossip, chain, artifacts, runner and chance.

Each port has two real implementations: the adapter on the real component, and the in-memory one of the tests.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Protocol

from morphware.node.account_events import AccountEvent
from morphware.node.brake import Brake
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Call, Multicall
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.units import Address, Timestamp, Wei

PeerAddress = tuple[str, int]
"""Host and TCP port of a BitTorrent peer."""


# --- artifacts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transfer:
    """Progress of one fetch."""

    done_bytes: int
    total_bytes: int
    rate_bytes_s: float
    peers: int


class Artifacts(Protocol):
    """Moves ciphertexts. Fetching verifies size and SHA-256 before the file gets its final name."""

    @property
    def address(self) -> PeerAddress:
        """Where other peers reach this node."""
        ...

    async def seed(self, path: Path) -> SealedFile:
        """Serve a file; idempotent. Returns only when a peer that connects now is served."""
        ...

    async def fetch(
        self,
        file: SealedFile,
        destination: Path,
        *,
        peers: Sequence[PeerAddress] = (),
        progress: Callable[[Transfer], None] | None = None,
    ) -> Path:
        """Fetch into ``destination`` (a folder), keep seeding, return the path. An intact file is not fetched again."""
        ...

    def add_peers(self, file: SealedFile, peers: Sequence[PeerAddress]) -> None:
        """Tell a running or later fetch of this file of more peers."""
        ...

    async def unseed(self, file: SealedFile) -> None:
        """Stop serving; the file stays."""
        ...


# --- gossip ---------------------------------------------------------------------------------------------------------


class Frames(Protocol):
    """The sending end of a direct stream."""

    async def send(self, frame: bytes) -> None:
        """Send one frame of at most 64 KiB, waiting while the peer is slow."""
        ...


class Gossip(Protocol):
    """Broadcast and direct streams between peers, who are named by their Ed25519 public key (32 bytes)."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddresses, ending in /p2p/<peer id>, where other peers reach this node."""
        ...

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to everyone who subscribed to the topic; hearing is not promised."""
        ...

    async def request(self, peer_key: bytes, protocol: str, data: bytes, *, timeout_s: float = 10) -> bytes:
        """Ask one peer over a direct stream. Raises ``PeerUnreachable``."""
        ...

    def stream_to(self, peer_key: bytes, protocol: str) -> AbstractAsyncContextManager["Frames"]:
        """A one-way stream to a peer. Raises ``PeerUnreachable``."""
        ...

    async def connect(self, addresses: Sequence[str]) -> None:
        """Learn of peers; the node keeps trying to stay connected to them."""
        ...


# --- chain ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """One final block with the market's events, in order.

    ``transactions`` holds, for each event, the hash (32 bytes) of the transaction that caused it; it may be shorter
    than ``events``, and None stands for what nobody knows.
    """

    number: int
    hash: bytes
    timestamp: Timestamp
    events: tuple[ChainEvent, ...]
    transactions: tuple[bytes | None, ...] = ()
    account_events: tuple[tuple[AccountEvent, bytes | None], ...] = ()
    """What concerns the following account's own money and seats, each with its transaction's hash."""

    @property
    def caused(self) -> Iterator[tuple[ChainEvent, bytes | None]]:
        """Each event with its transaction's hash."""
        known = chain(self.transactions, repeat(None))
        return zip(self.events, known, strict=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that the chain took and carried out."""

    transaction_hash: bytes
    block_number: int
    gas_used: int
    fee_wei: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The contract would not carry out (or reverted) a call: the error's name and values, and a sentence for people."""

    error: str
    values: dict[str, object]
    sentence: str


class Chain(Protocol):
    """One account on one market."""

    @property
    def account(self) -> Address: ...

    async def send(self, call: Call | Multicall, *, effect_id: str) -> Receipt | Refused:
        """Carry out a call once: a call that was sent before under this id (before a crash, say) is not sent again."""
        ...

    def follow(self, after_block: int, *, after_hash: bytes | None = None) -> AsyncGenerator[Block, None]:
        """Final blocks, each once and in order, from ``after_block + 1`` on, for ever."""
        ...

    async def free_balance(self, account: Address) -> Wei:
        """The account's free balance in the market, at the last block."""
        ...


# --- runner ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may use.

    ``wall_s`` is for how long it may run; after ``deadline_s`` it is over even if it stood still meanwhile.
    ``has_gpu`` is for trainings only: models are tested on processors, where every validator finds the same.
    """

    wall_s: float = 3600
    memory_bytes: int = 4 << 30
    disk_bytes: int = 4 << 30
    processes: int = 256
    threads: int | None = None
    deadline_s: float = math.inf
    has_gpu: bool = False


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """Scalars that a job logged for one step, ``time_s`` seconds into its run; a display, never a proof."""

    step: int
    time_s: float
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class UsageSample:
    """What a job's processes took of the machine, ``time_s`` seconds into its run. 100 percent is one whole core.

    ``memory_bytes`` and ``disk_bytes`` are what it held at that moment.  The last two are the machine's GPUs together
    (100 percent: all of them), and None where the job has none.
    """

    time_s: float
    cpu_percent: float
    memory_bytes: int
    disk_bytes: int
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a sandboxed run ended: ``reason`` is empty iff it ended by itself with exit status 0."""

    exit_status: int | None
    reason: str
    seconds: float
    peak_memory_bytes: int
    log_tail: str


@dataclass(frozen=True, slots=True)
class Score:
    """What the trusted scorer found: metric in millionths (higher is better), fingerprint in billionths."""

    metric_e6: int
    fingerprint_e9: int
    prediction_root: bytes
    reason: str = ""
    run: RunResult | None = field(default=None, compare=False)


class Runner(Protocol):
    """Runs strangers' code in the sandbox, and the scorer outside of it."""

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
        """Train: ``code`` and ``train`` are read-only folders; the model goes to ``model``.

        Args:
            on_log: hears each line of the job's standard output and error, without its end and without control codes.
            on_usage: hears every second or two what the job takes of this machine.
            brake: while it holds, the job stands still.
        """
        ...

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
        """Predict in the sandbox without the labels, then score. A model that does not answer has metric BAD_MODEL."""
        ...


# --- chance ---------------------------------------------------------------------------------------------------------


class Entropy(Protocol):
    """Chance, for secrets and salts."""

    def token(self, size_bytes: int) -> bytes: ...


Handler = Callable[[bytes, bytes], Awaitable[bytes]]
"""Answers a direct request: (peer's Ed25519 key, request) to answer."""
