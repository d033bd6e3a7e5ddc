"""Options that several commands share. Nothing heavy: every command imports this."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class RoleName(StrEnum):
    """typer's repeatable options know enumerations only."""

    USER = "user"
    WORKER = "worker"
    VALIDATOR = "validator"


DataFolder = Annotated[
    Path | None,
    typer.Option(
        help="The node's data folder (keys, journal, artifacts); a morphware.toml in it is its configuration."
    ),
]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the password (or MORPHWARE_PASSWORD).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]
