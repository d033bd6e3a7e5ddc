"""From a folder to a sealed file that is served, and from a sealed file to a folder.

Privacy ``public`` takes the same path with a key that everybody knows (32 zero bytes): no special case, one format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trio

from morphware.node.artifacts.disk import private_folder
from morphware.node.artifacts.errors import ArtifactCorrupt
from morphware.node.artifacts.metainfo import sealed_name
from morphware.node.artifacts.packing import PackingLimits, pack, unpack
from morphware.node.artifacts.sealing import open_file, seal_file
from morphware.node.ports import Artifacts
from morphware.protocol.artifacts import SealedFile

DEFAULT_LIMITS = PackingLimits()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed file on our disk, which nobody was told of yet."""

    path: Path
    sha256: bytes
    archive_sha256: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A sealed file that is served, and the hash of the archive inside, which only key holders can know."""

    file: SealedFile
    path: Path
    archive_sha256: bytes


async def seal_folder(
    source: Path, workdir: Path, *, key: bytes, context: bytes, limits: PackingLimits = DEFAULT_LIMITS
) -> Sealed:
    """Pack and seal into ``workdir/<sha256>.sealed``. The plain archive is gone afterwards, however this ends.

    Raises: ``SourceRefused``, ``DiskFull``.
    """

    def work() -> Sealed:
        check = trio.from_thread.check_cancelled
        workdir.mkdir(parents=True, exist_ok=True)
        with private_folder(workdir / "bundle") as workshop:
            archive, sealed = workshop / "archive.tar", workshop / "archive.sealed"
            archive_sha256 = pack(source, archive, limits, check)
            sha256 = seal_file(archive, sealed, key, context, check)
            path = sealed.rename(workdir / sealed_name(sha256))
        return Sealed(path, sha256, archive_sha256)

    return await trio.to_thread.run_sync(work)


async def publish_folder(
    artifacts: Artifacts,
    source: Path,
    workdir: Path,
    *,
    key: bytes,
    context: bytes,
    limits: PackingLimits = DEFAULT_LIMITS,
) -> Published:
    """Pack, seal, serve. A crash before the caller's journal has the result leaves an unused file in ``workdir``.

    Raises: ``SourceRefused``, ``DiskFull``, ``ArtifactTooLarge``, ``ArtifactUnavailable``.
    """
    sealed = await seal_folder(source, workdir, key=key, context=context, limits=limits)
    try:
        file = await artifacts.seed(sealed.path)
    except BaseException:
        sealed.path.unlink(missing_ok=True)
        raise
    return Published(file, sealed.path, sealed.archive_sha256)


async def open_bundle(
    sealed: Path,
    destination: Path,
    *,
    key: bytes,
    context: bytes,
    expected_archive_sha256: bytes | None,
    limits: PackingLimits = DEFAULT_LIMITS,
) -> None:
    """Open, check, unpack into the new folder ``destination``, which appears whole or not at all.

    Raises: ``SealBroken``, ``ArchiveRefused``, ``ArtifactCorrupt``, ``DiskFull``, ``FileExistsError``.
    """

    def work() -> None:
        check = trio.from_thread.check_cancelled
        destination.parent.mkdir(parents=True, exist_ok=True)
        with private_folder(destination) as workshop:
            archive = workshop / "archive.tar"
            found = open_file(sealed, archive, key, context, check)
            if expected_archive_sha256 is not None and found != expected_archive_sha256:
                raise ArtifactCorrupt("the sealed file opens, but holds another archive than the one committed to")
            unpack(archive, destination, limits, check)

    await trio.to_thread.run_sync(work)
