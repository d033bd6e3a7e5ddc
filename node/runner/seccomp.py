"""The system calls that a job may not make, as a classic BPF program in pure Python (x86_64 and aarch64).

A deny-list on top of namespaces: what would widen the kernel's attack surface or leave the sandbox is refused with an
error, and everything that numerical code wants passes.  ``clone3`` answers ENOSYS, because its flags lie behind a
pointer that a filter cannot follow; libc then falls back to ``clone``, whose flags are checked.

Source: the numbers are those of the kernel's tables, checked against libseccomp 2.5.
"""

import errno
import platform
import struct
from typing import Final

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* by ``platform.machine()``."""

REFUSED: Final[dict[str, tuple[int, int | None]]] = {  # name: number on (x86_64, aarch64)
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "kcmp": (312, 272), "vhangup": (153, 58), "syslog": (103, 116), "pidfd_getfd": (438, 438),
    "fanotify_init": (300, 262), "move_pages": (279, 239), "migrate_pages": (256, 238), "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
}  # fmt: skip
CLONE: Final = (56, 220)
CLONE3: Final = (435, 435)
SOCKET: Final = (41, 198)
IOCTL: Final = (16, 29)

NAMESPACE_FLAGS: Final = 0x7E020080
"""CLONE_NEWUSER | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWPID | NEWNET | NEWTIME."""
X32_BIT: Final = 0x40000000
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
TIOCSTI, TIOCLINUX = 0x5412, 0x541C

_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1, _ARGUMENT_2 = 0, 4, 16, 24, 32
"""Offsets in ``struct seccomp_data`` (the low half of each argument; both machines are little-endian)."""


def filter_program(machine: str | None = None) -> bytes:
    """The program for ``bwrap --seccomp FD``.

    Raises:
        ValueError: the machine is neither x86_64 nor aarch64.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise ValueError(f"no system call table for {machine}")
    column = list(ARCHITECTURES).index(machine)
    code: list[bytes] = []

    def emit(operation: int, if_true: int, if_false: int, operand: int) -> None:
        code.append(struct.pack("<HBBI", operation, if_true, if_false, operand))

    def refuse(error: int) -> None:
        emit(_RETURN, 0, 0, 0x00050000 | error)

    emit(_LOAD, 0, 0, _ARCHITECTURE)
    emit(_JUMP_EQUAL, 1, 0, ARCHITECTURES[machine])
    emit(_RETURN, 0, 0, _KILL)
    emit(_LOAD, 0, 0, _NUMBER)
    if machine == "x86_64":
        emit(_JUMP_GREATER_EQUAL, 0, 1, X32_BIT)
        refuse(errno.ENOSYS)
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            emit(_JUMP_EQUAL, 0, 1, number)
            refuse(errno.EPERM)
    emit(_JUMP_EQUAL, 0, 1, CLONE3[column])
    refuse(errno.ENOSYS)

    emit(_JUMP_EQUAL, 0, 4, CLONE[column])
    emit(_LOAD, 0, 0, _ARGUMENT_0)
    emit(_JUMP_SET, 0, 1, NAMESPACE_FLAGS)
    refuse(errno.EPERM)
    emit(_RETURN, 0, 0, _ALLOW)

    # Unix and internet sockets work (the namespace has no network but its own loopback, which kernels and gloo use);
    # netlink only for routes, because getifaddrs asks through it.
    emit(_JUMP_EQUAL, 0, 9, SOCKET[column])
    emit(_LOAD, 0, 0, _ARGUMENT_0)
    emit(_JUMP_EQUAL, 6, 0, AF_UNIX)
    emit(_JUMP_EQUAL, 5, 0, AF_INET)
    emit(_JUMP_EQUAL, 4, 0, AF_INET6)
    emit(_JUMP_EQUAL, 0, 2, AF_NETLINK)
    emit(_LOAD, 0, 0, _ARGUMENT_2)
    emit(_JUMP_EQUAL, 1, 0, 0)  # NETLINK_ROUTE
    refuse(errno.EAFNOSUPPORT)
    emit(_RETURN, 0, 0, _ALLOW)

    emit(_JUMP_EQUAL, 0, 5, IOCTL[column])
    emit(_LOAD, 0, 0, _ARGUMENT_1)
    emit(_JUMP_EQUAL, 1, 0, TIOCSTI)
    emit(_JUMP_EQUAL, 0, 1, TIOCLINUX)
    refuse(errno.EPERM)
    emit(_RETURN, 0, 0, _ALLOW)

    emit(_RETURN, 0, 0, _ALLOW)
    return b"".join(code)
