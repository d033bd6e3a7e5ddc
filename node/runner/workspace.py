"""The folders of one run: new ones that the job may write, and views of ours that it may read."""

import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import trio

from morphware.node.runner.collect import is_readable_by_others
from morphware.node.runner.sandbox import Binding, foreign_uid, runs_as_root, scratch_folder

_slots = itertools.count()


@asynccontextmanager
async def workspace(scratch: Path) -> "AsyncIterator[Workspace]":
    """A new folder below ``scratch`` that is gone afterwards, whatever the job did to it."""
    folder = scratch_folder(scratch)
    try:
        yield Workspace(folder, foreign_uid(next(_slots)) if runs_as_root() else None)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_remove, folder)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one run, and the uid that its job turns into when the node is root."""

    folder: Path
    uid: int | None

    def writable(self, name: str) -> Binding:
        """A new folder that the job owns, at ``/job/NAME``."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
        return Binding(path, f"/job/{name}", is_writable=True)

    async def shown(self, source: Path, target: str, *, without_labels: bool = False) -> list[Binding]:
        """A read-only folder; what a foreign uid could not read is copied first, and labels may be left out."""
        return await trio.to_thread.run_sync(self._shown, source, target, without_labels)

    def _shown(self, source: Path, target: str, without_labels: bool) -> list[Binding]:
        source = source.resolve(strict=True)
        if self.uid is not None and not is_readable_by_others(source):
            copy = self.folder / f"shown-{PurePosixPath(target).name}"
            _copy_readable(source, copy)
            source = copy
        return _without_labels(source, target) if without_labels else [Binding(source, target)]


def _without_labels(source: Path, target: str) -> list[Binding]:
    """Every entry on its own but labels; a link is left out, because binding it would show what it points to."""
    bindings = []
    for path in sorted(source.iterdir()):
        if path.is_symlink() or path.name.startswith("labels"):
            continue
        inside = f"{target}/{path.name}"
        if path.is_dir() and any(path.rglob("labels*")):
            bindings += _without_labels(path, inside)
        elif path.is_dir() or path.is_file():
            bindings.append(Binding(path, inside))
    return bindings


def _copy_readable(source: Path, copy: Path) -> None:
    copy.mkdir(mode=0o755)
    copy.chmod(0o755)
    for path in source.iterdir():
        target = copy / path.name
        if path.is_symlink():
            continue
        if path.is_dir():
            _copy_readable(path, target)
        elif path.is_file():
            shutil.copyfile(path, target)
            target.chmod(0o644)


def _remove(folder: Path) -> None:
    """Remove what a job may have closed to us: it can take its own rights to a folder away, not our right to its."""
    for current, names, _ in os.walk(folder):
        for name in names:
            path = Path(current) / name
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)
