"""Merges file, environment and flags into one ``Config``, or says in one sentence which key of which source is wrong.

Later sources win: defaults, the file, ``MORPHWARE_<SECTION>_<FIELD>``, flags. Unknown keys are refused with the
nearest known one. Relative paths in the file are relative to the file's folder.  There is one file: the one that is
named, or else ``morphware.toml`` in the data folder, where ``morphware init`` writes it.
"""

import difflib
import ipaddress
import math
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from morphware.node.addresses import is_everywhere
from morphware.node.amounts import parse_tokens
from morphware.node.config import Config, NodeSection, Role
from morphware.node.errors import BadInput
from morphware.node.idleness import parse_hours

CONFIG_NAME = "morphware.toml"
"""The configuration in a data folder."""
ENVIRONMENT_PREFIX = "MORPHWARE_"
FILE_SIZE_MAX_BYTES = 1 << 20
CHANGE: Final = "change"
"""The origin of a setting that is changed while the node runs."""
SECTIONS: dict[str, type[msgspec.Struct]] = {field.name: field.type for field in msgspec.structs.fields(Config)}

FLAGS = {
    "node.roles": "--role",
    "node.data_folder": "--data-folder",
    "node.name": "--name",
    "chain.rpc_url": "--rpc-url",
}
"""Settings with a flag of their own; every other is given by ``--set section.field=value``."""

_PATHS = frozenset({("node", "data_folder"), ("chain", "deployment"), ("keys", "password_file")})
_LISTS = frozenset({("node", "roles"), ("gossip", "bootstrap"), ("idle", "work_hours"), ("idle", "programs")})
_OPTIONAL = frozenset({("chain", "deployment"), ("chain", "chain_id"), ("keys", "password_file")})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and for each ``section.field`` where its value came from."""

    config: Config
    origins: Mapping[str, str]


def chosen_data_folder(environment: Mapping[str, str] = os.environ, flags: Mapping[str, object] | None = None) -> Path:
    """The data folder that flags, else the environment, name before any file is read; else the default one."""
    named = (flags or {}).get("node.data_folder") or environment.get(f"{ENVIRONMENT_PREFIX}NODE_DATA_FOLDER")
    return Path(str(named)).expanduser().absolute() if named else NodeSection().data_folder


def load_config(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, object] | None = None,
    flag_names: Mapping[str, str] = FLAGS,
) -> Loaded:
    """Merge all sources.

    Args:
        file: must exist when given; otherwise MORPHWARE_CONFIG, otherwise the data folder's file if there is one.
        environment: the variables.
        flags: ``"section.field"`` to a typed value, or to text as in the environment; None means not given.
        flag_names: how the command calls a setting's flag, for origins and complaints.

    Raises:
        BadInput: the first mistake found, with its source and key.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    origins = {f"{section}.{field}": "default" for section in SECTIONS for field in _field_names(section)}
    for source in (
        _from_file(chosen_file(file, environment, flags)),
        _from_environment(environment),
        _from_flags(flags or {}, flag_names),
    ):
        for origin, section, field, value in source:
            values[section][field] = _converted(value, section, field, origin)
            origins[f"{section}.{field}"] = origin
    # The values are converted already; this only builds the structs, section by section.
    config = msgspec.convert({name: SECTIONS[name](**fields) for name, fields in values.items()}, Config)
    _check(config, origins)
    return Loaded(config, origins)


def changed_setting(name: str, value: object) -> Any:
    """A value that the owner of a running node gives one setting, held to the same bounds; text as on a command line.

    Raises:
        BadInput: the sentence begins with the setting's name.
    """
    section, _, field = name.partition(".")
    typed = _from_text(section, field, value) if isinstance(value, str) else value
    converted = _converted(typed, section, field, CHANGE, is_strict=not isinstance(value, str))
    _check_meaning(section, field, converted, CHANGE)
    return converted


