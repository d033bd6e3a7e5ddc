"""A node record binds an account to its keys: the account signs (EIP-712), and the peer key countersigns the envelope.

Only the account can make the binding, so nobody can announce another's address under keys of his own; and the
envelope's Ed25519 signature proves that whoever speaks holds the peer key that the account named.
"""

from typing import Final

from eth_keys.datatypes import PublicKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.messages import NodeRecord
from morphware.protocol.units import Address

DOMAIN_TYPEHASH: Final = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
RECORD_TYPEHASH: Final = keccak(
    b"NodeRecord(address account,bytes32 encryptionKey,bytes32 peerKey,uint8 roles,uint64 expiresAt)"
)


def record_digest(domain: Domain, account: Address, record: NodeRecord) -> bytes:
    """The 32 bytes that the account signs: EIP-712 of account, keys, roles and expiry."""
    separator = keccak(
        DOMAIN_TYPEHASH
        + keccak(b"Morphware")
        + keccak(b"1")
        + domain.chain_id.to_bytes(32, "big")
        + domain.market.rjust(32, b"\0")
    )
    message = keccak(
        RECORD_TYPEHASH
        + account.rjust(32, b"\0")
        + record.encryption_key
        + record.peer_key
        + record.roles.to_bytes(32, "big")
        + record.expires_at.to_bytes(32, "big")
    )
    return keccak(b"\x19\x01" + separator + message)


def is_record_signed(domain: Domain, account: Address, record: NodeRecord) -> bool:
    """Whether the record's 65-byte signature (r, s, v with v 27 or 28) is the account's."""
    try:
        signature = Signature(record.signature[:64] + bytes([record.signature[64] - 27]))
        public: PublicKey = signature.recover_public_key_from_msg_hash(record_digest(domain, account, record))
    except (BadSignature, ValidationError, ValueError):
        return False
    return bool(public.to_canonical_address() == account)
