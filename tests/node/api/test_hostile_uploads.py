"""Whatever an upload tries, nothing leaves its folder, nothing is unbounded, and what is refused leaves nothing."""

import gzip
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import trio

from morphware.node.api.drafts import DraftRequests
from morphware.node.api.guard import NetworkDoor
from morphware.node.api.http import serve_http
from morphware.node.api.links import Keyring
from morphware.node.api.server import Api, hosts_of, listen_on, origin_of
from morphware.node.api.submitting import SubmitRequests
from morphware.node.drafts import filing
from morphware.node.drafts.archives import DIRECTORY_BYTES_MOST, HEADER_BYTES_MOST, unpack_upload
from morphware.node.drafts.filing import FILES_MOST, Budget, Filing, UploadRefused
from morphware.node.drafts.shelf import Shelf
from tests.node.api.drafting import SCRIPT, Drafting, drafting, world_of

PROGRAM = b'content-disposition: form-data; name="program"; filename="train.py"\r\n\r\n' + SCRIPT.encode()


def body_of(*parts: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    return b"".join(b"\r\n--b\r\n" + part for part in parts).removeprefix(b"\r\n") + end


def part(name: bytes, content: bytes = b"x", field: bytes = b"train") -> bytes:
    return b'content-disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s' % (field, name, content)


async def send(asked: Drafting, body: bytes, content_type: str = "multipart/form-data; boundary=b") -> httpx.Response:
    return await asked.client.post("/drafts", content=body, headers={"content-type": content_type})


def tree(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "journal.sqlite" not in path.name}


async def refused(asked: Drafting, body: bytes, status: int = 400) -> dict[str, Any]:
    """Send what has to be refused: in our form, and without a trace."""
    before = tree(asked.world.folder)
    response = await send(asked, body)
    assert response.status_code == status, response.text
    assert asked.left() == []
    assert tree(asked.world.folder) == before
    problem = response.json()
    assert problem["sentence"].endswith(".")
    return dict(problem)


# --- names ----------------------------------------------------------------------------------------------------------

NAMES = [
    b"../x.csv", b"a/../../x.csv", b"a/..", b"..", b".", b"/etc/x.csv", b"//x.csv", b"a//b.csv", b"a/./b.csv", b"a/",
    b"a\\b.csv", b"..\\x.csv", b"C:/x.csv", b"c:x.csv", b"a\x00.csv", b"a\x07b.csv", b"a\x1b[31m.csv", b"a\x7f.csv",
    "a\u202eb.csv".encode(), "a\u200bb.csv".encode(), "a\u2028b.csv".encode(), b"a\xc2\x85b.csv",
    b"n" * 101, b"/".join([b"n" * 90] * 4), b"/".join([b"d"] * 33), b"../" * 100 + b"x",
]  # fmt: skip


async def test_names_that_lead_elsewhere_or_cannot_travel_are_refused(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        for name in NAMES:
            problem = await refused(asked, body_of(PROGRAM, part(name)))
            assert problem["field"] == "train", name
            assert str(tmp_path) not in problem["sentence"]
        problem = await refused(asked, body_of(part(b"../train.py", field=b"program")))
        assert problem["field"] == "program"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.csv", "a.csv"), ("A.csv", "a.csv"), ("d/a.csv", "D/b.csv"), ("\u00fc.csv", "u\u0308.csv"),
        ("stra\u00dfe.csv", "strasse.csv"), ("a", "a/b"), ("a/b", "a"), ("A/b", "a"), ("\ufb01.csv", "fi.csv"),
    ],
)  # fmt: skip
async def test_names_that_some_system_takes_for_one_are_refused(tmp_path: Path, one: str, other: str) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        problem = await refused(asked, body_of(PROGRAM, part(one.encode()), part(other.encode())))
        assert "is there twice" in problem["sentence"]


