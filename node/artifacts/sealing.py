"""A file is sealed with one key for one purpose, and opens whole or not at all.

The format is libsodium's *secretstream* (XChaCha20-Poly1305): a random header of 24 bytes, then chunks of 1 MiB of
plaintext, each 17 bytes longer when sealed.  The last chunk alone carries the tag FINAL, and only it may be shorter
(it is empty only in an empty file).  Chunks are chained, and each one's associated data is the *context* (job and
artifact, so that one artifact cannot pass for another) followed by the chunk's number as eight bytes, big-endian.
Hence a wrong key, a wrong context, a changed bit, chunks in another order, a cut end and an added tail all fail.

What it does not promise: someone who chooses two keys can make one sealed file that opens under both; which key
counts is settled on chain, by its commitment.  And sealing again gives other bytes, because the header is random:
the node writes the sealed file's hash to its journal before anybody hears of it.

Both functions block; under trio, call them in a thread, with ``trio.from_thread.check_cancelled`` as ``check``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from nacl import bindings as sodium

from morphware.node.artifacts.disk import Check, never_stop, require_space, written_whole
from morphware.node.artifacts.errors import SealBroken

KEY_BYTES = 32
HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
CHUNK_PLAIN_BYTES = 1 << 20
"""Long enough that the 17 bytes are nothing (0.002 %), short enough that opening needs little memory."""

CHUNK_OVERHEAD_BYTES = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
CHUNK_SEALED_BYTES = CHUNK_PLAIN_BYTES + CHUNK_OVERHEAD_BYTES
_State = sodium.crypto_secretstream_xchacha20poly1305_state
_MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL


def sealed_size_bytes(plain_bytes: int) -> int:
    """How long a file of ``plain_bytes`` is when sealed."""
    chunks = max(1, -(-plain_bytes // CHUNK_PLAIN_BYTES))
    return HEADER_BYTES + plain_bytes + chunks * CHUNK_OVERHEAD_BYTES


def seal_file(plain: Path, sealed: Path, key: bytes, context: bytes, check: Check = never_stop) -> bytes:
    """Seal ``plain`` into ``sealed``, which appears whole; return the sealed file's SHA-256.

    Args:
        key: 32 bytes, for this one artifact and never for another; of zeros where privacy is ``public``.
        context: what the file is; opening demands the same.

    Raises:
        DiskFull: there is no room for the sealed file.
    """
    _require_key(key)
    require_space(sealed.parent, sealed_size_bytes(plain.stat().st_size))
    state = _State()
    header = sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    digest = hashlib.sha256(header)
    with plain.open("rb") as source, written_whole(sealed) as target:
        target.write(header)
        chunk, index = source.read(CHUNK_PLAIN_BYTES), 0
        while True:
            following = source.read(CHUNK_PLAIN_BYTES)
            tag = _MESSAGE if following else _FINAL
            box = sodium.crypto_secretstream_xchacha20poly1305_push(state, chunk, _label(context, index), tag)
            target.write(box)
            digest.update(box)
            check()
            if not following:
                return digest.digest()
            chunk, index = following, index + 1


def open_file(sealed: Path, plain: Path, key: bytes, context: bytes, check: Check = never_stop) -> bytes:
    """Open ``sealed`` into ``plain``, which appears only when every chunk proved right; return its SHA-256.

    Raises:
        SealBroken: the key or the context is another, or the file is not what was sealed.
        DiskFull: there is no room for the opened file.
    """
    _require_key(key)
    require_space(plain.parent, sealed.stat().st_size)
    state = _State()
    digest = hashlib.sha256()
    with sealed.open("rb") as source, written_whole(plain) as target:
        header = source.read(HEADER_BYTES)
        if len(header) != HEADER_BYTES:
            raise SealBroken("the file is shorter than a header")
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
        box, index = source.read(CHUNK_SEALED_BYTES), 0
        while True:
            following = source.read(CHUNK_SEALED_BYTES)
            chunk, tag = _pulled(state, box, _label(context, index), index)
            _require_place(chunk, tag, index, is_last=not following)
            target.write(chunk)
            digest.update(chunk)
            check()
            if not following:
                return digest.digest()
            box, index = following, index + 1


def _require_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")


def _label(context: bytes, index: int) -> bytes:
    return context + index.to_bytes(8, "big")


def _pulled(state: _State, box: bytes, label: bytes, index: int) -> tuple[bytes, int]:
    if len(box) < CHUNK_OVERHEAD_BYTES:
        raise SealBroken("the file is cut short")
    try:
        chunk, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, box, label)
    except RuntimeError as error:  # PyNaCl says no more than "unexpected failure"
        if index == 0:
            raise SealBroken("the key or the purpose is another, or the file was altered at its start") from error
        raise SealBroken(f"chunk {index} was altered, moved or cut short") from error
    return chunk, tag


def _require_place(chunk: bytes, tag: int, index: int, *, is_last: bool) -> None:
    """Who holds the key could still seal in another form; there is one form."""
    if tag not in (_MESSAGE, _FINAL):
        raise SealBroken(f"chunk {index} has a tag that we do not use")
    if is_last and tag != _FINAL:
        raise SealBroken("the end of the file is missing")
    if not is_last and tag == _FINAL:
        raise SealBroken("something follows the end of the file")
    if index and not chunk:
        raise SealBroken("the last chunk is empty")
