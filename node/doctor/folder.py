"""The data folder, the disk below it, the keys inside, and whether a node runs on it already."""

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

import psutil

from morphware.node.artifacts.disk import MARGIN_BYTES
from morphware.node.config import Config, KeysSection, keystore_password
from morphware.node.data_folder import SOCKET_NAME
from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Finding, Tell, doubtful, failure, faulty, fine
from morphware.node.errors import BadInput
from morphware.node.keys import KeysFailure, load, read_account

GIB: Final = 1 << 30


async def check_folder(config: Config, tell: Tell) -> None:
    """There, ours, private, and writable."""
    folder = config.node.data_folder
    tell(await in_thread(lambda: _look_at_folder(folder)))


def _look_at_folder(folder: Path) -> Finding:
    subject = "data folder"
    init = f"Begin a node there with `morphware init --data-folder {folder}`."
    try:
        status = folder.stat()
    except FileNotFoundError:
        return faulty(subject, f"There is no data folder {folder} yet.", init)
    except OSError as error:
        found = f"The data folder {folder} cannot be looked at ({error.strerror})."
        return faulty(subject, found, "Name another --data-folder, or mend its permissions.")
    if not stat.S_ISDIR(status.st_mode):
        return faulty(subject, f"{folder} is no folder.", "Name another --data-folder.")
    try:
        # really written: permissions, read-only mounts and quotas have one thing in common, that this fails
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"\0" * 4096)
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as error:
        found = f"Nothing can be written in the data folder {folder} ({error.strerror})."
        return faulty(
            subject, found, f"Give it to this user (`chown`), make it writable (`chmod 700 {folder}`), or free disk."
        )
    if status.st_mode & 0o022:
        found = f"Other users may write in the data folder {folder} (mode {stat.S_IMODE(status.st_mode):o})."
        return faulty(subject, found, f"Give it to this user alone: `chmod 700 {folder}`.")
    if status.st_mode & 0o077:
        found = f"Other users may look into the data folder {folder} (mode {stat.S_IMODE(status.st_mode):o})."
        return doubtful(subject, found, f"Give it to this user alone: `chmod 700 {folder}`.")
    return fine(subject, f"{folder} is there, private and writable.")


async def check_disk(config: Config, tell: Tell) -> None:
    """Room for the jobs that may run at a time, and for an artifact as large as is accepted."""
    free_bytes = await in_thread(lambda: shutil.disk_usage(_nearest(config.node.data_folder)).free)
    tell(disk_finding(config, free_bytes))


def disk_finding(config: Config, free_bytes: int) -> Finding:
    """How so much free disk stands to what the configuration promises."""
    worker = config.worker
    jobs_bytes = int(worker.disk_gib * GIB) * (worker.capacity if "worker" in config.node.roles else 1)
    wanted_bytes = jobs_bytes + config.artifacts.max_size_bytes + MARGIN_BYTES
    free = f"{free_bytes / GIB:.1f} GiB are free below {config.node.data_folder}"
    if free_bytes < MARGIN_BYTES + (1 << 20):
        found = f"Only {free_bytes >> 20} MiB are free below {config.node.data_folder}, and the journal needs room."
        return faulty("disk", found, "Free some disk, or name a --data-folder on another one.")
    if free_bytes < wanted_bytes:
        found = (
            f"{free}, and jobs of {worker.disk_gib:g} GiB with artifacts of {config.artifacts.max_size_bytes / GIB:g}"
        )
        advice = "Free some disk, or lower [worker] disk_gib or [artifacts] max_size_bytes."
        return doubtful("disk", f"{found} GiB may want {wanted_bytes / GIB:.1f} GiB.", advice)
    return fine("disk", f"{free}; jobs and artifacts may want {wanted_bytes / GIB:.1f} GiB.")


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))


async def check_keys(config: Config, tell: Tell) -> None:
    """There, private, and opened by the password that the node would use."""
    folder = config.node.data_folder / "keys"
    try:
        account = await in_thread(lambda: read_account(folder))
    except KeysFailure as error:
        tell(failure("keys", error))
        return
    except OSError as error:
        tell(faulty("keys", f"The keys in {folder} cannot be looked at ({error.strerror}).", "Mend their permissions."))
        return
    try:
        if (exposed := await in_thread(lambda: _exposed_password(config.keys))) is not None:
            tell(exposed)
        password = await in_thread(lambda: keystore_password(config.keys))
        if password is None:
            found = f"The keys of 0x{account.hex()} are there; `morphware run` asks for their password on a terminal"
            tell(fine("keys", f"{found}, and needs [keys] password_file or MORPHWARE_PASSWORD elsewhere."))
            return
        await load(folder, password)
    except BadInput as error:
        tell(failure("keys", error))
        return
    tell(fine("keys", f"The keys of 0x{account.hex()} are there, and the password opens them."))


def _exposed_password(keys: KeysSection) -> Finding | None:
    path = keys.password_file
    if path is None or not path.is_file() or not path.stat().st_mode & 0o077:
        return None
    found = f"Other users may read the password file {path} (mode {stat.S_IMODE(path.stat().st_mode):o})."
    return doubtful("keys", found, f"Give it to this user alone: `chmod 600 {path}`.")


async def check_running(config: Config, tell: Tell) -> None:
    """Whether a node is running on the folder: both are well, and a lock without a socket may be a node that starts."""
    folder = config.node.data_folder
    is_held = await in_thread(lambda: is_locked(folder))
    if not is_held:
        tell(fine("node", f"No node is running on {folder}."))
        return
    process = await in_thread(lambda: holder(folder))
    who = f" (process {process})" if process is not None else ""
    if await in_thread((folder / SOCKET_NAME).exists):
        tell(fine("node", f"A node is running on {folder}{who}."))
    else:
        found = f"A node on {folder}{who} has started, and does not take requests yet."
        tell(doubtful("node", found, "Wait until it has caught up with the chain, or look at what it logs."))


def is_locked(folder: Path) -> bool:
    """Whether a node holds the folder."""
    try:
        with (folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(folder: Path) -> int | None:
    """The process that holds the folder's lock, where the system tells."""
    path = folder / "lock"
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        # "1: FLOCK ADVISORY WRITE 1234 00:2f:5678 0 EOF"; device numbers of some file systems are not those of stat
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            try:
                opened = {each.path for each in psutil.Process(int(words[4])).open_files()}
            except (psutil.Error, ValueError):
                continue
            if str(path.resolve()) in opened:
                return int(words[4])
    return None
