"""One straight function per topic decides what becomes of a message: accept, ignore or reject.

*Reject* is for what no honest peer would have forwarded: it counts against whoever sent it on.  *Ignore* is for what
may be honest and is of no use here and now: an unknown job, a stale or repeated message, a rate that is too high.
The rules look at ``Knowledge``, which the node keeps: records, jobs as the chain tells them, and what was seen.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from morphware.protocol.codec import MESSAGE_BYTES_MAX, Malformed, decode, wei_to_bytes
from morphware.protocol.commitments import Domain, keccak, report_commitment
from morphware.protocol.crypto import sha256_of
from morphware.protocol.messages import (
    BODIES,
    LIFETIME_S,
    BidKey,
    BidSealed,
    BidsSigned,
    Body,
    Envelope,
    JobAnnounce,
    MessageType,
    ModelManifest,
    ModelReady,
    NodeRecord,
    ReportNotice,
    ReportOpening,
    ReportSigned,
    is_genuine,
    message_id,
)
from morphware.protocol.records import is_record_signed
from morphware.protocol.signatures import commit_digest, commit_report_digest, is_signed_by
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId
from morphware.protocol.verdicts import Accept, Ignore, Reject, Verdict
from morphware.protocol.view import JobView, RoundView, report_of

K = TypeVar("K")
V = TypeVar("V")

CLOCK_SKEW_S: Final = 60
CHAIN_SKEW_S: Final = 30
"""A peer may have seen the chain this much further than we have, before its keys count as shown too early."""
NEWS_S: Final = 2
"""So much earlier a peer may have seen the very block at which bidding ended: its own bid's key is not too early."""
SEEN_MOST: Final = 50_000
RECORDS_MOST: Final = 10_000
SEALED_BIDS_PER_AUTHOR: Final = 8
SIGNED_REPORTS_PER_ROUND: Final = 3
"""A round begins again when the one side's keys are disclosed, and when the other's are."""
AUTHOR_RATE_S: Final = 1.0
AUTHOR_BURST: Final = 20

NO_COMMITMENT: Final = bytes(32)
NO_ROUND: Final = -1
"""Bids are of no round."""

TOPICS: Final[dict[str, frozenset[MessageType]]] = {
    "nodes": frozenset({MessageType.NODE_RECORD}),
    "jobs": frozenset({MessageType.JOB_ANNOUNCE}),
    "bids": frozenset({MessageType.BID_SEALED, MessageType.BID_KEY, MessageType.BIDS_SIGNED}),
    "val": frozenset(
        {
            MessageType.MODEL_READY,
            MessageType.REPORT_NOTICE,
            MessageType.REPORT_OPENING,
            MessageType.REPORT_SIGNED,
        }
    ),
}
SHARDED: Final = frozenset({"bids", "val"})


def net_of(domain: Domain, genesis: bytes) -> bytes:
    """The network's 8 bytes: the beginning of keccak(chain id, market, genesis hash)."""
    return keccak(domain.chain_id.to_bytes(32, "big") + domain.market.rjust(32, b"\0") + genesis)[:8]


def topic_of(net: bytes, kind: MessageType, job: bytes) -> str:
    """The topic that a message belongs to; busy topics are split sixteenfold by the job's first byte."""
    name = next(name for name, kinds in TOPICS.items() if kind in kinds)
    shard = f"/{job[0] % 16:02x}" if name in SHARDED else ""
    return f"/mw/1/{net.hex()}/{name}{shard}"


def all_topics(net: bytes) -> list[str]:
    """Every topic of the network."""
    plain = [f"/mw/1/{net.hex()}/{name}" for name in TOPICS if name not in SHARDED]
    return plain + [f"/mw/1/{net.hex()}/{name}/{shard:02x}" for name in sorted(SHARDED) for shard in range(16)]


@dataclass(slots=True)
class Knowledge:
    """What the rules look at. ``records`` hold peer keys by account, from the chain or from gossip."""

    domain: Domain
    net: bytes
    peer_keys: dict[Address, bytes]
    jobs: Mapping[JobId, JobView]
    is_funded: Callable[[Address], bool] = lambda _: True
    seen: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    sequences: OrderedDict[tuple[bytes, bytes, int], int] = field(default_factory=OrderedDict)
    sealed: OrderedDict[tuple[bytes, bytes], int] = field(default_factory=OrderedDict)
    rates: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict)
    heard_keys: OrderedDict[tuple[bytes, bytes, bytes], int] = field(default_factory=OrderedDict)
    signed: OrderedDict[tuple[bytes, bytes, int], int] = field(default_factory=OrderedDict)
    expiries: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _chain_ahead_s: float | None = None

    def note_block(self, timestamp: int, now: float) -> None:
        """A final block was seen at ``now``, by the clock that ``judge`` is asked with: deadlines are chain time."""
        self._chain_ahead_s = timestamp - now

    def chain_time(self, now: float) -> float | None:
        """What the chain's clock should show by now: the newest final block's time and what has passed since then."""
        return None if self._chain_ahead_s is None else now + self._chain_ahead_s


