"""What is changed in py-libp2p 0.8.1, and why: everything for which it has no constructor argument.

Importing this module applies the changes, once. ``PATCHED`` names every attribute that is replaced here or overridden
in ``host.py`` and ``pubsub.py``; a test fails when an upgrade of libp2p renames one, so that none of them silently
stops to work. Measured in a mesh of five processes at 1 KiB: 8-12 ms of CPU for a delivered message without these,
2-3 ms with them, and no message lost at 200 a second.
"""

# ruff: noqa: SLF001  (replacing private names is the purpose of this file)

import logging
import time
from functools import partial
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

from morphware.node.gossip import slim
from morphware.node.gossip.errors import LibraryMismatch

slim.import_libp2p()

import libp2p.network.connection.swarm_connection as swarm_connection  # noqa: E402
import libp2p.network.swarm as swarm  # noqa: E402
import libp2p.pubsub.gossipsub as gossipsub  # noqa: E402
import libp2p.pubsub.pubsub as pubsub  # noqa: E402
import libp2p.pubsub.utils as pubsub_utils  # noqa: E402
from libp2p.host.basic_host import BasicHost  # noqa: E402
from libp2p.peer.id import ID  # noqa: E402
from libp2p.pubsub.rpc_queue import RpcQueue  # noqa: E402
from libp2p.stream_muxer.yamux import yamux  # noqa: E402

LIBP2P_VERSION = "0.8.1"

RPC_QUEUE_SIZE = 1024
"""Messages waiting for one peer. The default of 32 loses messages without a word in a burst."""

HAPPY_EYEBALLS_DELAY_S = 0.001
"""The default adds 250 ms to every dial, also when there is one address."""

OWN_RECORD_MAX_AGE_S = 5.0
"""Own signed peer records are built again only this often; stock builds or re-encodes one for every RPC."""

PATCHED: tuple[tuple[Any, str], ...] = (
    (pubsub, "RpcQueue"),
    (pubsub, "LastSeenCache"),
    (pubsub, "maybe_consume_signed_record"),
    (pubsub, "env_to_send_in_RPC"),
    (gossipsub, "maybe_consume_signed_record"),
    (gossipsub, "env_to_send_in_RPC"),
    (swarm, "_HAPPY_EYEBALLS_DELAY"),
    (swarm_connection, "logging"),
    (yamux.YamuxStream, "_auto_tune_and_send_window_update"),
    # overridden in subclasses or on instances
    (pubsub.Pubsub, "push_msg"),
    (pubsub.Pubsub, "stream_handler"),
    (pubsub.Pubsub, "is_peer_blacklisted"),
    (pubsub.Pubsub, "_handle_dead_peer"),
    (pubsub.Pubsub, "_handle_new_peer"),
    (pubsub.Pubsub, "_handle_new_peer_with_retry"),
    (pubsub.Pubsub, "_peer_is_connected"),
    (pubsub.Pubsub, "_is_msg_seen"),
    (pubsub.Pubsub, "_mark_msg_seen"),
    (gossipsub.GossipSub, "_perform_opportunistic_grafting"),
    (gossipsub.GossipSub, "_handle_topic_heartbeat"),
    (gossipsub.GossipSub, "_get_peers_to_send"),
    (gossipsub.GossipSub, "_get_in_topic_gossipsub_peers_from_minus"),
    (gossipsub.GossipSub, "_do_px"),
    (swarm.Swarm, "add_conn"),
    (swarm.Swarm, "_handle_inbound_connection"),
    (swarm.Swarm, "upgrade_inbound_raw_conn"),
    (swarm._NegativePeerCache, "evict"),
    (BasicHost, "_swarm_stream_handler"),
)


