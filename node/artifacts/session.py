"""One libtorrent session under trio: no polling, no threads of ours.

libtorrent reports through *alerts*.  It writes a byte to a socket of ours when its queue stops being empty; trio
wakes on that socket, and the pump hands each alert to the ``Watch`` of its torrent.  Facts behind the order of
calls, all measured on libtorrent 2.1.1:

- alert objects die at the next ``pop_alerts()``, so what is needed is copied at once;
- the descriptor is taken back (``set_alert_fd(-1)``) before its socket is closed, or a later file could inherit it;
- removal is asynchronous; until its alert arrived, the same torrent must not be added again, and files to be
  deleted may still be there; an alert about a removed torrent has no usable handle, only the infohash;
- without ``max_retry_port_bind = 0`` and ``listen_system_port_fallback = False`` a taken port is silently replaced.
"""

from __future__ import annotations

import contextlib
import enum
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtorrent as lt
import structlog
import trio

from morphware.node.artifacts.errors import ArtifactError, ArtifactUnavailable, ListenFailed
from morphware.node.artifacts.metainfo import METADATA_AT_MOST_BYTES

log = structlog.get_logger()

DISK_S = 120.0
"""How long the disk may take to flush or rename before it counts as broken."""

REMOVAL_S = 10.0
"""A removal takes milliseconds; a disk that is busy for longer must not hold up a cancelled fetch."""

QUIET = {
    # Nobody is told of us but the peers that a signed message named.
    "enable_dht": False,
    "dht_bootstrap_nodes": "",
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "webtorrent_stun_server": "",
    "enable_ip_notifier": False,
    # uTP took 12.3 s where TCP took 0.75 s (128 MiB on loopback).
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    # Several nodes may share one host or one address translation.
    "allow_multiple_connections_per_ip": True,
    "no_connect_privileged_ports": True,
    # The default of 60 s would make one early hang-up cost a minute; and a peer that is late is not given up.
    "min_reconnect_time": 1,
    "max_failcount": 30,
    # Whoever asks only for the metadata takes nothing else yet: a seed must not hang up on it as on another seed.
    "close_redundant_connections": False,
    # Everyone who is entitled gets a slot at once: committees are small, and choking pays off only in crowds.
    "unchoke_slots_limit": -1,
    "connections_limit": 200,
    "max_metadata_size": METADATA_AT_MOST_BYTES,
    "max_retry_port_bind": 0,
    "listen_system_port_fallback": False,
    # A node serves few files; eleven nodes share the two cores of a test machine.
    "aio_threads": 2,
    "alert_queue_size": 20_000,
    "user_agent": "morphware/1",
}


class Signal(enum.Enum):
    """What is told of a torrent."""

    CHECKED = enum.auto()
    METADATA = enum.auto()
    FINISHED = enum.auto()
    FLUSHED = enum.auto()
    FAILED = enum.auto()
    REMOVED = enum.auto()
    DELETED = enum.auto()


_SIGNALS = {
    lt.torrent_checked_alert: Signal.CHECKED,
    lt.metadata_received_alert: Signal.METADATA,
    lt.torrent_finished_alert: Signal.FINISHED,
    lt.cache_flushed_alert: Signal.FLUSHED,
    lt.file_rename_failed_alert: Signal.FAILED,
    lt.torrent_error_alert: Signal.FAILED,
    lt.file_error_alert: Signal.FAILED,
    lt.torrent_removed_alert: Signal.REMOVED,
    lt.torrent_deleted_alert: Signal.DELETED,
    lt.torrent_delete_failed_alert: Signal.DELETED,
}


class Watch:
    """What libtorrent has said of one torrent, and a way to wait for it to say more."""

    def __init__(self) -> None:
        self._said: dict[Signal, str] = {}
        self._news = trio.Event()
        self.corrupt_pieces = 0

    def note(self, signal: Signal, message: str) -> None:
        self._said[signal] = message
        news, self._news = self._news, trio.Event()
        news.set()

    def forget(self, signal: Signal) -> None:
        self._said.pop(signal, None)

    def has(self, signal: Signal) -> bool:
        return signal in self._said

    async def until(self, *signals: Signal) -> None:
        """Wait for any of the signals. Raises ``ArtifactUnavailable`` when the torrent failed."""
        while not any(signal in self._said for signal in signals):
            if (reason := self._said.get(Signal.FAILED)) is not None:
                raise ArtifactUnavailable(f"the transfer failed: {reason}")
            await self._news.wait()


@dataclass(frozen=True, slots=True)
class Torrent:
    """A torrent in the session; an infohash is there once at a time."""

    infohash: bytes
    handle: lt.torrent_handle
    watch: Watch


