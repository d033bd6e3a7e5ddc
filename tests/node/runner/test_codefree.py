"""A crafted model is refused with a reason: whatever escaped instead would silence every validator that met it."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from morphware.node.runner.arrays import UnusableArray, read_array
from morphware.node.runner.codefree import complaint


def npy(values: object = (1.0, 2.0)) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values))
    return stream.getvalue()


def npz(data: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("labels.npy", data)
    return stream.getvalue()


def patched(archive: bytes, offset: int, value: bytes) -> bytes:
    """The archive with a field changed in the member's header (by its local offset) and in the directory."""
    directory = archive.rindex(b"PK\x01\x02")
    data = bytearray(archive)
    data[offset : offset + len(value)] = value
    data[directory + offset + 2 : directory + offset + 2 + len(value)] = value
    return bytes(data)


def safetensors(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


def broken_deflate() -> bytes:
    data = bytearray(npz(npy(np.arange(1000))))
    start = 30 + len("labels.npy")
    data[start : start + 20] = b"\xff" * 20
    return bytes(data)


def large_directory() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for index in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"{index:08}.npy"), b"")
    return stream.getvalue()


CRAFTED = {
    "nested.safetensors": safetensors(b"[" * 200_000),
    "nested values.safetensors": safetensors(b'{"a":' * 100_000),
    "list.safetensors": safetensors(b"[]"),
    "short.safetensors": b"\x01",
    "huge header.safetensors": struct.pack("<Q", 1 << 62) + b"{}",
    "encrypted.npz": patched(npz(npy()), 6, b"\x01\x00"),
    "unknown method.npz": patched(npz(npy()), 8, b"\x63\x00"),
    "lzma.npz": npz(npy(), zipfile.ZIP_LZMA),
    "broken deflate.npz": broken_deflate(),
    "cut header.npz": npz(b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8', "),
    "open string.npz": npz(b"\x93NUMPY\x01\x00\x10\x00{'descr': '''<f8" + b" " * 20),
    "odd indent.npz": npz(b"\x93NUMPY\x01\x00\x10\x00if 1:\n  1\n 2     " + b" " * 20),
    "nested header.npz": npz(b"\x93NUMPY\x01\x00\x10\x27" + b"[" * 10_000),
    "large directory.npz": large_directory(),
    "objects.npz": npz(npy().replace(b"'<f8'", b"'|O' ")),
    "cut.npy": npy()[:-1],
    "objects.npy": npy().replace(b"'<f8'", b"'|O' "),
    "negative.npy": npy().replace(b"(2,)", b"(-2)"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_model_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CRAFTED[name])
    found = complaint(tmp_path)
    assert found is not None
    assert name in found


@pytest.mark.parametrize("name", [name for name in CRAFTED if name.endswith((".npz", ".npy"))])
def test_crafted_arrays_are_unusable_and_no_accident(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CRAFTED[name])
    with pytest.raises(UnusableArray):
        read_array(tmp_path / name)


def test_plain_models_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy())
    (tmp_path / "b.npz").write_bytes(npz(npy(np.arange(500_000)), zipfile.ZIP_STORED))
    (tmp_path / "c.npz").write_bytes(npz(npy(np.arange(500_000))))
    (tmp_path / "d.safetensors").write_bytes(safetensors(b'{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'))
    (tmp_path / "e.json").write_text("{}")
    assert complaint(tmp_path) is None
    assert read_array(tmp_path / "b.npz").tolist() == read_array(tmp_path / "c.npz").tolist() == list(range(500_000))


def test_a_model_is_judged_without_reading_it(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    path = tmp_path / "model.npy"
    path.write_bytes(header.getvalue())
    with path.open("r+b") as file:
        file.truncate(len(header.getvalue()) + (1 << 43))  # sparse: eight tebibytes
    assert complaint(tmp_path) is None


def test_looking_through_a_model_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(npy()))

    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        complaint(tmp_path, stop)
