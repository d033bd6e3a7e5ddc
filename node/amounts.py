"""Amounts as people write them: exact decimal strings, never floats. One token is 10**18 wei, one metric 10**6."""

import re

from morphware.node.errors import BadInput
from morphware.protocol.units import INT64_MAX, METRIC_SCALE, TOKEN, WEI_MAX, Wei

TOKEN_DECIMALS = 18
_LONGEST_TEXT = 64
_METRIC_DECIMALS = 6
_METRIC = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


def parse_tokens(text: str) -> Wei:
    """Wei of a decimal string of tokens, exactly: ``"12.5"`` is 12.5 * 10**18.

    Raises:
        BadInput: not a plain non-negative decimal number, more than 18 decimals, or more than a contract can hold.
    """
    plain = text.strip()
    if len(plain) > _LONGEST_TEXT:
        raise BadInput(f"An amount of {len(plain)} characters is too long: write it like 12.5.")
    match = _DECIMAL.fullmatch(plain)
    if match is None:
        raise BadInput(f"{plain!r} is not an amount of tokens: write it like 12.5, without a sign, exponent or unit.")
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    if len(fraction) > TOKEN_DECIMALS:
        raise BadInput(f"{plain} has more than {TOKEN_DECIMALS} decimals: a token cannot be divided further.")
    wei = int(whole) * TOKEN + int(fraction.ljust(TOKEN_DECIMALS, "0"))
    if wei > WEI_MAX:
        raise BadInput(f"{plain} tokens are more than the market can hold: give less than {format_tokens(WEI_MAX)}.")
    return Wei(wei)


def format_tokens(wei: int) -> str:
    """The shortest decimal string of tokens that parses to the same wei."""
    sign = "-" if wei < 0 else ""
    whole, fraction = divmod(abs(wei), TOKEN)
    decimals = f"{fraction:0{TOKEN_DECIMALS}d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def parse_metric(text: str) -> int:
    """Millionths of a decimal string, exactly: ``"0.9"`` is 900000; a loss is written with its minus sign.

    Raises:
        BadInput: not a plain decimal number, more than 6 decimals, or too large.
    """
    plain = text.strip()
    match = _METRIC.fullmatch(plain) if len(plain) <= _LONGEST_TEXT else None
    if match is None:
        raise BadInput(f"{plain[:_LONGEST_TEXT]!r} is not a metric: write it like 0.9 (or -0.25 for a loss).")
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > _METRIC_DECIMALS:
        raise BadInput(f"{plain} has more than {_METRIC_DECIMALS} decimals: the market counts metrics in millionths.")
    millionths = int(whole) * METRIC_SCALE + int(fraction.ljust(_METRIC_DECIMALS, "0"))
    if millionths > INT64_MAX:
        raise BadInput(f"{plain} is too large for a metric: scale it down in the job.")
    return -millionths if sign else millionths
