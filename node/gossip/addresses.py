"""Peers are named by their Ed25519 public key; libp2p's peer ids and multiaddresses are only their spelling."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import nacl.signing
import trio

from morphware.node.gossip.library import ID, KeyPair, Multiaddr, create_new_key_pair

KEY_BYTES = 32
ADDRESS_MAX_CHARACTERS = 256
_IDENTITY_PREFIX = bytes.fromhex("002408011220")
"""Identity multihash of 36 bytes, that hold a protobuf public key: type Ed25519, 32 bytes. Source: libp2p peer-ids."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer may be reached, without its identity: a host (address or name) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"/{_protocol_of(self.host)}/{self.host}/tcp/{self.port}"


def peer_id_of(key: bytes) -> str:
    """Spell an Ed25519 public key as a libp2p peer id (``12D3KooW…``)."""
    return str(library_id_of(key))


def key_of(peer_id: str) -> bytes:
    """Read the Ed25519 public key out of a peer id. Raises ``ValueError`` for ids of other keys."""
    if len(peer_id) > ADDRESS_MAX_CHARACTERS:
        raise ValueError("a peer id has 52 characters")
    try:
        library_id = ID.from_string(peer_id)
    except Exception as error:  # base58 and multibase decoders raise errors of many unrelated classes
        raise ValueError(f"{peer_id[:64]!r} is no peer id") from error
    key = key_of_library_id(library_id)
    if key is None:
        raise ValueError(f"{peer_id[:64]!r} is not the peer id of an Ed25519 key")
    return key


def library_id_of(key: bytes) -> ID:
    """The library's own form of a peer id."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(key)}")
    return ID(_IDENTITY_PREFIX + key)


def key_of_library_id(peer_id: ID) -> bytes | None:
    """The Ed25519 key in a library's peer id, or None where there is none."""
    raw: bytes = peer_id.to_bytes()
    if len(raw) == len(_IDENTITY_PREFIX) + KEY_BYTES and raw.startswith(_IDENTITY_PREFIX):
        return raw[len(_IDENTITY_PREFIX) :]
    return None


def key_pair_of(seed: bytes) -> KeyPair:
    """The library's key pair of a 32-byte Ed25519 seed."""
    if len(seed) != KEY_BYTES:
        raise ValueError(f"an Ed25519 seed has {KEY_BYTES} bytes, not {len(seed)}")
    return create_new_key_pair(seed)


def public_key_of(seed: bytes) -> bytes:
    """The Ed25519 public key of a 32-byte seed."""
    return bytes(nacl.signing.SigningKey(seed).verify_key)


def parse_address(text: str) -> tuple[bytes, PeerAddress]:
    """Read ``/ip4|ip6|dns4|dns6|dns/HOST/tcp/PORT/p2p/PEER_ID``. Raises ``ValueError`` for everything else."""
    if len(text) > ADDRESS_MAX_CHARACTERS:
        raise ValueError(f"a peer address has at most {ADDRESS_MAX_CHARACTERS} characters")
    parts = text.split("/")
    if len(parts) != 7 or parts[0] or parts[3] != "tcp" or parts[5] != "p2p":
        raise ValueError(f"{text!r} is no peer address: write /ip4/HOST/tcp/PORT/p2p/PEER_ID")
    _, protocol, host, _, port, _, peer_id = parts
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 1 << 16):
        raise ValueError(f"{text!r} has no TCP port between 1 and 65535")
    if protocol in ("ip4", "ip6"):
        wanted = ipaddress.IPv4Address if protocol == "ip4" else ipaddress.IPv6Address
        host = str(wanted(host))
    elif protocol in ("dns", "dns4", "dns6"):
        if not host or not all(character.isalnum() or character in "-._" for character in host):
            raise ValueError(f"{text!r} has no host name")
    else:
        raise ValueError(f"{text!r} is neither an IP address nor a host name")
    return key_of(peer_id), PeerAddress(host, int(port))


def parse_listen(listen: str) -> PeerAddress:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``, of a local interface. Raises ``ValueError``."""
    host, separator, port = listen.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit() and int(port[:6]) < 1 << 16):
        raise ValueError(f"{listen!r} is no listening address: write HOST:PORT, with port 0 for a free one")
    return PeerAddress(str(ipaddress.ip_address(host.strip("[]"))), int(port))


def full_address(address: PeerAddress, key: bytes) -> str:
    """Spell where a peer is, and who it is."""
    return f"{address}/p2p/{peer_id_of(key)}"


async def resolve(addresses: Sequence[PeerAddress]) -> list[Multiaddr]:
    """The library's addresses of a peer, with host names looked up now; names that do not resolve are left out."""
    resolved: dict[str, None] = {}
    for address in addresses:
        if _protocol_of(address.host) != "dns":
            resolved[str(address)] = None
            continue
        try:
            found = await trio.socket.getaddrinfo(address.host, address.port, type=trio.socket.SOCK_STREAM)
        except OSError:
            continue
        for _, _, _, _, (host, port, *_) in found[:4]:
            resolved[str(PeerAddress(str(host).partition("%")[0], int(port)))] = None
    return [Multiaddr(text) for text in resolved]


def _protocol_of(host: str) -> str:
    try:
        return "ip4" if ipaddress.ip_address(host).version == 4 else "ip6"
    except ValueError:
        return "dns"
