"""Speak a contract's ABI: calldata out, results, events and errors in.

eth_abi does the coding; web3's contract objects would cost a second of import time and bring nothing more.  Whatever
comes in was written by strangers: text that is no UTF-8 is read with replacement characters, and data that does not
decode raises ``ValueError``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eth_abi.codec import ABICodec
from eth_abi.decoding import StringDecoder
from eth_abi.encoding import TextStringEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as standard_registry
from eth_hash.auto import keccak

SELECTOR_BYTES: Final = 4
WORD_BYTES: Final = 32
DEEPEST_NESTING: Final = 4
"""An error that carries another error's bytes is unwrapped this many times."""
ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output_names: tuple[tuple[str, ...], ...] = ()
    """Of each output that is a struct, the names of its members."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of an event or an error."""

    name: str
    type: str
    is_indexed: bool = False

    @property
    def is_hashed(self) -> bool:
        """An indexed value of variable size is on chain only as its hash."""
        return self.is_indexed and (self.type in ("string", "bytes") or self.type.endswith(("]", ")")))


@dataclass(frozen=True, slots=True)
class Revert:
    """Why a contract reverted: the error's name and values; for a plain ``require`` the name is Error."""

    name: str
    values: dict[str, object] = field(default_factory=dict)


class Interface:
    """Codec for one contract's ABI; errors of further ABIs decode too, since a call may fail deeper down."""

    def __init__(self, abi: Sequence[Mapping[str, Any]], *more: Sequence[Mapping[str, Any]]) -> None:
        self.functions: dict[str, Function] = {}
        self.events: dict[bytes, tuple[str, tuple[Parameter, ...]]] = {}
        self.errors: dict[bytes, tuple[str, tuple[Parameter, ...]]] = {
            ERROR_SELECTOR: ("Error", (Parameter("message", "string"),)),
            PANIC_SELECTOR: ("Panic", (Parameter("code", "uint256"),)),
        }
        self.constructor: tuple[str, ...] = ()
        for entry in abi:
            self._learn(entry)
        for entry in (entry for other in more for entry in other if entry["type"] == "error"):
            self._learn(entry)

    def _learn(self, entry: Mapping[str, Any]) -> None:
        kind, name = entry["type"], entry.get("name", "")
        inputs = tuple(_type_of(value) for value in entry.get("inputs", ()))
        signature = keccak(f"{name}({','.join(inputs)})".encode())
        match kind:
            case "constructor":
                self.constructor = inputs
            case "function":
                outputs = tuple(_type_of(value) for value in entry.get("outputs", ()))
                names = tuple(
                    tuple(member["name"] for member in value.get("components", ()))
                    for value in entry.get("outputs", ())
                )
                self.functions[name] = Function(name, signature[:SELECTOR_BYTES], inputs, outputs, names)
            case "event":
                self.events[signature] = (name, _parameters(entry["inputs"]))
            case "error":
                self.errors[signature[:SELECTOR_BYTES]] = (name, _parameters(entry["inputs"]))

    def encode(self, function: str, *values: object) -> bytes:
        """Calldata of a call; ``ValueError`` where a value does not fit its type."""
        entry = self.functions[function]
        return entry.selector + encode_values(entry.inputs, values)

    def decode(self, function: str, data: bytes) -> tuple[Any, ...]:
        """What a function answered."""
        return decode_values(self.functions[function].outputs, data)

    def topic(self, event: str) -> bytes:
        """The first topic of an event's logs."""
        return next(topic for topic, (name, _) in self.events.items() if name == event)

    def decode_log(self, topics: Sequence[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Name and values of an event, or None where the ABI does not know it."""
        if not topics or topics[0] not in self.events:
            return None
        name, parameters = self.events[topics[0]]
        indexed = [parameter for parameter in parameters if parameter.is_indexed]
        if len(indexed) != len(topics) - 1:
            raise ValueError(f"{name} with {len(topics)} topics")
        plain = iter(decode_values([parameter.type for parameter in parameters if not parameter.is_indexed], data))
        topic = iter(topics[1:])
        values: dict[str, Any] = {}
        for parameter in parameters:
            if not parameter.is_indexed:
                values[parameter.name] = next(plain)
            elif parameter.is_hashed:
                values[parameter.name] = next(topic)
            else:
                values[parameter.name] = decode_values([parameter.type], next(topic))[0]
        return name, values

    def decode_revert(self, data: bytes) -> Revert:
        """Name and values of the innermost error that we know; an unknown one is named by its selector."""
        revert = Revert("Reverted")
        for _ in range(DEEPEST_NESTING):
            known = self.errors.get(data[:SELECTOR_BYTES])
            if known is None:
                if len(data) >= SELECTOR_BYTES and revert.name == "Reverted":
                    revert = Revert("0x" + data[:SELECTOR_BYTES].hex())
                return revert
            name, parameters = known
            try:
                values = decode_values([parameter.type for parameter in parameters], data[SELECTOR_BYTES:])
            except ValueError:
                return revert
            revert = Revert(
                name, {p.name or str(n): v for n, (p, v) in enumerate(zip(parameters, values, strict=True))}
            )
            inner = [value for value in values if isinstance(value, bytes) and len(value) >= SELECTOR_BYTES]
            nested = [value for value in inner if self._is_error(value)]
            if not nested:
                return revert
            data = nested[-1]
        return revert

    def _is_error(self, data: bytes) -> bool:
        # a selector and whole words: a hash or an address does not look so
        return data[:SELECTOR_BYTES] in self.errors and len(data) % WORD_BYTES == SELECTOR_BYTES


def revert_data(data: object) -> bytes | None:
    """Find the revert's bytes in the ``data`` of a JSON-RPC error, where endpoints put them in different places."""
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    if not isinstance(data, str):
        return None
    digits = data.removeprefix("Reverted ").removeprefix("0x")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def encode_values(types: Sequence[str], values: Sequence[object]) -> bytes:
    """ABI-encode values; ``ValueError`` where one does not fit its type."""
    for kind, value in zip(types, values, strict=True):
        _check_sizes(kind, value)
    try:
        return bytes(_CODEC.encode(list(types), list(values)))
    except (EncodingError, TypeError, OverflowError) as error:
        raise ValueError(f"does not fit the contract's types: {error}") from None


def decode_values(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """ABI-decode values; addresses come as 20 bytes; ``ValueError`` where the data does not decode."""
    try:
        values = _CODEC.decode(list(types), data)
    except (DecodingError, OverflowError, RecursionError) as error:
        raise ValueError(f"does not decode as the contract's types: {error}") from None
    return tuple(_plain(kind, value) for kind, value in zip(types, values, strict=True))


def _plain(kind: str, value: Any) -> Any:
    """Turn eth_abi's addresses in hexadecimal text into 20 bytes, at any depth."""
    if kind == "address":
        return bytes.fromhex(value[2:])
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        return tuple(_plain(inner, each) for each in value)
    if kind.startswith("("):
        return tuple(_plain(inner, each) for inner, each in zip(_members(kind), value, strict=True))
    return value


def _check_sizes(kind: str, value: Any) -> None:
    """Refuse short bytes, which eth_abi would fill up with zeros: half a hash is a mistake."""
    if kind.endswith("]"):
        for each in value:
            _check_sizes(kind[: kind.rindex("[")], each)
    elif kind.startswith("("):
        for inner, each in zip(_members(kind), value, strict=True):
            _check_sizes(inner, each)
    elif kind.startswith("bytes") and kind != "bytes" and len(value) != int(kind.removeprefix("bytes")):
        raise ValueError(f"{len(value)} bytes instead of {kind}")


def _members(kind: str) -> list[str]:
    """Types inside a tuple type's outer parentheses."""
    members, depth, start = [], 0, 1
    for position, character in enumerate(kind):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        if (character == "," and depth == 1) or depth == 0:
            members.append(kind[start:position])
            start = position + 1
    return [member for member in members if member]


def _type_of(value: Mapping[str, Any]) -> str:
    """An ABI entry's type with its tuples written out, as in signatures."""
    kind = str(value["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type_of(member) for member in value['components'])}){kind.removeprefix('tuple')}"


def _parameters(values: Iterable[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    return tuple(Parameter(value["name"], _type_of(value), bool(value.get("indexed"))) for value in values)


class _LenientStringDecoder(StringDecoder):  # type: ignore[misc]
    """Anybody may put bytes that are no UTF-8 into a string of calldata; they must not stop those who listen."""

    def __init__(self) -> None:
        super().__init__(handle_string_errors="replace")


def _codec() -> ABICodec:
    registry = standard_registry.copy()
    registry.unregister("string")
    registry.register(BaseEquals("string", with_sub=False), TextStringEncoder, _LenientStringDecoder, label="string")
    return ABICodec(registry)


_CODEC: Final = _codec()
