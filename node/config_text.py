"""The configuration for people: what is in force and why, and an example file that explains every key."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from morphware.node.config import redact_url
from morphware.node.config_loading import SECTIONS, Loaded
from morphware.node.errors import BadInput

NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


def printed_config(loaded: Loaded) -> str:
    """One line for each setting: its value as in the file, and where it came from; secrets stay hidden."""
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for field, value in _shown(loaded, section).items():
            origin = loaded.origins[f"{section}.{field}"]
            lines.append(f"{_line(field, value):<56} # {origin}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def printed_config_json(loaded: Loaded) -> str:
    """The same as a JSON object of ``section.field`` to ``{"value", "origin"}``."""
    settings = {
        f"{section}.{field}": {"value": value, "origin": loaded.origins[f"{section}.{field}"]}
        for section in SECTIONS
        for field, value in _shown(loaded, section).items()
    }
    return json.dumps(settings, indent=2) + "\n"


def write_example(path: Path, values: Mapping[str, object] = NOTHING) -> None:
    """Write a configuration in which every key is explained, and commented out at its default unless it has a value.

    It may come to hold the chain's secret address, so it is for its owner's eyes alone.

    Args:
        values: ``section.field`` to a plain value: text, number, truth, or a list of texts.

    Raises:
        BadInput: the file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(example_text(values))
    except FileExistsError as error:
        raise BadInput(f"{path} is there already: choose another name, or remove it first.") from error
    except UnicodeEncodeError as error:
        raise BadInput(f"A path is no text ({error.reason}), so {path} cannot hold it: choose another one.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}): choose another folder.") from error


def example_text(values: Mapping[str, object] = NOTHING) -> str:
    """What ``write_example`` writes."""
    lines = [
        "# Morphware's configuration. A key after '# ' stands at its default: remove the '# ' to change it.",
        "# MORPHWARE_<SECTION>_<KEY> in the environment goes before this file, and flags go before both.",
    ]
    for section, struct in SECTIONS.items():
        lines += ["", f"# {(struct.__doc__ or '').splitlines()[0]}", f"[{section}]"]
        for field in msgspec.structs.fields(struct):
            key = f"{section}.{field.name}"
            line = (
                _line(field.name, values[key])
                if key in values
                else f"# {_line(field.name, plain_setting(_example(field)))}"
            )
            lines += [f"# {_note(field.type).description}", line]
    return "\n".join(lines) + "\n"


def _shown(loaded: Loaded, section: str) -> dict[str, Any]:
    struct = getattr(loaded.config, section)
    shown = {field: plain_setting(getattr(struct, field)) for field in struct.__struct_fields__}
    if section == "chain":
        shown["rpc_url"] = redact_url(shown["rpc_url"])
    return shown


def plain_setting(value: object) -> Any:
    """A setting's value as the file can hold it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _line(field: str, value: Any) -> str:
    # TOML's strings, numbers and lists of strings are written as JSON writes them, but for one character that it wants
    # escaped; TOML has no null.
    if value is None:
        return f"{field} is not set"
    return f"{field} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007F")


def _example(field: msgspec.structs.FieldInfo) -> Any:
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if isinstance(default, Path) and default.is_relative_to(Path.home()):
        return str(Path("~") / default.relative_to(Path.home()))
    return (_note(field.type).examples or [None])[0] if default is None else default


def _note(annotated: Any) -> msgspec.Meta:
    """The part of a field's type that describes it."""
    notes: tuple[msgspec.Meta, ...] = annotated.__metadata__
    return next(note for note in notes if note.description)


def description_of(section: type[msgspec.Struct], name: str) -> str:
    """What a field of a section is for."""
    wanted = next(field for field in msgspec.structs.fields(section) if field.name == name)
    return _note(wanted.type).description or ""