class TorrentSession:
    """The session, and who watches which torrent."""

    def __init__(self, listen: str) -> None:
        """Open the port. Raises ``ListenFailed``."""
        mask = lt.alert_category.status | lt.alert_category.error | lt.alert_category.storage
        settings: Any = dict(QUIET, listen_interfaces=listen, alert_mask=mask)  # the stubs ask for a class of their own
        self._session = lt.session(lt.session_params(settings))
        self._watches: dict[bytes, Watch] = {}
        self.port: int = self._session.listen_port()
        if not self.port:
            reasons = [alert.message() for alert in self._session.pop_alerts() if "failed" in type(alert).__name__]
            raise ListenFailed(reasons[0] if reasons else f"cannot listen on {listen}")

    def parameters(self, infohash: bytes) -> lt.add_torrent_params:
        """Parameters for a torrent of which nothing but the infohash is known; it starts at once and tells nobody."""
        parameters = lt.add_torrent_params()
        parameters.info_hashes = lt.info_hash_t(lt.sha1_hash(infohash))
        return _plain(parameters)

    def parameters_of(self, torrent: bytes) -> lt.add_torrent_params:
        """Parameters for a torrent whose metadata is known."""
        return _plain(lt.load_torrent_buffer(torrent))

    def add(self, infohash: bytes, parameters: lt.add_torrent_params) -> Torrent:
        """Add a torrent that is not in the session. Raises ``ArtifactUnavailable`` when libtorrent will not."""
        if infohash in self._watches:
            raise ArtifactUnavailable("this file is already being moved")
        watch = self._watches[infohash] = Watch()
        try:
            return Torrent(infohash, self._session.add_torrent(parameters), watch)
        except RuntimeError as error:  # libtorrent raises nothing finer
            del self._watches[infohash]
            raise ArtifactUnavailable(f"libtorrent refuses the torrent: {error}") from error

    async def seed(self, infohash: bytes, torrent: bytes, path: Path) -> Torrent:
        """Serve a whole file that is known to be what the torrent describes; it is served when this returns."""
        parameters = self.parameters_of(torrent)
        parameters.save_path = str(path.parent)
        parameters.renamed_files = {0: path.name}
        parameters.flags |= lt.torrent_flags.seed_mode
        added = self.add(infohash, parameters)
        is_served = False
        try:
            with disk_patience():  # before "checked", libtorrent hangs up on every peer
                await added.watch.until(Signal.CHECKED)
            is_served = True
            return added
        finally:
            if not is_served:
                await self.remove(added)

    async def remove(self, torrent: Torrent, *, delete: bool = False) -> None:
        """Remove a torrent and wait until it is gone; ``delete`` takes its file along. Shielded, but bounded."""
        awaited = [Signal.REMOVED, Signal.DELETED] if delete else [Signal.REMOVED]
        with trio.CancelScope(shield=True), trio.move_on_after(REMOVAL_S) as patience:
            if torrent.handle.is_valid():
                self._session.remove_torrent(torrent.handle, lt.session.delete_files if delete else 0)
                for signal in awaited:
                    await _until_gone(torrent.watch, signal)
        if patience.cancelled_caught:
            log.warning("artifact_removal_slow", infohash=torrent.infohash.hex())
        self._watches.pop(torrent.infohash, None)

    async def pump(self) -> None:
        """Deliver alerts, for ever."""
        reader, writer = socket.socketpair()
        with reader, writer:
            reader.setblocking(False)
            writer.setblocking(False)
            self._session.set_alert_fd(writer.fileno())
            try:
                while True:
                    self._deliver()
                    await trio.lowlevel.wait_readable(reader.fileno())
                    _drain(reader)
            finally:
                self._session.set_alert_fd(-1)

    async def close(self) -> None:
        """Hang up; the destructor joins libtorrent's threads, so it runs in one of ours."""
        holder = [self._session]
        del self._session
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(holder.clear)

    def _deliver(self) -> None:
        for alert in self._session.pop_alerts():
            if not isinstance(alert, lt.torrent_alert):
                continue
            if isinstance(alert, lt.hash_failed_alert):
                if (watch := self._watches.get(_infohash(alert))) is not None:
                    watch.corrupt_pieces += 1
                continue
            signal = _SIGNALS.get(type(alert))
            if signal is None:
                continue
            infohash = _infohash(alert)
            if signal is Signal.FAILED:
                log.warning("artifact_transfer_failed", infohash=infohash.hex(), reason=alert.message())
            if (watch := self._watches.get(infohash)) is not None:
                watch.note(signal, alert.message())


@contextlib.contextmanager
def disk_patience() -> Iterator[None]:
    """Bound a wait for the disk. Raises ``ArtifactUnavailable``."""
    try:
        with trio.fail_after(DISK_S):
            yield
    except trio.TooSlowError as error:
        raise ArtifactUnavailable(f"the disk did not answer for {DISK_S:.0f} s") from error


def _plain(parameters: lt.add_torrent_params) -> lt.add_torrent_params:
    """Start at once, under nobody's management but ours, and exchange addresses with nobody."""
    flags = lt.torrent_flags
    parameters.flags &= ~(flags.auto_managed | flags.paused)
    parameters.flags |= flags.disable_dht | flags.disable_lsd | flags.disable_pex
    return parameters


def _infohash(alert: lt.torrent_alert) -> bytes:
    """The handle of a removed torrent answers zeros; alerts about removal carry the infohash themselves."""
    if isinstance(alert, lt.torrent_removed_alert | lt.torrent_deleted_alert | lt.torrent_delete_failed_alert):
        return alert.info_hashes.v1.to_bytes()
    return alert.handle.info_hashes().v1.to_bytes()


async def _until_gone(watch: Watch, signal: Signal) -> None:
    """A torrent that failed is removed like any other, so a failure does not end this wait."""
    while not watch.has(signal):
        watch.forget(Signal.FAILED)
        with contextlib.suppress(ArtifactError):
            await watch.until(signal)


def _drain(reader: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while reader.recv(4096):
            pass