def judge(topic: str, data: bytes, knowledge: Knowledge, now: float) -> Verdict:
    """The verdict on one message. ``now`` is seconds since the epoch; what is accepted is remembered."""
    if len(data) > MESSAGE_BYTES_MAX:
        return Reject(f"{len(data)} bytes are more than {MESSAGE_BYTES_MAX}")
    try:
        envelope = decode(data, Envelope)
    except Malformed as error:
        return Reject(f"not an envelope: {error}")
    kind = BODIES.get(envelope.type)
    if kind is None:
        return Ignore("unknown type")
    try:
        body: Body = decode(envelope.body, kind)
    except Malformed as error:
        return Reject(f"not a {kind.__name__}: {error}")
    verdict = _judge_envelope(topic, envelope, body, knowledge, now)
    if isinstance(verdict, Accept):
        verdict = _judge_body(envelope, body, knowledge, now)
    if isinstance(verdict, Accept):
        _remember(envelope, body, knowledge, now)
    return verdict


def _judge_envelope(topic: str, envelope: Envelope, body: Body, knowledge: Knowledge, now: float) -> Verdict:
    """What holds for every message: network, topic, time, freshness, rate, signature."""
    kind = MessageType(envelope.type)
    if envelope.net != knowledge.net:
        return Reject("another network's message")
    if topic != topic_of(knowledge.net, kind, envelope.job):
        return Reject("not this topic's message")
    if envelope.lifetime_s > LIFETIME_S[kind]:
        return Reject("it wants to live too long")
    if envelope.sent_at > now + CLOCK_SKEW_S:
        return Ignore("it comes from the future")
    if now > envelope.sent_at + envelope.lifetime_s:
        return Ignore("it is out of date")
    if message_id(envelope) in knowledge.seen:
        return Ignore("seen before")
    peer_key = body.peer_key if isinstance(body, NodeRecord) else knowledge.peer_keys.get(Address(envelope.author))
    if peer_key is None:
        return Ignore("its author has no record here")
    if not is_genuine(envelope, peer_key):
        return Reject("its signature is not its author's")
    if envelope.sequence <= knowledge.sequences.get((envelope.author, envelope.job, envelope.type), -1):
        return Ignore("a newer one of this kind was seen")
    if not _is_within_rate(envelope.author, knowledge, now):
        return Ignore("its author speaks too often")
    if not knowledge.is_funded(Address(envelope.author)):
        return Ignore("its author has nothing at stake")
    return Accept()


def _judge_body(envelope: Envelope, body: Body, knowledge: Knowledge, now: float) -> Verdict:
    match body:
        case NodeRecord():
            return _judge_record(envelope, body, knowledge, now)
        case JobAnnounce():
            return _judge_announce(envelope, body, knowledge)
        case BidSealed():
            return _judge_sealed_bid(envelope, knowledge)
        case BidKey():
            return _judge_bid_key(envelope, body, knowledge, now)
        case ModelReady():
            return _judge_model(envelope, body, knowledge)
        case ReportNotice():
            return _judge_notice(envelope, body, knowledge)
        case ReportOpening():
            return _judge_opening(envelope, body, knowledge)
        case BidsSigned():
            return _judge_signed_bids(envelope, body, knowledge)
        case ReportSigned():
            return _judge_signed_report(envelope, body, knowledge)


def _judge_record(envelope: Envelope, record: NodeRecord, knowledge: Knowledge, now: float) -> Verdict:
    """NODE_RECORD: the account itself bound these keys, and the binding has not expired."""
    if not is_record_signed(knowledge.domain, Address(envelope.author), record):
        return Reject("the account did not sign this record")
    if record.expires_at < now:
        return Ignore("the record has expired")
    if record.expires_at < knowledge.expiries.get(envelope.author, 0):
        return Ignore("a newer record is known")  # an old one lives on with whoever holds its old peer key
    if len(knowledge.peer_keys) >= RECORDS_MOST and envelope.author not in knowledge.peer_keys:
        return Ignore("too many records")
    return Accept()