async def test_names_that_only_look_strange_are_taken(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        names = ["a b.csv", "...csv", "-rf.csv", "$(x).csv", "ü/日本.csv", "xy:z.csv", "a%2e.csv", "caf\xe9.csv"]
        body = body_of(PROGRAM, *(part(name.encode()) for name in names), part(b"latin\xe9.csv"), part(b"", b""))
        draft = (await send(asked, body)).json()
        assert draft["uploads"]["train"]["files"] == len(names) + 1


# --- forms ----------------------------------------------------------------------------------------------------------

FORMS: list[tuple[bytes, str]] = [
    (b"", "missing|broke off|no multipart"),
    (b"garbage", "no multipart form"),
    (body_of(), "missing|no multipart"),
    (body_of(part(b"inputs.csv")), "program is missing"),
    (body_of(PROGRAM, part(b"a", field=b"model")), "no field 'model'"),
    (body_of(PROGRAM, part(b"a", field=b"../../keys")), "no field"),
    (body_of(PROGRAM, b'content-disposition: form-data; name="train"\r\n\r\nx'), "takes files"),
    (body_of(PROGRAM, b"content-type: text/plain\r\n\r\nx"), "no field"),
    (body_of(PROGRAM, part(b"")), "has no name"),
    (body_of(PROGRAM, end=b""), "broke off"),
    (body_of(PROGRAM, part(b"a.csv"), end=b"\r\n--b"), "broke off"),
    (body_of(PROGRAM, b"x" * 20_000 + b": y\r\n\r\nx"), "no multipart form"),
    (body_of(PROGRAM, b"x: y\r\n" * 100 + b"\r\nx"), "no multipart form"),
]


async def test_forms_that_are_none_are_refused(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        for body, sentence in FORMS:
            problem = await refused(asked, body)
            assert any(words in problem["sentence"] for words in sentence.split("|")), (body[:80], problem)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415), ("", 415), ("multipart/mixed; boundary=b", 415), ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400), ("multipart/form-data; boundary=" + "b" * 1000, 400),
        ("multipart/form-data; boundary*=b", 400),
    ],
)  # fmt: skip
async def test_a_body_of_another_type_is_refused(tmp_path: Path, content_type: str, status: int) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        response = await send(asked, body_of(PROGRAM), content_type)
        assert response.status_code == status, response.text
        assert asked.left() == []


# --- sizes ----------------------------------------------------------------------------------------------------------


async def test_a_body_beyond_the_bound_is_cut_off_whether_it_says_so_or_not(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path), upload_mib=1) as asked:
        assert (await send(asked, body_of(PROGRAM, part(b"a.csv", b"x" * (1 << 20))))).status_code == 413
        with trio.fail_after(30):
            browser = await begin_upload(asked, b"transfer-encoding: chunked")
            pieces = [body_of(PROGRAM, part(b"big.csv", b""), end=b""), *[b"x" * (1 << 16)] * 20]
            with suppress(trio.BrokenResourceError):  # the node may hang up on what it has refused
                for piece in pieces:
                    await browser.send_all(b"%x\r\n%s\r\n" % (len(piece), piece))
            answer = b""
            with suppress(trio.BrokenResourceError):
                while b"too_large" not in answer and (more := await browser.receive_some()):
                    answer += more
            await browser.aclose()
            assert answer.startswith(b"HTTP/1.1 413") or not answer
            await until_empty(asked)
        assert (await send(asked, body_of(PROGRAM, part(b"a.csv", b"x" * (1 << 19))))).status_code == 200


async def begin_upload(asked: Drafting, length: bytes) -> trio.SocketStream:
    """The head of an upload, from somebody who may do anything afterwards."""
    url = asked.client.base_url
    browser = await trio.open_tcp_stream(url.host, url.port or 80)
    head = b"POST /api/v1/drafts HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    await browser.send_all(head + length + b"\r\n\r\n")
    return browser


async def until_empty(asked: Drafting) -> None:
    while asked.left():  # noqa: ASYNC110 - a folder tells nobody
        await trio.sleep(0.05)


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        with trio.fail_after(30):
            browser = await begin_upload(asked, b"content-length: 9000000")
            await browser.send_all(body_of(PROGRAM, part(b"a.csv", b"x" * (3 << 20)), end=b""))
            while not any(asked.folder.rglob("a.csv")):  # noqa: ASYNC110 - a folder tells nobody
                await trio.sleep(0.05)
            await browser.aclose()
            await until_empty(asked)
        assert (await asked.upload()).status_code == 200


