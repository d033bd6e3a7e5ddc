"""What the market says of a file that travels by BitTorrent: nouns shared by messages, brains and adapters."""

from typing import Annotated, Final

import msgspec

MAGNET_CHARACTERS_MAX: Final = 2_000
"""Room for an info hash and many addresses; a document with three links still fits on chain."""
FILE_BYTES_MAX: Final = 2**63 - 1
"""No file system and no store here can say a larger size."""


class SealedFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One ciphertext as it travels: a magnet link is never trusted without the size and the hash beside it.

    ``size_bytes`` and ``sha256`` are the ciphertext's.  There is no hash of the plaintext: the key is committed on
    chain, so key and ciphertext determine it, and a public hash would let a stranger confirm a guess at the data.
    """

    magnet: Annotated[str, msgspec.Meta(max_length=MAGNET_CHARACTERS_MAX)]
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=FILE_BYTES_MAX)]
    sha256: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
