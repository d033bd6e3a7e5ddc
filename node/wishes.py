"""What a person asks for when submitting a job, before the node has looked at it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from morphware.protocol.units import Wei


@dataclass(frozen=True, slots=True)
class JobWish:
    """A job to submit. ``program`` is a script, a notebook or a folder; amounts in wei, times in seconds.

    ``None`` leaves a choice to the node: the market's usual share for the fee, the estimate for the windows.
    """

    program: Path
    train: Path
    test: Path
    metric: str
    threshold: float
    reserve_wei: Wei
    name: str = ""
    entry: str = ""
    estimated_s: int = 600
    training_s: int | None = None
    testing_s: int | None = None
    bidding_s: int | None = None
    seats: int = 5
    fee_wei: Wei | None = None
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: int = 4 << 30
    disk_bytes: int = 4 << 30

    def to_plain(self) -> dict[str, Any]:
        """As JSON can carry it; amounts as decimal strings, paths absolute."""
        plain: dict[str, Any] = dataclasses.asdict(self)
        for key in ("program", "train", "test"):
            plain[key] = str(Path(plain[key]).absolute())
        for key in ("reserve_wei", "fee_wei"):
            plain[key] = None if plain[key] is None else str(plain[key])
        return plain

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "JobWish":
        """The wish that ``to_plain`` wrote."""
        values = dict(plain)
        for key in ("program", "train", "test"):
            values[key] = Path(values[key])
        for key in ("reserve_wei", "fee_wei"):
            values[key] = None if values[key] is None else Wei(int(values[key]))
        return cls(**values)
