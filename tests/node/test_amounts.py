"""Amounts cross between people and contracts exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.amounts import format_tokens, parse_metric, parse_tokens
from morphware.node.errors import BadInput
from morphware.protocol.units import INT64_MAX, WEI_MAX


@given(st.integers(min_value=0, max_value=WEI_MAX))
def test_every_amount_survives_being_written_and_read(wei: int) -> None:
    assert parse_tokens(format_tokens(wei)) == wei


@given(st.text(max_size=80))
def test_any_text_is_an_amount_or_refused_with_a_sentence(text: str) -> None:
    try:
        wei = int(parse_tokens(text))
    except BadInput as error:
        wei = 0
        sentence = error.sentence
    else:
        sentence = "accepted."
    assert 0 <= wei <= WEI_MAX
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("12.5", 12_500_000_000_000_000_000),
        ("0", 0),
        (" 1 ", 10**18),
        ("0.000000000000000001", 1),
        ("1.50", 15 * 10**17),
    ],
)
def test_decimal_tokens_are_exact(text: str, wei: int) -> None:
    assert parse_tokens(text) == wei


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", "1,5", ".5", "1.", "0x10", "nan", "\u0661", "1_000", "9" * 65, "9" * 30]
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_tokens(text)


def test_a_token_is_not_divided_beyond_a_wei() -> None:
    with pytest.raises(BadInput, match="18 decimals"):
        parse_tokens("0.0000000000000000001")


@pytest.mark.parametrize(("text", "millionths"), [("0.9", 900_000), ("-0.25", -250_000), ("1", 1_000_000), ("0.0", 0)])
def test_metrics_are_counted_in_millionths(text: str, millionths: int) -> None:
    assert parse_metric(text) == millionths


@pytest.mark.parametrize("text", ["", "90%", "0.1234567", "nan", "inf", "1e-1", str(INT64_MAX)])
def test_what_is_no_metric_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_metric(text)