async def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 10))
            assert "free disk space" in (await refused(asked, body_of(PROGRAM), 503))["sentence"]
        with monkeypatch.context() as patch:  # it fills up only while the upload comes in
            left = iter([1 << 40, 1 << 10, 1 << 10])
            patch.setattr(filing, "SPACE_EVERY_BYTES", 1000)
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(left)))
            await refused(asked, body_of(PROGRAM, part(b"a.csv", b"x" * 5000)), 503)
        with monkeypatch.context() as patch:

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(Filing, "write", full)
            assert "free disk space" in (await refused(asked, body_of(PROGRAM), 503))["sentence"]
        assert shutil.disk_usage(tmp_path).free
        assert (await asked.upload()).status_code == 200


async def test_more_files_than_may_be_are_refused(tmp_path: Path) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(FILES_MOST + 1):
            archive.writestr(f"{number}", b"")
    async with drafting(world_of(tmp_path)) as asked:
        problem = await refused(asked, body_of(PROGRAM, part(b"many.zip", out.getvalue())))
        assert "more than" in problem["sentence"]


def test_folders_count_as_files(tmp_path: Path) -> None:
    folder = Filing(tmp_path, Budget(100, files_left=3), "train")
    file = folder.create("a/b/c")
    assert file is not None
    file.close()
    with pytest.raises(UploadRefused, match="more than"):
        folder.create("a/b/d")


# --- archives -------------------------------------------------------------------------------------------------------


def zip_with(name: str = "a.csv", content: bytes = b"x", *, mode: int = 0, **changes: Any) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", changes.pop("method", zipfile.ZIP_DEFLATED)) as archive:
        info = zipfile.ZipInfo("a.csv")
        info.filename, info.external_attr, info.compress_type = name, mode << 16, archive.compression
        archive.writestr(info, content)
    return out.getvalue()


def zip_pair(one: str, other: str) -> bytes:
    out = BytesIO()
    with pytest.MonkeyPatch.context(), zipfile.ZipFile(out, "w") as archive:
        archive.writestr(one, b"x")
        archive.writestr(other, b"y")
    return out.getvalue()


def forged(data: bytes, find: bytes, replace: bytes) -> bytes:
    assert find in data
    return data.replace(find, replace)


def zips() -> Iterator[tuple[str, bytes, str]]:
    plain = zip_with()
    yield "parent", zip_with("../x.csv"), "is no name"
    yield "absolute", zip_with("/x.csv"), "where below"
    yield "backslash", zip_with("a\\x.csv"), "where below"
    yield "drive", zip_with("C:/x.csv"), "where below"
    yield "nul", forged(zip_with("aZcsv"), b"aZcsv", b"a\0csv"), "invisible"
    yield "parent folder", zip_with("../x/", b""), "is no name"
    yield "link", zip_with(content=b"/etc/passwd", mode=0o120777), "link or a special"
    yield "device", zip_with(mode=0o020666), "link or a special"
    yield "pipe", zip_with(mode=0o010666), "link or a special"
    yield "bzip2", zip_with(method=zipfile.ZIP_BZIP2), "not read here"
    yield "lzma", zip_with(method=zipfile.ZIP_LZMA), "not read here"
    yield "case", zip_pair("a.csv", "A.csv"), "is there twice"
    yield "folder and file", zip_pair("a", "a/b"), "is there twice"
    yield "empty", zipfile_of_nothing(), "holds no file"
    yield "only junk", zip_with("__MACOSX/._a.csv"), "holds no file"
    yield "garbage", b"PK\x03\x04 garbage" * 100, "is damaged"
    yield "cut", plain[:-10], "is damaged"
    yield "nothing", b"", "is damaged"
    encrypted = bytearray(plain)
    encrypted[6] |= 1
    encrypted[plain.index(b"PK\x01\x02") + 8] |= 1
    yield "password", bytes(encrypted), "password"
    wrong = bytearray(plain)
    wrong[plain.index(b"PK\x01\x02") + 16] ^= 0xFF
    yield "checksum", bytes(wrong), "is damaged"
    end = plain.index(b"PK\x05\x06")
    huge = plain[: end + 12] + struct.pack("<I", DIRECTORY_BYTES_MOST + 1) + plain[end + 16 :]
    yield "directory", bytes(DIRECTORY_BYTES_MOST) + huge, "is damaged"
    start = plain.index(b"PK\x01\x02")
    yield "nowhere", plain[: start + 42] + b"\xff" * 4 + plain[start + 46 :], "is damaged"
    yield "before the beginning", plain[: end + 16] + struct.pack("<I", start + 9) + plain[end + 20 :], "is damaged"
    yield "ratio", zip_with(content=bytes(40 << 20)), "200 times"


