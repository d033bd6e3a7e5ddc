"""Files appear whole or not at all."""

import contextlib
import hashlib
from pathlib import Path

import pytest

from morphware.node.artifacts.disk import (
    disk_full_named,
    private_folder,
    remove_leftovers,
    require_space,
    sha256_of,
    written_whole,
)
from morphware.node.artifacts.errors import ArtifactError, ArtifactTooLarge, DiskFull


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with written_whole(tmp_path / "file") as file:
        file.write(b"content")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"content"
    with contextlib.suppress(InterruptedError), written_whole(tmp_path / "file") as file:
        file.write(b"other")
        raise InterruptedError
    assert (tmp_path / "file").read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 1


def test_too_little_space_is_refused_before_and_named_during_writing(tmp_path: Path) -> None:
    require_space(tmp_path, 0)
    with pytest.raises(DiskFull, match="Free some space"):
        require_space(tmp_path, 1 << 60)
    with pytest.raises(DiskFull), disk_full_named(tmp_path), Path("/dev/full").open("wb") as full:
        full.write(b"x")
    with pytest.raises(FileNotFoundError), disk_full_named(tmp_path):
        (tmp_path / "missing").read_bytes()


def test_leftovers_of_a_crash_are_removed_and_nothing_else(tmp_path: Path) -> None:
    context = private_folder(tmp_path / "bundle")
    folder = context.__enter__()
    (folder / "archive.tar").write_bytes(b"secret")
    (tmp_path / ".abc.part").write_bytes(b"half")
    (tmp_path / f"{'ab' * 20}.part").write_bytes(b"a download")
    (tmp_path / ".link.part").symlink_to("kept", target_is_directory=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", f"{'ab' * 20}.part"}
    assert (tmp_path / "kept" / "file").exists()


def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(3 << 20) + b"end"
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).digest()


def test_errors_say_what_happened_and_what_to_do() -> None:
    assert str(ArtifactTooLarge("9 bytes")).startswith("9 bytes. The file is larger than this node accepts.")

    def every(kind: type[ArtifactError]) -> list[type[ArtifactError]]:
        return [kind, *(below for child in kind.__subclasses__() for below in every(child))]

    for kind in every(ArtifactError):
        assert kind.__doc__
        assert str(kind()).endswith(".")