def chosen_file(
    file: Path | None, environment: Mapping[str, str] = os.environ, flags: Mapping[str, object] | None = None
) -> Path | None:
    """The configuration that is read: the given one, else MORPHWARE_CONFIG's, else the data folder's; None: no file.

    A file in the data folder is for the commands that name the folder; a ``data_folder`` inside it leads no further.
    """
    if file is not None:
        return file
    if named := environment.get("MORPHWARE_CONFIG"):
        return Path(named)
    usual = chosen_data_folder(environment, flags) / CONFIG_NAME
    # unlike Path.is_file, this takes a folder that we may not enter for one without the file
    return usual if os.path.isfile(usual) else None  # noqa: PTH113


_Setting = tuple[str, str, str, object]
"""Origin, section, field, value."""


def _from_file(file: Path | None) -> Iterator[_Setting]:
    if file is None:
        return
    try:
        if file.stat().st_size > FILE_SIZE_MAX_BYTES:
            raise BadInput(f"{file} is larger than 1 MiB, so it is no configuration of ours: give another --config.")
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"The configuration {file} cannot be read ({error.strerror}): check it, --config and MORPHWARE_CONFIG."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not valid TOML ({error}): mend that line.") from error
    for section, fields in tables.items():
        require_known(section, SECTIONS, f"{file}: there is no section [{section}]")
        if not isinstance(fields, dict):
            raise BadInput(f"{file}: {section} must be a table: write [{section}] above its keys.")
        for field, value in fields.items():
            require_known(field, _field_names(section), f"{file}: there is no key {field} in [{section}]")
            if (section, field) in _PATHS and isinstance(value, str):
                value = str(file.absolute().parent / Path(value).expanduser())
            yield f"file {file}", section, field, value


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Setting]:
    for variable, text in sorted(environment.items()):
        for section in SECTIONS:
            prefix = f"{ENVIRONMENT_PREFIX}{section.upper()}_"
            if variable.startswith(prefix):
                field = variable.removeprefix(prefix).lower()
                names = {f"{prefix}{name.upper()}": None for name in _field_names(section)}
                require_known(variable, names, f"The environment variable {variable} names no setting")
                yield f"environment {variable}", section, field, _from_text(section, field, text)


def _from_flags(flags: Mapping[str, object], names: Mapping[str, str]) -> Iterator[_Setting]:
    for key, value in flags.items():
        if value is None:
            continue
        section, _, field = key.partition(".")
        require_known(key, {f"{s}.{f}": None for s in SECTIONS for f in _field_names(s)}, f"There is no setting {key}")
        yield (
            f"flag {names.get(key, '--set')}",
            section,
            field,
            _from_text(section, field, value) if isinstance(value, str) else value,
        )


def _from_text(section: str, field: str, text: str) -> object:
    """Values of the environment: lists are separated by commas, and empty text unsets what may be unset."""
    if (section, field) in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if not text and (section, field) in _OPTIONAL:
        return None
    return text


def _field_names(section: str) -> tuple[str, ...]:
    return SECTIONS[section].__struct_fields__


def require_known(name: str, known: Mapping[str, object] | tuple[str, ...], complaint: str) -> None:
    """Raise ``BadInput`` with the complaint, and the name that may have been meant, unless the name is known."""
    if name in known:
        return
    nearest = difflib.get_close_matches(name, list(known), n=1)
    advice = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}."
    raise BadInput(f"{complaint}: {advice}")


def _converted(value: object, section: str, field: str, origin: str, *, is_strict: bool | None = None) -> object:
    wanted = next(f.type for f in msgspec.structs.fields(SECTIONS[section]) if f.name == field)
    # Only text from outside the file is loose ("1.5" for a number); the file says a number when it means one.
    strict = origin.startswith("file ") if is_strict is None else is_strict
    try:
        converted: object = msgspec.convert(value, wanted, strict=strict, dec_hook=_decode_path)
        if isinstance(converted, float) and not math.isfinite(converted):
            raise msgspec.ValidationError("Expected a finite number")
        return converted
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadInput(f"{_where(origin, section, field)} is not usable: {_sentence(error, wanted)}.") from error


_TYPE_WORDS = {
    "`int | null`": "a whole number", "`int`": "a whole number", "`float`": "a number", "`str`": "text",
    "`array`": "a list", "`bool`": "true or false", "`object`": "a table",
}  # fmt: skip


