"""What the market says of a file that travels by BitTorrent: nouns shared by messages, brains and adapters."""

import msgspec


class SealedFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One ciphertext as it travels: a magnet link is never trusted without the size and the hash beside it.

    ``size_bytes`` and ``sha256`` are the ciphertext's.  There is no hash of the plaintext: the key is committed on
    chain, so key and ciphertext determine it, and a public hash would let a stranger confirm a guess at the data.
    """

    magnet: str
    size_bytes: int
    sha256: bytes
