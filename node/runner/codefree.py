"""Whether a model is data and nothing else, so that loading it cannot run code of its maker.

Only headers are read: a model may be larger than this machine's memory.
"""

import io
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from morphware.node.runner.arrays import open_archive, read_header
from morphware.node.runner.errors import raise_for_host

MAX_HEADER_BYTES: Final = 8 << 20
"""Of a safetensors file: some 80,000 tensors."""
MAX_FILES: Final = 2_000
TEXT_SUFFIXES: Final = frozenset({".json", ".txt", ".csv", ".toml"})
"""Native XGBoost (.json) and LightGBM (.txt) models, vocabularies, settings."""
ARRAY_SUFFIXES: Final = frozenset({".npy", ".npz"})


def complaint(model: Path, checkpoint: Callable[[], None] = lambda: None) -> str | None:
    """Why some file of the model might carry code, or nothing. ``checkpoint`` is called often, and may raise."""
    seen = 0
    for folder, _, names in os.walk(model):
        for name in names:
            path = Path(folder) / name
            seen += 1
            if seen > MAX_FILES:
                return f"it has more than {MAX_FILES} files"
            if not stat.S_ISREG(path.lstat().st_mode):
                return f"{name} is not a regular file"
            if (why := _file_complaint(path, checkpoint)) is not None:
                return f"{name} {why}"
    return None if seen else "it has no files"


def _file_complaint(path: Path, checkpoint: Callable[[], None]) -> str | None:
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return None
    if suffix != ".safetensors" and suffix not in ARRAY_SUFFIXES:
        return "may carry code (plain are .safetensors, .npy, .npz, .json, .txt, .csv, .toml)"
    checkpoint()
    with io.FileIO(path) as file:
        if suffix == ".npz":
            return _judged(lambda: _judge_archive(file, checkpoint))
        return _judged(lambda: _judge_tensors(file) if suffix == ".safetensors" else _judge_array(file))


def _judged(judge: Callable[[], None]) -> str | None:
    try:
        judge()
    except Exception as error:  # noqa: BLE001 - each library fails in ways of its own, and no model may silence us
        raise_for_host(error)
        return f"is malformed ({type(error).__name__}: {error})"[:300]
    return None


def _judge_tensors(file: io.FileIO) -> None:
    (size,) = struct.unpack("<Q", file.read(8))
    if not 2 <= size <= MAX_HEADER_BYTES:
        raise ValueError("is no safetensors file")
    msgspec.json.decode(file.read(size), type=dict[str, msgspec.Raw])


def _judge_array(file: io.FileIO) -> None:
    header = read_header(file)
    if min(header.shape, default=0) < 0 or header.data_bytes != os.fstat(file.fileno()).st_size - header.offset:
        raise ValueError("the header does not agree with the file's size")


def _judge_archive(file: io.FileIO, checkpoint: Callable[[], None]) -> None:
    with open_archive(file) as archive:
        for info in archive.infolist():
            checkpoint()
            with archive.open(info) as member:
                read_header(member)  # type: ignore[arg-type]
