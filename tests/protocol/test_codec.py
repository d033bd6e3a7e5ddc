"""One value has one encoding; everything else is Malformed, and nothing else is ever raised."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import (
    MESSAGE_BYTES_MAX,
    U8,
    U64,
    Hash,
    Malformed,
    ShortText,
    decode,
    encode,
    wei_from_bytes,
    wei_to_bytes,
)
from morphware.protocol.messages import (
    BidKey,
    BidSealed,
    Envelope,
    JobAnnounce,
    JobSpec,
    ModelManifest,
    ModelReady,
    NodeRecord,
    ReportNotice,
    Wire,
)
from morphware.protocol.units import WEI_MAX, Wei

KINDS = (Envelope, NodeRecord, JobAnnounce, BidSealed, BidKey, ModelReady, ReportNotice, JobSpec, ModelManifest)


class Small(Wire, frozen=True):
    """One field of each sort."""

    number: U64
    small: U8
    flag: bool
    text: ShortText
    data: bytes
    items: tuple[ShortText, ...]


SMALL = Small(number=300, small=7, flag=True, text="é", data=b"\0\1", items=("a", "b"))
GOLDEN = bytes.fromhex("96 cd012c 07 c3 a2c3a9 c4020001 92a161a162")


def test_golden_bytes() -> None:
    assert encode(SMALL) == GOLDEN
    assert decode(GOLDEN, Small) == SMALL


def test_golden_bytes_of_a_bid_key() -> None:
    key = BidKey(commitment=bytes(range(32)), key=bytes(reversed(range(32))))
    data = b"\x92" + b"\xc4\x20" + bytes(range(32)) + b"\xc4\x20" + bytes(reversed(range(32)))
    assert encode(key) == data
    assert decode(data, BidKey) == key


@given(
    st.builds(
        Small,
        number=st.integers(0, 2**63 - 1),
        small=st.integers(0, 255),
        flag=st.booleans(),
        text=st.text("aé\N{GREEK SMALL LETTER ALPHA}\U0001f600", max_size=40),
        data=st.binary(max_size=300),
        items=st.lists(st.text("xyz", max_size=5), max_size=20).map(tuple),
    )
)
def test_what_was_encoded_decodes_to_itself(value: Small) -> None:
    assert decode(encode(value), Small) == value


@pytest.mark.parametrize(
    ("what", "data"),
    {
        "a longer integer": "96 ce0000012c 07 c3 a2c3a9 c4020001 92a161a162",
        "a signed integer": "96 d1012c 07 c3 a2c3a9 c4020001 92a161a162",
        "a longer text": "96 cd012c 07 c3 d902c3a9 c4020001 92a161a162",
        "longer bytes": "96 cd012c 07 c3 a2c3a9 c500020001 92a161a162",
        "a longer array": "96 cd012c 07 c3 a2c3a9 c4020001 dc0002a161a162",
        "a longer outer array": "dc0006 cd012c 07 c3 a2c3a9 c4020001 92a161a162",
        "something after the end": "96 cd012c 07 c3 a2c3a9 c4020001 92a161a162 00",
        "an end too early": "96 cd012c 07 c3 a2c3a9 c4020001 92a161",
        "one field less": "95 cd012c 07 c3 a2c3a9 c4020001",
        "one field more": "97 cd012c 07 c3 a2c3a9 c4020001 92a161a162 00",
        "a float": "96 cb4072c00000000000 07 c3 a2c3a9 c4020001 92a161a162",
        "nil": "96 c0 07 c3 a2c3a9 c4020001 92a161a162",
        "an integer for a flag": "96 cd012c 07 01 a2c3a9 c4020001 92a161a162",
        "a flag for an integer": "96 c3 07 c3 a2c3a9 c4020001 92a161a162",
        "text for bytes": "96 cd012c 07 c3 a2c3a9 a20001 92a161a162",
        "bytes for text": "96 cd012c 07 c3 c402c3a9 c4020001 92a161a162",
        "text that is not UTF-8": "96 cd012c 07 c3 a2c328 c4020001 92a161a162",
        "a surrogate": "96 cd012c 07 c3 a3eda080 c4020001 92a161a162",
        "text that is not in normal form C": "96 cd012c 07 c3 a365cc81 c4020001 92a161a162",
        "a map": "86 cd012c 07 c3 a2c3a9 c4020001 92a161a162",
        "a map inside": "96 cd012c 07 c3 a2c3a9 c4020001 81a161a162",
        "an extension": "96 d40105 07 c3 a2c3a9 c4020001 92a161a162",
        "a negative number": "96 ff 07 c3 a2c3a9 c4020001 92a161a162",
        "a number of 64 bits": "96 cf8000000000000000 07 c3 a2c3a9 c4020001 92a161a162",
        "a number too large for its field": "96 cd012c cd0100 c3 a2c3a9 c4020001 92a161a162",
        "nothing": "",
        "an array that promises four billion": "dd ffffffff",
    }.items(),
    ids=lambda value: value if " " in value or value == "nil" else "",
)
def test_every_other_encoding_is_refused(what: str, data: str) -> None:
    with pytest.raises(Malformed):
        decode(bytes.fromhex(data), Small)


def test_the_largest_message_is_read_and_a_larger_one_is_not() -> None:
    overhead = len(encode(msgspec.structs.replace(SMALL, data=bytes(300)))) - 300
    largest = encode(msgspec.structs.replace(SMALL, data=bytes(MESSAGE_BYTES_MAX - overhead)))
    assert len(largest) == MESSAGE_BYTES_MAX
    assert len(decode(largest, Small).data) == MESSAGE_BYTES_MAX - overhead
    larger = encode(msgspec.structs.replace(SMALL, data=bytes(MESSAGE_BYTES_MAX - overhead + 1)))
    with pytest.raises(Malformed, match="more than"):
        decode(larger, Small)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_hash_has_32_bytes(size: int) -> None:
    class Hashed(Wire, frozen=True):
        value: Hash

    with pytest.raises(Malformed):
        decode(encode(Hashed(value=bytes(size))), Hashed)
    assert decode(encode(Hashed(value=bytes(32))), Hashed).value == bytes(32)


@pytest.mark.parametrize(
    "file",
    [
        SealedFile("m" * 2001, 1, bytes(32)),
        SealedFile("m", -1, bytes(32)),
        SealedFile("m", 2**63, bytes(32)),
        SealedFile("m", 1, bytes(31)),
        SealedFile("m", 1, b""),
    ],
)
def test_a_sealed_file_out_of_bounds_is_refused(file: SealedFile) -> None:
    with pytest.raises(Malformed):
        decode(encode(file), SealedFile)
    assert decode(encode(SealedFile("m" * 2000, 2**63 - 1, bytes(32))), SealedFile).size_bytes == 2**63 - 1


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_random_bytes_decode_or_are_malformed(kind: type[msgspec.Struct], data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert encode(decode(data, kind)) == data


NOT_OURS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@given(st.sampled_from(KINDS), NOT_OURS)
def test_any_messagepack_decodes_or_is_malformed(kind: type[msgspec.Struct], value: object) -> None:
    with contextlib.suppress(Malformed, UnicodeEncodeError):
        data = msgspec.msgpack.encode(value)
        assert encode(decode(data, kind)) == data


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode(b"\x91" * 8000, Small)


@pytest.mark.parametrize("amount", [0, 1, 10**18, WEI_MAX])
def test_wei_cross_the_wire_as_twelve_bytes(amount: int) -> None:
    assert len(wei_to_bytes(Wei(amount))) == 12
    assert wei_from_bytes(wei_to_bytes(Wei(amount))) == amount


@pytest.mark.parametrize("amount", [-1, WEI_MAX + 1])
def test_wei_beyond_96_bits_do_not_cross(amount: int) -> None:
    with pytest.raises(ValueError, match="96 bits"):
        wei_to_bytes(Wei(amount))
