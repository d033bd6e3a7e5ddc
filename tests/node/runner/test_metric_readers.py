"""Loss curves out of hostile text and files, and the table of refused system calls."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.node.ports import MetricPoint
from morphware.node.runner import seccomp
from morphware.node.runner.metrics import POINTS_BURST, MetricFeed, Source, Started, parse_output, parse_row
from morphware.node.runner.tensorboard import EventFolder


@pytest.mark.parametrize(
    ("line", "step", "values"),
    [
        ("epoch 3 loss 0.0123", 3, {"loss": 0.0123}),
        ("Iteration 7, loss = 2.30258", 7, {"loss": 2.30258}),
        ("[2]\tval-rmse:0.39467", 2, {"val_rmse": 0.39467}),
        ("{'loss': 0.6931, 'learning_rate': 5e-05, 'epoch': 0.5}", None, {"loss": 0.6931}),
        ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.294374", 1, {"loss": 2.294374}),
        ("step 10 | train_loss=1.5e-3 | val/acc 0.91", 10, {"train_loss": 0.0015, "val_acc": 0.91}),
        ("no numbers here, a loss of face", None, {}),
        ("glossy: 3", None, {}),
        ("loss nan", None, {}),
    ],
)
def test_scalars_are_found_in_ordinary_output(line: str, step: int | None, values: dict[str, float]) -> None:
    found_step, found = parse_output(line)
    assert found == values
    if step is not None:
        assert found_step == step


@given(st.text(max_size=5_000))
@settings(max_examples=200)
def test_no_line_of_output_hangs_or_breaks_the_reader(line: str) -> None:
    parse_output(line)


@given(st.binary(max_size=300))
def test_no_row_of_the_pipe_breaks_the_reader(line: bytes) -> None:
    try:
        row = parse_row(line)
    except ValueError:
        return
    assert isinstance(row, Started | tuple)


def test_the_best_source_silences_the_others() -> None:
    points: list[MetricPoint] = []
    feed = MetricFeed(points.append)
    feed.offer(Source.BACKWARD, 0, 0, 1, {"loss": 1})
    feed.offer(Source.LOG, 5, 1, 1, {"loss": 2})
    feed.offer(Source.OUTPUT, None, 1, 1, {"loss": 3})
    assert [point.values["loss"] for point in points] == [1, 2]


def test_a_flood_of_points_is_thinned_and_time_is_clamped() -> None:
    points: list[MetricPoint] = []
    feed = MetricFeed(points.append)
    for step in range(10 * POINTS_BURST):
        feed.offer(Source.LOG, step, 1e300, 2.0, {"loss": 1})
    assert len(points) == POINTS_BURST
    assert feed.dropped == 9 * POINTS_BURST
    assert {point.time_s for point in points} == {2.0}


def record(step: int, tag: str, value: float) -> bytes:
    """One event as TensorBoard writes it (its checksums are not looked at)."""
    inner = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(inner)]) + inner
    event = b"\x09" + struct.pack("<d", 1e9) + b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary
    return struct.pack("<Q", len(event)) + b"crc_" + event + b"crc_"


def test_event_files_are_read_as_they_grow(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "events.out.tfevents.1"
    path.parent.mkdir()
    whole = record(1, "loss", 0.5) + record(2, "loss", 0.25)
    path.write_bytes(whole[:-3])
    folder = EventFolder(tmp_path)
    assert [(s.step, s.tag, s.value) for s in folder.poll()] == [(1, "loss", 0.5)]
    path.write_bytes(whole)
    assert [(s.step, s.value) for s in folder.poll()] == [(2, 0.25)]
    folder.close()


def test_links_and_lying_records_end_an_event_file(tmp_path: Path) -> None:
    (tmp_path / "a.tfevents").symlink_to("/etc/hostname")
    (tmp_path / "b.tfevents").write_bytes(struct.pack("<Q", 2**60) + b"x" * 100)
    folder = EventFolder(tmp_path)
    assert folder.poll() == []
    assert folder.poll() == []
    folder.close()


@given(position=st.integers(0, 200), byte=st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_a_damaged_event_file_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    data = bytearray(record(1, "loss", 0.5) * 4)
    data[position % len(data)] = byte
    path = tmp_path_factory.mktemp("events")
    (path / "x.tfevents").write_bytes(data)
    folder = EventFolder(path)
    folder.poll()
    folder.close()


KNOWN = {  # arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
    "ptrace": (101, 117), "mount": (165, 40), "bpf": (321, 280), "unshare": (272, 97), "setns": (308, 268),
    "keyctl": (250, 219), "io_uring_setup": (425, 425), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "process_vm_writev": (311, 271), "open_by_handle_at": (304, 265), "kexec_load": (246, 104), "chroot": (161, 51),
}  # fmt: skip


def test_the_system_call_table_is_the_kernels() -> None:
    assert {name: seccomp.REFUSED[name] for name in KNOWN} == KNOWN
    assert len(seccomp.REFUSED) == 56


def run_filter(program: bytes, number: int, *arguments: int, architecture: int = 0xC000003E) -> int:
    """The filter's verdict, by a second reading of the BPF manual."""
    data = struct.pack("<IIQ", number, architecture, 0) + b"".join(
        struct.pack("<Q", argument) for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    )
    steps = list(struct.iter_unpack("<HBBI", program))
    position = accumulator = 0
    while True:
        operation, if_true, if_false, operand = steps[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x06:
            return int(operand)
        else:
            holds = {
                0x15: accumulator == operand,
                0x45: bool(accumulator & operand),
                0x35: accumulator >= operand,
            }[operation]
            position += if_true if holds else if_false


ALLOW, KILL, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061


@pytest.mark.parametrize(
    ("number", "arguments", "verdict"),
    [
        (0, (), ALLOW),  # read
        (101, (), EPERM),  # ptrace
        (0x40000000, (), ENOSYS),  # x32
        (435, (), ENOSYS),  # clone3
        (56, (0x01200011,), ALLOW),  # fork
        (56, (0x003D0F00,), ALLOW),  # thread
        (56, (0x10000011,), EPERM),  # clone(NEWUSER)
        (41, (1, 1, 0), ALLOW),  # unix
        (41, (2, 1, 0), ALLOW),  # inet
        (41, (10, 2, 0), ALLOW),  # inet6
        (41, (16, 3, 0), ALLOW),  # route netlink
        (41, (16, 3, 15), EAFNOSUPPORT),  # uevents
        (41, (17, 3, 0), EAFNOSUPPORT),  # packet
        (41, (40, 1, 0), EAFNOSUPPORT),  # vsock
        (16, (0, 0x5412), EPERM),  # TIOCSTI
        (16, (0, 0x541C), EPERM),  # TIOCLINUX
        (16, (0, 0x5401), ALLOW),  # TCGETS
    ],
)
def test_the_filter_decides_as_its_docstring_says(number: int, arguments: tuple[int, ...], verdict: int) -> None:
    assert run_filter(seccomp.filter_program("x86_64"), number, *arguments) == verdict


def test_another_architectures_calls_kill() -> None:
    assert run_filter(seccomp.filter_program("x86_64"), 0, architecture=0x40000003) == KILL


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        seccomp.filter_program("riscv64")