def zipfile_of_nothing() -> bytes:
    out = BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.GNU_FORMAT) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as archive:
        for info, content in members:
            info.size = len(content) or info.size
            archive.addfile(info, BytesIO(content) if content else None)
    return out.getvalue()


def member(name: str, **values: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(info, key, value)
    return info


def raw_header(name: bytes, kind: bytes, size: bytes) -> bytes:
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + size.ljust(12, b"\0") + b"0" * 11 + b"\0")
    block += b" " * 8 + kind
    block += bytes(100) + b"ustar\x0000" + bytes(512 - len(block) - 108)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records: dict[str, str], kind: bytes = b"x") -> bytes:
    data = b""
    for key, value in records.items():
        tail = f" {key}={value}\n".encode()
        length = len(tail) + len(str(len(tail) + 3))
        data += f"{length}".encode() + tail
    return raw_header(b"pax", kind, b"%011o" % len(data)) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def tars() -> Iterator[tuple[str, bytes, str]]:
    good = tar_of((member("a.csv"), b"x" * 600))
    yield "parent", tar_of((member("../x.csv"), b"x")), "is no name"
    yield "absolute", tar_of((member("/x.csv"), b"x")), "where below"
    yield "parent folder", tar_of((member("../x", type=tarfile.DIRTYPE), b"")), "is no name"
    for name, kind in (("symlink", tarfile.SYMTYPE), ("hard link", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE),
                       ("device", tarfile.CHRTYPE), ("disk", tarfile.BLKTYPE)):  # fmt: skip
        yield name, tar_of((member("a.csv", type=kind, linkname="/etc/passwd"), b"")), "link or a special"
    yield (
        "link then file",
        tar_of((member("d", type=tarfile.SYMTYPE, linkname="/tmp"), b""), (member("d/x"), b"x")),
        "link or a special",
    )
    yield "long link", tar_of((member("a", type=tarfile.SYMTYPE, linkname="x" * 200), b"")), "link or a special"
    yield "gnu sparse", raw_header(b"a.csv", b"S", b"%011o" % 0) + bytes(1024), "link or a special"
    yield "pax sparse", pax({"GNU.sparse.major": "1"}) + good, "link or a special"
    yield "pax parent", pax({"path": "../x.csv"}) + good, "is no name"
    yield "pax link", pax({"linkpath": "/etc"}) + good, "link or a special"
    yield "pax nul", pax({"path": "a\0b"}) + good, "invisible"
    yield "pax size", pax({"size": "-5"}) + good, "is damaged"
    yield "pax too much", pax({"size": "99999999999"}) + good, "is damaged"
    yield "pax global name", pax({"path": "b.csv"}, b"g") + good, "is damaged"
    yield "pax record", raw_header(b"pax", b"x", b"%011o" % 9) + b"99 path=a".ljust(512, b"\0") + good, "is damaged"
    yield "pax digits", raw_header(b"pax", b"x", b"%011o" % 60_000) + b"1" * 60_416 + good, "is damaged"
    yield "pax too long", raw_header(b"pax", b"x", b"%011o" % (HEADER_BYTES_MOST + 1)) + good, "is damaged"
    yield "many headers", pax({"comment": "x"}) * 9 + good, "is damaged"
    yield "negative name", raw_header(b"long", b"L", b"\xff" * 12) + good, "is damaged"
    yield "negative size", raw_header(b"a.csv", b"0", b"\xff" * 12) + good, "link or a special"
    yield "giant size", raw_header(b"a.csv", b"0", b"\x80" + b"\xff" * 11) + b"x" * 512, "is damaged"
    yield "minus", raw_header(b"a.csv", b"0", b"-1") + good, "link or a special"
    yield "checksum", bytes([good[0] ^ 1]) + good[1:], "is damaged"
    yield "cut", good[:700], "is damaged"
    yield "cut in a block", good[: 512 + 600], "is damaged"
    yield "folder with data", raw_header(b"d/", b"0", b"%011o" % 512) + bytes(512) + good, "is no name"
    yield "cut header", good[:100], "is damaged"
    yield "nothing", b"", "holds no file"
    yield "zeros", bytes(10_240), "holds no file"
    yield "surrogates", raw_header(b"a\xff.csv", b"0", b"%011o" % 0), "is damaged"
    yield "twice", tar_of((member("a"), b"x"), (member("a"), b"y")), "is there twice"


