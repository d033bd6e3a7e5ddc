"""The documents that stand on chain in a job's events, as far as they can be read: their authors are strangers.

The keys of a job's data are one row of words: those of the sealed files in order (``chunks.py``), then the code's.
"""

from morphware.protocol.codec import Malformed, decode
from morphware.protocol.commitments import keccak, split_root
from morphware.protocol.crypto import KEY_BYTES
from morphware.protocol.messages import Chunks, Folders, JobSpec, ModelManifest
from morphware.protocol.split import Disclosed, drawn_chunks, is_splittable, read_disclosure
from morphware.protocol.view import JobView


def read_spec(view: JobView) -> JobSpec | None:
    """The end user's specification; None if it cannot be read, or is not of the split that was committed to."""
    try:
        spec = decode(view.spec, JobSpec)
    except Malformed:
        return None
    return spec if _is_committed_to(view, spec) else None


def read_manifest(view: JobView) -> ModelManifest | None:
    """The winner's manifest; None before the model is on chain, or if it cannot be read."""
    if view.model is None:
        return None
    try:
        return decode(view.model.model, ModelManifest)
    except Malformed:
        return None


def public_train_keys(view: JobView) -> bytes:
    """Training key and code key of a public job, 64 bytes that may be wrong; empty where there are none."""
    keys = _public_keys(view)
    return keys[:KEY_BYTES] + keys[2 * KEY_BYTES :]


def public_test_keys(view: JobView) -> bytes:
    """Testing key and code key of a public job, 64 bytes that may be wrong; empty where there are none."""
    return _public_keys(view)[KEY_BYTES:]


def are_train_keys(view: JobView, keys: bytes) -> bool:
    """Whether these are the keys of training data and code that the posting committed to."""
    if view.is_split:
        return _are_chunk_keys(view, keys, is_test=False)
    return len(keys) == 2 * KEY_BYTES and keccak(keys) == view.terms.train_key_hash


def are_test_keys(view: JobView, keys: bytes) -> bool:
    """Whether these are the keys of testing data and code that the posting committed to."""
    if view.is_split:
        return _are_chunk_keys(view, keys, is_test=True)
    return len(keys) == 2 * KEY_BYTES and keccak(keys) == view.terms.test_key_hash


def disclosed_train_keys(view: JobView) -> bytes:
    """Training keys and code key, if the end user published them; empty if not."""
    return _disclosed(view, view.train_keys, is_test=False)


def disclosed_test_keys(view: JobView) -> bytes:
    """Testing keys and code key, if they were published; empty if not."""
    return _disclosed(view, view.test_keys, is_test=True)


def disclosure_of(view: JobView, keys: bytes) -> bytes:
    """The call's words that publish a row of testing keys; they may be known to more than the end user."""
    spec = read_spec(view)
    if spec is None or not isinstance(spec.data, Chunks):
        return keys
    items = list(spec.data.leaves)
    for place, chunk in enumerate(chunks_of(view, is_test=True)):
        items[chunk] = keys[KEY_BYTES * place : KEY_BYTES * (place + 1)]
    return Disclosed(spec.data.test_chunks, tuple(items), keys[-KEY_BYTES:]).to_bytes()


def chunks_of(view: JobView, *, is_test: bool) -> tuple[int, ...]:
    """The numbers of a split's testing or training chunks; empty before the draw, and where there are none."""
    spec = read_spec(view)
    if spec is None or not isinstance(spec.data, Chunks) or view.split_seed is None:
        return ()
    tested = drawn_chunks(view.split_seed, len(spec.data.files), spec.data.test_chunks)
    return tuple(chunk for chunk in range(len(spec.data.files)) if (chunk in tested) is is_test)


def _is_committed_to(view: JobView, spec: JobSpec) -> bool:
    """A split job has chunks, as many and with the very keys that its terms name; another has none."""
    if not view.is_split or not isinstance(spec.data, Chunks):
        return not view.is_split and isinstance(spec.data, Folders)
    chunks, leaves = spec.data, spec.data.leaves
    return (
        len(chunks.files) == len(leaves)
        and is_splittable(len(leaves), chunks.test_chunks)
        and split_root(chunks.test_chunks, leaves) == view.terms.test_key_hash
    )


def _are_chunk_keys(view: JobView, keys: bytes, *, is_test: bool) -> bool:
    spec, chunks = read_spec(view), chunks_of(view, is_test=is_test)
    if spec is None or not isinstance(spec.data, Chunks) or not chunks:
        return False
    if len(keys) != KEY_BYTES * (len(chunks) + 1) or keccak(keys[-KEY_BYTES:]) != view.terms.train_key_hash:
        return False
    return all(
        keccak(keys[KEY_BYTES * place : KEY_BYTES * (place + 1)]) == spec.data.leaves[chunk]
        for place, chunk in enumerate(chunks)
    )


def _disclosed(view: JobView, said: bytes | None, *, is_test: bool) -> bytes:
    """What was published, as the row of keys that a box would hold: the market has checked it."""
    if said is None or not view.is_split:
        return said or b""
    words = read_disclosure(said)
    if words is None:
        return b""
    chunks = [chunk for chunk in chunks_of(view, is_test=is_test) if chunk < len(words.items)]
    return b"".join(words.items[chunk] for chunk in chunks) + words.code_key


def _public_keys(view: JobView) -> bytes:
    """Training, testing and code key, as a public job's specification says them."""
    spec = read_spec(view) if view.is_public else None
    return spec.public_keys if spec is not None and len(spec.public_keys) == 3 * KEY_BYTES else b""
