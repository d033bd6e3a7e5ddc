"""The shared hashes: byte for byte ``abi.encode``, bound to every field, and fixed for ever by golden values."""

import dataclasses

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.calls import ModelRoot, Opening, Report
from morphware.protocol.commitments import (
    BID_TYPEHASH,
    JOB_TYPEHASH,
    REPORT_TYPEHASH,
    Domain,
    bid_commitment,
    draw_word,
    job_id_of,
    keccak,
    key_hash,
    model_root,
    next_seed_of,
    report_commitment,
    salt_of,
    seed_of,
)
from morphware.protocol.units import INT64_MAX, INT64_MIN, WEI_MAX, Address, JobId, Wei

DOMAIN = Domain(31337, Address(b"\x11" * 20))
JOB = JobId(b"\x44" * 32)
OPENING = Opening(Address(b"\x22" * 20), Wei(10**18), True, 3_600, b"\x33" * 32)
REPORT = Report(Address(b"\x22" * 20), -5, INT64_MIN, b"\x55" * 32, b"\x33" * 32)

WORDS = st.binary(min_size=32, max_size=32)
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
INT64 = st.integers(INT64_MIN, INT64_MAX)


def test_the_empty_hash_is_ethereums_keccak_and_not_sha3() -> None:
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@given(ADDRESSES, st.integers(0, WEI_MAX), st.booleans(), st.integers(0, 2**32 - 1), WORDS)
def test_a_bid_is_hashed_as_abi_encode_does(
    bidder: Address, price: int, is_authentic: bool, seconds: int, salt: bytes
) -> None:
    types = ["bytes32", "uint256", "address", "bytes32", "address", "uint96", "bool", "uint32", "bytes32"]
    values = [BID_TYPEHASH, 31337, DOMAIN.market, JOB, bidder, price, is_authentic, seconds, salt]
    opening = Opening(bidder, Wei(price), is_authentic, seconds, salt)
    assert bid_commitment(DOMAIN, JOB, opening) == keccak(encode(types, values))


@given(round_number=st.integers(0, 255), validator=ADDRESSES, metric=INT64, fingerprint=INT64, root=WORDS, salt=WORDS)
def test_a_report_is_hashed_as_abi_encode_does(
    round_number: int, validator: Address, metric: int, fingerprint: int, root: bytes, salt: bytes
) -> None:
    types = ["bytes32", "uint256", "address", "bytes32", "uint8", "address", "int64", "int64", "bytes32", "bytes32"]
    values = [REPORT_TYPEHASH, 31337, DOMAIN.market, JOB, round_number, validator, metric, fingerprint, root, salt]
    report = Report(validator, metric, fingerprint, root, salt)
    assert report_commitment(DOMAIN, JOB, round_number, report) == keccak(encode(types, values))


@given(user=ADDRESSES, seed=WORDS, train=WORDS, test=WORDS)
def test_a_job_is_named_as_abi_encode_does(user: Address, seed: bytes, train: bytes, test: bytes) -> None:
    types = ["bytes32", "uint256", "address", "address", "bytes32"]
    secrets = keccak(encode(["bytes32"] * 3, [seed, train, test]))
    expected = keccak(encode(types, [JOB_TYPEHASH, 31337, DOMAIN.market, user, secrets]))
    assert job_id_of(DOMAIN, user, seed, train, test) == expected


@given(seed=WORDS, round_number=st.integers(0, 255), attempt=st.integers(0, 2**256 - 1))
def test_a_draw_is_hashed_as_abi_encode_does(seed: bytes, round_number: int, attempt: int) -> None:
    encoded = encode(["bytes32", "uint8", "uint256"], [seed, round_number, attempt])
    assert draw_word(seed, round_number, attempt) == int.from_bytes(keccak(encoded), "big")


