"""One value has one encoding: MessagePack arrays in canonical form, bounded, and checked by encoding again.

A signature covers bytes, so two encodings of one value would be two messages.  Decoding is validating: the type
says which integers, byte strings and texts may stand where; floats, nil, maps and extensions have no type here.
"""

import unicodedata
from typing import Annotated, Final, TypeVar

import msgspec

from morphware.protocol.units import WEI_BYTES, WEI_MAX, Wei

T = TypeVar("T")

MESSAGE_BYTES_MAX: Final = 8 * 1024
"""No gossip message and no document on chain is longer."""

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
AddressBytes = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
WeiBytes = Annotated[bytes, msgspec.Meta(min_length=WEI_BYTES, max_length=WEI_BYTES)]
"""Wei cross the wire as 12 bytes, big-endian: MessagePack's integers end at 64 bits."""
U8 = Annotated[int, msgspec.Meta(ge=0, le=2**8 - 1)]
U16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Sequence numbers and times stay below 2**63, so that every store can hold them."""
I64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
ShortText = Annotated[str, msgspec.Meta(max_length=200)]


class Malformed(ValueError):
    """The bytes are not the canonical encoding of a value of the wanted type."""


def encode(value: msgspec.Struct) -> bytes:
    """The canonical encoding of a struct that was declared ``array_like``."""
    return msgspec.msgpack.encode(value)


def decode(data: bytes, kind: type[T], *, most_bytes: int = MESSAGE_BYTES_MAX) -> T:
    """The value whose canonical encoding is ``data``. Raises ``Malformed`` for anything else."""
    if len(data) > most_bytes:
        msg = f"{len(data)} bytes are more than {most_bytes}"
        raise Malformed(msg)
    try:
        value = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if msgspec.msgpack.encode(value) != data:
        raise Malformed("not in canonical form")
    if not unicodedata.is_normalized("NFC", _texts(value)):
        raise Malformed("a text is not in normal form C")
    return value


def _texts(value: object) -> str:
    """All texts inside a decoded value, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, msgspec.Struct):
        return "\n".join(_texts(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, tuple | list):
        return "\n".join(_texts(item) for item in value)
    return ""


def wei_to_bytes(amount: Wei) -> bytes:
    """Twelve bytes, big-endian."""
    if not 0 <= amount <= WEI_MAX:
        msg = f"{amount} wei do not fit 96 bits"
        raise ValueError(msg)
    return int(amount).to_bytes(WEI_BYTES, "big")


def wei_from_bytes(data: bytes) -> Wei:
    """The amount that ``wei_to_bytes`` wrote."""
    return Wei(int.from_bytes(data, "big"))
