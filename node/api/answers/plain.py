"""The words that all requests and answers are made of."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from morphware.protocol.units import WEI_MAX

PREFIX: Final = "/api/v1"
"""Before the path of everything that can be asked."""

WeiText = Annotated[str, Meta(pattern=r"^-?[0-9]{1,40}$", description="Wei as a decimal string; 10^18 are one token.")]
AmountText = Annotated[
    str, Meta(pattern=r"^[0-9]{1,30}$", description="Wei as a decimal string, not negative; 10^18 are one token.")
]
JobIdText = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="A job's id: 64 hexadecimal digits.")]
AddressText = Annotated[str, Meta(pattern=r"^0x[0-9a-f]{40}$", description="An account of the chain.")]
HashText = Annotated[str, Meta(pattern=r"^0x[0-9a-f]{64}$", description="The hash of a transaction.")]
Page = Annotated[int, Meta(ge=1, le=1_000_000, description="Which page; the first is 1.")]
RequestId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Chosen by whoever asks: a request that comes twice under one name is carried out once.",
    ),
]

assert len(str(WEI_MAX)) <= 30


class Shape(Struct, frozen=True, kw_only=True):
    """An answer."""


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request; what it does not know it refuses."""


class Problem(Shape, frozen=True):
    """Why a request was not carried out, in one sentence that says what to do; ``field`` is what has to be mended."""

    kind: str
    sentence: str
    field: str | None = None


class Done(Shape, frozen=True):
    """A request was carried out."""

    sentence: str
    transaction: HashText | None = None


class Nothing(Asked, frozen=True):
    """A request without values."""
