"""A node record binds an account to its keys by the account's own EIP-712 signature, and by no other."""

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.messages import NodeRecord
from morphware.protocol.records import is_record_signed, record_digest
from morphware.protocol.units import Address

DOMAIN = Domain(31337, Address(bytes(range(20))))
SECRET = bytes(range(1, 33))
ACCOUNT = Address(PrivateKey(SECRET).public_key.to_canonical_address())
BARE = NodeRecord(
    encryption_key=b"e" * 32,
    peer_key=b"p" * 32,
    roles=6,
    addresses=("/ip4/127.0.0.1/tcp/4001",),
    torrent_host="127.0.0.1",
    torrent_port=6881,
    expires_at=1_800_000_000,
    signature=bytes(65),
)


def signed_by(secret: bytes, record: NodeRecord = BARE, account: Address = ACCOUNT) -> NodeRecord:
    raw = PrivateKey(secret).sign_msg_hash(record_digest(DOMAIN, account, record)).to_bytes()
    return msgspec.structs.replace(record, signature=raw[:64] + bytes([raw[64] + 27]))


def typed_data(record: NodeRecord) -> dict[str, object]:
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "NodeRecord": [
                {"name": "account", "type": "address"},
                {"name": "encryptionKey", "type": "bytes32"},
                {"name": "peerKey", "type": "bytes32"},
                {"name": "roles", "type": "uint8"},
                {"name": "expiresAt", "type": "uint64"},
            ],
        },
        "primaryType": "NodeRecord",
        "domain": {
            "name": "Morphware",
            "version": "1",
            "chainId": DOMAIN.chain_id,
            "verifyingContract": "0x" + DOMAIN.market.hex(),
        },
        "message": {
            "account": "0x" + ACCOUNT.hex(),
            "encryptionKey": record.encryption_key,
            "peerKey": record.peer_key,
            "roles": record.roles,
            "expiresAt": record.expires_at,
        },
    }


def test_the_digest_is_what_every_wallet_signs() -> None:
    message = encode_typed_data(full_message=typed_data(BARE))
    assert keccak(b"\x19" + message.version + message.header + message.body) == record_digest(DOMAIN, ACCOUNT, BARE)
    wallet = Account.from_key(SECRET).sign_message(message)
    assert is_record_signed(DOMAIN, ACCOUNT, msgspec.structs.replace(BARE, signature=bytes(wallet.signature)))


def test_the_account_s_own_signature_binds() -> None:
    assert is_record_signed(DOMAIN, ACCOUNT, signed_by(SECRET))


def test_another_account_s_signature_does_not_bind() -> None:
    assert not is_record_signed(DOMAIN, ACCOUNT, signed_by(bytes(range(2, 34))))
    assert not is_record_signed(DOMAIN, Address(bytes(20)), signed_by(SECRET))


@pytest.mark.parametrize(
    "change",
    [{"encryption_key": bytes(32)}, {"peer_key": bytes(32)}, {"roles": 7}, {"expires_at": 1_800_000_001}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_record_is_not_signed(change: dict[str, object]) -> None:
    assert not is_record_signed(DOMAIN, ACCOUNT, msgspec.structs.replace(signed_by(SECRET), **change))


def test_a_record_of_another_market_or_chain_is_not_signed() -> None:
    record = signed_by(SECRET)
    assert not is_record_signed(Domain(1, DOMAIN.market), ACCOUNT, record)
    assert not is_record_signed(Domain(31337, Address(bytes(20))), ACCOUNT, record)


@given(st.binary(min_size=65, max_size=65))
def test_no_signature_raises(signature: bytes) -> None:
    assert not is_record_signed(DOMAIN, ACCOUNT, msgspec.structs.replace(BARE, signature=signature))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_v_is_27_or_28(v: int) -> None:
    record = signed_by(SECRET)
    changed = msgspec.structs.replace(record, signature=record.signature[:64] + bytes([v]))
    assert not is_record_signed(DOMAIN, ACCOUNT, changed)


@pytest.mark.parametrize("r_and_s", [bytes(64), b"\xff" * 64, bytes(32) + b"\1" * 32, b"\1" * 32 + bytes(32)])
def test_r_and_s_outside_of_the_curve_s_order_do_not_raise(r_and_s: bytes) -> None:
    for v in (27, 28):
        assert not is_record_signed(DOMAIN, ACCOUNT, msgspec.structs.replace(BARE, signature=r_and_s + bytes([v])))
