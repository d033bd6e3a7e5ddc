"""What a person asks for when submitting a job, before the node has looked at it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from morphware.node.errors import BadInput
from morphware.protocol.market import WINDOW_MOST_S
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
    def from_plain(cls, plain: dict[str, Any]) -> "JobWish":
        """The wish that ``to_plain`` wrote. Raises ``BadInput`` for anything else, and names what is wrong."""
        try:
            asked = msgspec.convert(plain, _PlainWish)
        except msgspec.ValidationError as error:
            raise BadInput(f"The job's description cannot be used: {error}.") from error
        values = {name: getattr(asked, name) for name in asked.__struct_fields__}
        for key in ("program", "train", "test", "data"):
            values[key] = None if values[key] is None else Path(values[key])
        for key in ("reserve_wei", "fee_wei"):
            values[key] = None if values[key] is None else Wei(int(values[key]))
        return cls(**values)


_AbsolutePath = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"\A/[^\x00]*\Z")]
_Amount = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,40}\Z")]
_Window = Annotated[int, msgspec.Meta(ge=1, le=WINDOW_MOST_S)]
_Size = Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)]


class _PlainWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wish as it comes over the control socket, from whatever program."""

    program: _AbsolutePath
    train: _AbsolutePath | None
    test: _AbsolutePath | None
    metric: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    threshold: float
    reserve_wei: _Amount
    baseline: float | None = None
    name: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    estimated_s: _Window = 600
    training_s: _Window | None = None
    testing_s: _Window | None = None
    bidding_s: _Window | None = None
    seats: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    fee_wei: _Amount | None = None
    privacy: Literal["sealed", "public"] = "sealed"
    memory_bytes: _Size = 4 << 30
    disk_bytes: _Size = 4 << 30
    data: _AbsolutePath | None = None
    chunks: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    test_chunks: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
