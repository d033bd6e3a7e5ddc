"""The Artifacts port on libtorrent: one session, the files that it serves, and the files that it is fetching.

A file is known by its SHA-256.  Callers who want the same file share one download, which ends early only when
the last of them has left.  Peers told for a file are remembered, so hints may come before the fetch that needs them.
"""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog
import trio

from morphware.node.artifacts.disk import written_whole
from morphware.node.artifacts.errors import ArtifactError, ArtifactTooLarge, ArtifactUnavailable, ListenFailed
from morphware.node.artifacts.fetch import Fetch, FetchPatience, dial
from morphware.node.artifacts.metainfo import (
    LARGEST_FILE_BYTES,
    Magnet,
    Metainfo,
    describe_file,
    magnet_link,
    read_magnet,
    require_sound,
    usable_peers,
)
from morphware.node.artifacts.session import Signal, Torrent, TorrentSession
from morphware.node.ports import PeerAddress, Transfer
from morphware.protocol.artifacts import SealedFile

log = structlog.get_logger()

PROGRESS_S = 0.5
PEERS_PER_FILE = 256
FILES_WITH_HINTS = 4096
"""Bounds on what strangers' hints make us remember; the oldest file is forgotten first."""


@dataclass(frozen=True, slots=True)
class TorrentSettings:
    """What the node's configuration says of artifacts."""

    listen: str = "127.0.0.1:0"
    advertise: str | None = None
    """The address that others reach us at, where it is not the one that we listen on."""

    max_size_bytes: int = 8 << 30
    patience: FetchPatience = field(default_factory=FetchPatience)


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """One line of a dashboard."""

    sha256: bytes
    role: Literal["seeding", "fetching"]
    done_bytes: int
    total_bytes: int
    uploaded_bytes: int
    download_bytes_s: float
    upload_bytes_s: float
    peers: int


@dataclass(frozen=True, slots=True)
class _Seed:
    file: SealedFile
    path: Path
    torrent: Torrent


@dataclass(slots=True)
class _SharedFetch:
    fetch: Fetch
    folder: Path
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    done: trio.Event = field(default_factory=trio.Event)
    waiters: int = 0
    error: ArtifactError | None = None
    is_fetched: bool = False


_FetchKey = tuple[bytes, int, bytes]
"""SHA-256, size, infohash: a wrong magnet for a right hash must not spoil the fetch by the right magnet."""


