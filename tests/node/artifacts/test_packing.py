"""Packing is deterministic, and unpacking takes nothing that packing does not make."""

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.node.artifacts.errors import ArchiveRefused, SourceRefused
from morphware.node.artifacts.packing import PackingLimits, pack, unpack

LIMITS = PackingLimits(total_bytes=64 << 20, entries=200, depth=8)


def tree_of(root: Path) -> dict[str, tuple[bytes | None, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes() if path.is_file() else None, path.stat().st_mode & 0o777)
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "b" / "empty").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"hello")
    (root / "b" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "b" / "run.sh").chmod(0o700)
    (root / "b" / "größe 数据.csv").write_bytes(bytes(1024))
    (root / "zero").write_bytes(b"")
    (root / ("long" * 20) / ("name" * 20)).mkdir(parents=True)
    (root / ("long" * 20) / ("name" * 20) / "leaf").write_bytes(b"deep")
    return root


def test_a_tree_comes_back_as_it_was(source: Path, tmp_path: Path) -> None:
    pack(source, tmp_path / "a.tar", LIMITS)
    unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)
    expected = tree_of(source)
    assert {name: content for name, (content, _) in tree_of(tmp_path / "out").items()} == {
        name: content for name, (content, _) in expected.items()
    }
    assert tree_of(tmp_path / "out")["b/run.sh"][1] == 0o755
    assert tree_of(tmp_path / "out")["a.txt"][1] == 0o644
    assert tree_of(tmp_path / "out")["b/empty"] == (None, 0o755)


def test_a_single_file_comes_back_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    pack(tmp_path / "train.py", tmp_path / "a.tar", LIMITS)
    unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)
    assert tree_of(tmp_path / "out") == {"train.py": (b"print(1)", 0o644)}


def test_packing_depends_on_content_alone(source: Path, tmp_path: Path) -> None:
    first = pack(source, tmp_path / "a.tar", LIMITS)
    copy = tmp_path / "elsewhere"
    for path in sorted(source.rglob("*"), reverse=True):  # another order of creation, other times
        target = copy / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            os.utime(target, (1, 1))
    assert pack(copy, tmp_path / "b.tar", LIMITS) == first
    assert hashlib.sha256((tmp_path / "b.tar").read_bytes()).digest() == first


