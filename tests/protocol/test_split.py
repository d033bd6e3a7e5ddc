"""The rule of splits: which chunks test, what commits to them, and what discloses them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol import calls
from morphware.protocol.calls import Option
from morphware.protocol.chain_events import KeyDisclosed, KeysPosted, SplitDrawn, TestKeysDisclosed
from morphware.protocol.commitments import keccak, next_seed_of, split_root
from morphware.protocol.refusals import AlreadyDone, BoxTooLarge, SeedBlockPending, WrongPreimage
from morphware.protocol.split import (
    CHUNKS_MOST,
    NOTHING,
    TEST_CHUNKS_MOST,
    Disclosed,
    drawn_chunks,
    hashes_shown,
    is_splittable,
    read_disclosure,
)
from morphware.protocol.states import Outcome, State
from tests.protocol.market_world import (
    CHUNKS,
    STRANGER,
    TEST_CHUNKS,
    USER,
    blockhash,
    chunk_keys,
    code_key,
    disclosure,
    leaves,
    only,
    started,
)

SPLIT = int(Option.SPLIT)


def test_the_testing_chunks_of_a_seed_are_these_for_ever() -> None:
    """Golden: Solidity's rule is compared with this one in the differential test, and both are fixed here."""
    assert drawn_chunks(keccak(b"golden"), 10, 2) == (1, 7)
    assert split_root(2, [keccak(b"a"), keccak(b"b"), keccak(b"c")]).hex() == (
        "0cc8060423758c254f405882b8cddf23ddc6e148e67c6e43aaf7406efb81ab41"
    )


@given(st.binary(min_size=32, max_size=32), st.integers(2, CHUNKS_MOST), st.data())
def test_as_many_different_chunks_test_as_were_promised(seed: bytes, chunks: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, min(TEST_CHUNKS_MOST, chunks - 1)))
    tested = drawn_chunks(seed, chunks, wanted)
    assert len(set(tested)) == len(tested) == wanted
    assert list(tested) == sorted(tested)
    assert 0 <= tested[0] <= tested[-1] < chunks


def test_every_pair_of_chunks_is_as_likely() -> None:
    """Of five chunks there are ten pairs: each gets a tenth of 4,000 draws, give or take five deviations."""
    counts = Counter(drawn_chunks(keccak(bytes([n % 256, n // 256])), 5, 2) for n in range(4_000))
    assert len(counts) == 10
    assert all(abs(count - 400) < 5 * 19 for count in counts.values()), counts


def test_more_chunks_than_there_are_are_never_looked_for() -> None:
    with pytest.raises(ValueError, match="cannot be picked"):
        drawn_chunks(keccak(b"seed"), 3, 4)
    assert read_disclosure((4).to_bytes(32, "big") + bytes(32 * 4)) is None


@pytest.mark.parametrize(
    ("chunks", "test_chunks", "is_fine"),
    [
        (2, 1, True),
        (32, 8, True),
        (9, 8, True),
        (1, 1, False),
        (33, 2, False),
        (10, 0, False),
        (8, 8, False),
        (20, 9, False),
    ],
)
def test_a_split_has_2_to_32_chunks_of_which_1_to_8_but_not_all_test(
    chunks: int, test_chunks: int, is_fine: bool
) -> None:
    assert is_splittable(chunks, test_chunks) is is_fine


def test_a_disclosure_shows_the_hashes_of_the_posting() -> None:
    seed = keccak(b"seed")
    tested = drawn_chunks(seed, CHUNKS, TEST_CHUNKS)
    others = sorted({*range(CHUNKS)} - {*tested})
    wanted = keccak(code_key()), split_root(TEST_CHUNKS, leaves())
    assert hashes_shown(seed, disclosure("job", tested), is_test=True) == wanted
    assert hashes_shown(seed, disclosure("job", others), is_test=False) == wanted
    assert hashes_shown(seed, disclosure("job", tested), is_test=False) != wanted
    assert hashes_shown(seed, disclosure("job", others[1:]), is_test=False) != wanted


@pytest.mark.parametrize("size", [0, 31, 32, 63, 65, 32 * 35])
def test_what_is_no_row_of_words_discloses_nothing(size: int) -> None:
    assert hashes_shown(keccak(b"seed"), bytes(size), is_test=True) == (NOTHING, NOTHING)


def test_a_disclosure_reads_as_it_was_written() -> None:
    words = Disclosed(TEST_CHUNKS, chunk_keys(), code_key())
    assert read_disclosure(words.to_bytes()) == words


def test_anybody_draws_the_split_by_a_block_after_the_award_and_once() -> None:
    world, job_id = started(State.AWARDED, options=SPLIT)
    block = world.block
    assert world.ask(STRANGER, calls.DrawSplit(job_id)) == SeedBlockPending(block + 2, block)
    assert world.ask(USER, calls.PostKeys(job_id, b"box")) == SeedBlockPending(block + 2, block)
    world.wait(1, blocks=3)
    seed = next_seed_of(blockhash(block + 2), job_id)
    assert world.do(STRANGER, calls.DrawSplit(job_id)) == [SplitDrawn(job_id, seed)]
    assert world.ask(STRANGER, calls.DrawSplit(job_id)) == AlreadyDone(job_id, STRANGER)
    assert only(KeysPosted, world.do(USER, calls.PostKeys(job_id, bytes(1088)))).box == bytes(1088)


def test_a_job_that_is_no_split_has_nothing_to_draw() -> None:
    world, job_id = started(State.AWARDED)
    world.wait(1, blocks=3)
    assert world.ask(USER, calls.DrawSplit(job_id)) == AlreadyDone(job_id, USER)


def test_an_end_user_that_never_splits_is_at_fault() -> None:
    world, job_id = started(State.AWARDED, options=SPLIT)
    world.poke(job_id)
    assert world.job(job_id).outcome is Outcome.USER_FAULT


def test_only_all_training_keys_answer_the_winner() -> None:
    world, job_id = started(State.KEY_DISPUTE, options=SPLIT)
    right = world.disclose_key(job_id)
    kept_back = [chunk for chunk in range(CHUNKS) if chunk not in world.tested(job_id)][1:]
    for keys in (disclosure("job", kept_back), code_key(), b""):
        refusal = world.ask(USER, calls.DiscloseKey(job_id, keys, right.seed_hash, right.test_key_hash))
        assert isinstance(refusal, WrongPreimage)
    too_many = calls.DiscloseKey(job_id, bytes(1089), right.seed_hash, right.test_key_hash)
    assert world.ask(USER, too_many) == BoxTooLarge(1089, 1088)
    assert only(KeyDisclosed, world.do(USER, right)).keys == right.keys


def test_only_all_testing_keys_answer_the_committee() -> None:
    world, job_id = started(State.DISCLOSE, options=SPLIT)
    right = world.disclose_test(job_id)
    others = [chunk for chunk in range(CHUNKS) if chunk not in world.tested(job_id)]
    wrong = calls.DiscloseTest(job_id, disclosure("job", others), right.seed_hash, right.train_key_hash)
    assert isinstance(world.ask(STRANGER, wrong), WrongPreimage)
    assert only(TestKeysDisclosed, world.do(STRANGER, right)).keys == right.keys
