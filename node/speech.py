"""What the node says and hears by gossip: envelopes out, judged envelopes in, and its own record now and then."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from morphware.node.directory import TORRENT_PREFIX
from morphware.node.feed import Feed
from morphware.node.gossip.pubsub import GossipMessage
from morphware.node.keys import Keys
from morphware.node.ports import Gossip, PeerAddress
from morphware.protocol.calls import SignedBid, SignedReport
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.codec import decode, encode
from morphware.protocol.events import BidHeard, BidKeyHeard, ReportHeard, Said, SignedBidsHeard, SignedReportHeard
from morphware.protocol.gossip import Knowledge, all_topics, judge, topic_of
from morphware.protocol.messages import (
    BODIES,
    TYPE_OF,
    BidKey,
    BidSealed,
    BidsSigned,
    Body,
    Envelope,
    JobAnnounce,
    ModelReady,
    NodeRecord,
    ReportNotice,
    ReportOpening,
    ReportSigned,
    signed,
)
from morphware.protocol.records import record_digest
from morphware.protocol.signatures import sign_digest
from morphware.protocol.units import Address, JobId
from morphware.protocol.verdicts import Verdict
from morphware.protocol.view import report_of

log = structlog.get_logger()

RECORD_LIFE_S: Final = 24 * 3600
NODES_JOB: Final = JobId(bytes(32))
"""Messages that are about no job carry zeros for one."""


@dataclass(slots=True)
class Speaker:
    """Signs and sends. ``private_key`` is the account's, ``peer_seed`` the Ed25519 seed of the node."""

    knowledge: Knowledge
    account: Address
    private_key: bytes = field(repr=False)
    peer_seed: bytes = field(repr=False)
    gossip: Gossip
    _last_sequence: int = 0

    async def say(self, job_id: JobId, body: Body) -> None:
        """Publish a body in a signed envelope; sequence numbers grow across restarts, too."""
        self._last_sequence = max(self._last_sequence + 1, time.time_ns())
        envelope = signed(
            body,
            net=self.knowledge.net,
            job=job_id,
            author=self.account,
            sequence=self._last_sequence,
            sent_at=int(time.time()),
            peer_seed=self.peer_seed,
        )
        topic = topic_of(self.knowledge.net, TYPE_OF[type(body)], job_id)
        await self.gossip.publish(topic, encode(envelope))

    async def announce_self(
        self, keys: Keys, roles: int, torrent: PeerAddress, every_s: float, addresses: tuple[str, ...] = ()
    ) -> None:
        """Publish this node's record now and then: a message is heard only by who is there."""
        while True:
            bare = NodeRecord(
                encryption_key=keys.encryption_key,
                peer_key=keys.peer_key,
                roles=roles,
                addresses=(addresses or self.gossip.addresses)[:8],
                torrent_host=torrent[0],
                torrent_port=torrent[1],
                expires_at=int(time.time()) + RECORD_LIFE_S,
                signature=bytes(65),
            )
            await self.say(NODES_JOB, self._signed_record(bare))
            await trio.sleep(every_s)

    def _signed_record(self, bare: NodeRecord) -> NodeRecord:
        digest = record_digest(self.knowledge.domain, self.account, bare)
        return NodeRecord(
            **{name: getattr(bare, name) for name in bare.__struct_fields__ if name != "signature"},
            signature=sign_digest(self.private_key, digest),
        )


@dataclass(frozen=True, slots=True)
class Listener:
    """Judges what peers send before it is forwarded, and then hands on what concerns this node."""

    knowledge: Knowledge
    on_said: Callable[[JobId, Said], None]
    on_record: Callable[[NodePublished], None]
    on_move: Callable[[Address, PeerAddress], None]

    def topics(self) -> list[str]:
        """Every topic that this node listens to."""
        return all_topics(self.knowledge.net)

    def rule(self, topic: str) -> Callable[[bytes, bytes], Verdict]:
        """The topic's rule, which decides on (author's peer key, message) before anything else happens."""
        return lambda _, data: judge(topic, data, self.knowledge, time.time())

    async def keep_time(self, feed: Feed) -> None:
        """Tell the rules what time the chain has, from its newest block on: start it once the node has caught up."""
        with feed.listen() as notices:
            async for notice in notices:
                if notice["kind"] == "block":
                    self.knowledge.note_block(notice["timestamp"], time.time())

    async def listen(self, messages: trio.MemoryReceiveChannel[GossipMessage]) -> None:
        """Act on accepted messages until cancelled."""
        async for message in messages:
            envelope = decode(message.data, Envelope)
            self._act(JobId(envelope.job), Address(envelope.author), decode(envelope.body, BODIES[envelope.type]))

    def _act(self, job_id: JobId, author: Address, body: Body) -> None:
        match body:
            case BidSealed():
                self.on_said(job_id, BidHeard(author, body.commitment, body.nonce, body.sealed))
            case BidKey():
                self.on_said(job_id, BidKeyHeard(author, body.commitment, body.key))
            case ReportOpening():
                report = report_of(author, body.metric_e6, body.fingerprint_e9, body.prediction_root, body.salt)
                self.on_said(job_id, ReportHeard(body.round, report))
            case BidsSigned():
                bids = tuple(SignedBid(author, bid.commitment, bid.signature) for bid in body.bids)
                self.on_said(job_id, SignedBidsHeard(bids))
            case ReportSigned(round=number, restarts=restarts, sealed=sealed):
                signed_report = SignedReport(author, sealed.commitment, sealed.signature)
                self.on_said(job_id, SignedReportHeard(number, restarts, signed_report))
            case NodeRecord():
                torrent = f"{TORRENT_PREFIX}{body.torrent_host}:{body.torrent_port}"
                addresses = (*body.addresses[:7], torrent)
                self.on_record(NodePublished(author, body.encryption_key, body.peer_key, addresses))
            case JobAnnounce() | ModelReady() | ReportNotice():
                # the chain says the same, but not where its author serves artifacts since its last start
                self.on_move(author, (body.torrent_host, body.torrent_port))
