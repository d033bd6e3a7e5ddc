"""What somebody signs so that others may bring it on chain: EIP-712 typed data, as the contract checks it.

A relayed commitment is as good as a self-sent one: the signature binds the chain, the market, the job, the signer and
the commitment, so that a relayer can leave it out but never change it.
"""

from typing import Final

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils import ValidationError

from morphware.protocol.commitments import WORD_BYTES, Domain, keccak
from morphware.protocol.units import ADDRESS_BYTES, HASH_BYTES, Address, JobId

DOMAIN_TYPEHASH: Final = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
NAME_HASH: Final = keccak(b"Morphware")
VERSION_HASH: Final = keccak(b"1")
COMMIT_TYPEHASH: Final = keccak(b"Commit(bytes32 jobId,address bidder,bytes32 commitment)")
COMMIT_REPORT_TYPEHASH: Final = keccak(
    b"CommitReport(bytes32 jobId,uint8 round,uint8 restarts,address validator,bytes32 commitment)"
)

SIGNATURE_BYTES: Final = 65
V_BASE: Final = 27
HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of secp256k1's order: of the two signatures that mean the same, only the one with the lower s is accepted."""


def commit_digest(domain: Domain, job_id: JobId, bidder: Address, commitment: bytes) -> bytes:
    """What a bidder signs."""
    return _typed(domain, COMMIT_TYPEHASH + _word(job_id) + _word(bidder) + _word(commitment))


def commit_report_digest(
    domain: Domain, job_id: JobId, round_number: int, restarts: int, validator: Address, commitment: bytes
) -> bytes:
    """What a validator signs: good until a key that was missing is disclosed, as then everybody tests again."""
    numbers = round_number.to_bytes(WORD_BYTES, "big") + restarts.to_bytes(WORD_BYTES, "big")
    return _typed(domain, COMMIT_REPORT_TYPEHASH + _word(job_id) + numbers + _word(validator) + _word(commitment))


def sign_digest(private_key: bytes, digest: bytes) -> bytes:
    """An account's signature (r, s, v; v is 27 or 28) of a digest; the same key and digest always give the same."""
    signature: bytes = PrivateKey(private_key).sign_msg_hash(digest).to_bytes()
    return signature[:-1] + bytes([signature[-1] + V_BASE])


def is_signed_by(signer: Address, digest: bytes, signature: bytes) -> bool:
    """The signature (r, s, v; v is 27 or 28) of the digest is the signer's; s is the lower one of the two that fit."""
    if len(signature) != SIGNATURE_BYTES or len(signer) != ADDRESS_BYTES or signature[-1] not in (27, 28):
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if s > HALF_ORDER:
        return False
    try:
        key = Signature(vrs=(signature[-1] - 27, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return False
    return bool(key.to_canonical_address() == signer)


def _typed(domain: Domain, struct: bytes) -> bytes:
    chain = domain.chain_id.to_bytes(WORD_BYTES, "big")
    separator = keccak(DOMAIN_TYPEHASH + NAME_HASH + VERSION_HASH + chain + _word(domain.market))
    return keccak(b"\x19\x01" + separator + keccak(struct))


def _word(value: bytes) -> bytes:
    if len(value) not in (ADDRESS_BYTES, HASH_BYTES):
        raise ValueError(f"neither an address nor a word: {len(value)} bytes")
    return value.rjust(WORD_BYTES, b"\0")
