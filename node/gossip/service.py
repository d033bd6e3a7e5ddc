"""Gossip as the node sees it: topics with their rules, requests, streams and peers, on a host that is kept alive."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from morphware.node.gossip.addresses import (
    full_address,
    key_of_library_id,
    library_id_of,
    parse_listen,
    peer_id_of,
    public_key_of,
)
from morphware.node.gossip.errors import PeerUnreachable, PortTaken
from morphware.node.gossip.host import RunningHost, running_host
from morphware.node.gossip.pubsub import GossipMessage, TopicHandler
from morphware.node.gossip.reconnect import KnownPeers
from morphware.node.gossip.reputation import Reputation
from morphware.node.gossip.settings import GossipSettings
from morphware.node.gossip.streams import PROTOCOL_PREFIX, OutgoingStream, StreamHandler, StreamServer, ask
from morphware.node.ports import Handler

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A connected peer, for people to look at."""

    key: bytes
    peer_id: str
    addresses: tuple[str, ...]
    connected_since: float
    """Unix time in seconds."""
    topics: tuple[str, ...]


class Libp2pGossip:
    """The gossip port on libp2p. Made by ``serve_gossip``; peers are named by their Ed25519 public key (32 bytes)."""

    def __init__(
        self,
        *,
        seed: bytes,
        settings: GossipSettings,
        topics: Mapping[str, TopicHandler],
        requests: Mapping[str, Handler],
        streams: Mapping[str, StreamHandler],
        deliver: trio.MemorySendChannel[GossipMessage],
    ) -> None:
        self.key = public_key_of(seed)
        self._seed = seed
        self._settings = settings
        self._rules = dict(topics)
        self._deliver = deliver
        self._reputation = Reputation(settings)
        self._known = KnownPeers(settings, self.key)
        server = StreamServer(settings, self._reputation)
        self._protocols = {
            **{_checked(name): server.request_server(name, handler) for name, handler in requests.items()},
            **{_checked(name): server.frames_server(name, handler) for name, handler in streams.items()},
        }
        self._running: RunningHost | None = None
        self._addresses: tuple[str, ...] = ()
        self._is_up = trio.Event()
        self._nursery: trio.Nursery | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddresses, ending in /p2p/<peer id>, where other peers reach this node."""
        return self._addresses

    @property
    def counters(self) -> dict[str, int]:
        """Since the start: published, delivered, ignored, rejected, duplicate, dropped, banned and failures."""
        return dict(self._reputation.counters)

    @property
    def peers(self) -> tuple[PeerInfo, ...]:
        """Who is connected now."""
        if self._running is None:
            return ()
        topics: dict[Any, list[str]] = {}
        for topic, subscribers in self._running.pubsub.peer_topics.items():
            for peer_id in subscribers:
                topics.setdefault(peer_id, []).append(topic)
        connections: dict[bytes, tuple[Any, float]] = {}
        for connection in self._running.host.get_network().get_connections():
            peer_id, since = connection.muxed_conn.peer_id, connection._created_at  # noqa: SLF001
            key = key_of_library_id(peer_id)
            if key is not None:
                connections[key] = (peer_id, min(since, connections[key][1]) if key in connections else since)
        return tuple(
            PeerInfo(
                key=key,
                peer_id=str(peer_id),
                addresses=tuple(full_address(address, key) for address in self._known.addresses_of(key)),
                connected_since=since,
                topics=tuple(sorted(topics.get(peer_id, ()))),
            )
            for key, (peer_id, since) in sorted(connections.items())
        )

    async def connect(self, addresses: Sequence[str]) -> None:
        """Learn of peers; the node keeps trying to stay connected to them."""
        self._known.learn(addresses)
        await trio.lowlevel.checkpoint()

    async def subscribe(self, topic: str, rule: TopicHandler) -> None:
        """Hear a topic from now on, judged by its rule."""
        self._rules[topic] = rule
        if self._running is not None:
            await self._running.pubsub.subscribe(topic)

    async def unsubscribe(self, topic: str) -> None:
        """Hear a topic no more."""
        if self._rules.pop(topic, None) is not None and self._running is not None:
            await self._running.pubsub.unsubscribe(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to everyone who subscribed to the topic; hearing is not promised. Not delivered to ourselves."""
        if len(data) > self._settings.message_max_bytes:
            raise ValueError(f"a gossip message has at most {self._settings.message_max_bytes} bytes, not {len(data)}")
        running = await self._up()
        await running.pubsub.publish(topic, data)
        self._reputation.counters["published"] += 1

    async def request(self, peer_key: bytes, protocol: str, data: bytes, *, timeout_s: float = 10) -> bytes:
        """Ask one peer over a direct stream. Raises ``PeerUnreachable``, and ``ValueError`` for a request too long."""
        if len(data) > self._settings.request_max_bytes:
            raise ValueError(f"a request has at most {self._settings.request_max_bytes} bytes, not {len(data)}")
        try:
            with trio.fail_after(timeout_s):
                async with self._stream(peer_key, protocol) as stream:
                    answer = await ask(stream, data, self._settings)
        except trio.TooSlowError as error:
            raise PeerUnreachable(f"{peer_id_of(peer_key)} did not answer within {timeout_s:g} s") from error
        return answer

    @asynccontextmanager
    async def stream_to(self, peer_key: bytes, protocol: str) -> AsyncIterator[OutgoingStream]:
        """Send frames to one peer, in order, until the block ends. Raises ``PeerUnreachable``."""
        async with self._stream(peer_key, protocol) as stream:
            frames = OutgoingStream(stream, self._settings)
            yield frames
            await frames.end()

    async def until_connected(self, peer_key: bytes, topic: str | None = None) -> None:
        """Wait until a peer is connected and, where a topic is given, until it is known to hear it."""
        peer_id = library_id_of(peer_key)
        while True:
            running = await self._up()
            if running.host.is_peer_connected(peer_id) and (
                topic is None or peer_id in running.pubsub.peer_topics.get(topic, ())
            ):
                return
            await trio.sleep(0.02)

    @asynccontextmanager
    async def _stream(self, peer_key: bytes, protocol: str) -> AsyncIterator[Any]:
        """A fresh stream to a peer, that is closed at the end, and reset after a failure."""
        running = await self._up()
        peer_id = library_id_of(peer_key)
        if not await self._known.dial(running.host, peer_key):
            raise PeerUnreachable(f"{peer_id} is not connected, and cannot be dialled")
        try:
            stream = await running.host.new_stream(peer_id, [_checked(protocol)])
        except Exception as error:  # libp2p's errors of dialling, negotiating and closing have no common class
            raise PeerUnreachable(f"{peer_id} takes no {protocol} stream: {error!r}") from error
        is_whole = False
        try:
            yield stream
            is_whole = True
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                try:
                    await (stream.close() if is_whole else stream.reset())
                except Exception as error:  # noqa: BLE001  the peer may have closed it first, in a dozen ways
                    log.debug("gossip_close_failed", error=repr(error))

    async def _up(self) -> RunningHost:
        while self._running is None:
            await self._is_up.wait()
        return self._running

    def _is_banned(self, peer_key: bytes) -> bool:
        return self._reputation.is_banned(peer_key, trio.current_time())

    def _ban(self, peer_key: bytes, reason: str) -> None:
        """Shut a peer out: nothing of it is read any more, and its connections are closed."""
        if not self._is_banned(peer_key):
            self._reputation.ban(peer_key, trio.current_time())
        log.warning("gossip_peer_banned", peer=peer_id_of(peer_key), reason=reason, ban_s=self._settings.ban_s)
        if self._nursery is not None:
            self._nursery.start_soon(self._disconnect, peer_key)

    async def _disconnect(self, peer_key: bytes) -> None:
        if self._running is not None:
            try:
                await self._running.host.get_network().close_peer(library_id_of(peer_key))
            except Exception as error:  # noqa: BLE001  closing races with the peer's own closing inside libp2p
                log.debug("gossip_close_failed", error=repr(error))

    async def run(self, listen: str, *, task_status: trio.TaskStatus["Libp2pGossip"]) -> None:
        """Serve until cancelled: hosts one after another, and the dialling of known peers."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._known.keep_connected, self._host, self._is_banned)
            await nursery.start(self._keep_alive, listen)
            task_status.started(self)

    def _deliver_or_count(self, message: GossipMessage) -> None:
        try:
            self._deliver.send_nowait(message)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._reputation.counters["undelivered"] += 1

    def _host(self) -> Any | None:
        return self._running.host if self._running is not None else None

    async def _keep_alive(self, listen: str, *, task_status: trio.TaskStatus[None]) -> None:
        """Run hosts, one after another, on one port: a defect of libp2p costs a second, and not the node."""
        address, has_started = parse_listen(listen), False
        while True:
            try:
                async with running_host(
                    seed=self._seed,
                    listen=address,
                    settings=self._settings,
                    reputation=self._reputation,
                    rules=self._rules,
                    deliver=self._deliver_or_count,
                    ban=self._ban,
                ) as running:
                    address = running.listening[0]  # the port that was chosen stays ours
                    for protocol, serve in self._protocols.items():
                        running.host.set_stream_handler(protocol, serve)
                    for topic in self._rules:
                        await running.pubsub.subscribe(topic)
                    self._addresses = tuple(full_address(heard, self.key) for heard in running.listening)
                    self._running = running
                    self._is_up.set()
                    if not has_started:
                        has_started = True
                        log.info("gossip_started", addresses=self._addresses)
                        task_status.started()
                    await trio.sleep_forever()
            except PortTaken:
                if not has_started:
                    raise
                log.warning("gossip_port_taken", address=str(address))
            except Exception as error:  # whatever ended libp2p's tasks: the host is built anew
                if not has_started:
                    raise
                self._reputation.counters["rebuilt"] += 1
                log.error("gossip_host_failed", error=repr(error))
            finally:
                self._running, self._is_up = None, trio.Event()
            await trio.sleep(self._settings.rebuild_delay_s)


async def serve_gossip(
    *,
    peer_seed: bytes,
    listen: str,
    topics: Mapping[str, TopicHandler],
    requests: Mapping[str, Handler] | None = None,
    streams: Mapping[str, StreamHandler] | None = None,
    deliver: trio.MemorySendChannel[GossipMessage],
    settings: GossipSettings | None = None,
    task_status: trio.TaskStatus[Libp2pGossip] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve gossip until cancelled; ``task_status`` gives the started ``Libp2pGossip``.

    Args:
        peer_seed: Ed25519 seed of 32 bytes, which is this peer's identity.
        listen: ``HOST:PORT`` of a local interface; port 0 chooses a free one.
        topics: the topics to hear from the start, with the rule of each.
        requests: direct requests that we answer, by name: the protocol id is ``/morphware/1/<name>``.
        streams: one-way streams that we take, by name.
        deliver: where accepted messages go; while it is full they are forwarded, counted, and not delivered.

    Raises:
        PortTaken: someone listens there.
    """
    gossip = Libp2pGossip(
        seed=peer_seed,
        settings=settings or GossipSettings(),
        topics=topics,
        requests=requests or {},
        streams=streams or {},
        deliver=deliver,
    )
    await gossip.run(listen, task_status=task_status)


def _checked(name: str) -> str:
    """The protocol id of a name; a full id is taken as it is."""
    if name.startswith(PROTOCOL_PREFIX):
        name = name.removeprefix(PROTOCOL_PREFIX)
    if not name or len(name) > 64 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{name!r} names no protocol: use letters, digits, - and _")
    return PROTOCOL_PREFIX + name
