"""A node's folder is begun wholly or not at all: keys and configuration are made beside it and moved in at the end."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import trio

from morphware.node import keys as node_keys
from morphware.node.config_loading import CONFIG_NAME, load_config
from morphware.node.config_text import write_example
from morphware.node.errors import BadInput
from morphware.node.keys import STANDARD_WORK, KeysExist, NoKeys
from morphware.protocol.units import Address


def account_of(folder: Path) -> Address | None:
    """The account of the keys that a data folder has already; None if there are none.

    Raises:
        KeysExposed, KeysSpoiled: there are keys, and a node would not use them.
    """
    keys_folder = folder / "keys"
    try:
        if not keys_folder.is_symlink() and keys_folder.is_dir() and not any(keys_folder.iterdir()):
            return None
        return node_keys.read_account(keys_folder)
    except NoKeys:
        if keys_folder.exists():
            raise
        return None
    except OSError as error:
        raise _unusable(folder, error) from error


def found(folder: Path, values: Mapping[str, object], password: str | None, *, work: int = STANDARD_WORK) -> Address:
    """Write the configuration, and keys unless ``password`` is None; return the account.

    Whatever stops it (Ctrl-C among it) leaves the folder as it was.

    Raises:
        BadInput: the folder cannot be used, or holds one of the two by now.
    """
    was_there = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=".init-"))
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        write_example(draft / CONFIG_NAME, values)
        # what was written says what was meant, or nothing is written
        load_config(draft / CONFIG_NAME, environment={})
        if password is None:
            account = node_keys.read_account(folder / "keys")
        else:
            account = trio.run(_create, draft / "keys", password, work)
        _move_in(draft, folder, with_keys=password is not None)
    except OSError as error:
        raise _unusable(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if not was_there and not any(folder.iterdir()):
            folder.rmdir()
    return account


async def _create(folder: Path, password: str, work: int) -> Address:
    return (await node_keys.create(folder, password, work=work)).account


def _move_in(draft: Path, folder: Path, *, with_keys: bool) -> None:
    config = folder / CONFIG_NAME
    if os.path.lexists(config):
        raise BadInput(f"{config} has just been made by somebody else: look at it before you go on.")
    if with_keys:
        try:
            (draft / "keys").rename(folder / "keys")  # refuses a folder that is not empty
        except OSError as error:
            raise KeysExist(str(folder / "keys")) from error
    (draft / CONFIG_NAME).rename(config)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"The data folder {folder} cannot be used ({error.strerror}): name another --data-folder.")