class LibtorrentArtifacts:
    """The port ``morphware.node.ports.Artifacts``; made by ``serve_artifacts``."""

    def __init__(self, session: TorrentSession, settings: TorrentSettings, nursery: trio.Nursery) -> None:
        self._session, self._settings, self._nursery = session, settings, nursery
        self._address = (settings.advertise or _host(settings.listen), session.port)
        self._seeds: dict[bytes, _Seed] = {}
        self._fetches: dict[_FetchKey, _SharedFetch] = {}
        self._hints: dict[bytes, dict[PeerAddress, None]] = {}
        self._changing = trio.Lock()  # seeds are added and removed one after another
        self._is_open = True

    @property
    def address(self) -> PeerAddress:
        """Where other peers reach this node."""
        return self._address

    async def seed(self, path: Path) -> SealedFile:
        """Serve a file; idempotent. Returns only when a peer that connects now is served.

        Serving again, from this or another path, in this or another process, gives the same infohash.

        Raises:
            ArtifactTooLarge: the file exceeds this node's limit.
            ArtifactUnavailable: it is empty or no plain file, or libtorrent failed.
        """
        path, size_bytes = await trio.to_thread.run_sync(_resolved_with_size, path)
        self._require_size(size_bytes)
        described = await trio.to_thread.run_sync(describe_file, path, trio.from_thread.check_cancelled)
        return (await self._serve(path, described)).file

    async def fetch(
        self,
        file: SealedFile,
        destination: Path,
        *,
        peers: Sequence[PeerAddress] = (),
        progress: Callable[[Transfer], None] | None = None,
    ) -> Path:
        """Fetch into ``destination`` (a folder), keep seeding, return the path. An intact file is not fetched again.

        Raises:
            ArtifactTooLarge: the file exceeds this node's limit; nothing was fetched.
            ArtifactUnavailable: no peer served it in time.
            ArtifactCorrupt: what the peers serve is not the announced file.
            DiskFull: there is no room for it.
        """
        require_sound(file)
        self._require_size(file.size_bytes)
        magnet = read_magnet(file.magnet)
        self.add_peers(file, [*peers, *magnet.peers])
        destination = await trio.to_thread.run_sync(_made_folder, destination)
        while True:
            if (path := await self._at_hand(file, destination)) is not None:
                return path
            async with self._changing:  # whoever is about to serve it has finished
                if file.sha256 in self._seeds:
                    continue
                shared = self._join(file, magnet, destination)
            await self._follow(shared, progress)
            if shared.error is not None:
                raise type(shared.error)(*shared.error.args) from shared.error
            if shared.is_fetched and shared.folder == destination:
                return shared.fetch.final

    def add_peers(self, file: SealedFile, peers: Sequence[PeerAddress]) -> None:
        """Tell a running or later fetch of this file of more peers; addresses that cannot be dialled are dropped."""
        known = self._hints.pop(file.sha256, {})
        self._hints[file.sha256] = known  # the file that was spoken of last is forgotten last
        new = [peer for peer in usable_peers(peers) if peer not in known and peer != self._address]
        known.update(dict.fromkeys(new[: PEERS_PER_FILE - len(known)]))
        while len(self._hints) > FILES_WITH_HINTS:
            del self._hints[next(iter(self._hints))]
        for (sha256, _, _), shared in self._fetches.items():
            if sha256 == file.sha256:
                shared.fetch.connect(new)
        if (seed := self._seeds.get(file.sha256)) is not None:
            dial(seed.torrent, new)

    async def unseed(self, file: SealedFile) -> None:
        """Stop serving; the file stays."""
        async with self._changing:
            if (seed := self._seeds.pop(file.sha256, None)) is not None:
                await self._session.remove(seed.torrent)

    def transfers(self) -> list[TransferStatus]:
        """What moves at present, for dashboards."""
        seeding = [_status(seed.torrent, seed.file, "seeding") for seed in self._seeds.values()]
        fetching = [
            _status(shared.fetch.torrent, shared.fetch.file, "fetching")
            for shared in self._fetches.values()
            if shared.fetch.torrent is not None
        ]
        return [status for status in seeding + fetching if status is not None]

    def close(self) -> None:
        """Refuse further work; fetches under way have been cancelled."""
        self._is_open = False

    def _require_size(self, size_bytes: int) -> None:
        limit_bytes = min(self._settings.max_size_bytes, LARGEST_FILE_BYTES)
        if size_bytes > limit_bytes:
            raise ArtifactTooLarge(f"{size_bytes} bytes, the limit is {limit_bytes}")

    def _require_open(self) -> None:
        if not self._is_open:
            raise ArtifactUnavailable("the node is shutting down")

    async def _at_hand(self, file: SealedFile, destination: Path) -> Path | None:
        """The file in ``destination``, served, if it lies there intact or can be copied from what we serve."""
        final = destination / f"{file.sha256.hex()}.sealed"
        described = await _described(final, file)
        if described is None and (seed := self._seeds.get(file.sha256)) is not None:
            if await _described(seed.path, file) is None:
                await self.unseed(file)  # it was changed or deleted behind our back
            else:
                await trio.to_thread.run_sync(_duplicate, seed.path, final)
                described = await _described(final, file)
        if described is None:
            return None
        if (seed := self._seeds.get(file.sha256)) is None or seed.path == final:
            await self._serve(final, described)
        return final

    async def _serve(self, path: Path, described: Metainfo) -> _Seed:
        async with self._changing:
            self._require_open()
            for shared in [shared for key, shared in self._fetches.items() if key[2] == described.infohash]:
                shared.scope.cancel()  # whoever waits for it finds the file served instead
                await shared.done.wait()
            seed = self._seeds.get(described.sha256)
            if seed is not None and seed.path == path and _is_healthy(seed.torrent):
                return seed
            for other in [other for other in self._seeds.values() if other.path == path or other is seed]:
                del self._seeds[other.file.sha256]
                await self._session.remove(other.torrent)
            torrent = await self._session.seed(described.infohash, described.torrent, path)
            return self._enter(path, described.sha256, described.size_bytes, torrent)

    def _enter(self, path: Path, sha256: bytes, size_bytes: int, torrent: Torrent) -> _Seed:
        file = SealedFile(magnet_link(torrent.infohash, [self._address]), size_bytes, sha256)
        self._seeds[sha256] = seed = _Seed(file, path, torrent)
        log.info("artifact_seeded", sha256=sha256.hex(), size_bytes=size_bytes, infohash=torrent.infohash.hex())
        return seed

    def _join(self, file: SealedFile, magnet: Magnet, folder: Path) -> _SharedFetch:
        self._require_open()
        key = (file.sha256, file.size_bytes, magnet.infohash)
        if (shared := self._fetches.get(key)) is None:

            def hints() -> tuple[PeerAddress, ...]:
                return tuple(self._hints.get(file.sha256, ()))

            fetch = Fetch(self._session, file, magnet, folder, hints, self._settings.patience)
            shared = self._fetches[key] = _SharedFetch(fetch, folder)
            self._nursery.start_soon(self._run, key, shared)
        return shared

    async def _run(self, key: _FetchKey, shared: _SharedFetch) -> None:
        started_at = trio.current_time()
        try:
            with shared.scope:
                torrent = await shared.fetch.run()
                self._enter(shared.fetch.final, key[0], key[1], torrent)
                shared.is_fetched = True
                log.info("artifact_fetched", sha256=key[0].hex(), seconds=round(trio.current_time() - started_at, 3))
        except ArtifactError as error:
            shared.error = error
        except OSError as error:
            shared.error = ArtifactUnavailable(f"the disk failed: {error}")
            shared.error.__cause__ = error
        finally:
            del self._fetches[key]
            shared.done.set()

    async def _follow(self, shared: _SharedFetch, progress: Callable[[Transfer], None] | None) -> None:
        """Wait for the end, reporting; the last one to leave early takes the download down, and sees it gone."""
        shared.waiters += 1
        try:
            while not shared.done.is_set():
                with trio.move_on_after(PROGRESS_S):
                    await shared.done.wait()
                if progress is not None:
                    progress(shared.fetch.latest)
        finally:
            shared.waiters -= 1
            if not shared.waiters and not shared.done.is_set():
                shared.scope.cancel()
                with trio.CancelScope(shield=True):
                    await shared.done.wait()


