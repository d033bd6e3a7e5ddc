"""Whether a model is data and nothing else, so that loading it cannot run code of its maker."""

import json
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Final

from morphware.node.runner.arrays import UnusableArray, parse_npy

MAX_HEADER_BYTES: Final = 64 << 20
MAX_FILES: Final = 2_000
TEXT_SUFFIXES: Final = frozenset({".json", ".txt", ".csv", ".toml"})
"""Native XGBoost (.json) and LightGBM (.txt) models, vocabularies, settings."""
ARRAY_SUFFIXES: Final = frozenset({".npy", ".npz"})
NPY_PREFIX_BYTES: Final = 16_384


def complaint(model: Path) -> str | None:
    """Why some file of the model might carry code, or nothing."""
    seen = 0
    for folder, _, names in os.walk(model):
        for name in names:
            path = Path(folder) / name
            seen += 1
            if seen > MAX_FILES:
                return f"it has more than {MAX_FILES} files"
            if not stat.S_ISREG(path.lstat().st_mode):
                return f"{name} is not a regular file"
            try:
                why = _file_complaint(path)
            except (OSError, ValueError, zipfile.BadZipFile) as error:
                why = f"is malformed ({error})"
            if why is not None:
                return f"{name} {why}"
    return None if seen else "it has no files"


def _file_complaint(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return None
    if suffix == ".safetensors":
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if not 2 <= size <= MAX_HEADER_BYTES or not isinstance(json.loads(file.read(size)), dict):
                return "is no safetensors file"
        return None
    if suffix == ".npy":
        parse_npy(path.read_bytes())
        return None
    if suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    _refuse_objects(member.read(NPY_PREFIX_BYTES))
        return None
    return "may carry code (plain are .safetensors, .npy, .npz, .json, .txt, .csv, .toml)"


def _refuse_objects(start: bytes) -> None:
    """An archive's member may be long, so its header is judged against an empty array of the same type."""
    import io

    import numpy as np

    stream = io.BytesIO(start)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = read(stream)
    if dtype.hasobject:
        raise UnusableArray("it holds Python objects")