def _judge_announce(envelope: Envelope, announce: JobAnnounce, knowledge: Knowledge) -> Verdict:
    """JOB_ANNOUNCE: the job is on chain, is its author's, is open, and is what the announcement says."""
    view = knowledge.jobs.get(JobId(envelope.job))
    if view is None:
        return Ignore("the job is not on chain yet")
    if view.user != envelope.author:
        return Reject("only the end user announces a job")
    if (announce.reserve_wei, announce.spec_hash) != (wei_to_bytes(view.terms.reserve_wei), sha256_of(view.spec)):
        return Reject("the announcement differs from the chain")
    if view.state is not State.BIDDING:
        return Ignore("bidding is over")
    if announce.bids_until != view.deadline:
        return Reject("the announced deadline differs from the chain")
    return Accept()


def _judge_sealed_bid(envelope: Envelope, knowledge: Knowledge) -> Verdict:
    """BID_SEALED: a known job takes bids or is opening them, and its author does not flood it."""
    view = knowledge.jobs.get(JobId(envelope.job))
    if view is None:
        return Ignore("the job is not on chain yet")
    if view.state not in (State.BIDDING, State.REVEALING):
        return Ignore("the auction is over")
    if knowledge.sealed.get((envelope.job, envelope.author), 0) >= SEALED_BIDS_PER_AUTHOR:
        return Ignore("its author sent enough sealed bids")
    return Accept()


def _judge_bid_key(envelope: Envelope, key: BidKey, knowledge: Knowledge, now: float) -> Verdict:
    """BID_KEY: bidding is over for good, and the commitment is its author's. Before that it is a leak.

    A node that is a block behind its peers still sees BIDDING when the first key arrives, so the deadline decides.  It
    is a time of the chain, whose clock need not be ours: it is held against what the chain's clock should show by now,
    and nobody is blamed for a doubt.
    """
    view = knowledge.jobs.get(JobId(envelope.job))
    if view is None:
        return Ignore("the job is not on chain yet")
    if view.state is State.BIDDING:
        chain_time = knowledge.chain_time(now)
        if chain_time is None or view.deadline - CHAIN_SKEW_S <= chain_time < view.deadline - NEWS_S:
            return Ignore("bidding may not be over")
        if chain_time < view.deadline - NEWS_S:
            return Reject("a bid's key must not be shown before bidding is over")
    elif view.state is not State.REVEALING:
        return Ignore("the auction is over")
    if not view.has_bid(Address(envelope.author), key.commitment):
        return Ignore("no such commitment of this author is on chain")
    if (envelope.job, envelope.author, key.commitment) in knowledge.heard_keys:
        return Ignore("this bid's key was heard")
    return Accept()


def _judge_signed_bids(envelope: Envelope, signed: BidsSigned, knowledge: Knowledge) -> Verdict:
    """BIDS_SIGNED: a known job takes bids, its author signed each of these, and says so once."""
    job_id, author = JobId(envelope.job), Address(envelope.author)
    view = knowledge.jobs.get(job_id)
    if view is None:
        return Ignore("the job is not on chain yet")
    if view.user == author:
        return Reject("the end user does not bid on its own job")
    if view.state is not State.BIDDING:
        return Ignore("bidding is over")
    if (job_id, author, NO_ROUND) in knowledge.signed:
        return Ignore("its author's bids were heard")
    commitments = [bid.commitment for bid in signed.bids]
    if len(set(commitments)) < len(commitments) or NO_COMMITMENT in commitments:
        return Reject("it repeats a bid, or holds none")
    for bid in signed.bids:
        digest = commit_digest(knowledge.domain, job_id, author, bid.commitment)
        if not is_signed_by(author, digest, bid.signature):
            return Reject("its author did not sign this bid")
    return Accept()


def _judge_signed_report(envelope: Envelope, signed: ReportSigned, knowledge: Knowledge) -> Verdict:
    """REPORT_SIGNED: its author sits on the committee that tests, has not committed yet, and signed this."""
    newest = _committee_of(envelope, signed.round, knowledge)
    if not isinstance(newest, RoundView):
        return newest
    job_id, author = JobId(envelope.job), Address(envelope.author)
    if knowledge.jobs[job_id].state is not State.VCOMMIT:
        return Ignore("reports are not being committed to")
    if signed.restarts != newest.restarts:
        return Ignore("a key was disclosed in between")
    if author in newest.committed:
        return Ignore("its author's commitment is on chain")
    if knowledge.signed.get((job_id, author, signed.round), 0) >= SIGNED_REPORTS_PER_ROUND:
        return Ignore("its author signed often enough")
    commitment, attempt = signed.sealed.commitment, (signed.round, signed.restarts)
    digest = commit_report_digest(knowledge.domain, job_id, *attempt, author, commitment)
    if commitment == NO_COMMITMENT or not is_signed_by(author, digest, signed.sealed.signature):
        return Reject("its author did not sign this commitment")
    return Accept()


