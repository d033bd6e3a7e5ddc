"""Stay connected to the peers that we know: libp2p dials once, and then never again.

Every known peer has a time of its next dial. A failed dial doubles its delay, a connection resets it, and new addresses
make it due at once. libp2p's own cache of failed peers, which would fail every dial for 60 s at once, is emptied first.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from morphware.node.gossip.addresses import PeerAddress, library_id_of, parse_address, peer_id_of, resolve
from morphware.node.gossip.library import PeerInfo
from morphware.node.gossip.settings import GossipSettings

log = structlog.get_logger()

DIALS_AT_ONCE = 4
YIELD_S = 1.0
POLL_INTERVAL_S = 0.5
"""How soon a vanished peer is dialled again; a look costs microseconds."""


@dataclass(slots=True)
class KnownPeer:
    """A peer, where it may be, and when to dial it."""

    addresses: list[PeerAddress]
    delay_s: float
    next_dial_s: float = 0
    failures: int = 0
    lock: trio.Lock = field(default_factory=trio.Lock)


class KnownPeers:
    """The peers that this node keeps connected to, bounded in number and in addresses for each."""

    def __init__(self, settings: GossipSettings, own_key: bytes) -> None:
        self._settings = settings
        self._own_key = own_key
        self._peers: dict[bytes, KnownPeer] = {}
        self._wake = trio.Event()

    def learn(self, addresses: Sequence[str]) -> None:
        """Remember addresses; those that do not parse are refused in the log."""
        for text in addresses:
            try:
                key, address = parse_address(text)
            except ValueError as error:
                log.warning("gossip_address_refused", reason=str(error)[:200])
                continue
            if key != self._own_key:
                self._learn(key, address)
        self._wake.set()

    def addresses_of(self, peer_key: bytes) -> tuple[PeerAddress, ...]:
        """Where a peer is said to be."""
        known = self._peers.get(peer_key)
        return tuple(known.addresses) if known else ()

    async def keep_connected(self, running: Callable[[], Any | None], is_banned: Callable[[bytes], bool]) -> None:
        """Dial, for ever, whoever is due; ``running`` gives the host of the moment."""
        limiter = trio.CapacityLimiter(DIALS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            while True:
                host = running()
                if host is not None:
                    for key in self._due(host, is_banned):
                        nursery.start_soon(self._dial_in_background, host, key, limiter)
                with trio.move_on_after(POLL_INTERVAL_S):
                    await self._wake.wait()
                self._wake = trio.Event()

    async def dial(self, host: Any, peer_key: bytes) -> bool:
        """Connect to a known peer now, or find it connected; False when it cannot be reached."""
        peer_id = library_id_of(peer_key)
        known = self._peers.get(peer_key)
        if known is None:
            return bool(host.is_peer_connected(peer_id))
        async with known.lock:
            if host.is_peer_connected(peer_id):
                return True
            now_s = trio.current_time()
            try:
                with trio.fail_after(2 * self._settings.dial_timeout_s):
                    addresses = await resolve(known.addresses)
                    host.get_network()._negative_peer_cache.evict(str(peer_id))  # noqa: SLF001  it has no other name
                    # Addresses that the peer left would be dialled for two hours.
                    host.get_peerstore().clear_addrs(peer_id)
                    await host.connect(PeerInfo(peer_id, addresses))
            except Exception as error:  # noqa: BLE001  libp2p's errors, the system's, and time-outs: the peer is not there
                known.failures += 1
                known.next_dial_s = now_s + known.delay_s * random.uniform(0.7, 1.3)  # noqa: S311  (spreads dials)
                known.delay_s = min(2 * known.delay_s, self._settings.redial_max_s)
                log.debug("gossip_dial_failed", peer=peer_id_of(peer_key), error=repr(error))
                return False
            known.failures, known.delay_s = 0, self._settings.redial_min_s
            known.next_dial_s = trio.current_time() + known.delay_s
            return True

    def _learn(self, key: bytes, address: PeerAddress) -> None:
        known = self._peers.get(key)
        # When two peers learn of each other at one time, one of them dials; the other waits to be dialled.
        due_s = trio.current_time() + (YIELD_S if self._own_key > key else 0)
        if known is None:
            if len(self._peers) >= self._settings.known_peers_max:
                worst = max(self._peers, key=lambda other: self._peers[other].failures)
                del self._peers[worst]
            known = self._peers[key] = KnownPeer([], self._settings.redial_min_s)
        if address not in known.addresses:
            known.addresses.insert(0, address)
            del known.addresses[self._settings.addresses_per_peer_max :]
            known.next_dial_s, known.delay_s = due_s, self._settings.redial_min_s

    def _due(self, host: Any, is_banned: Callable[[bytes], bool]) -> list[bytes]:
        connected = set(host.get_connected_peers())
        free = self._settings.outbound_target - len(connected)
        now_s = trio.current_time()
        due = [
            key
            for key, known in self._peers.items()
            if known.next_dial_s <= now_s
            and not known.lock.locked()
            and library_id_of(key) not in connected
            and not is_banned(key)
        ]
        return due[: max(0, free)]

    async def _dial_in_background(self, host: Any, key: bytes, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            await self.dial(host, key)
