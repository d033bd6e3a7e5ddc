"""A multipart upload, filed part by part while it comes in: nothing of a file is held in memory.

Starlette's own form keeps each file open, the first megabyte of it in memory, and asks us when all are there.  Here
a part is refused at its header, before its first byte is written.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from morphware.node.artifacts.disk import Check, disk_full_named, never_stop
from morphware.node.drafts.archives import is_archive, unpack_upload
from morphware.node.drafts.filing import Budget, Filing, UploadRefused, remove, without_top

FIELDS: Final = ("program", "train", "test", "data")
HEADER_BYTES_MOST: Final = 8 << 10
HEADERS_MOST: Final = 16


def data_folders(folder: Path) -> tuple[Path | None, Path | None, Path | None]:
    """What an upload has of training data, testing data, and data that the protocol splits."""
    train, test, data = (folder / name if (folder / name).is_dir() else None for name in FIELDS[1:])
    return train, test, data


class Receiver:
    """Takes the body of an upload piece by piece; blocking. ``folder`` gets a folder for each field."""

    def __init__(self, content_type: str, folder: Path, budget: Budget) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise UploadRefused("An upload has the type multipart/form-data, with a boundary.")
        self._folder = folder
        self._budget = budget
        self._filings: dict[str, Filing] = {}
        self._kept: set[str] = set()
        self._file: BinaryIO | None = None
        self._filing: Filing | None = None
        self._has_name = False
        self._is_whole = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        callbacks: Any = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_header,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                options[b"boundary"], callbacks, max_header_count=HEADERS_MOST, max_header_size=HEADER_BYTES_MOST
            )
        except FormParserError as error:
            raise UploadRefused("The upload's boundary is too long.") from error

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises ``UploadRefused``, ``DiskFull``."""
        with disk_full_named(self._folder):
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise UploadRefused("The upload is no multipart form: its parts do not begin and end.") from error

    def keep(self, base: Path, fields: Iterable[str]) -> None:
        """Leave fields as they are in an earlier upload, where nothing came for them: its files are in both then.

        Raises:
            UploadRefused: it is too much with them.
        """
        for field in fields:
            source = base / field
            if field in self._filings or not source.is_dir() or (self._folder / field).exists():
                continue
            for path in source.rglob("*"):
                self._budget.take_file()
                if path.is_file():
                    self._budget.take_bytes(path.stat().st_size, self._folder)
            with disk_full_named(self._folder):
                _link_all(source, self._folder / field)
            self._kept.add(field)

    def finish(self, check: Check = never_stop) -> None:
        """The upload is whole: unpack what was packed. Raises ``UploadRefused``, ``DiskFull``."""
        if not self._is_whole:
            raise UploadRefused("The upload broke off before its end.")
        if "program" not in self._filings.keys() | self._kept:
            raise UploadRefused("The job's program is missing: upload a script or a notebook.", field="program")
        with disk_full_named(self._folder):
            for field, filing in self._filings.items():
                files = [path for path in filing.root.rglob("*") if path.is_file()]
                if len(files) == 1 and is_archive(files[0].name):
                    archive = self._folder / f"{field}.packed{files[0].name[-7:]}"
                    files[0].rename(archive)
                    remove(filing.root)
                    filing.root.mkdir(mode=0o700)
                    unpack_upload(archive, Filing(filing.root, self._budget, field), check)
                    archive.unlink()
                without_top(filing.root)

    def close(self) -> None:
        """The part is over, or the upload."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- what the parser tells --------------------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._header = self._value = self._disposition = b""
        self._filing, self._has_name = None, False

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = _text(options.get(b"name", b""))
        if field not in FIELDS:
            raise UploadRefused(f"An upload has no field {field!r:.40}: there are {', '.join(FIELDS)}.")
        if b"filename" not in options:
            raise UploadRefused(f"The field {field} takes files, with their names.", field=field)
        name = _text(options[b"filename"])
        self._has_name = bool(name)
        if not name:  # what browsers send for a field in which nothing was chosen
            return
        if field not in self._filings:
            root = self._folder / field
            root.mkdir(mode=0o700)
            self._filings[field] = Filing(root, self._budget, field)
        self._filing = self._filings[field]
        self._file = self._filing.create(name)

    def _end(self) -> None:
        self._is_whole = True

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            assert self._filing is not None
            self._filing.write(self._file, data[start:end])
        elif not self._has_name and end > start:
            raise UploadRefused("A file has no name: give it one.")


def _link_all(source: Path, target: Path) -> None:
    """The same files in another folder; copies, on a disk that knows no links."""
    target.mkdir(mode=0o700)
    for path in sorted(source.rglob("*")):  # folders come before what is in them
        other = target / path.relative_to(source)
        if path.is_dir():
            other.mkdir(mode=0o700)
            continue
        try:
            os.link(path, other)
        except OSError:
            shutil.copyfile(path, other)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