async def serve_artifacts(
    settings: TorrentSettings,
    *,
    task_status: trio.TaskStatus[LibtorrentArtifacts] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the BitTorrent side of a node until cancelled; ``nursery.start`` gives the port. Raises ``ListenFailed``."""
    if settings.advertise is None and ipaddress.ip_address(_host(settings.listen)).is_unspecified:
        raise ListenFailed(f"{settings.listen} listens everywhere, so the address to advertise must be configured too")
    session = TorrentSession(settings.listen)
    try:
        async with trio.open_nursery() as pumping:
            pump_scope = trio.CancelScope(shield=True)  # alerts are needed until the last clean-up is done
            pumping.start_soon(_pump, session, pump_scope)
            try:
                async with trio.open_nursery() as fetching:
                    artifacts = LibtorrentArtifacts(session, settings, fetching)
                    try:
                        task_status.started(artifacts)
                        await trio.sleep_forever()
                    finally:
                        artifacts.close()
            finally:
                pump_scope.cancel()
    finally:
        await session.close()


def _host(listen: str) -> str:
    return listen.rpartition(":")[0].removeprefix("[").removesuffix("]")


async def _pump(session: TorrentSession, scope: trio.CancelScope) -> None:
    with scope:
        await session.pump()


async def _described(path: Path, file: SealedFile) -> Metainfo | None:
    """The torrent of ``path`` if it is this very file."""

    def describe() -> Metainfo | None:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size_bytes:
            return None
        described = describe_file(path, trio.from_thread.check_cancelled)
        return described if described.sha256 == file.sha256 else None

    return await trio.to_thread.run_sync(describe)


def _resolved_with_size(path: Path) -> tuple[Path, int]:
    path = path.resolve()
    if not path.is_file() or not (size_bytes := path.stat().st_size):
        raise ArtifactUnavailable(f"{path} is not a file with content")
    return path, size_bytes


def _made_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _duplicate(source: Path, final: Path) -> None:
    with source.open("rb") as reader, written_whole(final) as writer:
        shutil.copyfileobj(reader, writer)


def _is_healthy(torrent: Torrent) -> bool:
    return bool(torrent.handle.is_valid()) and not torrent.watch.has(Signal.FAILED)


def _status(torrent: Torrent, file: SealedFile, role: Literal["seeding", "fetching"]) -> TransferStatus | None:
    if not torrent.handle.is_valid():
        return None
    status = torrent.handle.status()
    return TransferStatus(
        sha256=file.sha256,
        role=role,
        done_bytes=file.size_bytes if role == "seeding" else min(status.total_wanted_done, file.size_bytes),
        total_bytes=file.size_bytes,
        uploaded_bytes=status.total_payload_upload,
        download_bytes_s=float(status.download_payload_rate),
        upload_bytes_s=float(status.upload_payload_rate),
        peers=status.num_peers,
    )
