"""The top of the command line: every failure ends in one sentence and the right exit status, never in a traceback."""

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec

import typer

from morphware.node.errors import ExitStatus, MorphwareError

P = ParamSpec("P")
_noted_folders: list[Path] = []


def note_data_folder(folder: Path) -> None:
    """From now on a bug's traceback goes there; for commands that learn their folder from the configuration."""
    _noted_folders.append(folder)


def fenced(command: Callable[P, int | None]) -> Callable[P, None]:
    """Run a command; what it returns is the exit status.

    A ``MorphwareError`` is printed as its sentence, Ctrl-C ends quietly with 130, and any other exception is our bug:
    its traceback goes to a file in the data folder, whose name is printed. Groups (trio's nurseries) are looked into.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        _noted_folders.clear()
        try:
            status = command(*args, **kwargs)
        except (typer.Exit, typer.TyperException, BrokenPipeError):
            raise  # typer's own ways to end
        except BaseException as error:  # noqa: BLE001 (the top of the command line: nothing may pass as a traceback)
            status = _explain(error, _data_folder(kwargs))
        raise typer.Exit(int(status or 0))

    return wrapper


def print_failure(sentence: str) -> None:
    """One sentence on stderr, in red where that shows; nothing in it can drive the terminal."""
    from morphware.node.log import neutral

    is_red = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    text = neutral(" ".join(sentence.split()))
    sys.stderr.write(f"\x1b[31m{text}\x1b[0m\n" if is_red else f"{text}\n")


def _explain(error: BaseException, data_folder: Path | None) -> int:
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, SystemExit):
            return leaf.code if isinstance(leaf.code, int) else int(leaf.code is not None)
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        sys.stderr.write("\n")
        return ExitStatus.INTERRUPTED
    for leaf in leaves:
        if not isinstance(leaf, MorphwareError):
            where = _write_traceback(error, data_folder)
            print_failure(
                f"Sorry, this is a bug in Morphware ({type(leaf).__name__}): its details are in {where}; "
                "please report them."
            )
            return ExitStatus.OUR_BUG
    first = next(leaf for leaf in leaves if isinstance(leaf, MorphwareError))
    print_failure(first.sentence)
    return first.exit_status


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _data_folder(arguments: dict[str, object]) -> Path | None:
    if _noted_folders:
        return _noted_folders[-1]
    folder = arguments.get("data_folder") or arguments.get("folder")
    return folder if isinstance(folder, Path) else None


def _write_traceback(error: BaseException, data_folder: Path | None) -> Path | str:
    """The file that holds the traceback: in the data folder's ``crashes``, else in the temporary folder."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    text = "".join(traceback.format_exception(error))
    if data_folder is None:
        from platformdirs import user_data_path

        data_folder = user_data_path("morphware")
    for folder in (data_folder / "crashes", Path(tempfile.gettempdir()) / f"morphware-crashes-{os.getuid()}"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        except OSError:
            continue
        return path
    sys.stderr.write(text)
    return "the lines above"
