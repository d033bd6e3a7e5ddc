"""SPLIT jobs: which part of the data tests the model, nobody chooses.

The end user seals its data in chunks, each with a key of its own, and commits to them all at the posting: how many of
them test the model, and the hash of every chunk's key (its *leaf*).  A block after the award picks the testing chunks.
The winner is entitled to the keys of the others, before it trains; the committee to theirs, once the model is on chain.
So no end user can choose a test that no model passes, and no worker can learn what it will be tested on.

**The draw.**  ``seed = keccak(blockhash . job id)``.  For i = 0, 1, 2, … the chunk ``keccak(seed . i) % chunks``
is picked, unless it is already, until as many are as the end user said.

**The commitment.**  ``test_key_hash`` is the chain ``h = keccak(h . leaf)`` over all leaves in order, from how many
chunks test, as a word, on.  ``train_key_hash`` is the code key's hash.

**A disclosure** is a row of words: how many chunks test; for each chunk its key if it is disclosed, and else its leaf;
the code key.  The winner complains of training chunks, a validator of testing chunks.
"""

from dataclasses import dataclass
from typing import Final

from morphware.protocol.commitments import WORD_BYTES, key_hash, split_root, split_word
from morphware.protocol.units import HASH_BYTES

CHUNKS_LEAST: Final = 2
CHUNKS_MOST: Final = 32
"""More would fit neither one disclosure nor, with their links, a specification."""
TEST_CHUNKS_MOST: Final = 8
"""The keys of so many fit a validator's box."""

NOTHING: Final = bytes(HASH_BYTES)


def is_splittable(chunks: int, test_chunks: int) -> bool:
    """Whether so many chunks may be cut, and so many of them test."""
    is_whole = CHUNKS_LEAST <= chunks <= CHUNKS_MOST
    return is_whole and 1 <= test_chunks <= min(TEST_CHUNKS_MOST, chunks - 1)


def drawn_chunks(seed: bytes, chunks: int, wanted: int) -> tuple[int, ...]:
    """The testing chunks' numbers, ascending; the rule does not end if more are wanted than there are."""
    if wanted > chunks:
        raise ValueError(f"{wanted} of {chunks} chunks cannot be picked")
    picked: set[int] = set()
    attempt = 0
    while len(picked) < wanted:
        picked.add(split_word(seed, attempt) % chunks)
        attempt += 1
    return tuple(sorted(picked))


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The words of a disclosure, as they were said."""

    test_chunks: int
    items: tuple[bytes, ...]
    code_key: bytes

    def to_bytes(self) -> bytes:
        """As a call carries it."""
        return self.test_chunks.to_bytes(WORD_BYTES, "big") + b"".join(self.items) + self.code_key


def read_disclosure(keys: bytes) -> Disclosed | None:
    """The words of a disclosure; None if they are none, or could not be of any split."""
    words = [keys[start : start + WORD_BYTES] for start in range(0, len(keys), WORD_BYTES)]
    if len(words) < 2 or len(keys) % WORD_BYTES or len(words) - 2 > CHUNKS_MOST:
        return None
    test_chunks = int.from_bytes(words[0], "big")
    if test_chunks > len(words) - 2:
        return None
    return Disclosed(test_chunks, tuple(words[1:-1]), words[-1])


def hashes_shown(seed: bytes, keys: bytes, *, is_test: bool) -> tuple[bytes, bytes]:
    """The posting's two hashes (training, testing) as a disclosure gives them; zeros if it is none."""
    shown = read_disclosure(keys)
    if shown is None:
        return NOTHING, NOTHING
    tested = drawn_chunks(seed, len(shown.items), shown.test_chunks)
    leaves = [key_hash(item) if (chunk in tested) is is_test else item for chunk, item in enumerate(shown.items)]
    return key_hash(shown.code_key), split_root(shown.test_chunks, leaves)