@pytest.mark.parametrize(("_", "packed", "sentence"), [pytest.param(*each, id=each[0]) for each in zips()])
def test_a_hostile_zip_is_refused(tmp_path: Path, _: str, packed: bytes, sentence: str) -> None:
    assert sentence in refusal_of(tmp_path, "data.zip", packed)


@pytest.mark.parametrize(("_", "packed", "sentence"), [pytest.param(*each, id=each[0]) for each in tars()])
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_hostile_tar_is_refused(tmp_path: Path, _: str, packed: bytes, sentence: str, suffix: str) -> None:
    packed = packed if suffix == "tar" else gzip.compress(packed, mtime=0)
    assert sentence in refusal_of(tmp_path, f"data.{suffix}", packed)


@pytest.mark.parametrize(
    "packed",
    [b"", b"\x1f\x8b garbage", gzip.compress(b"x" * 5000, mtime=0)[:-20], b"BZh91AY", gzip.compress(b"text", mtime=0)],
)
def test_what_is_no_gzip_is_refused(tmp_path: Path, packed: bytes) -> None:
    assert refusal_of(tmp_path, "data.tgz", packed)


@pytest.mark.parametrize("make", [lambda: raw_header(b"a", b"0", b"%011o" % (64 << 20)) + bytes(64 << 20)])
def test_a_gzip_bomb_is_refused(tmp_path: Path, make: Callable[[], bytes]) -> None:
    assert "200 times" in refusal_of(tmp_path, "data.tar.gz", gzip.compress(make(), mtime=0))


def test_an_archive_beyond_the_budget_is_refused(tmp_path: Path) -> None:
    sentence = refusal_of(tmp_path, "data.zip", zip_with(content=bytes(range(256)) * 5000), Budget(1 << 20))
    assert "larger, unpacked" in sentence


@pytest.mark.parametrize("name", ["._x", "d/.DS_Store", "__MACOSX/x"])
def test_what_is_left_out_of_an_archive_counts_like_the_rest(tmp_path: Path, name: str) -> None:
    bomb = tar_of((member(name), bytes(64 << 20)), (member("a.csv"), b"x"))
    assert "200 times" in refusal_of(tmp_path / "tar", "data.tgz", gzip.compress(bomb, mtime=0))
    assert "200 times" in refusal_of(tmp_path / "zip", "data.zip", zip_with(name, bytes(40 << 20)))
    over = tar_of((member(name), bytes(2 << 20)), (member("a.csv"), b"x"))
    assert "larger, unpacked" in refusal_of(tmp_path / "budget", "data.tar", over, Budget(1 << 20))


