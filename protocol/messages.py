"""What nodes say to each other: the envelope, the bodies, and the job's specification.

An envelope is the array [version, type, net, job, author, sequence, time, lifetime, body, signature].  ``net`` is the
first 8 bytes of keccak(chain id, market, genesis): nodes of another network never understand each other by accident.
The signature is Ed25519 by the peer key that the author bound to its address, over BLAKE2b of "mw1" and all fields
but the signature; the message's id is BLAKE2b-160 of the same bytes, so that a second signature makes no second
message.
"""

from enum import IntEnum
from hashlib import blake2b
from typing import Annotated, Final, Literal

import msgspec

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import I64, U8, U16, U32, U64, AddressBytes, Hash, ShortText, WeiBytes, encode
from morphware.protocol.crypto import is_signed_by, sign
from morphware.protocol.split import CHUNKS_LEAST, CHUNKS_MOST, TEST_CHUNKS_MOST

VERSION: Final = 1


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, array_like=True):
    """The base of everything that crosses the wire: a frozen array whose decoding validates it."""


class MessageType(IntEnum):
    """The types of PROTOCOL.md 6.2 that this version speaks."""

    NODE_RECORD = 1
    JOB_ANNOUNCE = 2
    BID_SEALED = 3
    BID_KEY = 4
    MODEL_READY = 6
    REPORT_NOTICE = 7
    REPORT_OPENING = 8
    BIDS_SIGNED = 11
    REPORT_SIGNED = 12


class Envelope(Wire, frozen=True):
    """A signed message. ``sent_at`` is seconds since the epoch, ``lifetime_s`` how long it may be passed on."""

    version: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    type: U8
    net: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    job: Hash
    author: AddressBytes
    sequence: U64
    sent_at: U64
    lifetime_s: U16
    body: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class NodeRecord(Wire, frozen=True):
    """Who a node is: its encryption key, its addresses, its roles. The envelope's signer is its peer key.

    ``signature`` is the account's own (EIP-712) over keys and sequence, so that nobody else can bind them.
    """

    encryption_key: Hash
    peer_key: Hash
    roles: U8
    addresses: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=8)]
    torrent_host: ShortText
    torrent_port: U16
    expires_at: U64
    signature: Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]


class JobAnnounce(Wire, frozen=True):
    """A job is open for bids; every field repeats what the chain says, for those who are behind it."""

    reserve_wei: WeiBytes
    bids_until: U64
    spec_hash: Hash
    torrent_host: ShortText
    torrent_port: U16


class BidSealed(Wire, frozen=True):
    """A bid's ciphertext under the bidder's own one-time key."""

    commitment: Hash
    nonce: Annotated[bytes, msgspec.Meta(min_length=24, max_length=24)]
    sealed: Annotated[bytes, msgspec.Meta(min_length=144, max_length=144)]


class BidKey(Wire, frozen=True):
    """The one-time key of a sealed bid, published once bidding is over for good."""

    commitment: Hash
    key: Hash


class SignedCommitment(Wire, frozen=True):
    """A commitment, and its account's EIP-712 signature of it: whoever has both may bring it on chain."""

    commitment: Hash
    signature: Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]


class BidsSigned(Wire, frozen=True):
    """All bids of one worker, decoys included, for the job's end user to bring on chain with those of others."""

    bids: Annotated[tuple[SignedCommitment, ...], msgspec.Meta(min_length=1, max_length=4)]


class ReportSigned(Wire, frozen=True):
    """A validator's commitment to its report, for one of the committee to bring on chain with those of others."""

    round: U8
    restarts: U8
    sealed: SignedCommitment


class ModelReady(Wire, frozen=True):
    """The winner's model is on chain and in the swarm."""

    file: SealedFile
    torrent_host: ShortText
    torrent_port: U16


class ReportNotice(Wire, frozen=True):
    """A validator holds the ciphertexts of a round and serves them to its fellows."""

    round: U8
    commitment: Hash
    torrent_host: ShortText
    torrent_port: U16


class ReportOpening(Wire, frozen=True):
    """The opening of a validator's report, once everybody's commitment is final: one call may open them all."""

    round: U8
    metric_e6: I64
    fingerprint_e9: I64
    prediction_root: Hash
    salt: Hash


