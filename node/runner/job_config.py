"""``morphware.toml`` beside a job: what its author says once instead of on every command line."""

from pathlib import Path
from typing import Any, Final

import msgspec

from morphware.node.runner.errors import JobRefused

FILE_NAME: Final = "morphware.toml"
MAX_CONFIG_BYTES: Final = 64 << 10


class JobConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every field is optional; flags of the command line go first. ``threshold`` is in the metric's natural unit.

    ``reserve`` is in whole tokens, as text or number.  ``parameters`` are injected into a notebook.
    """

    title: str = ""
    entry: str | None = None
    metric: str | None = None
    threshold: float | None = None
    reserve: str | int | float | None = None
    estimated_seconds: int | None = None
    memory_mib: int | None = None
    requirements: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}


def read_job_config(folder: Path) -> JobConfig:
    """The folder's ``morphware.toml``, or defaults when there is none.

    Raises:
        JobRefused: it is no TOML, or says something that we do not know.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return JobConfig()
    with path.open("rb") as file:
        data = file.read(MAX_CONFIG_BYTES + 1)
    if len(data) > MAX_CONFIG_BYTES:
        raise JobRefused(f"{path} is larger than {MAX_CONFIG_BYTES} bytes.")
    try:
        config = msgspec.toml.decode(data, type=JobConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JobRefused(f"{path} cannot be used: {error}.") from error
    if config.estimated_seconds is not None and config.estimated_seconds <= 0:
        raise JobRefused(f"{path} must estimate more than 0 seconds.")
    return config