@pytest.mark.parametrize(
    "one", [member("d", type=tarfile.DIRTYPE), member("._x"), member("__MACOSX", type=tarfile.DIRTYPE)]
)
def test_folders_and_what_is_left_out_are_counted(tmp_path: Path, one: tarfile.TarInfo) -> None:
    packed = tar_of(*[(one, b"")] * 4, (member("a.csv"), b"x"))
    assert "more than" in refusal_of(tmp_path, "data.tar", packed, Budget(1 << 20, files_left=4))
    enough, root = Budget(1 << 20, files_left=5), tmp_path / "root"
    root.mkdir()
    unpack_upload(tmp_path / "data.tar", Filing(root, enough, "data"))
    assert [path.name for path in root.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    "packed",
    [
        tar_of((member("._x"), bytes(8 << 20))), tar_of(*[(member("d", type=tarfile.DIRTYPE), b"")] * 100),
        tar_of((member("a.csv"), bytes(8 << 20))),
    ],
    ids=["left out", "folders", "file"],
)  # fmt: skip
def test_unpacking_can_be_stopped_whatever_is_in_the_archive(tmp_path: Path, packed: bytes) -> None:
    class Stopped(Exception):
        pass

    left = iter(range(50))

    def check() -> None:
        if next(left, None) is None:
            raise Stopped

    (tmp_path / "data.tar").write_bytes(packed)
    with pytest.raises(Stopped):
        unpack_upload(tmp_path / "data.tar", Filing(tmp_path, Budget(1 << 30), "data"), check)


def refusal_of(folder: Path, name: str, packed: bytes, budget: Budget | None = None) -> str:
    archive, root = folder / name, folder / "inside" / "root"
    root.mkdir(parents=True)
    archive.write_bytes(packed)
    with pytest.raises(UploadRefused) as caught:
        unpack_upload(archive, Filing(root, budget or Budget(1 << 30), "data"))
    assert {path for path in folder.rglob("*") if not path.is_relative_to(root)} == {archive, root.parent}
    assert not any(path.is_symlink() for path in root.rglob("*"))
    return caught.value.sentence


async def test_a_hostile_archive_leaves_nothing_of_its_upload(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        good = tar_of((member("a.csv"), b"x" * 600), (member("b", type=tarfile.SYMTYPE, linkname="/etc"), b""))
        for name, packed in (
            (b"d.zip", zip_with("../x.csv")),
            (b"d.tar", good),
            (b"d.tgz", gzip.compress(good, mtime=0)),
        ):
            problem = await refused(asked, body_of(PROGRAM, part(name, packed, b"data")))
            assert problem["field"] == "data"


async def test_an_archive_among_other_files_is_a_file(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        body = body_of(PROGRAM, part(b"a.zip", zip_with("../x.csv")), part(b"b.csv"))
        draft = (await send(asked, body)).json()
        assert draft["uploads"]["train"]["names"] == ["a.zip", "b.csv"]


async def test_over_the_port_an_upload_needs_the_token_and_an_origin(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked, trio.open_nursery() as nursery:
        api = Api(DraftRequests(asked.running, SubmitRequests(asked.running), Shelf(asked.folder)).routes())
        listener = await listen_on("127.0.0.1:0")
        keyring, origin = Keyring("0" * 64, lambda: 0.0), origin_of(listener)
        door = NetworkDoor(api.application(1 << 20), keyring, hosts_of(listener), "c", "default-src 'none'")
        await nursery.start(serve_http, door, listener)
        kind = {"content-type": "multipart/form-data; boundary=b"}
        cookie = {"cookie": f"c={keyring.cookie}"}
        async with httpx.AsyncClient(base_url=origin, headers=kind, timeout=60) as browser:

            async def status(**headers: str) -> int:
                response = await browser.post("/api/v1/drafts", content=body_of(PROGRAM), headers=headers)
                assert (response.status_code == 200) is bool(asked.left())
                return response.status_code

            assert await status() == 401
            assert await status(authorization="Bearer " + "1" * 64) == 401
            assert await status(**cookie) == 403
            assert await status(**cookie, origin="http://evil.example") == 403
            assert await status(**cookie, origin=origin, host="evil.example") == 421
            assert await status(**cookie, origin=origin) == 200
        nursery.cancel_scope.cancel()
