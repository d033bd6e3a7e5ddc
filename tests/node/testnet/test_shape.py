"""A testnet comes back in the shape that it was made in."""

from pathlib import Path

import pytest

from morphware.node.errors import BadInput
from morphware.node.testnet.shape import Shape, shape_of


def test_a_new_folder_takes_what_is_wanted(tmp_path: Path) -> None:
    assert shape_of(tmp_path, workers=None, validators=None, seed=None) == Shape(workers=3, validators=7, seed=1)
    assert shape_of(tmp_path, workers=0, validators=5, seed=None) == Shape(workers=0, validators=5, seed=1)


def test_a_folder_that_was_used_goes_on_as_it_was(tmp_path: Path) -> None:
    Shape(workers=2, validators=5, seed=9).keep(tmp_path)
    assert shape_of(tmp_path, workers=None, validators=None, seed=None) == Shape(workers=2, validators=5, seed=9)
    assert shape_of(tmp_path, workers=2, validators=None, seed=9) == Shape(workers=2, validators=5, seed=9)


def test_another_shape_in_the_same_folder_is_refused_with_the_one_that_it_has(tmp_path: Path) -> None:
    Shape(workers=2, validators=5, seed=9).keep(tmp_path)
    with pytest.raises(BadInput, match="was made with --workers 2, --validators 5: leave that out"):
        shape_of(tmp_path, workers=3, validators=7, seed=9)


@pytest.mark.parametrize("text", ["", "[]", '{"workers": "many"}', '{"nodes": 3}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "network.json").write_text(text)
    with pytest.raises(BadInput, match=r"network\.json does not tell a testnet's shape"):
        shape_of(tmp_path, workers=None, validators=None, seed=None)
