"""A sealed file opens whole, with its own key, for its own purpose, or not at all."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings as sodium

from morphware.node.artifacts.errors import SealBroken
from morphware.node.artifacts.sealing import (
    CHUNK_PLAIN_BYTES,
    CHUNK_SEALED_BYTES,
    HEADER_BYTES,
    open_file,
    seal_file,
    sealed_size_bytes,
)

KEY = bytes(range(32))
CONTEXT = b"job 7" + b"train"
MIB = 1 << 20


def sealed_bytes(folder: Path, content: bytes) -> bytes:
    (folder / "plain").write_bytes(content)
    seal_file(folder / "plain", folder / "sealed", KEY, CONTEXT)
    return (folder / "sealed").read_bytes()


def opened(folder: Path, sealed: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    (folder / "sealed").write_bytes(sealed)
    try:
        digest = open_file(folder / "sealed", folder / "opened", key, context)
    except SealBroken:
        assert not (folder / "opened").exists()
        assert not list(folder.glob(".*"))
        raise
    content = (folder / "opened").read_bytes()
    assert digest == hashlib.sha256(content).digest()
    return content


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 12345])
def test_any_size_comes_back(size: int, tmp_path: Path) -> None:
    content = hashlib.shake_128(b"content").digest(size)
    (tmp_path / "plain").write_bytes(content)
    digest = seal_file(tmp_path / "plain", tmp_path / "sealed", KEY, CONTEXT)
    sealed = (tmp_path / "sealed").read_bytes()
    assert digest == hashlib.sha256(sealed).digest()
    assert len(sealed) == sealed_size_bytes(size)
    assert opened(tmp_path, sealed) == content


def test_sealing_again_gives_another_file(tmp_path: Path) -> None:
    assert sealed_bytes(tmp_path, b"same") != sealed_bytes(tmp_path, b"same")


def test_a_sealed_file_reveals_nothing_without_its_key_and_purpose(tmp_path: Path) -> None:
    sealed = sealed_bytes(tmp_path, b"secret")
    with pytest.raises(SealBroken, match="key or the purpose"):
        opened(tmp_path, sealed, key=bytes(32))
    with pytest.raises(SealBroken, match="key or the purpose"):
        opened(tmp_path, sealed, context=b"job 7" + b"test")
    with pytest.raises(ValueError, match="32 bytes"):
        open_file(tmp_path / "sealed", tmp_path / "opened", b"short", CONTEXT)


@pytest.fixture(scope="module")
def chunks() -> list[bytes]:
    """Header, then four sealed chunks."""
    with tempfile.TemporaryDirectory() as folder:
        sealed = sealed_bytes(Path(folder), hashlib.shake_128(b"x").digest(3 * MIB + 100))
    starts = [HEADER_BYTES + index * CHUNK_SEALED_BYTES for index in range(4)]
    return [sealed[:HEADER_BYTES], *(sealed[start : start + CHUNK_SEALED_BYTES] for start in starts)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h, a, b, c, d: [h, b, a, c, d], "start"),
        (lambda h, a, b, c, d: [h, a, c, b, d], "chunk 1"),
        (lambda h, a, b, c, d: [h, a, b, d], "chunk 2"),
        (lambda h, a, b, c, d: [h, a, a, b, c, d], "chunk 1"),
        (lambda h, a, b, c, d: [h, a, b, c], "end of the file is missing"),
        (lambda h, a, b, c, d: [h, a, b, c, d[:-1]], "cut short"),
        (lambda h, a, b, c, d: [h, a, b, c, d[:16]], "cut short"),
        (lambda h, a, b, c, d: [h, a, b, c, d, b"\0"], "chunk 3"),
        (lambda h, a, b, c, d: [h, a, b, c, d, d], "chunk 3"),
        (lambda h, a, b, c, d: [h], "cut short"),
        (lambda h, a, b, c, d: [h[:-1]], "shorter than a header"),
        (lambda h, a, b, c, d: [], "shorter than a header"),
    ],
)
def test_moved_missing_and_added_chunks_are_noticed(
    chunks: list[bytes], change: Callable[..., list[bytes]], reason: str, tmp_path: Path
) -> None:
    assert opened(tmp_path, b"".join(chunks)) == hashlib.shake_128(b"x").digest(3 * MIB + 100)
    (tmp_path / "opened").unlink()
    with pytest.raises(SealBroken, match=reason):
        opened(tmp_path, b"".join(change(*chunks)))


def test_bytes_after_a_full_last_chunk_are_noticed(tmp_path: Path) -> None:
    sealed = sealed_bytes(tmp_path, bytes(CHUNK_PLAIN_BYTES))
    with pytest.raises(SealBroken, match="follows the end"):
        opened(tmp_path, sealed + b"tail")


def pushed(chunks: list[tuple[bytes, int]]) -> bytes:
    """What a holder of the key could write in a form that is not ours."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    parts = [sodium.crypto_secretstream_xchacha20poly1305_init_push(state, KEY)]
    for index, (chunk, tag) in enumerate(chunks):
        label = CONTEXT + index.to_bytes(8, "big")
        parts.append(sodium.crypto_secretstream_xchacha20poly1305_push(state, chunk, label, tag))
    return b"".join(parts)


def test_even_a_key_holder_has_one_form_only(tmp_path: Path) -> None:
    full = bytes(CHUNK_PLAIN_BYTES)
    message, push, rekey, final = 0, 1, 2, 3
    assert opened(tmp_path, pushed([(full, message), (b"a", final)])) == full + b"a"
    (tmp_path / "opened").unlink()
    for tag in (push, rekey):
        with pytest.raises(SealBroken, match="tag"):
            opened(tmp_path, pushed([(full, tag), (b"a", final)]))
    with pytest.raises(SealBroken, match="follows"):
        opened(tmp_path, pushed([(full, final), (b"a", final)]))
    with pytest.raises(SealBroken, match="missing"):
        opened(tmp_path, pushed([(full, message), (b"a", message)]))
    with pytest.raises(SealBroken, match="empty"):
        opened(tmp_path, pushed([(full, message), (b"", final)]))
    with pytest.raises(SealBroken):  # a short chunk in the middle
        opened(tmp_path, pushed([(b"a", message), (b"b", final)]))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200), data=st.data())
def test_one_flipped_bit_or_a_cut_is_noticed(content: bytes, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        sealed = bytearray(sealed_bytes(Path(name), content))
        if data.draw(st.booleans(), label="cut"):
            del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
        else:
            sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(SealBroken):
            opened(Path(name), bytes(sealed))


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    sealed_bytes(tmp_path, b"content")
    with pytest.raises(InterruptedError):
        seal_file(tmp_path / "plain", tmp_path / "again", KEY, CONTEXT, stop)
    with pytest.raises(InterruptedError):
        open_file(tmp_path / "sealed", tmp_path / "opened", KEY, CONTEXT, stop)
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "sealed"}
