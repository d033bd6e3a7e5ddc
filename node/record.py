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
from morphware.protocol.signatures import is_signed_by
from morphware.protocol.units import Address

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
    try:
        said: dict[str, Any] = msgspec.json.decode(record.record, type=dict[str, Any])
        signature = bytes.fromhex(record.signature.removeprefix("0x"))
        signer = Address(bytes.fromhex(record.account.removeprefix("0x")))
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(f"This is no signed record of a job ({error}).") from error
    is_ours = said.get("kind") == KIND and said.get("account") == record.account
    if not is_ours or not is_signed_by(signer, personal_digest(record.record), signature):
        raise BadInput(f"This record was not signed by the account {record.account}, or was changed afterwards.")
    return said
