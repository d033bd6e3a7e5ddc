"""Events and effects as JSON and back, for the journal: exact for integers of any size, bytes as hex.

Every value of a known class becomes ``{"_": class name, field: ...}``; the classes are listed, so that a journal can
name nothing else.  (MessagePack and msgspec stop at 64-bit integers, and money does not.)
"""

import dataclasses
import json
from enum import IntEnum
from typing import Any

import msgspec

from morphware.node import account_events
from morphware.node.offers import Offer
from morphware.protocol import calls, chain_events, effects, events, messages, states
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.user import Submission
from morphware.protocol.worker import WorkerPolicy

_CLASSES: dict[str, type] = {
    name: value
    for module in (calls, chain_events, effects, events, messages, account_events)
    for name, value in vars(module).items()
    if isinstance(value, type) and value.__module__ == module.__name__ and not issubclass(value, IntEnum)
}
_CLASSES |= {"SealedFile": SealedFile, "Submission": Submission, "WorkerPolicy": WorkerPolicy, "Offer": Offer}
_ENUMS: dict[str, type[IntEnum]] = {"State": states.State, "Outcome": states.Outcome, "Verdict": states.Verdict}


def to_json(value: object) -> str:
    """The journal's text of an event, an effect or anything that they are made of."""
    return json.dumps(to_plain(value), separators=(",", ":"))


def from_json(text: str) -> Any:
    """The value that ``to_json`` wrote."""
    return from_plain(json.loads(text))


def to_plain(value: object) -> Any:
    """Lists, dictionaries, texts, numbers and booleans that say the same."""
    match value:
        case IntEnum():
            return {"_": type(value).__name__, "name": value.name}
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"_": "bytes", "hex": value.hex()}
        case tuple() | list():
            return [to_plain(item) for item in value]
        case msgspec.Struct():
            return {"_": type(value).__name__} | {
                name: to_plain(getattr(value, name)) for name in value.__struct_fields__
            }
    if dataclasses.is_dataclass(value) and type(value).__name__ in _CLASSES:
        return {"_": type(value).__name__} | {
            field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    msg = f"{type(value).__name__} has no place in the journal"
    raise TypeError(msg)


def from_plain(plain: Any) -> Any:
    """The value that ``to_plain`` turned into plain data; sequences come back as tuples."""
    if isinstance(plain, list):
        return tuple(from_plain(item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    name = plain["_"]
    if name == "bytes":
        return bytes.fromhex(plain["hex"])
    if name in _ENUMS:
        return _ENUMS[name][plain["name"]]
    return _CLASSES[name](**{key: from_plain(item) for key, item in plain.items() if key != "_"})
