"""Requests about the node itself and its account."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from morphware.node.api.answers.node import ChainHead, Health, Link, NetworkView, Peer, Status, Topic, Transfer
from morphware.node.api.links import Keyring
from morphware.node.api.problems import CONFLICT, Refusal
from morphware.node.api.routes import Call, Door, Route
from morphware.node.api.running import Running
from morphware.node.artifacts.torrents import TransferStatus
from morphware.node.config import redact_url
from morphware.node.describe import address_text
from morphware.protocol.units import JobId

VERSION: Final = version("morphware")


@dataclass(frozen=True, slots=True)
class AccountRequests:
    """Answers from memory, and for balances from the chain. ``origin`` is where browsers find the page, if they do."""

    node: Running
    keyring: Keyring
    origin: str | None

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/health", "get_health", "Whether the node answers; asks the chain for nothing.",
                  self.health, Health),
            Route("GET", "/status", "get_status", "Who and where the node is, what it has, whom it knows.",
                  self.status, Status),
            Route("GET", "/network", "get_network", "Peers, topics, transfers and chain.", self.network, NetworkView),
            Route("POST", "/links", "make_link", "An address that lets one browser in, once and within a minute.",
                  self.link, Link, door=Door.SOCKET),
        ]  # fmt: skip

    async def health(self, _: Call) -> Health:
        """From memory."""
        return Health(known_nodes=len(self.node.engine.directory), block=self.node.engine.now.block)

    async def status(self, _: Call) -> Status:
        """Balances are the chain's."""
        node = self.node
        host, port = node.artifacts.address
        return Status(
            name=node.config.node.name,
            account="0x" + node.account.hex(),
            roles=list(node.config.node.roles),
            addresses=list(node.gossip.addresses),
            artifacts=f"{host}:{port}",
            free_wei=str(await node.chain.free_balance(node.account)),
            wallet_wei=str(await node.chain.wallet_balance(node.account)),
            seats=len(await node.chain.seats(node.account)),
            block=node.engine.now.block,
            peers=len(node.gossip.peers),
            known_nodes=len(node.engine.directory),
            version=VERSION,
        )

    async def network(self, _: Call) -> NetworkView:
        """From memory: what gossip and artifacts know now; the names of what moves are the journal's."""
        node = self.node
        transfers = node.artifacts.transfers()
        hashes = [status.sha256 for status in transfers]
        names = await node.read(lambda journal: journal.file_names(hashes)) if hashes else {}
        accounts = {key: account for account, key in node.engine.directory.peer_keys.items()}
        peers = node.gossip.peers
        topics = sorted({topic for peer in peers for topic in peer.topics})
        return NetworkView(
            addresses=list(node.gossip.addresses),
            peers=[
                Peer(
                    peer_id=peer.peer_id,
                    addresses=list(peer.addresses),
                    connected_since_s=peer.connected_since,
                    account=address_text(accounts.get(peer.key)),
                )
                for peer in peers
            ],
            topics=[Topic(name=topic, peers=sum(topic in peer.topics for peer in peers)) for topic in topics],
            heard=dict(node.gossip.counters),
            transfers=[_transfer(status, names.get(status.sha256)) for status in transfers],
            chain=ChainHead(
                chain_id=node.deployment.chain_id,
                market="0x" + node.deployment.market.hex(),
                rpc=redact_url(node.config.chain.rpc_url),
                block=node.engine.now.block,
                block_time_s=node.engine.now.timestamp,
                behind_s=max(0.0, time.time() - node.engine.now.timestamp),
            ),
        )

    async def link(self, _: Call) -> Link:
        """For ``morphware dashboard``, which opens it."""
        if self.origin is None:
            raise Refusal(CONFLICT, "This node serves no web page: set [web] enabled to true, and start it again.")
        return Link(url=f"{self.origin}/open?link={self.keyring.new_link()}")


def _transfer(status: TransferStatus, known: tuple[JobId, str] | None) -> Transfer:
    """One file on its way; of a file that the node does not serve yet, nobody knows the name."""
    return Transfer(
        name=known[1] if known else "",
        job_id=known[0].hex() if known else None,
        doing=status.role,
        done_bytes=status.done_bytes,
        total_bytes=status.total_bytes,
        down_bytes_s=status.download_bytes_s,
        up_bytes_s=status.upload_bytes_s,
        peers=status.peers,
    )
