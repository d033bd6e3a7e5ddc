"""Amounts for reading, not for counting: four decimals, and never a nothing that is something."""

from decimal import Decimal

from morphware.protocol.units import TOKEN


def tokens(wei: int) -> str:
    """Tokens, rounded down: 12.5, 1,000, "less than 0.0001"."""
    whole, fraction = divmod(wei, TOKEN)
    decimals = fraction * 10**4 // TOKEN
    if wei and not whole and not decimals:
        return "less than 0.0001"
    return f"{whole:,}{str(Decimal(decimals).scaleb(-4).normalize())[1:] if decimals else ''}"


coins = tokens
"""The chain's native coins have as many decimals."""
