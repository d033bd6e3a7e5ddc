"""Who is who on this network: accounts to keys and addresses, from the chain and from signed node records.

What the chain says of keys is final: a signed record says no when, so an old one, told again, must not bring back a
key that its owner has replaced.  Addresses are hints, and there the newest word counts; a record helps only where its
keys are the chain's, or the chain knows nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address

from morphware.node.ports import PeerAddress
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.units import Address
from morphware.protocol.view import JobView

TORRENT_PREFIX = "bittorrent:"
ADDRESSES_MOST = 8
ADDRESS_CHARACTERS_MOST = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one account. ``addresses`` are multiaddresses; ``torrent`` is where it serves artifacts."""

    encryption_key: bytes
    peer_key: bytes
    addresses: tuple[str, ...]
    torrent: PeerAddress | None


def published_addresses(addresses: tuple[str, ...], torrent: PeerAddress) -> tuple[str, ...]:
    """The addresses as they stand on chain: multiaddresses, and one for BitTorrent."""
    return (*addresses[:7], f"{TORRENT_PREFIX}{torrent[0]}:{torrent[1]}")


class Directory(Mapping[Address, bytes]):
    """As a mapping: accounts to X25519 keys, which is what brains look up."""

    def __init__(self, records: Mapping[Address, NodePublished]) -> None:
        self._entries: dict[Address, Entry] = {}
        self._published: dict[Address, NodePublished] = {}
        self.peer_keys: dict[Address, bytes] = {}
        for record in records.values():
            self.note(record)

    def note(self, record: NodePublished, *, is_on_chain: bool = True) -> None:
        """Take in what an account published, on chain or in a signed record."""
        known = self._published.get(record.account)
        if is_on_chain:
            self._published[record.account] = record
        elif known is not None and (known.encryption_key, known.peer_key) != (record.encryption_key, record.peer_key):
            self.peer_keys[record.account] = known.peer_key  # the judge of messages had believed it
            return
        given = [text for text in record.addresses[:ADDRESSES_MOST] if len(text) <= ADDRESS_CHARACTERS_MOST]
        entry = Entry(
            encryption_key=record.encryption_key,
            peer_key=record.peer_key,
            addresses=tuple(text for text in given if text.startswith("/")),
            torrent=next((_torrent(text) for text in given if text.startswith(TORRENT_PREFIX)), None),
        )
        self._entries[record.account] = entry
        self.peer_keys[record.account] = record.peer_key

    def entry(self, account: Address) -> Entry | None:
        """Everything known of an account."""
        return self._entries.get(account)

    def move(self, account: Address, torrent: PeerAddress) -> None:
        """The account itself said where it serves artifacts now."""
        entry = self._entries.get(account)
        if entry is not None and (address := _usable(*torrent)) is not None:
            self._entries[account] = replace(entry, torrent=address)

    def published(self, account: Address) -> NodePublished | None:
        """What the account last put on chain."""
        return self._published.get(account)

    def all_addresses(self) -> list[str]:
        """Every known multiaddress, to begin with."""
        return [address for entry in self._entries.values() for address in entry.addresses]

    def torrents_for(self, view: JobView, name: str, *, besides: Address) -> list[PeerAddress]:
        """Everyone else who has or wants one of a job's files: hints must carry them all, or the swarm is slow."""
        winner = [view.winner] if view.winner else []
        everybody = [view.user, *winner, *view.everybody_drawn]
        parties = {
            "train": [view.user, *winner],
            "test": [view.user, *view.everybody_drawn],
            "model": [*winner, view.user, *view.everybody_drawn],
        }.get(name, everybody)  # the code, or a chunk of the data
        known = [self._entries[party].torrent for party in parties if party in self._entries and party != besides]
        return [address for address in dict.fromkeys(known) if address is not None]

    def __getitem__(self, account: Address) -> bytes:
        return self._entries[account].encryption_key

    def __iter__(self) -> Iterator[Address]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _torrent(text: str) -> PeerAddress | None:
    """Host and port of ``bittorrent:host:port``; None for what does not read so."""
    host, separator, port = text.removeprefix(TORRENT_PREFIX).rpartition(":")
    if not separator or not (port.isascii() and port.isdecimal()) or len(port) > 5:
        return None
    return _usable(host, int(port))


def _usable(host: str, port: int) -> PeerAddress | None:
    """An IP address and a port that one can connect to, or None: names are not looked up for strangers."""
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    is_somewhere = not (address.is_unspecified or address.is_multicast)
    return (str(address), port) if is_somewhere and 0 < port < 2**16 else None
