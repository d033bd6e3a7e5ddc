"""The root that binds a validator to every single prediction that it saw.

Leaves carry the validator's address, so a root cannot be copied, and the index, so no leaf serves twice.  Leaves,
inner nodes and the root are hashed under different first bytes, and the root also covers the number of leaves: no
tree can be read as another one.  An unpaired node moves up as it is.

    leaf = keccak(0x00 | validator (20) | index u32 | loss_e4 i64 | prediction)
    node = keccak(0x01 | left | right)
    root = keccak(0x02 | count u32 | top)          (no leaves: 32 zero bytes)

Source: PROTOCOL 2.3; the first bytes and the count are ours.
"""

from collections.abc import Sequence
from typing import Final

from morphware.protocol.commitments import keccak
from morphware.protocol.units import ADDRESS_BYTES, HASH_BYTES, INT64_MAX, INT64_MIN, Address

NO_PREDICTIONS: Final = bytes(HASH_BYTES)
MAX_PREDICTIONS: Final = 2**32 - 1
MAX_PREDICTION_BYTES: Final = 256

_LEAF, _NODE, _ROOT = b"\x00", b"\x01", b"\x02"


def prediction_leaf(validator: Address, index: int, prediction: bytes, loss_e4: int) -> bytes:
    """The leaf of one example: ``prediction`` as canonical text, the loss in 1e-4 units.

    Raises:
        ValueError: a field is out of bounds.
    """
    if len(validator) != ADDRESS_BYTES or not 0 <= index <= MAX_PREDICTIONS or len(prediction) > MAX_PREDICTION_BYTES:
        raise ValueError("a leaf needs an address of 20 bytes, a u32 index and a prediction of at most 256 bytes")
    if not INT64_MIN <= loss_e4 <= INT64_MAX:
        raise ValueError("the loss does not fit 64 bits")
    return keccak(_LEAF + validator + index.to_bytes(4, "big") + loss_e4.to_bytes(8, "big", signed=True) + prediction)


def prediction_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves in the order of the testing set."""
    if not leaves:
        return NO_PREDICTIONS
    return _root(len(leaves), _levels(leaves)[-1][0])


def prediction_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The siblings of one leaf, from the bottom up; an unpaired node has none."""
    proof = []
    for level in _levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        index //= 2
    return tuple(proof)


def is_prediction_proven(root: bytes, count: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the leaf stands at this index of a tree of ``count`` leaves with this root."""
    if not 0 <= index < count <= MAX_PREDICTIONS:
        return False
    siblings = list(proof)
    width = count
    while width > 1:
        if index ^ 1 < width:
            if not siblings or len(siblings[0]) != HASH_BYTES:
                return False
            sibling = siblings.pop(0)
            leaf = keccak(_NODE + (leaf + sibling if index % 2 == 0 else sibling + leaf))
        index //= 2
        width = (width + 1) // 2
    return not siblings and _root(count, leaf) == root


def _root(count: int, top: bytes) -> bytes:
    return keccak(_ROOT + count.to_bytes(4, "big") + top)


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [keccak(_NODE + below[i] + below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append(above + ([below[-1]] if len(below) % 2 else []))
    return levels