def test_the_archive_is_an_ordinary_tar(source: Path, tmp_path: Path) -> None:
    pack(source, tmp_path / "a.tar", LIMITS)
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert {member.name for member in archive} == set(tree_of(source))
        leaf = archive.extractfile("long" * 20 + "/" + "name" * 20 + "/leaf")
        assert leaf is not None
        assert leaf.read() == b"deep"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: (root / "link").symlink_to("a.txt"), "link"),
        (lambda root: (root / "link").symlink_to("b", target_is_directory=True), "link"),
        (lambda root: os.mkfifo(root / "pipe"), "special"),
        (lambda root: (root / "back\\slash").touch(), "backslash"),
        (lambda root: (root / "new\nline").touch(), "invisible"),
        (lambda root: (root / "right\u202eto-left").touch(), "invisible"),
        (lambda root: Path(os.fsdecode(os.fsencode(root) + b"/\xff")).touch(), "UTF-8"),
        (lambda root: (root / ("n" * 101)).touch(), "too long"),
        (lambda root: (root / "/".join("abcdefghi")).mkdir(parents=True), "deep"),
        (lambda root: [(root / f"file{number}").touch() for number in range(201)], "more than 200"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(
    source: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(source)
    with pytest.raises(SourceRefused, match=reason):
        pack(source, tmp_path / "a.tar", LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_missing_empty_and_oversized_sources_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="cannot be read"):
        pack(tmp_path / "nowhere", tmp_path / "a.tar", LIMITS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceRefused, match="is empty"):
        pack(tmp_path / "empty", tmp_path / "a.tar", LIMITS)
    with pytest.raises(SourceRefused, match="limit is 4096"):
        pack(source, tmp_path / "a.tar", PackingLimits(total_bytes=4096))
    with pytest.raises(SourceRefused, match="inside"):
        pack(source, source / "a.tar", LIMITS)


def test_a_stopped_run_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    pack(source, tmp_path / "good.tar", LIMITS)
    for work in (
        lambda: pack(source, tmp_path / "a.tar", LIMITS, stop),
        lambda: unpack(tmp_path / "good.tar", tmp_path / "out", LIMITS, stop),
    ):
        with pytest.raises(InterruptedError):
            work()
    assert {path.name for path in tmp_path.iterdir()} == {"source", "good.tar"}


# --- hostile archives -----------------------------------------------------------------------------------------------


def header(name: bytes, content: bytes = b"", **changes: bytes | int) -> bytes:
    """A ustar block by hand, with a right checksum whatever it says."""
    fields: dict[str, bytes | int] = {
        "mode": 0o755 if name.endswith(b"/") else 0o644,
        "uid": 0,
        "size": len(content),
        "mtime": 0,
        "type": b"5" if name.endswith(b"/") else b"0",
        "link": b"",
        "magic": b"ustar\x0000",
        "prefix": b"",
        **changes,
    }
    size = fields["size"]
    text = {key: value for key, value in fields.items() if isinstance(value, bytes)}
    number = {key: value for key, value in fields.items() if isinstance(value, int)}
    block = (
        name.ljust(100, b"\0")
        + b"%07o\0%07o\0%07o\0" % (number["mode"], number["uid"], 0)
        + (size if isinstance(size, bytes) else b"%011o\0" % size)
        + b"%011o\0" % number["mtime"]
        + b" " * 8
        + text["type"]
        + text["link"].ljust(100, b"\0")
        + text["magic"]
        + bytes(64)
        + b"%07o\0%07o\0" % (0, 0)
        + text["prefix"].ljust(155, b"\0")
        + bytes(12)
    )
    assert len(block) == 512
    block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return block + content + bytes(-len(content) % 512)


END = bytes(1024)

HOSTILE = {
    "no end": header(b"a", b"x"),
    "half an end": header(b"a", b"x") + bytes(512),
    "a long end": header(b"a", b"x") + bytes(1536),
    "a tail": header(b"a", b"x") + END + b"\0",
    "nothing": b"",
    "no entries": END,
    "a parent path": header(b"../a", b"x") + END,
    "a parent path inside": header(b"d/") + header(b"d/../../a", b"x") + END,
    "an absolute path": header(b"/etc/passwd", b"x") + END,
    "an absolute prefix": header(b"passwd", b"x", prefix=b"/etc") + END,
    "the folder itself": header(b"./") + END,
    "a nameless entry": header(b"", b"x") + END,
    "a double slash": header(b"d/") + header(b"d//a", b"x") + END,
    "a backslash": header(b"..\\a", b"x") + END,
    "a control character": header(b"a\x1b[2J", b"x") + END,
    "a hidden tail of the name": header(b"a\0b", b"x") + END,
    "a name that is not UTF-8": header(b"\xff", b"x") + END,
    "a symbolic link": header(b"a", type=b"2", link=b"/etc") + END,
    "a hard link": header(b"a", type=b"1", link=b"/etc/passwd") + END,
    "a file with a link target": header(b"a", b"x", link=b"/etc") + END,
    "a character device": header(b"a", type=b"3") + END,
    "a pipe": header(b"a", type=b"6") + END,
    "a pax header": header(b"a", b"11 path=../b\n"[:11], type=b"x") + header(b"b", b"x") + END,
    "a global pax header": header(b"a", b"x", type=b"g") + END,
    "a GNU long name": header(b"././@LongLink", b"../b\0", type=b"L") + header(b"b", b"x") + END,
    "a GNU sparse file": header(b"a", b"x", type=b"S") + END,
    "an old file type": header(b"a", b"x", type=b"\0") + END,
    "GNU magic": header(b"a", b"x", magic=b"ustar  \0") + END,
    "a binary size": header(b"a", b"x", size=b"\x80" + bytes(10) + b"\x01") + END,
    "a negative size": header(b"a", size=b"-0000000001\0") + END,
    "a size in another form": header(b"a", b"x", size=b"          1\0") + END,
    "a size beyond the archive": header(b"a", b"x", size=8**11 - 1) + END,
    "a folder with content": header(b"d/", b"x") + END,
    "a set-user-id file": header(b"a", b"x", mode=0o4755) + END,
    "a writable file": header(b"a", b"x", mode=0o666) + END,
    "a time": header(b"a", b"x", mtime=1) + END,
    "an owner": header(b"a", b"x", uid=1000) + END,
    "a needless prefix": header(b"d/") + header(b"a", b"x", prefix=b"d") + END,
    "a wrong checksum": header(b"a", b"x").replace(b"a", b"b", 1) + END,
    "padding with something": header(b"a", b"x")[:-1] + b"\1" + END,
    "the wrong order": header(b"b", b"x") + header(b"a", b"x") + END,
    "the same name twice": header(b"a", b"x") + header(b"a", b"y") + END,
    "a file and a folder of one name": header(b"a", b"x") + header(b"a/") + END,
    "a file used as a folder": header(b"a", b"x") + header(b"a/b", b"y") + END,
    "a folder that is not there": header(b"d/a", b"x") + END,
    "too deep": b"".join(header(b"d/" * depth) for depth in range(1, 10)) + END,
    "too many entries": b"".join(header(b"%03d" % number) for number in range(201)) + END,
}


@pytest.mark.parametrize("archive", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_and_leaves_nothing(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive)
    with pytest.raises(ArchiveRefused):
        unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_the_hand_made_header_is_accepted_when_it_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header(b"a", b"x") + header(b"d/") + header(b"d/e", b"y", mode=0o755) + END)
    unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)
    assert tree_of(tmp_path / "out") == {"a": (b"x", 0o644), "d": (None, 0o755), "d/e": (b"y", 0o755)}


def test_what_other_tools_write_is_refused(source: Path, tmp_path: Path) -> None:
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            archive.add(source, arcname="x")
        (tmp_path / "a.tar").write_bytes(buffer.getvalue())
        with pytest.raises(ArchiveRefused):
            unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)


