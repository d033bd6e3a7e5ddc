"""Seals, derivations and signatures, held against libsodium's own boxes, the RFCs' vectors and another library."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, PublicKey, SealedBox

from morphware.protocol import crypto
from morphware.protocol.crypto import (
    BID_PLAIN_BYTES,
    BID_SEALED_BYTES,
    SEALED_OVERHEAD_BYTES,
    Unopenable,
    Unsealable,
    derive,
    encryption_public_key,
    is_signed_by,
    model_key,
    peer_public_key,
    seal,
    seal_bid,
    sign,
    unseal,
    unseal_bid,
)
from morphware.protocol.units import JobId

SECRET, OTHER, EPHEMERAL = bytes(range(32)), bytes(range(1, 33)), b"\7" * 32
PUBLIC = encryption_public_key(SECRET)
KEY, NONCE, CONTEXT = b"k" * 32, b"n" * 24, b"job and commitment"
JOB = JobId(b"j" * 32)


# --- derivation -----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_secrets_are_hkdf_sha256(seed: bytes, label: str) -> None:
    expected = HKDF(SHA256(), 32, salt=None, info=b"mw1|" + label.encode()).derive(seed)
    assert derive(seed, label) == expected


def test_the_model_s_key_is_hkdf_sha256_of_both_halves() -> None:
    x, y = b"x" * 32, b"y" * 32
    assert model_key(x, y, JOB) == HKDF(SHA256(), 32, salt=None, info=b"mw1|model" + JOB).derive(x + y)
    assert (
        len({model_key(x, y, JOB), model_key(y, x, JOB), model_key(x, y, JobId(bytes(32))), derive(x + y, "model")})
        == 4
    )


def test_golden_secrets() -> None:
    """Journals hold seeds: another derivation would lose every secret of the jobs under way."""
    assert derive(SECRET, "x").hex() == "269bfd308d78da443ca6037f7ddf2c29f4e258e314ebde3a14d87ea68a170320"


# --- sealed boxes ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_libsodium_opens_our_boxes_and_we_open_its(message: bytes, ephemeral: bytes) -> None:
    box = seal(message, PUBLIC, ephemeral)
    assert len(box) == len(message) + SEALED_OVERHEAD_BYTES
    assert SealedBox(PrivateKey(SECRET)).decrypt(box) == message
    assert unseal(SealedBox(PublicKey(PUBLIC)).encrypt(message), SECRET) == message


def test_a_box_opens_for_its_receiver_only() -> None:
    box = seal(b"message", PUBLIC, EPHEMERAL)
    assert unseal(box, SECRET) == b"message"
    with pytest.raises(Unopenable):
        unseal(box, OTHER)


@pytest.mark.parametrize("at", [0, 31, 32, 47, 48, 54])
def test_a_changed_box_does_not_open(at: int) -> None:
    box = bytearray(seal(b"message", PUBLIC, EPHEMERAL))
    box[at] ^= 1
    with pytest.raises(Unopenable):
        unseal(bytes(box), SECRET)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_box_do_not_open(data: bytes) -> None:
    with pytest.raises(Unopenable):
        unseal(data, SECRET)


def test_a_box_from_a_point_of_small_order_does_not_open() -> None:
    for point in (bytes(32), b"\1" + bytes(31)):
        with pytest.raises(Unopenable):
            unseal(point + bytes(16) + b"message", SECRET)


@pytest.mark.parametrize(
    "key", [bytes(32), b"\1" + bytes(31), b"", bytes(31), bytes(33)], ids=lambda key: str(len(key))
)
def test_nothing_is_sealed_for_a_key_that_is_none(key: bytes) -> None:
    with pytest.raises(Unsealable):
        seal(b"message", key, EPHEMERAL)


# --- sealed bids ----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=BID_PLAIN_BYTES))
def test_every_sealed_bid_has_the_same_size_and_opens_padded(opening: bytes) -> None:
    sealed = seal_bid(opening, KEY, NONCE, CONTEXT)
    assert len(sealed) == BID_SEALED_BYTES
    assert unseal_bid(sealed, KEY, NONCE, CONTEXT) == opening.ljust(BID_PLAIN_BYTES, b"\0")


@pytest.mark.parametrize(
    ("key", "nonce", "context"),
    [
        (b"K" * 32, NONCE, CONTEXT),
        (KEY, b"N" * 24, CONTEXT),
        (KEY, NONCE, b"other"),
        (KEY, b"", CONTEXT),
        (b"", NONCE, b""),
    ],
)
def test_a_sealed_bid_opens_with_its_own_key_nonce_and_context_only(key: bytes, nonce: bytes, context: bytes) -> None:
    with pytest.raises(Unopenable):
        unseal_bid(seal_bid(b"opening", KEY, NONCE, CONTEXT), key, nonce, context)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_sealed_bid_do_not_open(data: bytes) -> None:
    with pytest.raises(Unopenable):
        unseal_bid(data, KEY, NONCE, CONTEXT)


def test_an_opening_of_more_than_128_bytes_is_ours_to_mend() -> None:
    with pytest.raises(ValueError, match="128"):
        seal_bid(bytes(129), KEY, NONCE, CONTEXT)


# --- signatures -----------------------------------------------------------------------------------------------------


def test_a_peer_signs_as_rfc_8032_says() -> None:
    """Test 3 of RFC 8032, section 7.1."""
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert peer_public_key(seed) == public
    assert sign(b"\xaf\x82", seed) == signature
    assert is_signed_by(public, b"\xaf\x82", signature)


@given(st.binary(max_size=100))
def test_signatures_are_those_of_another_library(message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(SECRET)
    assert sign(message, SECRET) == key.sign(message)


@given(st.binary(max_size=80), st.binary(min_size=32, max_size=32))
def test_no_signature_but_the_key_s_is_genuine_and_none_raises(signature: bytes, public: bytes) -> None:
    assert not is_signed_by(public, b"digest", signature)
    assert not is_signed_by(peer_public_key(SECRET), b"digest", signature)


def test_a_signature_is_for_one_message_and_key() -> None:
    signature = sign(b"digest", SECRET)
    assert is_signed_by(peer_public_key(SECRET), b"digest", signature)
    assert not is_signed_by(peer_public_key(SECRET), b"Digest", signature)
    assert not is_signed_by(peer_public_key(OTHER), b"digest", signature)
    assert not is_signed_by(b"", b"digest", signature)


def test_sha256_is_sha256() -> None:
    assert crypto.sha256_of(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
