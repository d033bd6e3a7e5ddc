"""One libp2p host: TCP, noise and yamux, with everything fenced that a peer could use to take it down.

Fences, each against a defect of 0.8.1 that was reproduced:
- an exception in any stream handler ends the whole swarm: contained, and the stream is reset;
- the slot of an inbound connection is given back only when the swarm ends, so that a node refuses everyone after as
  many connections as it may have at one time; and idle sockets hold slots: own counting, by address;
- bans: no connection of a banned peer is registered, in either direction;
- yamux announces a window and does not enforce it: what a connection has buffered is looked at, and bounded;
- listening uses SO_REUSEPORT, so that two nodes would share a port in silence: the port is probed before.
"""

# ruff: noqa: SLF001  (fences replace what libp2p keeps private, and overrides.PATCHED watches the names)

import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from morphware.node.gossip.addresses import PeerAddress, key_of_library_id, key_pair_of
from morphware.node.gossip.errors import PortTaken
from morphware.node.gossip.library import (
    ID,
    NOISE_PROTOCOL,
    TCP,
    YAMUX_PROTOCOL,
    BasicHost,
    ConnectionConfig,
    Multiaddr,
    NoiseTransport,
    PeerStore,
    RawConnection,
    Swarm,
    SwarmException,
    TransportUpgrader,
    Yamux,
    background_trio_service,
    create_x25519_key_pair,
)
from morphware.node.gossip.pubsub import GossipMessage, GuardedPubsub, TopicHandler, TunedGossipSub
from morphware.node.gossip.reputation import Reputation
from morphware.node.gossip.settings import GossipSettings

log = structlog.get_logger()

CLOSE_GRACE_S = 3.0
INSPECTION_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class RunningHost:
    """A host that listens, and its pubsub."""

    host: Any
    pubsub: GuardedPubsub
    listening: tuple[PeerAddress, ...]


class RecordedTCP(TCP):  # type: ignore[misc]
    """TCP that knows the sockets it dialled: libp2p gives up closing one when it is cancelled meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._dialled: set[trio.SocketStream] = set()

    async def dial(self, maddr: Multiaddr) -> Any:
        """Dial, and remember the socket until it is closed."""
        connection = await super().dial(maddr)
        self._dialled = {stream for stream in self._dialled if stream.socket.fileno() >= 0}
        self._dialled.add(connection.stream.stream)
        return connection

    def close_sockets(self) -> None:
        """Close what is open."""
        for stream in self._dialled:
            stream.socket.close()


@asynccontextmanager
async def running_host(
    *,
    seed: bytes,
    listen: PeerAddress,
    settings: GossipSettings,
    reputation: Reputation,
    rules: dict[str, TopicHandler],
    deliver: Callable[[GossipMessage], None],
    ban: Callable[[bytes, str], None],
) -> AsyncIterator[RunningHost]:
    """Run one host; leaving closes every socket. Raises ``PortTaken``."""
    _probe_port(listen)
    tcp = RecordedTCP()
    host = _build_host(seed, settings, tcp)
    network = host.get_network()
    _fence(host, settings, reputation)
    router = TunedGossipSub()
    pubsub = GuardedPubsub(
        host, router, settings=settings, reputation=reputation, rules=rules, deliver=deliver, ban=ban
    )
    async with host.run([Multiaddr(str(listen))]):
        listening = tuple(_address_of(address) for address in host.get_transport_addrs())
        if not listening:
            raise PortTaken(f"cannot listen on {listen.host} port {listen.port}")
        await network.auto_connector.stop()  # else it dials every peer it ever heard of, and logs that every 10 s
        try:
            async with background_trio_service(pubsub), background_trio_service(router):
                await pubsub.wait_until_ready()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(router.keep_house)
                    nursery.start_soon(_bound_unread, network, settings, ban)
                    yield RunningHost(host, pubsub, listening)
                    nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_GRACE_S):
                async with trio.open_nursery() as nursery:  # the host closes one by one, 0.1 s each
                    for connection in network.get_connections():
                        nursery.start_soon(_quietly, connection.close)
                await _quietly(host.close)  # leaving host.run() alone leaves sockets open
            tcp.close_sockets()


def _build_host(seed: bytes, settings: GossipSettings, tcp: RecordedTCP) -> Any:
    """Put a host together by hand: libp2p's own factory adds transports, ciphers and managers that we do not use."""
    key_pair = key_pair_of(seed)
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    upgrader = TransportUpgrader(
        secure_transports_by_protocol={
            NOISE_PROTOCOL: NoiseTransport(key_pair, noise_privkey=create_x25519_key_pair().private_key)
        },
        muxer_transports_by_protocol={YAMUX_PROTOCOL: Yamux},
    )
    config = ConnectionConfig(
        min_connections=0,
        low_watermark=0,
        high_watermark=settings.connections_max,
        max_connections=settings.connections_max,
        inbound_upgrade_timeout=settings.dial_timeout_s,
        outbound_upgrade_timeout=settings.dial_timeout_s,
        dial_timeout=settings.dial_timeout_s,
        # Pings notice a peer that vanished without closing; nothing else does.
        enable_health_monitoring=True,
        health_initial_delay=settings.ping_interval_s,
        health_check_interval=settings.ping_interval_s,
        ping_timeout=settings.dial_timeout_s,
        abort_connection_on_ping_failure=True,
    )
    network = Swarm(peer_id, peerstore, upgrader, [tcp], connection_config=config)
    # What peers say they observed is no address that we vouch for.
    return BasicHost(network, disable_identify_address_discovery=True)