class Folders(Wire, frozen=True, tag=0):
    """The end user's own two folders, each sealed as a whole."""

    train: SealedFile
    test: SealedFile


class Chunks(Wire, frozen=True, tag=1):
    """The data of a split job in sealed chunks, with the hash of each one's key; so many of them will test the model.

    The posting commits to ``test_chunks`` and ``leaves`` (``split.py``).
    """

    test_chunks: Annotated[int, msgspec.Meta(ge=1, le=TEST_CHUNKS_MOST)]
    files: Annotated[tuple[SealedFile, ...], msgspec.Meta(min_length=CHUNKS_LEAST, max_length=CHUNKS_MOST)]
    leaves: Annotated[tuple[Hash, ...], msgspec.Meta(min_length=CHUNKS_LEAST, max_length=CHUNKS_MOST)]


class JobSpec(Wire, frozen=True):
    """What a job is: posted on chain in this encoding, with the magnet links of its sealed files.

    ``metric`` names the scorer's metric, ``environment`` the reference environment in words a person can check.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    kind: Literal["script", "notebook"]
    entry: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    metric: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    privacy: Literal["sealed", "public"]
    estimated_s: U32
    memory_bytes: U64
    disk_bytes: U64
    code: SealedFile
    data: Folders | Chunks
    requirements: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=50)]
    environment: ShortText
    public_keys: Annotated[bytes, msgspec.Meta(max_length=96)]


class ModelManifest(Wire, frozen=True):
    """The worker's response on chain: where the model's ciphertext is, and x for the end user in a sealed box."""

    file: SealedFile
    x_box: Annotated[bytes, msgspec.Meta(min_length=80, max_length=80)]


Body = (
    NodeRecord
    | JobAnnounce
    | BidSealed
    | BidKey
    | ModelReady
    | ReportNotice
    | ReportOpening
    | BidsSigned
    | ReportSigned
)

BODIES: Final[dict[int, type[Body]]] = {
    MessageType.NODE_RECORD: NodeRecord,
    MessageType.JOB_ANNOUNCE: JobAnnounce,
    MessageType.BID_SEALED: BidSealed,
    MessageType.BID_KEY: BidKey,
    MessageType.MODEL_READY: ModelReady,
    MessageType.REPORT_NOTICE: ReportNotice,
    MessageType.REPORT_OPENING: ReportOpening,
    MessageType.BIDS_SIGNED: BidsSigned,
    MessageType.REPORT_SIGNED: ReportSigned,
}
TYPE_OF: Final[dict[type[Body], MessageType]] = {body: MessageType(number) for number, body in BODIES.items()}
LIFETIME_S: Final[dict[MessageType, int]] = {
    MessageType.NODE_RECORD: 3600,
    MessageType.JOB_ANNOUNCE: 600,
    MessageType.BID_SEALED: 3600,
    MessageType.BID_KEY: 3600,
    MessageType.MODEL_READY: 600,
    MessageType.REPORT_NOTICE: 600,
    MessageType.REPORT_OPENING: 600,
    MessageType.BIDS_SIGNED: 3600,
    MessageType.REPORT_SIGNED: 3600,
}


def signed(
    body: Body, *, net: bytes, job: bytes, author: bytes, sequence: int, sent_at: int, peer_seed: bytes
) -> Envelope:
    """An envelope around a body, signed with the author's peer key."""
    kind = TYPE_OF[type(body)]
    unsigned = Envelope(
        version=VERSION,
        type=kind,
        net=net,
        job=job,
        author=author,
        sequence=sequence,
        sent_at=sent_at,
        lifetime_s=LIFETIME_S[kind],
        body=encode(body),
        signature=bytes(64),
    )
    return msgspec.structs.replace(unsigned, signature=sign(_digest(unsigned, 32), peer_seed))


def is_genuine(envelope: Envelope, peer_key: bytes) -> bool:
    """Whether the envelope was signed by this peer key."""
    return is_signed_by(peer_key, _digest(envelope, 32), envelope.signature)


def message_id(envelope: Envelope) -> bytes:
    """20 bytes that name the message whatever its signature."""
    return _digest(envelope, 20)


def _digest(envelope: Envelope, size_bytes: int) -> bytes:
    bare = encode(msgspec.structs.replace(envelope, signature=bytes(64)))[:-64]
    return blake2b(b"mw1" + bare, digest_size=size_bytes).digest()