class SeenMessages:
    """Ids of messages that were accepted, each for ``ttl`` seconds, at most ``SEEN_MAX`` of them.

    Takes the place of libp2p's cache, which has no bound and a thread of its own for each instance.
    """

    SEEN_MAX = 200_000

    def __init__(self, ttl: float, sweep_interval: float = 60) -> None:
        self._ttl_s = ttl
        self._expiry: dict[bytes, float] = {}

    def has(self, key: bytes) -> bool:
        return self._expiry.get(key, 0) > time.monotonic()

    def add(self, key: bytes) -> bool:
        now = time.monotonic()
        is_new = not self.has(key)
        self._expiry.pop(key, None)
        self._expiry[key] = now + self._ttl_s
        # Every entry lives equally long, so the oldest are in front.
        while (oldest := next(iter(self._expiry))) and (
            self._expiry[oldest] <= now or len(self._expiry) > self.SEEN_MAX
        ):
            del self._expiry[oldest]
        return is_new

    def length(self) -> int:
        return len(self._expiry)

    def stop(self) -> None:
        """Nothing runs."""


_consume_signed_record = pubsub_utils.maybe_consume_signed_record
_build_own_record = gossipsub.env_to_send_in_RPC
_verified_records: WeakKeyDictionary[BasicHost, dict[ID, bytes]] = WeakKeyDictionary()
_own_records: WeakKeyDictionary[BasicHost, tuple[float, bytes]] = WeakKeyDictionary()
_VERIFIED_RECORDS_MAX = 1_000


def _consume_signed_record_once(message: Any, host: BasicHost, peer_id: ID) -> bool:
    """Verify a peer's signed record when it changes; stock verifies it once or twice for every RPC."""
    if not message.HasField("senderRecord"):
        return True
    verified = _verified_records.setdefault(host, {})
    record = message.senderRecord
    if verified.get(peer_id) == record:
        return True
    if not _consume_signed_record(message, host, peer_id):
        return False
    if len(verified) >= _VERIFIED_RECORDS_MAX:
        verified.clear()
    verified[peer_id] = record
    return True


def _own_record(host: BasicHost) -> tuple[bytes, bool]:
    now = time.monotonic()
    known = _own_records.get(host)
    if known is not None and now - known[0] < OWN_RECORD_MAX_AGE_S:
        return known[1], False
    record, is_new = _build_own_record(host)
    _own_records[host] = (now, record)
    return record, is_new


async def _send_window_update_in_batches(stream: Any, *, bytes_read: int = 0) -> None:
    """Give flow-control credit back when half the window was read; stock sends a frame for every read."""
    async with stream.window_lock:
        stream._pending_recv_release += bytes_read
        credit = stream._pending_recv_release
        if credit < stream.target_recv_window // 2:
            return
        stream._pending_recv_release = 0
        stream.recv_window += credit
    await stream.send_window_update(credit, skip_lock=True)


def _apply() -> None:
    installed = version("libp2p")
    if installed != LIBP2P_VERSION:
        raise LibraryMismatch(f"libp2p {installed} is installed, and this node was measured with {LIBP2P_VERSION}")
    pubsub.RpcQueue = partial(RpcQueue, max_size=RPC_QUEUE_SIZE)
    pubsub.LastSeenCache = SeenMessages
    pubsub.maybe_consume_signed_record = gossipsub.maybe_consume_signed_record = _consume_signed_record_once
    pubsub.env_to_send_in_RPC = gossipsub.env_to_send_in_RPC = _own_record
    swarm._HAPPY_EYEBALLS_DELAY = HAPPY_EYEBALLS_DELAY_S
    yamux.YamuxStream._auto_tune_and_send_window_update = _send_window_update_in_batches
    # libp2p logs every closed stream at INFO, every lost peer at ERROR, and expected ends with tracebacks: what matters
    # of it is logged by us. Without a handler its warnings would go to stderr.
    noisy = logging.getLogger("libp2p")
    noisy.setLevel(logging.CRITICAL)
    noisy.propagate = False
    noisy.addHandler(logging.NullHandler())
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("libp2p."):
            logging.getLogger(name).setLevel(logging.NOTSET)  # one of them sets itself to INFO
    # This module calls logging.debug() itself, which installs a handler on the root logger for the whole process.
    swarm_connection.logging = logging.getLogger("libp2p.network.connection")


_apply()
is_applied = True

__all__ = ["LIBP2P_VERSION", "PATCHED", "SeenMessages", "gossipsub", "is_applied", "pubsub", "swarm"]
