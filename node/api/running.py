"""What the handlers of requests work with: the parts of one running node."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import trio

from morphware.node.artifacts.torrents import LibtorrentArtifacts
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.market import MarketChain
from morphware.node.chain.market_reader import MarketParameters
from morphware.node.config import Config
from morphware.node.engine import Engine
from morphware.node.feed import Feed
from morphware.node.gossip.service import Libp2pGossip
from morphware.node.journal import Journal
from morphware.node.operating import Operating
from morphware.node.series import Series
from morphware.protocol.units import Address, JobId

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Running:
    """A node that takes part in the market."""

    config: Config
    account: Address
    deployment: Deployment
    chain: MarketChain
    engine: Engine
    gossip: Libp2pGossip
    artifacts: LibtorrentArtifacts
    parameters: MarketParameters
    feed: Feed
    operating: Operating
    series: Series
    sign: Callable[[bytes], bytes]
    """A recoverable signature of a digest (65 bytes) with the account's key."""
    submitting: trio.Lock = field(default_factory=trio.Lock)
    """Held while tokens are counted for a posting: two submissions must not count the same ones."""

    @property
    def folder(self) -> Path:
        """The node's data folder."""
        return self.config.node.data_folder

    async def read(self, look: Callable[[Journal], A]) -> A:
        """What somebody finds in the journal who reads much of it: in a thread, on a connection of its own."""

        def looking() -> A:
            with closing(self.engine.journal.reader()) as journal:
                return look(journal)

        return await trio.to_thread.run_sync(looking)

    def link_to(self, transaction: str | None) -> str | None:
        """A transaction's page, where the configuration names an explorer of the chain."""
        explorer = self.config.chain.explorer.rstrip("/")
        return f"{explorer}/tx/{transaction}" if explorer and transaction else None

    def job_folder(self, job_id: JobId) -> Path:
        """Where a job's files lie."""
        return self.folder / "jobs" / job_id.hex()
