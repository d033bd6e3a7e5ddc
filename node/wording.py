"""Amounts, times, sizes and strangers' texts as a terminal may show them: short, rounded, and unable to steer it."""

from typing import Final

from morphware.node.amounts import format_tokens
from morphware.node.log import neutral
from morphware.protocol.metrics import KNOWN_METRICS
from morphware.protocol.units import TOKEN, Address

SYMBOL: Final = "MWT"
TEXT_MOST: Final = 200
_DECIMALS: Final = 4
_PLACEHOLDER: Final = "\N{REPLACEMENT CHARACTER}"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_KIB: Final = 1024


def shown(text: object, most: int = TEXT_MOST) -> str:
    """A stranger's text on one line: bounded, with whatever could steer, reorder or hide written out."""
    cut = str(text)[: most + 1].replace("\t", " ")
    plain = "".join(c if c.isprintable() else _PLACEHOLDER for c in neutral(cut))
    return plain if len(plain) <= most else plain[: max(0, most - 1)] + "…"


def last_lines(text: str, count: int, most: int = TEXT_MOST) -> list[str]:
    """The last non-empty lines of a program's output; what a carriage return overwrote is gone, as on a terminal."""
    lines = text[-count * 4 * most :].split("\n")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
    return [shown(line.rstrip(), most) for line in lines if line.strip()][-count:]


def tokens(wei: int) -> str:
    """An amount for people, rounded to four decimals (the receipt's JSON has every digit)."""
    unit = TOKEN // 10**_DECIMALS
    rounded = (abs(wei) + unit // 2) // unit * unit
    text = format_tokens(rounded if rounded or not wei else unit)
    sign = "-" if wei < 0 else ""
    return f"{sign}{text}" if rounded or not wei else f"{sign}<{text}"


def with_symbol(wei: int) -> str:
    """An amount with the token's name."""
    return f"{tokens(wei)} {SYMBOL}"


def counted(count: int, what: str) -> str:
    """A number with its noun."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def duration(seconds: float) -> str:
    """A time span in the unit that fits it."""
    if seconds >= _HOUR_S:
        return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S):02d} min"
    if seconds >= 10 * _MINUTE_S:
        return f"{int(seconds // _MINUTE_S)} min {int(seconds % _MINUTE_S):02d} s"
    return f"{seconds:.1f} s"


def size(size_bytes: float) -> str:
    """A size in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < _KIB:
            return f"{size_bytes:.0f} {unit}" if unit == "B" or size_bytes >= 100 else f"{size_bytes:.1f} {unit}"
        size_bytes /= _KIB
    return f"{size_bytes:.1f} GiB"


def number(value: float | str | None) -> str:
    """A metric or a loss; report codes are words already."""
    if value is None:
        return "-"
    return shown(value, 20) if isinstance(value, str) else f"{value:.5g}"


def natural(metric: str, value: float) -> float:
    """A metric in its own unit, where the chain has it so that higher is better (a loss is negated there)."""
    known = KNOWN_METRICS.get(metric)
    return value if known is None else known.direction.value * value


def short_account(account: Address) -> str:
    """An account that nobody named."""
    text = account.hex()
    return f"0x{text[:4]}…{text[-4:]}"
