"""Under which headings `morphware --help` shows the commands, in the order of their first command."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import typer

BEGIN: Final = "Begin"
JOBS: Final = "Jobs"
NODE: Final = "The running node"
MONEY: Final = "Money"
SET_UP: Final = "Keys, markets and settings"


Verb = tuple[str, Callable[..., Any], str]
"""A command's name, what it does, and an example of its use."""


def add_verbs(app: typer.Typer, panel: str, verbs: Iterable[Verb]) -> None:
    """Add commands under one heading."""
    for name, command, example in verbs:
        app.command(name, epilog=f"Example: morphware {example}", rich_help_panel=panel)(command)
