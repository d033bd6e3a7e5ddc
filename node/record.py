"""A record of a job that its holder can show to others: what the node knows of it, signed by the node's account.

The signature is EIP-191's over the text as it stands, so that any wallet's "verify message" can check it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from morphware.node.api.answers.jobs import Job, Moment, SignedRecord
from morphware.node.errors import BadInput
from morphware.protocol.commitments import keccak

KIND: Final = "morphware job record 1"


def signed_record(
    job: Job,
    moments: Iterable[Moment],
    *,
    chain_id: int,
    market: str,
    account: str,
    sign: Callable[[bytes], bytes],
) -> SignedRecord:
    """The record. ``sign`` makes a recoverable signature (65 bytes) of a digest with the account's key."""
    said: dict[str, Any] = {
        "kind": KIND,
        "chain_id": chain_id,
        "market": market,
        "account": account,
        "signed_at": int(time.time()),
        "job": msgspec.to_builtins(job),
        "timeline": [msgspec.to_builtins(moment) for moment in moments],
    }
    said["job"].pop("model_path")  # a folder of this machine is nobody else's business
    text = msgspec.json.encode(said, order="sorted").decode()
    return SignedRecord(account=account, record=text, signature="0x" + sign(personal_digest(text)).hex())


def personal_digest(text: str) -> bytes:
    """What EIP-191 (version 0x45) has signed of a text."""
    message = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def verify_record(record: SignedRecord) -> dict[str, Any]:
    """What a record says, if the account that it names signed it.

    Raises:
        BadInput: it is no record, or somebody changed it, or somebody else signed it.
    """
    from eth_keys.datatypes import Signature  # loading takes longer than most commands
    from eth_keys.exceptions import BadSignature
    from eth_utils import ValidationError

    try:
        said = msgspec.json.decode(record.record, type=dict[str, Any])
        raw = bytes.fromhex(record.signature.removeprefix("0x"))
        signature = Signature(raw[:64] + bytes([raw[64] - 27]))
        key = signature.recover_public_key_from_msg_hash(personal_digest(record.record))
    except (msgspec.DecodeError, ValueError, IndexError, BadSignature, ValidationError) as error:
        raise BadInput(f"This is no signed record of a job ({error}).") from error
    if said.get("kind") != KIND or key.to_address() != record.account or said.get("account") != record.account:
        raise BadInput(f"This record was not signed by the account {record.account}, or was changed afterwards.")
    return said
