"""One file has one torrent: its metadata follows from its bytes alone.

A magnet link names a torrent by the SHA-1 of its *info dictionary*.  Ours holds four entries and no choice: the
length, the name ``<sha256>.sealed``, a piece length that follows from the length, and the pieces' SHA-1 hashes.
So everyone who holds the file, after a restart or on another machine, serves the very same swarm; and whoever
fetches it can refuse any other metadata before a byte of it touches the disk: several files, links, names with
paths, padding, sizes other than the announced one, or a thousand kilobytes of metadata for a small file.

The torrents are v1 only: aria2 and Transmission fail on hybrid ones.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from morphware.node.artifacts.disk import CHUNK_BYTES, Check, never_stop
from morphware.node.artifacts.errors import ArtifactCorrupt
from morphware.node.ports import PeerAddress
from morphware.protocol.artifacts import SealedFile

SHORTEST_PIECE_BYTES = 64 << 10
"""Small enough that peers who are still fetching soon have pieces to pass on."""

LONGEST_PIECE_BYTES = 16 << 20
"""libtorrent and others grow unreliable with longer pieces."""

PIECES_AT_MOST = 2048
"""Keeps a torrent's metadata under 42 KB, whatever the file's size."""

LARGEST_FILE_BYTES = PIECES_AT_MOST * LONGEST_PIECE_BYTES
"""32 GiB follows from the two lines above; the node's own limit is lower (``TorrentSettings.max_size_bytes``)."""

METADATA_AT_MOST_BYTES = 64 << 10
"""Told to libtorrent as the most that it may gather for one magnet."""

MAGNET_AT_MOST_CHARACTERS = 2048
HINTS_AT_MOST = 64
"""Peer addresses taken from one magnet link or one call; each costs a connection attempt."""


@dataclass(frozen=True, slots=True)
class Magnet:
    """What we take from a magnet link; trackers, web seeds and everything else in it are ignored."""

    infohash: bytes
    peers: tuple[PeerAddress, ...]


@dataclass(frozen=True, slots=True)
class Metainfo:
    """A file's identity and its torrent."""

    sha256: bytes
    size_bytes: int
    info: bytes

    @property
    def infohash(self) -> bytes:
        return hashlib.sha1(self.info, usedforsecurity=False).digest()

    @property
    def torrent(self) -> bytes:
        """The bytes of a ``.torrent`` file without trackers."""
        return b"d4:info" + self.info + b"e"


def sealed_name(sha256: bytes) -> str:
    """The only name under which a sealed file travels or lies on a fetcher's disk."""
    return f"{sha256.hex()}.sealed"


def piece_length(size_bytes: int) -> int:
    """The shortest power of two that keeps the file within ``PIECES_AT_MOST`` pieces."""
    length = SHORTEST_PIECE_BYTES
    while length * PIECES_AT_MOST < size_bytes:
        length *= 2
    return length


def info_dictionary(sha256: bytes, size_bytes: int, pieces: bytes) -> bytes:
    """The bencoded info dictionary; keys are sorted, as BEP 3 demands."""
    name = sealed_name(sha256).encode()
    return b"d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se" % (
        size_bytes,
        len(name),
        name,
        piece_length(size_bytes),
        len(pieces),
        pieces,
    )


def describe_file(path: Path, check: Check = never_stop) -> Metainfo:
    """Read a file once and derive its torrent."""
    size_bytes = path.stat().st_size
    length = piece_length(size_bytes)
    whole, pieces, seen_bytes = hashlib.sha256(), bytearray(), 0
    piece = hashlib.sha1(usedforsecurity=False)
    step = min(length, CHUNK_BYTES)  # both are powers of two, so a chunk never straddles two pieces
    with path.open("rb") as file:
        while chunk := file.read(step):
            whole.update(chunk)
            piece.update(chunk)
            seen_bytes += len(chunk)
            if seen_bytes % length == 0:
                pieces += piece.digest()
                piece = hashlib.sha1(usedforsecurity=False)
            check()
    if seen_bytes % length:
        pieces += piece.digest()
    return Metainfo(whole.digest(), seen_bytes, info_dictionary(whole.digest(), seen_bytes, bytes(pieces)))


def require_canonical(info: bytes, file: SealedFile) -> None:
    """Metadata from strangers is ours to the byte, but for the piece hashes. Raises ``ArtifactCorrupt``."""
    pieces_bytes = 20 * -(-file.size_bytes // piece_length(file.size_bytes))
    pieces = info[-pieces_bytes - 1 : -1]
    if info != info_dictionary(file.sha256, file.size_bytes, pieces):
        raise ArtifactCorrupt("the torrent's metadata does not describe one plain file of the announced size and hash")


def magnet_link(infohash: bytes, peers: Sequence[PeerAddress] = ()) -> str:
    """A magnet link with address hints (BEP 9)."""
    hints = "".join(f"&x.pe={_join(peer)}" for peer in peers)  # not percent-encoded: libtorrent does not decode them
    return f"magnet:?xt=urn:btih:{infohash.hex()}{hints}"


def read_magnet(link: str) -> Magnet:
    """Take the infohash and the usable hints from a link. Raises ``ArtifactCorrupt`` when there is no v1 infohash."""
    if len(link) > MAGNET_AT_MOST_CHARACTERS or not link.startswith("magnet:?"):
        raise ArtifactCorrupt("the magnet link is malformed")
    try:
        fields = parse_qsl(link[len("magnet:?") :], max_num_fields=2 * HINTS_AT_MOST)
    except ValueError as error:
        raise ArtifactCorrupt("the magnet link has too many fields") from error
    topics = [value for key, value in fields if key == "xt"]
    if len(topics) != 1 or not re.fullmatch(r"urn:btih:(?!0{40})[0-9a-fA-F]{40}", topics[0]):
        raise ArtifactCorrupt("the magnet link does not name exactly one version 1 torrent")
    hints = (_split(value) for key, value in fields if key == "x.pe")
    return Magnet(bytes.fromhex(topics[0][-40:]), usable_peers([hint for hint in hints if hint is not None]))


def usable_peers(peers: Sequence[PeerAddress]) -> tuple[PeerAddress, ...]:
    """Distinct numeric addresses that can be dialled, in the given order, ``HINTS_AT_MOST`` of them.

    Names are not resolved and privileged ports not dialled: a hint must not make us talk to a name server or mail
    server of its author's choice.
    """
    usable: dict[PeerAddress, None] = {}
    for host, port in peers:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        if 1024 <= port <= 65535 and not (address.is_multicast or address.is_unspecified):
            usable[(str(address), port)] = None
        if len(usable) == HINTS_AT_MOST:
            break
    return tuple(usable)


def require_sound(file: SealedFile) -> None:
    """A record from the network has a possible size and hash. Raises ``ArtifactCorrupt``."""
    if len(file.sha256) != 32 or not 0 < file.size_bytes <= LARGEST_FILE_BYTES:
        raise ArtifactCorrupt("the announced size or hash is impossible")


def _join(peer: PeerAddress) -> str:
    host, port = peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(hint: str) -> PeerAddress | None:
    host, _, port = hint.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port):
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)