def test_commitments_never_change() -> None:
    """Golden values: a change here strands every commitment on a chain."""
    assert (
        bid_commitment(DOMAIN, JOB, OPENING).hex() == "1d116cf5f844e66b546029f693e6fb559114492d3f1e1789890d0fac3a077609"
    )
    assert (
        report_commitment(DOMAIN, JOB, 1, REPORT).hex()
        == "81a6314677c62c95d6987a27296107949dfd0e82c1c1f814945a306f166fbf20"
    )
    assert (
        job_id_of(DOMAIN, OPENING.bidder, b"\x33" * 32, b"\x34" * 32, b"\x35" * 32).hex()
        == "ec2ac162d5852c54d57fded8811b8c6776aed205c40b39f24b90668b74015eff"
    )
    assert (
        seed_of(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, JOB).hex()
        == "d11dc8d3f88cb659c501ade369a33d1bab875218eca6741d8e285db87f7cd0a2"
    )


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(OPENING, bidder=Address(b"\x23" * 20)),
        dataclasses.replace(OPENING, price_wei=Wei(10**18 + 1)),
        dataclasses.replace(OPENING, is_authentic=False),
        dataclasses.replace(OPENING, estimated_s=3_601),
        dataclasses.replace(OPENING, salt=b"\x34" * 32),
    ],
)
def test_every_field_of_a_bid_is_bound(other: Opening) -> None:
    assert bid_commitment(DOMAIN, JOB, other) != bid_commitment(DOMAIN, JOB, OPENING)


def test_a_bid_cannot_be_replayed_on_another_chain_market_or_job() -> None:
    commitments = {
        bid_commitment(DOMAIN, JOB, OPENING),
        bid_commitment(Domain(1, DOMAIN.market), JOB, OPENING),
        bid_commitment(Domain(31337, Address(b"\x12" * 20)), JOB, OPENING),
        bid_commitment(DOMAIN, JobId(b"\x45" * 32), OPENING),
    }
    assert len(commitments) == 4


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(REPORT, validator=Address(b"\x23" * 20)),
        dataclasses.replace(REPORT, metric_e6=5),
        dataclasses.replace(REPORT, fingerprint_e9=INT64_MAX),
        dataclasses.replace(REPORT, prediction_root=b"\x56" * 32),
        dataclasses.replace(REPORT, salt=b"\x34" * 32),
    ],
)
def test_every_field_of_a_report_is_bound(other: Report) -> None:
    assert report_commitment(DOMAIN, JOB, 0, other) != report_commitment(DOMAIN, JOB, 0, REPORT)


def test_a_report_belongs_to_one_round() -> None:
    assert report_commitment(DOMAIN, JOB, 0, REPORT) != report_commitment(DOMAIN, JOB, 1, REPORT)


@pytest.mark.parametrize(
    "opening",
    [
        dataclasses.replace(OPENING, price_wei=Wei(-1)),
        dataclasses.replace(OPENING, price_wei=Wei(WEI_MAX + 1)),
        dataclasses.replace(OPENING, estimated_s=2**32),
        dataclasses.replace(OPENING, salt=b"short"),
        dataclasses.replace(OPENING, bidder=Address(b"\x22" * 19)),
    ],
)
def test_values_that_no_transaction_can_carry_have_no_commitment(opening: Opening) -> None:
    with pytest.raises(ValueError, match=r"does not fit|has \d+ bytes"):
        bid_commitment(DOMAIN, JOB, opening)


def test_a_metric_beyond_64_bits_has_no_commitment() -> None:
    with pytest.raises(ValueError, match="64 signed bits"):
        report_commitment(DOMAIN, JOB, 0, dataclasses.replace(REPORT, metric_e6=INT64_MAX + 1))


def test_keys_and_salts_are_plain_hashes() -> None:
    assert key_hash(b"\x01" * 64) == keccak(b"\x01" * 64)
    assert salt_of(b"\x01" * 32) == keccak(b"\x01" * 32)
    with pytest.raises(ValueError, match="32 bytes"):
        salt_of(b"\x01" * 31)


@given(WORDS, WORDS, WORDS, WORDS)
def test_roots_and_later_seeds_are_hashed_as_abi_encode_does(a: bytes, b: bytes, c: bytes, d: bytes) -> None:
    assert model_root(ModelRoot(a, b, c, d)) == keccak(encode(["(bytes32,bytes32,bytes32,bytes32)"], [(a, b, c, d)]))
    assert next_seed_of(a, JobId(b)) == keccak(encode(["bytes32", "bytes32"], [a, b]))
