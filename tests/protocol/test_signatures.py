"""Relayed commitments: the typed data is what wallets sign, and only the named account's own signature is good."""

from collections.abc import Mapping

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.signatures import HALF_ORDER, commit_digest, commit_report_digest, is_signed_by
from morphware.protocol.units import Address, JobId

ORDER = 2 * HALF_ORDER + 1
DOMAIN = Domain(31337, Address(b"\x11" * 20))
JOB = JobId(b"\x44" * 32)
COMMITMENT = b"\x55" * 32
KEY = Account.from_key(b"\x01" * 32)
SIGNER = Address(bytes.fromhex(KEY.address[2:]))
DIGEST = commit_digest(DOMAIN, JOB, SIGNER, COMMITMENT)
SIGNATURE = bytes(KEY.unsafe_sign_hash(DIGEST).signature)


def typed(name: str, fields: dict[str, str], values: Mapping[str, object]) -> bytes:
    """The hash that a wallet signs, by an implementation that is not ours."""
    domain = {
        "name": "Morphware",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": "0x" + DOMAIN.market.hex(),
    }
    types = {name: [{"name": field, "type": kind} for field, kind in fields.items()]}
    message = encode_typed_data(domain, types, dict(values))
    return keccak(b"\x19" + message.version + message.header + message.body)


def test_a_bid_is_signed_as_wallets_do() -> None:
    fields = {"jobId": "bytes32", "bidder": "address", "commitment": "bytes32"}
    values = {"jobId": JOB, "bidder": "0x" + SIGNER.hex(), "commitment": COMMITMENT}
    assert typed("Commit", fields, values) == DIGEST


@pytest.mark.parametrize(("number", "restarts"), [(0, 0), (1, 2), (255, 255)])
def test_a_report_is_signed_as_wallets_do(number: int, restarts: int) -> None:
    kinds = ("bytes32", "uint8", "uint8", "address", "bytes32")
    fields = dict(zip(("jobId", "round", "restarts", "validator", "commitment"), kinds, strict=True))
    values = {"jobId": JOB, "round": number, "restarts": restarts, "validator": "0x" + SIGNER.hex()}
    values["commitment"] = COMMITMENT
    digest = commit_report_digest(DOMAIN, JOB, number, restarts, SIGNER, COMMITMENT)
    assert typed("CommitReport", fields, values) == digest


def test_the_signers_own_signature_is_good_and_nobody_elses() -> None:
    assert is_signed_by(SIGNER, DIGEST, SIGNATURE)
    assert not is_signed_by(Address(bytes(20)), DIGEST, SIGNATURE)
    assert not is_signed_by(SIGNER, keccak(DIGEST), SIGNATURE)
    other = bytes(Account.from_key(b"\x02" * 32).unsafe_sign_hash(DIGEST).signature)
    assert not is_signed_by(SIGNER, DIGEST, other)


def test_the_other_signature_that_means_the_same_is_refused() -> None:
    s = int.from_bytes(SIGNATURE[32:64], "big")
    mirrored = SIGNATURE[:32] + (ORDER - s).to_bytes(32, "big") + bytes([55 - SIGNATURE[64]])
    assert not is_signed_by(SIGNER, DIGEST, mirrored)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SIGNATURE[:64],
        SIGNATURE + b"\0",
        SIGNATURE[:64] + bytes([SIGNATURE[64] - 27]),
        SIGNATURE[:64] + bytes([55 - SIGNATURE[64]]),
        bytes(64) + b"\x1b",
        b"\xff" * 32 + SIGNATURE[32:],
        SIGNATURE[:32] + bytes(32) + SIGNATURE[64:],
    ],
)
def test_malformed_signatures_are_refused(signature: bytes) -> None:
    assert not is_signed_by(SIGNER, DIGEST, signature)


@given(st.binary(max_size=70))
def test_no_bytes_break_the_check(signature: bytes) -> None:
    assert not is_signed_by(SIGNER, DIGEST, signature)


@given(st.binary(min_size=64, max_size=64), st.sampled_from((27, 28)))
def test_no_numbers_break_the_check(numbers: bytes, v: int) -> None:
    assert not is_signed_by(SIGNER, DIGEST, numbers + bytes([v]))


def test_every_field_is_signed() -> None:
    other = b"\x66" * 32
    digests = {
        DIGEST,
        commit_digest(Domain(1, DOMAIN.market), JOB, SIGNER, COMMITMENT),
        commit_digest(Domain(DOMAIN.chain_id, SIGNER), JOB, SIGNER, COMMITMENT),
        commit_digest(DOMAIN, JobId(other), SIGNER, COMMITMENT),
        commit_digest(DOMAIN, JOB, DOMAIN.market, COMMITMENT),
        commit_digest(DOMAIN, JOB, SIGNER, other),
        commit_report_digest(DOMAIN, JOB, 0, 0, SIGNER, COMMITMENT),
        commit_report_digest(DOMAIN, JOB, 1, 0, SIGNER, COMMITMENT),
        commit_report_digest(DOMAIN, JOB, 0, 1, SIGNER, COMMITMENT),
    }
    assert len(digests) == 9