def test_an_archive_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.tar").open("wb") as file:
        file.truncate(LIMITS.total_bytes + 1)
    with pytest.raises(ArchiveRefused, match="limit"):
        unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header(b"a", b"x") + END)
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "a.tar", tmp_path / "out", LIMITS)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "a.tar", tmp_path / "link", LIMITS)


NAMES = st.text(
    st.characters(exclude_characters="/\\\0", codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=10
)
TREES = st.lists(
    st.tuples(
        st.lists(NAMES.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=4),
        st.binary(max_size=1500),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_any_tree_comes_back_and_packs_to_the_same_hash(tree: list[tuple[list[str], bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "in").mkdir()
        for parts, content in tree:
            path = root.joinpath("in", *parts)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError:  # a file where a folder is wanted, or the other way round
                continue
        first = pack(root / "in", root / "a.tar", LIMITS)
        unpack(root / "a.tar", root / "out", LIMITS)
        assert pack(root / "out", root / "b.tar", LIMITS) == first
        assert [entry[0] for entry in tree_of(root / "out").values()] == [e[0] for e in tree_of(root / "in").values()]


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 512 * 8 - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused_or_is_content(position: int, flip: int) -> None:
    good = header(b"a", b"x" * 700) + header(b"d/") + header(b"d/e", b"y") + END
    assert len(good) == 512 * 8
    bad = bytearray(good)
    bad[position] ^= flip
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "a.tar").write_bytes(bad)
        try:
            unpack(root / "a.tar", root / "out", LIMITS)
        except ArchiveRefused:
            assert [path.name for path in root.iterdir()] == ["a.tar"]
        else:
            assert 512 <= position < 512 + 700 or position == 512 * 5