def _decode_path(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        return Path(value).expanduser().absolute()
    raise msgspec.ValidationError("Expected a path")


def _sentence(error: Exception, wanted: Any) -> str:
    """msgspec's words for people: "Expected `int` >= 1" reads "it must be a whole number >= 1"."""
    text = str(error).partition(" - at ")[0]
    if text.startswith("Invalid enum value"):
        return f"{text.removeprefix('Invalid enum value ')} is none of {', '.join(_words(wanted))}"
    text = text.replace("Expected", "it must be", 1).replace(", got", ", not", 1).replace("matching regex", "matching")
    for markup, words in _TYPE_WORDS.items():
        text = text.replace(markup, words)
    return text


def _words(wanted: Any) -> list[str]:
    """The words of the first ``Literal`` inside a type."""
    if get_origin(wanted) is Literal:
        return [str(word) for word in get_args(wanted)]
    return next(filter(None, map(_words, get_args(wanted))), [])


def _where(origin: str, section: str, field: str) -> str:
    if origin == CHANGE:
        return f"{section}.{field}"
    if origin.startswith("file "):
        return f"{origin.removeprefix('file ')}: {field} in [{section}]"
    return f"The setting {section}.{field} ({origin})"


def _check(config: Config, origins: Mapping[str, str]) -> None:
    """What types cannot say."""

    def refuse(section: str, field: str, advice: str) -> BadInput:
        return BadInput(f"{_where(origins[f'{section}.{field}'], section, field)} is not usable: {advice}")

    if not config.node.roles or len(set(config.node.roles)) != len(config.node.roles):
        raise refuse("node", "roles", f"name each role once, at least one of {', '.join(get_args(Role))}.")
    if not _is_http(config.chain.rpc_url):
        raise refuse("chain", "rpc_url", "it must begin with http:// or https:// and name a host.")
    if config.chain.chain_id is not None and not 1 <= config.chain.chain_id < 2**63:
        raise refuse("chain", "chain_id", "it must be a positive integer.")
    if not _is_multiaddress(config.gossip.listen):
        raise refuse("gossip", "listen", "write a multiaddress like /ip4/127.0.0.1/tcp/4101.")
    for address in config.gossip.bootstrap:
        if not address.startswith("/") or "/p2p/" not in address:
            raise refuse("gossip", "bootstrap", f"{address!r} is no multiaddress that ends in /p2p/PEER.")
    for section, listen in (("artifacts", config.artifacts.listen), ("web", config.web.listen)):
        host, _, port = listen.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port[:6]) > 65_535:
            raise refuse(section, "listen", "write host:port, like 127.0.0.1:4102, with a port up to 65535.")
    for section, listen in (("gossip", config.gossip.listen), ("artifacts", config.artifacts.listen)):
        if is_everywhere(listen) and not config.node.advertise:
            advice = "to listen on every interface, set [node] advertise to the address that others reach you at."
            raise refuse(section, "listen", advice)
    for section, field in _MEANT:
        origin = origins[f"{section}.{field}"]
        _check_meaning(section, field, getattr(getattr(config, section), field), origin)


_MEANT: Final[dict[tuple[str, str], Callable[[Any], object]]] = {
    ("worker", "price_per_hour"): parse_tokens,
    ("worker", "minimum_price"): parse_tokens,
    ("idle", "work_hours"): parse_hours,
}
"""Settings whose text means something, and what reads it."""


def _check_meaning(section: str, field: str, value: Any, origin: str) -> None:
    try:
        if (parse := _MEANT.get((section, field))) is not None:
            parse(value)
    except BadInput as error:
        raise BadInput(f"{_where(origin, section, field)} is not usable: {error.sentence}") from error


def _is_multiaddress(text: str) -> bool:
    """Whether it is one of a TCP port of this machine."""
    words = text.split("/")
    try:
        is_version_4 = ipaddress.ip_address(words[2]).version == 4
        return words[:2] == ["", "ip4" if is_version_4 else "ip6"] and words[3] == "tcp" and int(words[4]) < 65_536
    except (ValueError, IndexError):
        return False


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