def _judge_model(envelope: Envelope, ready: ModelReady, knowledge: Knowledge) -> Verdict:
    """MODEL_READY: the winner's model is on chain, and the file is the one committed to."""
    view = knowledge.jobs.get(JobId(envelope.job))
    if view is None or view.model is None:
        return Ignore("no model is on chain yet")
    if view.winner != envelope.author:
        return Reject("only the winner says that the model is ready")
    try:
        manifest = decode(view.model.model, ModelManifest)
    except Malformed:
        return Ignore("the manifest on chain cannot be read")
    if ready.file != manifest.file:
        return Reject("the file is not the one on chain")
    return Accept()


def _judge_notice(envelope: Envelope, notice: ReportNotice, knowledge: Knowledge) -> Verdict:
    """REPORT_NOTICE: its author sits on the job's committee and says no metric."""
    newest = _committee_of(envelope, notice.round, knowledge)
    return Accept() if isinstance(newest, RoundView) else newest


def _judge_opening(envelope: Envelope, opening: ReportOpening, knowledge: Knowledge) -> Verdict:
    """REPORT_OPENING: commitments can no longer be made, and the opening is the one to its author's.

    A node that is a block behind its peers has not seen the last commitment yet.  An early opening is let drop: whoever
    shows its numbers before the others have committed is heard by nobody, and whoever forwarded it may just be ahead.
    """
    newest = _committee_of(envelope, opening.round, knowledge)
    if not isinstance(newest, RoundView):
        return newest
    if knowledge.jobs[JobId(envelope.job)].state is not State.VREVEAL:
        return Ignore("reports are not being opened")
    author = Address(envelope.author)
    if author in newest.revealed:
        return Ignore("the report is open")
    report = report_of(author, opening.metric_e6, opening.fingerprint_e9, opening.prediction_root, opening.salt)
    commitment = report_commitment(knowledge.domain, JobId(envelope.job), opening.round, report)
    if newest.committed.get(author) != commitment:
        return Reject("it does not open its author's commitment")
    return Accept()


def _committee_of(envelope: Envelope, round_number: int, knowledge: Knowledge) -> RoundView | Verdict:
    """The newest round, which the message must be about, and its author be drawn for."""
    view = knowledge.jobs.get(JobId(envelope.job))
    if view is None or view.round is None:
        return Ignore("no committee is drawn yet")
    if round_number != view.round.number:
        return Ignore("it is about another round")  # perhaps one whose draw we have not seen yet
    if envelope.author not in view.validators:
        return Reject("its author is not on the committee")
    return view.round


def _remember(envelope: Envelope, body: Body, knowledge: Knowledge, now: float) -> None:
    _put(knowledge.seen, message_id(envelope), int(now) + envelope.lifetime_s)
    if not isinstance(body, BidSealed | BidKey):  # an author's several bids of one job may arrive in any order
        _put(knowledge.sequences, (envelope.author, envelope.job, envelope.type), envelope.sequence)
    if isinstance(body, BidSealed):
        author = (envelope.job, envelope.author)
        _put(knowledge.sealed, author, knowledge.sealed.get(author, 0) + 1)
    if isinstance(body, BidKey):
        # by author, too: who copied another's commitment may show any key, and only the bidder's own opens the bid
        _put(knowledge.heard_keys, (envelope.job, envelope.author, body.commitment), envelope.sequence)
    if isinstance(body, BidsSigned | ReportSigned):
        what = (envelope.job, envelope.author, body.round if isinstance(body, ReportSigned) else NO_ROUND)
        _put(knowledge.signed, what, knowledge.signed.get(what, 0) + 1)
    if isinstance(body, NodeRecord):
        knowledge.peer_keys[Address(envelope.author)] = body.peer_key
        _put(knowledge.expiries, envelope.author, body.expires_at)


def _is_within_rate(author: bytes, knowledge: Knowledge, now: float) -> bool:
    """A token bucket per author: one message a second on average, twenty at once."""
    tokens, last = knowledge.rates.get(author, (float(AUTHOR_BURST), now))
    tokens = min(float(AUTHOR_BURST), tokens + max(0.0, now - last) * AUTHOR_RATE_S)
    is_within = tokens >= 1
    _put(knowledge.rates, author, (tokens - 1 if is_within else tokens, now))
    return is_within


def _put(store: OrderedDict[K, V], key: K, value: V) -> None:
    """Store newest last, and forget the oldest beyond the bound."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > SEEN_MOST:
        store.popitem(last=False)