def _fence(host: Any, settings: GossipSettings, reputation: Reputation) -> None:
    network = host.get_network()
    negotiate_and_handle = host._swarm_stream_handler
    register = network.add_conn
    open_by_ip: Counter[str] = Counter()

    async def contained_stream_handler(stream: Any) -> None:
        try:
            await negotiate_and_handle(stream)
        except Exception as error:  # noqa: BLE001  it would end the swarm: identify, ping, pubsub and ours all run in here
            log.debug("gossip_stream_failed", peer=str(stream.muxed_conn.peer_id), error=repr(error))
            await _quietly(stream.reset)

    async def register_unless_banned(connection: Any, direction: str = "unknown") -> Any:
        key = key_of_library_id(connection.peer_id)
        if key is None or reputation.is_banned(key, trio.current_time()):
            await _quietly(connection.close)
            raise SwarmException("the peer is banned, or has no Ed25519 key")
        return await register(connection, direction=direction)

    async def accept(transport_stream: Any, listener: Any) -> None:
        address = transport_stream.get_remote_address()
        ip = address[0] if address else ""
        if open_by_ip[ip] >= settings.inbound_per_ip_max or open_by_ip.total() >= settings.connections_max:
            reputation.counters["inbound_refused"] += 1
            await _quietly(transport_stream.close)
            return
        open_by_ip[ip] += 1
        try:
            muxed = await network.upgrade_inbound_raw_conn(RawConnection(transport_stream, False), listener)
            await muxed.event_closed.wait()
        except Exception as error:  # noqa: BLE001  strangers speak anything to an open port
            log.debug("gossip_inbound_failed", ip=ip, error=repr(error))
            await _quietly(transport_stream.close)
        finally:
            open_by_ip[ip] -= 1
            if not open_by_ip[ip]:
                del open_by_ip[ip]

    network.set_stream_handler(contained_stream_handler)
    network.add_conn = register_unless_banned
    network._handle_inbound_connection = accept


async def _bound_unread(network: Any, settings: GossipSettings, ban: Callable[[bytes, str], None]) -> None:
    """Ban peers that send far more than the window that they were given."""
    while True:
        await trio.sleep(INSPECTION_INTERVAL_S)
        for connection in network.get_connections():
            buffers = getattr(connection.muxed_conn, "stream_buffers", {})
            key = key_of_library_id(connection.muxed_conn.peer_id)
            if key is not None and any(len(buffer) > settings.unread_max_bytes for buffer in buffers.values()):
                ban(key, "sends beyond its flow-control window")


def _probe_port(listen: PeerAddress) -> None:
    """Refuse a port on which anyone listens. Raises ``PortTaken``."""
    family = socket.AF_INET if ipaddress.ip_address(listen.host).version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise PortTaken(f"{listen.host} port {listen.port} {what}") from error


def _address_of(address: Multiaddr) -> PeerAddress:
    _, _, host, _, port, *_ = str(address).split("/")
    return PeerAddress(host, int(port))


async def _quietly(close: Callable[[], Any]) -> None:
    """Close something of libp2p; that it fails to close tells nothing that could be acted upon."""
    try:
        await close()
    except Exception as error:  # noqa: BLE001  a dozen unrelated classes, raised while everything ends
        log.debug("gossip_close_failed", error=repr(error))
