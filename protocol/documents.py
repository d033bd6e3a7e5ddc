"""The documents that stand on chain in a job's events, as far as they can be read: their authors are strangers."""

from morphware.protocol.codec import Malformed, decode
from morphware.protocol.commitments import keccak
from morphware.protocol.crypto import KEY_BYTES
from morphware.protocol.messages import JobSpec, ModelManifest
from morphware.protocol.view import JobView


def read_spec(view: JobView) -> JobSpec | None:
    """The end user's specification; None if it cannot be read."""
    try:
        return decode(view.spec, JobSpec)
    except Malformed:
        return None


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
    return len(keys) == 2 * KEY_BYTES and keccak(keys) == view.terms.train_key_hash


def are_test_keys(view: JobView, keys: bytes) -> bool:
    """Whether these are the keys of testing data and code that the posting committed to."""
    return len(keys) == 2 * KEY_BYTES and keccak(keys) == view.terms.test_key_hash


def _public_keys(view: JobView) -> bytes:
    """Training, testing and code key, as a public job's specification says them."""
    spec = read_spec(view) if view.is_public else None
    return spec.public_keys if spec is not None and len(spec.public_keys) == 3 * KEY_BYTES else b""
