"""A network of known accounts, a job in any state, and one message of each kind that is in order there."""

import msgspec
import pytest
from eth_keys.datatypes import PrivateKey

from morphware.protocol import chain_events as ce
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import encode, wei_to_bytes
from morphware.protocol.commitments import Domain, keccak, report_commitment
from morphware.protocol.crypto import peer_public_key, sha256_of
from morphware.protocol.gossip import (
    Knowledge,
    judge,
    net_of,
    topic_of,
)
from morphware.protocol.messages import (
    TYPE_OF,
    BidKey,
    BidSealed,
    BidsSigned,
    Body,
    Envelope,
    JobAnnounce,
    ModelManifest,
    ModelReady,
    NodeRecord,
    ReportNotice,
    ReportOpening,
    ReportSigned,
    SignedCommitment,
    signed,
)
from morphware.protocol.records import record_digest
from morphware.protocol.signatures import commit_digest, commit_report_digest, sign_digest
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.verdicts import Verdict
from morphware.protocol.view import JobView, report_of
from tests.protocol.market_world import terms_of

NOW = 1_800_000_000
DEADLINE = Timestamp(NOW + 100)
DOMAIN = Domain(31337, Address(bytes(range(20))))
NET = net_of(DOMAIN, b"g" * 32)
JOB = JobId(bytes([0x2A]) + bytes(31))
NO_JOB = JobId(bytes(32))
SECRETS = {name: keccak(name.encode()) for name in ("user", "worker", "validator", "fellow", "stranger", "new")}
ACCOUNTS = {name: Address(PrivateKey(secret).public_key.to_canonical_address()) for name, secret in SECRETS.items()}
PEER_SEEDS = {name: keccak(b"peer" + name.encode()) for name in SECRETS}
FILE = SealedFile("magnet:?xt=urn:btmh:1220", 1000, b"f" * 32)
MANIFEST = ModelManifest(file=FILE, x_box=bytes(80))
COMMITMENT = b"c" * 32

SEALED = BidSealed(commitment=COMMITMENT, nonce=b"n" * 24, sealed=b"s" * 144)
KEY = BidKey(commitment=COMMITMENT, key=b"k" * 32)
ANNOUNCE = JobAnnounce(
    reserve_wei=wei_to_bytes(Wei(100)),
    bids_until=DEADLINE,
    spec_hash=sha256_of(b"spec"),
    torrent_host="h",
    torrent_port=1,
)
READY = ModelReady(file=FILE, torrent_host="h", torrent_port=1)
REPORT = report_of(ACCOUNTS["validator"], 950_000, 123, b"p" * 32, b"s" * 32)
OPENING = ReportOpening(round=0, metric_e6=950_000, fingerprint_e9=123, prediction_root=b"p" * 32, salt=b"s" * 32)
REPORT_SIGNATURE = sign_digest(
    SECRETS["fellow"], commit_report_digest(DOMAIN, JOB, 0, 0, ACCOUNTS["fellow"], COMMITMENT)
)
BIDS = BidsSigned(
    bids=tuple(
        SignedCommitment(
            commitment=commitment,
            signature=sign_digest(SECRETS["worker"], commit_digest(DOMAIN, JOB, ACCOUNTS["worker"], commitment)),
        )
        for commitment in (b"1" * 32, b"2" * 32)
    )
)
SIGNED_REPORT = ReportSigned(
    round=0, restarts=0, sealed=SignedCommitment(commitment=COMMITMENT, signature=REPORT_SIGNATURE)
)
NOTICE = ReportNotice(round=0, commitment=b"r" * 32, torrent_host="h", torrent_port=1)


def job_in(state: State) -> JobView:
    """A job whose one bidder is the worker, which also won, with the validator on its committee."""
    view = JobView(JOB, ACCOUNTS["user"], terms_of(), b"spec", state, DEADLINE)
    view.apply(ce.BidCommitted(JOB, ACCOUNTS["worker"], COMMITMENT, 0))
    if state > State.REVEALING:
        view.apply(ce.JobAwarded(JOB, ACCOUNTS["worker"], Wei(30), Wei(40), 0))
    if state > State.TRAINING:
        view.apply(ce.ModelSubmitted(JOB, bytes(32), bytes(32), bytes(32), bytes(32), 5, encode(MANIFEST)))
    if state > State.SEED:
        view.apply(ce.CommitteeDrawn(JOB, 0, bytes(32), (ACCOUNTS["validator"], ACCOUNTS["fellow"])))
        commitment = report_commitment(DOMAIN, JOB, 0, REPORT)
        view.apply(ce.ReportCommitted(JOB, 0, ACCOUNTS["validator"], commitment))
    return view


def knowledge_of(state: State = State.BIDDING) -> Knowledge:
    known = {ACCOUNTS[name]: peer_public_key(PEER_SEEDS[name]) for name in SECRETS if name != "new"}
    knowledge = Knowledge(DOMAIN, NET, known, {JOB: job_in(state)})
    knowledge.note_block(NOW, float(NOW))
    return knowledge


def record_of(name: str, *, signer: str | None = None, expires_at: int = NOW + 3600) -> NodeRecord:
    bare = NodeRecord(
        encryption_key=b"e" * 32,
        peer_key=peer_public_key(PEER_SEEDS[name]),
        roles=2,
        addresses=(),
        torrent_host="h",
        torrent_port=1,
        expires_at=expires_at,
        signature=bytes(65),
    )
    raw = PrivateKey(SECRETS[signer or name]).sign_msg_hash(record_digest(DOMAIN, ACCOUNTS[name], bare)).to_bytes()
    return msgspec.structs.replace(bare, signature=raw[:64] + bytes([raw[64] + 27]))


def envelope_of(
    body: Body, author: str, *, sequence: int = 1, sent_at: int = NOW, job: JobId | None = None
) -> Envelope:
    about = job or (NO_JOB if isinstance(body, NodeRecord) else JOB)
    return signed(
        body,
        net=NET,
        job=about,
        author=ACCOUNTS[author],
        sequence=sequence,
        sent_at=sent_at,
        peer_seed=PEER_SEEDS[author],
    )


def say(knowledge: Knowledge, body: Body, author: str, *, now: float = NOW, **changes: int) -> Verdict:
    """The verdict on a message that is in order but for what a test changes."""
    envelope = envelope_of(body, author, **changes)  # type: ignore[arg-type]
    return judge(topic_of(NET, TYPE_OF[type(body)], envelope.job), encode(envelope), knowledge, now)


EVERYTHING = [
    (record_of("new"), "new", State.BIDDING),
    (ANNOUNCE, "user", State.BIDDING),
    (SEALED, "worker", State.BIDDING),
    (KEY, "worker", State.REVEALING),
    (READY, "worker", State.SEED),
    (NOTICE, "validator", State.VCOMMIT),
    (OPENING, "validator", State.VREVEAL),
    (BIDS, "worker", State.BIDDING),
    (SIGNED_REPORT, "fellow", State.VCOMMIT),
]
IDS = [type(body).__name__ for body, _, _ in EVERYTHING]
every_kind = pytest.mark.parametrize(("body", "author", "state"), EVERYTHING, ids=IDS)
