"""Gossipsub, tuned and guarded: nothing that a peer sends, and no rule of ours that raises, takes the service down.

A message from a peer passes, in this order and synchronously: ban, rate of the forwarding peer, seen before, shape
and size, signature of its author, and the topic's rule. Only then is it delivered and forwarded. Only accepted messages
are remembered as seen: a forged copy must not suppress the true one, nor a stranger fill the memory.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, assert_never

import structlog
import trio

from morphware.node.gossip.addresses import key_of_library_id
from morphware.node.gossip.library import GOSSIPSUB_10, GOSSIPSUB_11, ID, GossipSub, Pubsub, signature_validator
from morphware.node.gossip.reputation import Reputation
from morphware.node.gossip.settings import GossipSettings
from morphware.protocol.verdicts import Accept, Ignore, Reject, Verdict

log = structlog.get_logger()

TopicHandler = Callable[[bytes, bytes], Verdict]
"""A topic's rule: (author's Ed25519 key, data) to verdict. Synchronous and cheap, for it decides before forwarding."""

HOUSEKEEPING_INTERVAL_S = 60.0
ANNOUNCE_TO_MAX = 32
"""Neighbours that are told, every heartbeat, which messages are recent: an id has 46 bytes."""
REGISTER_DELAY_MIN_S = 0.5
REGISTER_DELAY_MAX_S = 5.0
RPC_MAX_BYTES = 1 << 20
"""A frame between neighbours holds many messages, such as all that one asked for: the size that go and js use."""


@dataclass(frozen=True, slots=True)
class GossipMessage:
    """An accepted message, signed by ``author_key``."""

    topic: str
    author_key: bytes
    data: bytes


class TunedGossipSub(GossipSub):  # type: ignore[misc]
    """Gossipsub 1.1 with the settings that kept every message in the measured networks."""

    def __init__(self) -> None:
        super().__init__(
            protocols=[GOSSIPSUB_11, GOSSIPSUB_10],  # 1.2 is slower in this implementation
            degree=6,
            degree_low=4,
            degree_high=10_000,  # never prune: 0.8.1 prunes without peer exchange, and cuts leaves off for 60 s
            heartbeat_interval=1,  # default 120
            adaptive_gossip_enabled=False,  # else heartbeats slow down to 30-60 s
            spam_protection_enabled=False,  # else over 10 messages a second are silently not sent, our own too
            eclipse_protection_enabled=False,  # prunes by IP diversity: harmful on one host or behind one NAT
        )

    def _perform_opportunistic_grafting(self, *_: Any) -> int:
        """Off: while all scores are 0 it ends in a storm of grafts and prunes."""
        return 0

    async def _do_px(self, *_: Any) -> None:
        """Off: a stranger's list of peers is no reason to dial them."""

    def _get_peers_to_send(self, topic_ids: Iterable[str], *arguments: Any, **options: Any) -> Iterable[ID]:
        """Send our own messages to every known subscriber (flood publishing, which 0.8.1 lacks).

        A mesh takes a heartbeat to form; what was published meanwhile would be lost in a small or young network.
        """
        topics = tuple(topic_ids)
        chosen = dict.fromkeys(super()._get_peers_to_send(topics, *arguments, **options))
        origin = options["origin"] if "origin" in options else arguments[1]
        if self.pubsub is not None and origin == self.pubsub.my_id:
            for topic in topics:
                chosen.update(dict.fromkeys(self.pubsub.peer_topics.get(topic, ())))
        chosen.pop(origin, None)
        return tuple(chosen)

    def _handle_topic_heartbeat(
        self, topic: str, current_peers: set[ID], is_fanout: bool = False, peers_to_gossip: Any = None
    ) -> Any:
        """Announce recent messages to mesh members and backed-off peers too.

        Stock leaves both out: a pruned peer gets no message for 60 s, and a peer that joins the mesh by the heartbeat
        after a message never gets that message.
        """
        kept = super()._handle_topic_heartbeat(topic, current_peers, is_fanout, None)
        if peers_to_gossip is not None and self.pubsub is not None and topic in self.pubsub.peer_topics:
            recent = self.mcache.window(topic)
            if recent:
                for peer in self._get_in_topic_gossipsub_peers_from_minus(topic, ANNOUNCE_TO_MAX, (), False):
                    peers_to_gossip[peer][topic] = list(recent)
        return kept

    async def keep_house(self) -> None:
        """Drop delivery times for ever: 0.8.1 trims them only when adaptive gossip is on."""
        while True:
            await trio.sleep(HOUSEKEEPING_INTERVAL_S)
            self.recent_message_deliveries.clear()


