"""The envelope: what is signed, what names a message, and what one changed byte does."""

import msgspec
import pytest

from morphware.protocol.codec import MESSAGE_BYTES_MAX, Malformed, decode, encode
from morphware.protocol.crypto import peer_public_key, sign
from morphware.protocol.messages import (
    BODIES,
    LIFETIME_S,
    TYPE_OF,
    BidKey,
    BidSealed,
    Envelope,
    MessageType,
    is_genuine,
    message_id,
    signed,
)

SEED = bytes(range(32))
PEER = peer_public_key(SEED)
KEY = BidKey(commitment=b"c" * 32, key=b"k" * 32)
SEALED = BidSealed(commitment=b"c" * 32, nonce=b"n" * 24, sealed=b"s" * 144)


def envelope_of(sequence: int = 7) -> Envelope:
    return signed(
        KEY, net=b"net 8 by", job=b"j" * 32, author=b"a" * 20, sequence=sequence, sent_at=1_800_000_000, peer_seed=SEED
    )


def test_golden_bytes_of_an_envelope() -> None:
    data = encode(envelope_of())
    body = b"\x92\xc4\x20" + b"c" * 32 + b"\xc4\x20" + b"k" * 32
    unsigned = (
        b"\x9a\x01\x04\xc4\x08net 8 by\xc4\x20" + b"j" * 32 + b"\xc4\x14" + b"a" * 20 + b"\x07"
        b"\xce" + (1_800_000_000).to_bytes(4, "big") + b"\xcd" + (3600).to_bytes(2, "big")
        + b"\xc4" + bytes([len(body)]) + body + b"\xc4\x40"
    )  # fmt: skip
    assert data[:-64] == unsigned
    assert data[-64:] == envelope_of().signature
    assert decode(data, Envelope) == envelope_of()


def test_a_sealed_bid_in_its_envelope_is_a_few_hundred_bytes() -> None:
    """PROTOCOL.md 6.2 measured 423 and 183 (the shards' topics carry no body of their own)."""
    sealed = signed(
        SEALED, net=bytes(8), job=bytes(32), author=bytes(20), sequence=2**60, sent_at=2**31, peer_seed=SEED
    )
    assert len(encode(sealed)) < 423
    assert len(encode(envelope_of())) < 300


def test_an_envelope_is_genuine_for_its_signer_only() -> None:
    assert is_genuine(envelope_of(), PEER)
    assert not is_genuine(envelope_of(), peer_public_key(bytes(32)))


@pytest.mark.parametrize(
    "change",
    [
        {"type": 3},
        {"net": bytes(8)},
        {"job": bytes(32)},
        {"author": bytes(20)},
        {"sequence": 8},
        {"sent_at": 1_800_000_001},
        {"lifetime_s": 3599},
        {"body": b""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_signed_and_names_the_message(change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(envelope_of(), **change)
    assert not is_genuine(changed, PEER)
    assert message_id(changed) != message_id(envelope_of())


def test_another_signature_makes_no_other_message() -> None:
    again = msgspec.structs.replace(envelope_of(), signature=sign(b"anything", SEED))
    assert message_id(again) == message_id(envelope_of())
    assert len(message_id(again)) == 20


@pytest.mark.parametrize("version", [0, 2, 0x11])
def test_another_version_is_no_envelope(version: int) -> None:
    data = bytearray(encode(envelope_of()))
    data[1] = version
    with pytest.raises(Malformed):
        decode(bytes(data), Envelope)


@pytest.mark.parametrize(("name", "size"), [("net", 7), ("job", 31), ("author", 21), ("signature", 63)])
def test_fields_of_another_size_are_no_envelope(name: str, size: int) -> None:
    with pytest.raises(Malformed):
        decode(encode(msgspec.structs.replace(envelope_of(), **{name: bytes(size)})), Envelope)


def test_every_type_has_a_body_a_topic_life_and_a_way_back() -> None:
    assert set(BODIES) == {int(kind) for kind in MessageType} == {int(kind) for kind in LIFETIME_S}
    assert {TYPE_OF[body]: body for body in TYPE_OF} == BODIES
    assert MESSAGE_BYTES_MAX == 8192
