"""What a person asks for when submitting a job, before the node has looked at it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from morphware.node.api.answers.submitting import WishAsked
from morphware.protocol.units import Wei


@dataclass(frozen=True, slots=True)
class JobWish:
    """A job to submit. ``program`` is a script, a notebook or a folder; amounts in wei, times in seconds.

    ``None`` leaves a choice to the node: the market's usual share for the fee, the estimate for the windows.  With a
    ``baseline`` a model between it and the threshold is paid its share; without one it is all or nothing.  The data are
    either two folders, ``train`` and ``test``, or with ``chunks`` one, ``data``, of which a block picks what tests.
    """

    program: Path
    train: Path | None
    test: Path | None
    metric: str
    threshold: float
    reserve_wei: Wei
    baseline: float | None = None
    name: str = ""
    estimated_s: int = 600
    training_s: int | None = None
    testing_s: int | None = None
    bidding_s: int | None = None
    seats: int = 5
    fee_wei: Wei | None = None
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: int = 4 << 30
    disk_bytes: int = 4 << 30
    data: Path | None = None
    chunks: int = 0
    test_chunks: int = 0

    def to_plain(self) -> dict[str, Any]:
        """As JSON can carry it; amounts as decimal strings, paths absolute."""
        plain: dict[str, Any] = dataclasses.asdict(self)
        for key in ("program", "train", "test", "data"):
            plain[key] = None if plain[key] is None else str(Path(plain[key]).absolute())
        for key in ("reserve_wei", "fee_wei"):
            plain[key] = None if plain[key] is None else str(plain[key])
        return plain

    @classmethod
    def from_asked(cls, asked: WishAsked) -> "JobWish":
        """The wish of a request, which is what ``to_plain`` wrote."""
        values = {name: getattr(asked, name) for name in asked.__struct_fields__}
        for key in ("program", "train", "test", "data"):
            values[key] = None if values[key] is None else Path(values[key])
        for key in ("reserve_wei", "fee_wei"):
            values[key] = None if values[key] is None else Wei(int(values[key]))
        return cls(**values)
