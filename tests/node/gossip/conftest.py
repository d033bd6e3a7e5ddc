"""Real libp2p hosts on loopback, each a service in the test's nursery."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pytest
import trio

from morphware.node.gossip.pubsub import GossipMessage, TopicHandler
from morphware.node.gossip.service import Libp2pGossip, serve_gossip
from morphware.node.gossip.settings import GossipSettings
from morphware.node.gossip.streams import StreamHandler
from morphware.node.ports import Handler
from morphware.protocol.verdicts import Accept, Verdict

TOPIC = "/mw/1/test"


def accept_all(_author_key: bytes, _data: bytes) -> Verdict:
    return Accept()


@dataclass
class Node:
    """One gossip service under test."""

    gossip: Libp2pGossip
    received: trio.MemoryReceiveChannel[GossipMessage]
    scope: trio.CancelScope
    finished: trio.Event = field(default_factory=trio.Event)

    @property
    def key(self) -> bytes:
        return self.gossip.key

    async def stop(self) -> None:
        self.scope.cancel()
        await self.finished.wait()

    async def hear(self) -> bytes:
        """The next accepted message's data."""
        return (await self.received.receive()).data

    async def until_counted(self, counter: str, at_least: int = 1) -> None:
        await self.until(lambda: self.gossip.counters.get(counter, 0) >= at_least)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait on a condition that nothing signals; the test's deadline bounds it."""
        while not is_so():  # noqa: ASYNC110
            await trio.sleep(0.02)


class Start(Protocol):
    async def __call__(
        self,
        number: int,
        *,
        topics: Mapping[str, TopicHandler] | None = None,
        requests: Mapping[str, Handler] | None = None,
        streams: Mapping[str, StreamHandler] | None = None,
        settings: GossipSettings | None = None,
        listen: str = "127.0.0.1:0",
    ) -> Node: ...


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start gossip services; the test's end stops them, and waits until they are gone."""
    async with trio.open_nursery() as nursery:

        async def start_node(
            number: int,
            *,
            topics: Mapping[str, TopicHandler] | None = None,
            requests: Mapping[str, Handler] | None = None,
            streams: Mapping[str, StreamHandler] | None = None,
            settings: GossipSettings | None = None,
            listen: str = "127.0.0.1:0",
        ) -> Node:
            send, received = trio.open_memory_channel[GossipMessage](4096)

            async def serve(task_status: trio.TaskStatus[Node]) -> None:
                with trio.CancelScope() as scope:
                    node: Node | None = None
                    async with trio.open_nursery() as inner:
                        gossip = await inner.start(
                            lambda task_status: serve_gossip(
                                peer_seed=bytes([number]) * 32,
                                listen=listen,
                                topics={TOPIC: accept_all} if topics is None else topics,
                                requests=requests,
                                streams=streams,
                                deliver=send,
                                settings=settings,
                                task_status=task_status,
                            )
                        )
                        node = Node(gossip, received, scope)
                        task_status.started(node)
                if node is not None:
                    node.finished.set()

            node: Node = await nursery.start(serve)
            return node

        yield start_node
        nursery.cancel_scope.cancel()


@pytest.fixture
def link() -> Callable[[Node, Node], Awaitable[None]]:
    """Connect one node to another, and wait until each knows what the other hears."""

    async def connect(dialler: Node, listener: Node) -> None:
        await dialler.gossip.connect(listener.gossip.addresses)
        await dialler.gossip.until_connected(listener.key, TOPIC)
        await listener.gossip.until_connected(dialler.key, TOPIC)

    return connect
