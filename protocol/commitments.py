"""Every hash that both the contracts and the nodes compute: one pure function each, byte for byte the Solidity one.

A commitment is the keccak-256 of ``abi.encode(TYPEHASH, chain id, market, ...)``.  All the fields are static, so the
encoding is a row of 32-byte words: unsigned integers and addresses padded on the left, signed ones sign-extended.
Domain and job stand in every preimage, so that no commitment can be replayed on another chain, market or job; so does
the committer's address, so that nobody can copy a commitment and call it his own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak as _keccak

from morphware.protocol.calls import ModelRoot, Opening, Report
from morphware.protocol.units import ADDRESS_BYTES, HASH_BYTES, INT64_MAX, INT64_MIN, WEI_MAX, Address, JobId

WORD_BYTES: Final = 32
UINT32_MAX: Final = 2**32 - 1
UINT256_MAX: Final = 2**256 - 1
UINT8_MAX: Final = 2**8 - 1


@dataclass(frozen=True, slots=True)
class Domain:
    """The chain and the market contract that a commitment is for."""

    chain_id: int
    market: Address


def keccak(data: bytes) -> bytes:
    """The 32-byte keccak-256 of ``data``, as the EVM computes it."""
    return bytes(_keccak(data))


JOB_TYPEHASH: Final = keccak(b"Job(uint256 chainId,address market,address user,bytes32 secrets)")
BID_TYPEHASH: Final = keccak(
    b"Bid(uint256 chainId,address market,bytes32 jobId,address bidder,uint96 price,bool isAuthentic,"
    b"uint32 estimatedSeconds,bytes32 salt)"
)
REPORT_TYPEHASH: Final = keccak(
    b"Report(uint256 chainId,address market,bytes32 jobId,uint8 round,address validator,int64 metric,"
    b"int64 fingerprint,bytes32 predictionRoot,bytes32 salt)"
)

AUDIT: Final = b"audit".ljust(WORD_BYTES, b"\0")
"""What tells the word that decides on an audit from all others of the same block and job."""


def job_id_of(domain: Domain, user: Address, seed_hash: bytes, train_key_hash: bytes, test_key_hash: bytes) -> JobId:
    """A job is named by its chain, market, end user and the user's three secrets: computable before it is posted.

    The market keeps none of the hashes: whoever shows a secret brings the other two hashes, and the name proves them.
    """
    secrets = keccak(_bytes32(seed_hash) + _bytes32(train_key_hash) + _bytes32(test_key_hash))
    return JobId(keccak(JOB_TYPEHASH + _domain(domain) + _address(user) + secrets))


def bid_commitment(domain: Domain, job_id: JobId, opening: Opening) -> bytes:
    """The sealed form of a bid."""
    return keccak(
        BID_TYPEHASH
        + _domain(domain)
        + _bytes32(job_id)
        + _address(opening.bidder)
        + _unsigned(opening.price_wei, WEI_MAX)
        + _unsigned(int(opening.is_authentic), 1)
        + _unsigned(opening.estimated_s, UINT32_MAX)
        + _bytes32(opening.salt)
    )


def report_commitment(domain: Domain, job_id: JobId, round_number: int, report: Report) -> bytes:
    """The sealed form of a validator's report in one round."""
    return keccak(
        REPORT_TYPEHASH
        + _domain(domain)
        + _bytes32(job_id)
        + _unsigned(round_number, UINT8_MAX)
        + _address(report.validator)
        + _int64(report.metric_e6)
        + _int64(report.fingerprint_e9)
        + _bytes32(report.prediction_root)
        + _bytes32(report.salt)
    )


def key_hash(key: bytes) -> bytes:
    """A key is committed to by its plain hash: keys are long and random, so no salt is needed."""
    return keccak(key)


def model_root(model: ModelRoot) -> bytes:
    """What the winner committed to as one word."""
    return keccak(
        _bytes32(model.model_hash) + _bytes32(model.x_hash) + _bytes32(model.y_hash) + _bytes32(model.worker_seed)
    )


def salt_of(worker_seed: bytes) -> bytes:
    """A bid's salt is the hash of the worker's share of the seed: opening the bid does not show the share."""
    return keccak(_bytes32(worker_seed))


def seed_of(user_seed: bytes, worker_seed: bytes, blockhash: bytes, job_id: JobId) -> bytes:
    """The committee's seed: nobody knows it before both shares and a block later than the model are public."""
    return keccak(_bytes32(user_seed) + _bytes32(worker_seed) + _bytes32(blockhash) + _bytes32(job_id))


def next_seed_of(blockhash: bytes, job_id: JobId) -> bytes:
    """The seed of a later committee, or of a split: a block after the appeal, or after the award.

    So nobody can know all rounds when the first begins, nor the split while it can still choose its part in the job.
    """
    return keccak(_bytes32(blockhash) + _bytes32(job_id))


def split_word(seed: bytes, attempt: int) -> int:
    """The ``attempt``-th random word of the draw of testing chunks."""
    return int.from_bytes(keccak(_bytes32(seed) + _unsigned(attempt, UINT256_MAX)), "big")


def split_root(test_chunks: int, leaves: Iterable[bytes]) -> bytes:
    """What the end user of a split job commits to: how many chunks test, and each chunk's key, by its hash."""
    root = _unsigned(test_chunks, UINT256_MAX)
    for leaf in leaves:
        root = keccak(root + _bytes32(leaf))
    return root


def audit_word(blockhash: bytes, job_id: JobId) -> int:
    """The random word that decides whether a finding is audited: of a block after all reports were opened."""
    return int.from_bytes(keccak(_bytes32(blockhash) + _bytes32(job_id) + AUDIT), "big")


def draw_word(seed: bytes, round_number: int, attempt: int) -> int:
    """The ``attempt``-th random word of a round's draw."""
    return int.from_bytes(
        keccak(_bytes32(seed) + _unsigned(round_number, UINT8_MAX) + _unsigned(attempt, UINT256_MAX)), "big"
    )


def _domain(domain: Domain) -> bytes:
    return _unsigned(domain.chain_id, UINT256_MAX) + _address(domain.market)


def _unsigned(value: int, maximum: int) -> bytes:
    if not 0 <= value <= maximum:
        raise ValueError(f"{value} does not fit an unsigned word up to {maximum}")
    return value.to_bytes(WORD_BYTES, "big")


def _int64(value: int) -> bytes:
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"{value} does not fit 64 signed bits")
    return value.to_bytes(WORD_BYTES, "big", signed=True)


def _address(value: Address) -> bytes:
    if len(value) != ADDRESS_BYTES:
        raise ValueError(f"an address has {ADDRESS_BYTES} bytes, not {len(value)}")
    return bytes(WORD_BYTES - ADDRESS_BYTES) + value


def _bytes32(value: bytes) -> bytes:
    if len(value) != HASH_BYTES:
        raise ValueError(f"a word has {HASH_BYTES} bytes, not {len(value)}")
    return value
