"""Every key, seal and signature of the market, as pure functions: whoever calls brings the randomness.

A node draws one random 32-byte seed for each job and role, stores it, and derives every secret of that job from it by
label (``derive``).  So all secrets are on disk before the first transaction that commits to one of them.

Sealed boxes are libsodium's ``crypto_box_seal`` with the ephemeral secret given: 32 bytes of ephemeral public key,
then the box under the nonce BLAKE2b-192(ephemeral public key . receiver's public key).
"""

import hmac
from hashlib import blake2b, sha256
from typing import Final

from nacl import bindings
from nacl.exceptions import BadSignatureError, CryptoError

from morphware.protocol.units import JobId

KEY_BYTES: Final = 32
BID_NONCE_BYTES: Final = 24
BID_PLAIN_BYTES: Final = 128
BID_SEALED_BYTES: Final = 144
SEALED_OVERHEAD_BYTES: Final = 48


class Unopenable(ValueError):
    """The ciphertext was not made for this key, or was changed on its way."""


class Unsealable(ValueError):
    """The receiver's public key is none that anything can be sealed for."""


def derive(seed: bytes, label: str) -> bytes:
    """A 32-byte secret for one purpose: HKDF-SHA256 without salt (RFC 5869, one block), the label as its info."""
    pseudorandom_key = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(pseudorandom_key, b"mw1|" + label.encode() + b"\x01", "sha256")


def model_key(x: bytes, y: bytes, job_id: JobId) -> bytes:
    """The key of the trained model, of two halves: HKDF-SHA256(x . y, "mw1|model" . job id)."""
    pseudorandom_key = hmac.digest(bytes(32), x + y, "sha256")
    return hmac.digest(pseudorandom_key, b"mw1|model" + job_id + b"\x01", "sha256")


# --- sealed boxes ---------------------------------------------------------------------------------------------------


def encryption_public_key(secret: bytes) -> bytes:
    """The X25519 public key of a 32-byte secret."""
    return bindings.crypto_scalarmult_base(secret)


def seal(message: bytes, receiver: bytes, ephemeral_secret: bytes) -> bytes:
    """A sealed box for an X25519 public key; 48 bytes longer than the message. Never reuse the ephemeral secret.

    Raises ``Unsealable`` for a key that is no good: whoever published it chose its bytes.
    """
    ephemeral = bindings.crypto_scalarmult_base(ephemeral_secret)
    try:
        box = bindings.crypto_box(message, _seal_nonce(ephemeral, receiver), receiver, ephemeral_secret)
    except CryptoError as error:
        raise Unsealable("nothing can be sealed for this public key") from error
    return ephemeral + box


def unseal(box: bytes, secret: bytes) -> bytes:
    """The message of a sealed box. Raises ``Unopenable``."""
    if len(box) < SEALED_OVERHEAD_BYTES:
        raise Unopenable("a sealed box has at least 48 bytes")
    ephemeral, rest = box[:32], box[32:]
    try:
        return bindings.crypto_box_open(rest, _seal_nonce(ephemeral, encryption_public_key(secret)), ephemeral, secret)
    except (CryptoError, ValueError) as error:
        raise Unopenable("the sealed box does not open") from error


def _seal_nonce(ephemeral: bytes, receiver: bytes) -> bytes:
    return blake2b(ephemeral + receiver, digest_size=24).digest()


# --- sealed bids ----------------------------------------------------------------------------------------------------


def seal_bid(opening: bytes, key: bytes, nonce: bytes, context: bytes) -> bytes:
    """XChaCha20-Poly1305 of an opening padded to 128 bytes, so that every bid looks alike: 144 bytes."""
    if len(opening) > BID_PLAIN_BYTES:
        raise ValueError("an opening has at most 128 bytes")
    padded = opening.ljust(BID_PLAIN_BYTES, b"\0")
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, context, nonce, key)


def unseal_bid(sealed: bytes, key: bytes, nonce: bytes, context: bytes) -> bytes:
    """The padded opening. Raises ``Unopenable``."""
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, context, nonce, key)
    except (CryptoError, ValueError) as error:
        raise Unopenable("the sealed bid does not open with this key") from error


# --- signatures -----------------------------------------------------------------------------------------------------


def peer_public_key(seed: bytes) -> bytes:
    """The Ed25519 public key of a 32-byte seed."""
    public, _ = bindings.crypto_sign_seed_keypair(seed)
    return public


def sign(digest: bytes, seed: bytes) -> bytes:
    """A 64-byte Ed25519 signature."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bindings.crypto_sign(digest, secret)[:64]


def is_signed_by(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature is the key's."""
    try:
        bindings.crypto_sign_open(signature + digest, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True


def sha256_of(data: bytes) -> bytes:
    """SHA-256, which names ciphertexts and archives."""
    return sha256(data).digest()
