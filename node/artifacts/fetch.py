"""One file is fetched in four steps, and nothing is believed before it is checked.

1. *Learn*: the metadata alone is asked for, in a torrent that may not write, so nothing touches the disk.
2. *Judge*: the metadata must be, byte for byte, what ``metainfo`` derives from the announced hash and size.
3. *Download* into ``<infohash>.part``.  A v1 torrent hashes whole pieces, so when a liar and an honest peer both
   contributed to a bad piece, libtorrent may ban the honest one too, and the download would stall for ever (5 of
   40 did).  So when nothing moves for a while, it starts over with the pieces that it has, and one peer at a time
   (0 of 40).
4. *Prove*: flush ("finished" is not yet "on disk"), compare the SHA-256, and only then rename; seeding goes on.

A fetch that ends in any other way leaves no ``.part`` behind.  A ``.part`` that a crash left is used: libtorrent
checks it piece by piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import libtorrent as lt
import structlog
import trio

from morphware.node.artifacts.disk import require_space, sha256_of
from morphware.node.artifacts.errors import ArtifactCorrupt, ArtifactUnavailable
from morphware.node.artifacts.metainfo import Magnet, Metainfo, require_canonical, sealed_name
from morphware.node.artifacts.session import Signal, Torrent, TorrentSession, disk_patience
from morphware.node.ports import PeerAddress, Transfer
from morphware.protocol.artifacts import SealedFile

log = structlog.get_logger()

LOOK_S = 0.5
"""How often progress is read; the end of a download is told at once by an alert."""

ASK_AGAIN_S = 10.0
"""How long one attempt to learn the metadata lasts; a new one dials every peer afresh."""


@dataclass(frozen=True, slots=True)
class FetchPatience:
    """How long a fetch waits for peers that do nothing."""

    stall_s: float = 3.0
    """Without a new byte for this long, the download starts over with one peer."""

    give_up_s: float = 120.0
    """Without a new piece that proved right for this long, the file is unavailable. Callers add their own deadline."""


class Fetch:
    """The download of one file into one folder."""

    def __init__(
        self,
        session: TorrentSession,
        file: SealedFile,
        magnet: Magnet,
        folder: Path,
        peers: Callable[[], Sequence[PeerAddress]],
        patience: FetchPatience,
    ) -> None:
        self._session, self.file, self._magnet, self._peers = session, file, magnet, peers
        self._folder, self._patience = folder, patience
        self._part = folder / f"{magnet.infohash.hex()}.part"
        self._moved_at, self._most_pieces = trio.current_time(), 0
        self.final = folder / sealed_name(file.sha256)
        self.latest = Transfer(done_bytes=0, total_bytes=file.size_bytes, rate_bytes_s=0.0, peers=0)
        self.torrent: Torrent | None = None

    async def run(self) -> Torrent:
        """Fetch, verify, rename; the torrent that is returned seeds ``final``.

        Raises:
            ArtifactUnavailable: nobody served it for ``give_up_s``, or the transfer failed.
            ArtifactCorrupt: the metadata or the bytes are not the announced file.
            DiskFull: there is no room for it.
        """
        self._clear_the_way()
        self._moved_at = trio.current_time()
        info = await self._learn()
        require_canonical(info, self.file)
        is_proven = False
        try:
            torrent = await self._download(info)
            await self._prove(torrent)
            await self._session.remove(torrent)
            self.torrent = None
            self.final.unlink(missing_ok=True)  # the caller saw that it is not this file
            self._part.rename(self.final)
            is_proven = True
            described = Metainfo(self.file.sha256, self.file.size_bytes, info)
            # Begun again: a torrent whose file was renamed under it sent newcomers other bytes as metadata.
            return await self._session.seed(self._magnet.infohash, described.torrent, self.final)
        finally:
            if not is_proven:
                if self.torrent is not None:
                    await self._session.remove(self.torrent, delete=True)
                self._part.unlink(missing_ok=True)

    def connect(self, peers: Sequence[PeerAddress]) -> None:
        """Dial further peers now."""
        if self.torrent is not None:
            dial(self.torrent, peers)

    def _clear_the_way(self) -> None:
        """What a crash left is used if it can be: a plain file, no longer than the whole."""
        left_bytes = 0
        if self._part.is_symlink() or self._part.exists():
            if self._part.is_symlink() or self._part.stat().st_size > self.file.size_bytes:
                self._part.unlink()
            else:
                left_bytes = self._part.stat().st_blocks * 512
        require_space(self._folder, max(0, self.file.size_bytes - left_bytes))

    async def _learn(self) -> bytes:
        flags = lt.torrent_flags
        while True:
            parameters = self._session.parameters(self._magnet.infohash)
            parameters.save_path = str(self._folder)
            parameters.peers = list(self._peers())
            parameters.flags |= flags.upload_mode | flags.default_dont_download
            self.torrent = torrent = self._session.add(self._magnet.infohash, parameters)
            try:
                with trio.move_on_after(min(ASK_AGAIN_S, self._patience.give_up_s)):
                    await torrent.watch.until(Signal.METADATA)
                    if (learned := torrent.handle.torrent_file()) is not None:
                        return learned.info_section()
            finally:
                await self._session.remove(torrent)
                self.torrent = None
            self._require_patience("no peer told what the file consists of")

    async def _download(self, metadata: bytes) -> Torrent:
        alone: list[PeerAddress] = []
        have: list[bool] = []
        stall_s = self._patience.stall_s
        self._moved_at = trio.current_time()
        while True:
            parameters = self._session.parameters(self._magnet.infohash)
            parameters.save_path = str(self._folder)
            parameters.renamed_files = {0: self._part.name}
            parameters.peers = alone[:1] or list(self._peers())
            if any(have):
                parameters.have_pieces = have
            self.torrent = torrent = self._session.add(self._magnet.infohash, parameters)
            torrent.handle.set_metadata(metadata)
            if await self._finished(torrent, stall_s):
                return torrent
            have = list(torrent.handle.status(lt.torrent_handle.query_pieces).pieces)
            log.info(
                "artifact_fetch_restarted",
                sha256=self.file.sha256.hex(),
                pieces=sum(have),
                corrupt_pieces=torrent.watch.corrupt_pieces,
            )
            self._require_patience(
                f"peers sent {torrent.watch.corrupt_pieces} corrupt pieces and nothing else"
                if torrent.watch.corrupt_pieces
                else "peers stopped sending"
            )
            await self._flush(torrent)  # or the pieces that we keep might not be on the disk yet
            await self._session.remove(torrent)
            self.torrent = None
            known = self._peers()
            alone = [peer for peer in alone[1:] if peer in known] or list(known)
            stall_s = min(stall_s * 1.5, 5 * self._patience.stall_s)  # a slow machine deserves longer attempts

    async def _finished(self, torrent: Torrent, stall_s: float) -> bool:
        """Wait until the download is complete (True), or nothing has moved for ``stall_s`` (False)."""
        most_bytes, moved_at = -1, trio.current_time()
        while True:
            with trio.move_on_after(LOOK_S):
                await torrent.watch.until(Signal.FINISHED)
            status = torrent.handle.status()
            self.latest = Transfer(
                done_bytes=min(status.total_wanted_done, self.file.size_bytes),
                total_bytes=self.file.size_bytes,
                rate_bytes_s=float(status.download_payload_rate),
                peers=status.num_peers,
            )
            if torrent.watch.has(Signal.FINISHED):
                return True
            is_checking = status.state in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
            if status.num_pieces > self._most_pieces or is_checking:  # a liar's bytes count for nothing here
                self._most_pieces, self._moved_at = max(status.num_pieces, self._most_pieces), trio.current_time()
            if status.total_wanted_done > most_bytes or is_checking:
                most_bytes, moved_at = status.total_wanted_done, trio.current_time()
            elif trio.current_time() - moved_at > min(stall_s, self._patience.give_up_s):
                return False

    async def _prove(self, torrent: Torrent) -> None:
        await self._flush(torrent)
        found = await trio.to_thread.run_sync(sha256_of, self._part, trio.from_thread.check_cancelled)
        if found != self.file.sha256:
            raise ArtifactCorrupt("the peers served the torrent that was announced, but its SHA-256 is another")

    async def _flush(self, torrent: Torrent) -> None:
        torrent.watch.forget(Signal.FLUSHED)
        torrent.handle.flush_cache()
        with disk_patience():
            await torrent.watch.until(Signal.FLUSHED)

    def _require_patience(self, reason: str) -> None:
        waited_s = trio.current_time() - self._moved_at
        if waited_s >= self._patience.give_up_s:
            raise ArtifactUnavailable(f"{reason} for {math.floor(waited_s)} s")


def dial(torrent: Torrent, peers: Sequence[PeerAddress]) -> None:
    """Connect to peers, if the torrent is still there."""
    if torrent.handle.is_valid():
        for peer in peers:
            torrent.handle.connect_peer(peer)