class GuardedPubsub(Pubsub):  # type: ignore[misc]
    """Pubsub that asks our rules, counts what they say, and survives what peers send."""

    def __init__(
        self,
        host: Any,
        router: TunedGossipSub,
        *,
        settings: GossipSettings,
        reputation: Reputation,
        rules: dict[str, TopicHandler],
        deliver: Callable[[GossipMessage], None],
        ban: Callable[[bytes, str], None],
    ) -> None:
        super().__init__(
            host,
            router,
            seen_ttl=settings.seen_ttl_s,
            strict_signing=True,
            max_inbound_rpc_size=RPC_MAX_BYTES,
        )
        # Whole seconds collide with the sequence numbers of the life before a restart; nanoseconds do not.
        self.counter = time.time_ns()
        self._settings = settings
        self._reputation = reputation
        self._rules = rules
        self._deliver = deliver
        self._ban = ban
        self._registering: set[ID] = set()

    def is_peer_blacklisted(self, peer_id: ID) -> bool:
        """Ask our ban list; libp2p's own stops the node when it is used under load."""
        key = key_of_library_id(peer_id)
        return key is None or self._reputation.is_banned(key, trio.current_time())

    async def stream_handler(self, stream: Any) -> None:
        """Read a peer's pubsub stream; what it contains never ends anything but itself."""
        try:
            await super().stream_handler(stream)
        except Exception as error:  # noqa: BLE001  frames that do not decode raise, and stock ends the swarm
            peer_id = stream.muxed_conn.peer_id
            self._blame(peer_id, f"frame does not decode: {type(error).__name__}")
            await stream.reset()
            self._handle_dead_peer(peer_id)

    async def _handle_new_peer_with_retry(self, peer_id: ID, timeout: float | None = None) -> None:
        """Open a pubsub stream to a connected peer, and try again as long as it is connected.

        Stock gives up for ever when a negotiation takes too long: on a busy machine, where a dozen nodes start at one
        time, a third of the pairs never heard each other.
        """
        if peer_id in self._registering:
            return
        self._registering.add(peer_id)
        delay_s = REGISTER_DELAY_MIN_S
        try:
            while self._peer_is_connected(peer_id) and not self.is_peer_blacklisted(peer_id):
                try:
                    await self._handle_new_peer(peer_id)
                except Exception as error:  # noqa: BLE001  time-outs, resets and closings, of classes without an order
                    log.debug("gossip_register_failed", peer=str(peer_id), error=repr(error))
                if peer_id in self.peers:
                    return
                await trio.sleep(delay_s)
                delay_s = min(2 * delay_s, REGISTER_DELAY_MAX_S)
        finally:
            self._registering.discard(peer_id)

    async def push_msg(self, msg_forwarder: ID, msg: Any) -> None:
        """Take in one message: from ourselves to publish, or from a peer to judge, deliver and forward."""
        try:
            if msg_forwarder == self.my_id:
                self._mark_msg_seen(msg)
            elif not self._admit(msg_forwarder, msg):
                return
            await self.router.publish(msg_forwarder, msg)
        except Exception as error:  # noqa: BLE001  this runs as a task of libp2p's service, which one exception would end
            self._reputation.counters["failed"] += 1
            log.warning("gossip_message_failed", error=repr(error))

    def _admit(self, forwarder: ID, message: Any) -> bool:
        """Judge a peer's message, deliver it when it is accepted, and say whether to forward it."""
        counters, now_s = self._reputation.counters, trio.current_time()
        forwarder_key = key_of_library_id(forwarder)
        if forwarder_key is None or self._reputation.is_banned(forwarder_key, now_s):
            counters["dropped"] += 1
            return False
        if not self._reputation.may_forward(forwarder_key, now_s):
            counters["dropped"] += 1
            if self._reputation.blame_flood(forwarder_key, now_s):
                self._ban(forwarder_key, "flood")
            return False
        if self._is_msg_seen(message):
            counters["duplicate"] += 1
            return False
        author_key = key_of_library_id(ID(message.from_id))
        if author_key == key_of_library_id(self.my_id):
            counters["duplicate"] += 1  # our own of an earlier life comes back
            return False
        match self._judge(author_key, message):
            case Accept():
                assert author_key is not None
                self._mark_msg_seen(message)
                counters["delivered"] += 1
                self._deliver(GossipMessage(message.topicIDs[0], author_key, message.data))
                return True
            case Ignore(reason):
                counters["ignored"] += 1
                log.debug("gossip_message_ignored", topic=list(message.topicIDs)[:1], reason=reason)
                return False
            case Reject(reason):
                self._blame(forwarder, reason)
                return False
            case never:
                assert_never(never)

    def _judge(self, author_key: bytes | None, message: Any) -> Verdict:
        if len(message.topicIDs) != 1:
            return Reject("a message belongs to one topic")
        if len(message.data) > self._settings.message_max_bytes:
            return Reject(f"message of {len(message.data)} bytes")
        if author_key is None:
            return Reject("author without an Ed25519 key")
        if len(message.seqno) != 8:
            return Reject("sequence number is not of 8 bytes")
        rule = self._rules.get(message.topicIDs[0])
        if rule is None:
            return Ignore("not subscribed")
        if not signature_validator(message):
            return Reject("signature does not verify")
        try:
            return rule(author_key, message.data)
        except Exception as error:  # a rule that raises is our bug: it must neither end the service nor blame a peer
            self._reputation.counters["failed"] += 1
            log.exception("gossip_rule_failed", topic=message.topicIDs[0])
            return Ignore(f"rule failed: {type(error).__name__}")

    def _blame(self, peer_id: ID, reason: str) -> None:
        self._reputation.counters["rejected"] += 1
        key = key_of_library_id(peer_id)
        if key is None:
            return
        log.info("gossip_peer_blamed", peer=str(peer_id), reason=reason)
        if self._reputation.blame_reject(key, trio.current_time()):
            self._ban(key, reason)
