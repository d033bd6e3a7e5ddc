"""The parties of a measured job: keys made from their names, and everything else that is random in life.

What a node draws at random is a hash of its name here: as many non-zero bytes as the real thing, since calldata is
paid by them, and the same ones in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_keys.datatypes import PrivateKey

from morphware.protocol.commitments import keccak
from morphware.protocol.units import Address

V_BASE: Final = 27


@dataclass(frozen=True, slots=True)
class Party:
    """An account and its key."""

    address: Address
    private_key: PrivateKey

    def sign(self, digest: bytes) -> bytes:
        """The 65 bytes r, s, v that the contracts recover the account from."""
        signature = self.private_key.sign_msg_hash(digest).to_bytes()
        return bytes(signature[:-1]) + bytes([signature[-1] + V_BASE])


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody who takes part."""

    deployer: Party
    user: Party
    relayer: Party
    """Somebody who pays others' gas, and has no other interest."""
    bidders: Sequence[Party]
    validators: Sequence[Party]

    @property
    def everybody(self) -> tuple[Party, ...]:
        """All parties."""
        return (self.deployer, self.user, self.relayer, *self.bidders, *self.validators)

    def validator(self, address: Address) -> Party:
        """The validator of an address."""
        return next(party for party in self.validators if party.address == address)


def cast(*, bidders: int, validators: int) -> Cast:
    """The same parties in every run."""
    return Cast(
        deployer=_party("deployer"),
        user=_party("user"),
        relayer=_party("relayer"),
        bidders=[_party(f"bidder {number}") for number in range(bidders)],
        validators=[_party(f"validator {number}") for number in range(validators)],
    )


def noise(what: str, count: int = 32) -> bytes:
    """So many bytes that look random."""
    blocks = (keccak(f"morphware bench {what} {number}".encode()) for number in range((count + 31) // 32))
    return b"".join(blocks)[:count]


def shuffled(what: str, count: int) -> list[int]:
    """The numbers below ``count`` in an order that looks random."""
    return sorted(range(count), key=lambda number: noise(f"{what} {number}"))


def _party(name: str) -> Party:
    private_key = PrivateKey(noise(f"key of the {name}"))
    return Party(Address(private_key.public_key.to_canonical_address()), private_key)
