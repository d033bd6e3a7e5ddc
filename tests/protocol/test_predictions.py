"""The tree over predictions: every leaf provable, no leaf or tree readable as another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.predictions import (
    NO_PREDICTIONS,
    is_prediction_proven,
    prediction_leaf,
    prediction_proof,
    prediction_root,
)
from morphware.protocol.units import Address

ALICE, BOB = Address(b"a" * 20), Address(b"b" * 20)


def leaves(count: int, validator: Address = ALICE) -> list[bytes]:
    return [prediction_leaf(validator, index, str(index % 7).encode(), index) for index in range(count)]


@given(count=st.integers(1, 40), data=st.data())
def test_every_leaf_is_proven_at_its_own_index_only(count: int, data: st.DataObject) -> None:
    tree = leaves(count)
    root = prediction_root(tree)
    index = data.draw(st.integers(0, count - 1))
    proof = prediction_proof(tree, index)
    assert is_prediction_proven(root, count, index, tree[index], proof)
    for other in range(count):
        if other != index:
            assert not is_prediction_proven(root, count, other, tree[index], proof)
    assert not is_prediction_proven(root, count, index, tree[index], [*proof, bytes(32)])
    assert not is_prediction_proven(root, count + 1, index, tree[index], proof)


def test_roots_of_two_validators_differ_though_the_predictions_agree() -> None:
    assert prediction_root(leaves(5, ALICE)) != prediction_root(leaves(5, BOB))


def test_repeating_the_last_leaf_changes_the_root() -> None:
    tree = leaves(3)
    assert prediction_root(tree) != prediction_root([*tree, tree[-1]])


def test_an_inner_node_is_no_leaf() -> None:
    tree = leaves(4)
    assert prediction_root(tree) != prediction_root([prediction_root(tree[:2]), prediction_root(tree[2:])])


def test_no_predictions_have_the_zero_root() -> None:
    assert prediction_root([]) == NO_PREDICTIONS


def test_the_root_is_pinned() -> None:
    assert prediction_root(leaves(3)).hex() == "2930fd223f99e55bad1feb468843a30ca4a7fb8e7768e65f306d8eb9848c23cf"


@pytest.mark.parametrize(
    ("validator", "index", "prediction", "loss"),
    [(b"short", 0, b"1", 0), (ALICE, 2**32, b"1", 0), (ALICE, 0, b"1" * 257, 0), (ALICE, 0, b"1", 2**63)],
)
def test_leaves_out_of_bounds_are_refused(validator: bytes, index: int, prediction: bytes, loss: int) -> None:
    with pytest.raises(ValueError):
        prediction_leaf(Address(validator), index, prediction, loss)
