"""An uploaded job is read, kept, reviewed and posted once; whatever is broken in it is a sentence beside its field."""

import io
import json
import tarfile
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from morphware.node.drafts.shelf import DRAFTS_MOST, LIFE_S
from tests.node.api.drafting import SCRIPT, File, drafting, job_files, world_of


def zipped(files: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return out.getvalue()


# --- what is read ---------------------------------------------------------------------------------------------------


async def test_an_upload_is_read_and_kept_without_the_folder_that_was_picked(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        response = await asked.upload()
        draft = response.json()
        assert response.status_code == 200
        assert (draft["entry"], draft["kind"], draft["problems"]) == ("train.py", "script", [])
        assert draft["files"] == ["morphware.toml", "train.py"]
        assert draft["functions"] == ["predict", "train"]
        assert draft["suggested"] == {
            "name": "Ones", "metric": "accuracy", "threshold": 0.5, "reserve_wei": "100", "estimated_s": 10,
            "memory_bytes": 4 << 30,
        }  # fmt: skip
        assert draft["uploads"]["test"] == {"files": 2, "size_bytes": 16, "names": ["inputs.csv", "labels.csv"]}
        folder = asked.folder / draft["draft_id"]
        assert (folder / "test" / "labels.csv").read_bytes() == b"1\n1\n1\n0\n"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert asked.folder.stat().st_mode & 0o777 == 0o700
        assert asked.left() == [draft["draft_id"]]
        assert (await asked.client.get(f"/drafts/{draft['draft_id']}")).json() == draft
        assert (await asked.client.get("/drafts")).json() == {"drafts": [draft]}


async def test_a_mended_program_comes_alone_and_the_rest_stays(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        first = (await asked.upload()).json()
        mended = [("program", ("mended.py", b"def predict(model_dir, test_dir): ...\n"))]
        query = {"base": first["draft_id"], "keep": "train,test,data"}
        response = await asked.client.post("/drafts", params=query, files=mended)
        second = response.json()
        assert (response.status_code, second["entry"], second["files"]) == (200, "mended.py", ["mended.py"])
        assert {name: second["uploads"][name] for name in ("train", "test")} == {
            name: first["uploads"][name] for name in ("train", "test")
        }
        assert (await asked.client.delete(f"/drafts/{first['draft_id']}")).status_code == 200
        kept = asked.folder / second["draft_id"] / "test" / "labels.csv"
        assert kept.read_bytes() == b"1\n1\n1\n0\n", "the first draft's end is not theirs"
        gone = await asked.client.post("/drafts", params=query, files=mended)
        assert (gone.status_code, gone.json()["sentence"].startswith("There is no such draft")) == (404, True)
        for keep in ("labels", "../x", "train,,test"):
            junk = {"base": second["draft_id"], "keep": keep}
            assert (await asked.client.post("/drafts", params=junk, files=mended)).status_code == 400
        other = [("test", ("labels.csv", b"1\n")), ("test", ("inputs.csv", b"1\n"))]
        query = {"base": second["draft_id"], "keep": "program,train,test"}
        third = (await asked.client.post("/drafts", params=query, files=other)).json()
        assert (third["entry"], third["uploads"]["test"]["size_bytes"]) == ("mended.py", 4), "what came is not kept"


async def test_what_stays_counts_for_what_an_upload_may_be(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3 << 20))
    async with drafting(world_of(tmp_path), upload_mib=1) as asked:
        program = ("program", ("a.py", b"x = 1\n"))
        base = await asked.draft([program, ("train", ("train.zip", packed.getvalue()))])
        refused = await asked.client.post(
            "/drafts",
            params={"base": base, "keep": "train"},
            files=[program, ("test", ("test.zip", packed.getvalue()))],
        )
        assert (refused.status_code, "upload_mib" in refused.json()["sentence"]) == (400, True)
        assert asked.left() == [base]


async def test_a_lone_notebook_is_enough_to_begin_with(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": SCRIPT}
    async with drafting(world_of(tmp_path)) as asked:
        response = await asked.upload([("program", ("My job.ipynb", json.dumps({"cells": [cell]}).encode()))])
        draft = response.json()
        assert (draft["entry"], draft["kind"], draft["problems"]) == ("My job.ipynb", "notebook", [])
        assert draft["suggested"]["metric"] is None
        review = await asked.review(draft["draft_id"])
        fields = [problem["field"] for problem in review["problems"]]
        assert fields == ["metric", "threshold", "reserve_wei"]
        assert review["name"] == "My job"


@pytest.mark.parametrize("name", ["data.zip", "data.tar", "DATA.tar.gz", "data.tgz"])
async def test_an_archive_is_unpacked_into_its_field(tmp_path: Path, name: str) -> None:
    long = "d" * 90 + "/" + "e" * 90
    inside = {"top/inputs.csv": b"1\n", "top/.DS_Store": b"x", f"top/{long}.csv": b"2\n", "top/Zürich.csv": b"3\n"}
    packed = zipped(inside) if name.endswith("zip") else tarred(inside, "w" if name.endswith(".tar") else "w:gz")
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft([("program", ("train.py", SCRIPT.encode())), ("train", (name, packed))])
        found = {str(path.relative_to(asked.folder / draft_id / "train")) for path in
                 (asked.folder / draft_id / "train").rglob("*") if path.is_file()}  # fmt: skip
        assert found == {"inputs.csv", f"{long}.csv", "Zürich.csv"}
        assert sorted(path.name for path in (asked.folder / draft_id).iterdir()) == ["draft.json", "program", "train"]


def test_all_three_ways_to_write_a_long_name_in_a_tar_are_read(tmp_path: Path) -> None:
    from morphware.node.drafts.archives import unpack_upload
    from morphware.node.drafts.filing import Budget, Filing

    name = "a" * 80 + "/" + "b" * 90 + "/ü.csv"
    for format_ in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive, root = tmp_path / f"{format_}.tar", tmp_path / str(format_)
        root.mkdir()
        with tarfile.open(archive, "w", format=format_) as out:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 700, 1.5
            out.addfile(info, BytesIO(b"x" * 700))
            out.addfile(tarfile.TarInfo("empty.csv"))
        unpack_upload(archive, Filing(root, Budget(1 << 20), "train"))
        assert (root / name).read_bytes() == b"x" * 700
        assert (root / "empty.csv").read_bytes() == b""


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"program": ("train.py", b"def f(:\n")}, "program", "train.py does not parse"),
        ({"program": ("train.ipynb", b'{"cells": [{"cell_type": "code"}]}')}, "program", "not a notebook"),
        ({"program": ("train.ipynb", b"[" * 100_000)}, "program", "train.ipynb cannot be read"),
        ({"program": ("train.py", b"\xff\xfe\x00")}, "program", "cannot be read"),
        ({"program": ("train.py", b"x = " + b"(" * 10_000)}, "program", "train.py"),
        ({"program": ("notes.txt", b"hello")}, "program", "There is neither a script (.py) nor a notebook"),
        ({"program": ("train.rs", b"fn main() {}")}, "program", "There is neither a script (.py) nor a notebook"),
        ({"program": ("morphware.toml", b"= broken")}, "program", "program/morphware.toml cannot be used"),
        ({"program": ("morphware.toml", b'entry = "/etc/passwd"')}, "program", "which is not in the folder"),
        ({"train": ("empty/.DS_Store", b"")}, "train", "is empty"),
        ({"test": ("inputs.csv", b"1\n")}, "test", "The testing data has no labels file"),
        ({"test": ("labels.npy", b"\x93NUMPY junk")}, "test", "test"),
        ({"data": ("photo.png", b"png")}, "data", "photo.png, which cannot be cut by rows"),
        ({"data": ("a.npy", b"\x93NUMPY\x01\x00\xff\xff")}, "data", "cannot be cut by rows"),
    ],
)  # fmt: skip
async def test_what_is_broken_is_a_sentence_beside_its_field(
    tmp_path: Path, changes: dict[str, tuple[str, bytes]], field: str, sentence: str
) -> None:
    files: list[File] = [each for each in job_files() if each[0] not in changes]
    async with drafting(world_of(tmp_path)) as asked:
        response = await asked.upload([*files, *changes.items()])
        assert response.status_code == 200, response.text
        problems = response.json()["problems"]
        assert any(problem["field"] == field and sentence in problem["sentence"] for problem in problems), problems
        assert str(tmp_path) not in response.text
        review = await asked.review(response.json()["draft_id"], metric="accuracy", threshold=0.5, reserve_wei="100")
        assert field == "data" or field in [problem["field"] for problem in review["problems"]]


# --- how long it is kept --------------------------------------------------------------------------------------------


async def test_drafts_survive_a_restart_and_what_a_crash_left_does_not(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    async with drafting(world) as asked:
        draft_id = await asked.draft()
        (asked.folder / ".half.part").mkdir()
        (asked.folder / ".half.part" / "x").write_text("x")
    async with drafting(world) as asked:
        assert asked.left() == [draft_id]
        assert (await asked.client.get(f"/drafts/{draft_id}")).status_code == 200


async def test_the_oldest_of_too_many_go_and_so_does_what_is_older_than_a_week(tmp_path: Path) -> None:
    now = 1_000_000.0
    async with drafting(world_of(tmp_path), options={"clock": lambda: now}) as asked:
        ids = []
        for _ in range(DRAFTS_MOST + 2):
            now += 1
            ids.append(await asked.draft([("program", ("train.py", SCRIPT.encode()))]))
        listed = [draft["draft_id"] for draft in (await asked.client.get("/drafts")).json()["drafts"]]
        assert listed == ids[:1:-1]
        assert (await asked.client.get(f"/drafts/{ids[0]}")).status_code == 404
        now += LIFE_S - 3
        assert len((await asked.client.get("/drafts")).json()["drafts"]) == 3
        now += LIFE_S
        assert (await asked.client.get("/drafts")).json() == {"drafts": []}
        assert asked.left() == []


async def test_a_draft_that_cannot_be_read_for_a_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()

        def no_descriptors(*_: object) -> bytes:
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", no_descriptors)
            assert (await asked.client.get("/drafts")).json() == {"drafts": []}
            assert (await asked.client.get(f"/drafts/{draft_id}")).status_code == 503
        assert [draft["draft_id"] for draft in (await asked.client.get("/drafts")).json()["drafts"]] == [draft_id]


async def test_a_draft_of_another_version_goes_when_it_is_a_week_old(tmp_path: Path) -> None:
    now = time.time()
    async with drafting(world_of(tmp_path), options={"clock": lambda: now}) as asked:
        draft_id = await asked.draft()
        (asked.folder / draft_id / "draft.json").write_bytes(b'{"draft_id": "of another form"}')
        assert (await asked.client.get("/drafts")).json() == {"drafts": []}
        assert (await asked.client.get(f"/drafts/{draft_id}")).status_code == 404
        assert asked.left() == [draft_id]
        now += LIFE_S + 3600
        assert (await asked.client.get("/drafts")).json() == {"drafts": []}
        assert asked.left() == []


async def test_what_is_left_of_a_draft_that_was_let_go_goes_too(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        (asked.folder / draft_id / "draft.json").unlink()
        assert (await asked.client.get("/drafts")).json() == {"drafts": []}
        assert asked.left() == []


async def test_a_draft_that_is_deleted_is_gone(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        assert (await asked.client.delete(f"/drafts/{draft_id}")).status_code == 200
        assert asked.left() == []
        for response in (
            await asked.client.delete(f"/drafts/{draft_id}"),
            await asked.client.get(f"/drafts/{draft_id}"),
            await asked.client.post(f"/drafts/{draft_id}/review", json={}),
            await asked.client.post(f"/drafts/{draft_id}/dry-run", json={}),
            await asked.post(draft_id),
            await asked.client.get("/drafts/..%2f..%2fkeys"),
        ):
            assert response.status_code == 404
            assert response.json()["kind"] == "not_found"
        assert (await asked.client.get("/drafts/drafts")).json()["field"] == "draft_id", "no name of a draft"


# --- review ---------------------------------------------------------------------------------------------------------


async def test_a_review_says_what_is_locked_and_what_can_be_lost(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        review = await asked.review(await asked.draft())
        assert review["problems"] == []
        assert (review["name"], review["metric"], review["threshold"]) == ("Ones", "accuracy", 0.5)
        assert {part["what"]: int(part["amount_wei"]) for part in review["parts"]} == {
            "reserve": 100, "fees": 10, "bond": 50,
        }  # fmt: skip
        assert int(review["escrow_wei"]) == 160 == sum(int(part["amount_wei"]) for part in review["parts"])
        losses = {loss["what"]: int(loss["amount_wei"]) for loss in review["losses"]}
        assert losses == {
            "paid": 111, "rejected": 10, "no_bids": 0, "keys_late": 50, "tests_late": 160, "aborted": 12,
            "appeals": 111 + 2 * (11 + 23 + 47), "gas": 0,
        }  # fmt: skip
        assert int(review["most_lost_wei"]) == max(losses.values())
        assert review["is_payable"] is True
        assert review["free_wei"] == "10000"
        windows = sum(window["seconds"] for window in review["windows"])
        assert review["back_by"] > asked.node.engine.now.timestamp + windows


async def test_several_wrong_fields_are_all_told_at_once(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        files = [each for each in job_files() if each[0] != "test"]
        review = await asked.review(
            await asked.draft(files), threshold=2, reserve_wei="0", seats=4, training_s=2_592_000, testing_s=1
        )
        told = [problem["field"] for problem in review["problems"]]
        assert told == ["threshold", "reserve_wei", "seats", "testing_s", "test"]
        assert (review["escrow_wei"], review["parts"], review["is_payable"]) == (None, [], False)


async def test_what_the_market_would_refuse_is_told_before_posting(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path), roles=("worker",), free_wei=50) as asked:
        draft_id = await asked.draft()
        review = await asked.review(draft_id, seats=9, reserve_wei="1000000", fee_wei="0")
        assert [problem["field"] for problem in review["problems"]] == ["reserve_wei", "fee_wei", "", "seats"]
        usual = await asked.review(draft_id)
        assert [problem["field"] for problem in usual["problems"]] == [""]
        assert usual["is_payable"] is False


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"reserve_wei": "-1"}, "reserve_wei"), ({"reserve_wei": 5}, "reserve_wei"), ({"seats": 0}, "seats"),
        ({"training_s": 0}, "training_s"), ({"threshold": "x"}, "threshold"), ({"privacy": "none"}, "privacy"),
        ({"name": "x" * 1001}, "name"), ({"chunks": -1}, "chunks"), ({"memory_bytes": 1}, "memory_bytes"),
    ],
)  # fmt: skip
async def test_terms_that_are_none_are_refused_with_their_field(
    tmp_path: Path, terms: dict[str, Any], field: str
) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        for response in (
            await asked.client.post(f"/drafts/{draft_id}/review", json=terms),
            await asked.post(draft_id, **terms),
        ):
            assert response.status_code == 400
            assert response.json()["field"] == field


async def test_no_sentence_beside_a_field_speaks_of_the_command_line(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        rows: list[File] = [("data", ("data/x.csv", b"1\n2\n"))]
        bare = await asked.draft([("program", ("train.py", SCRIPT.encode())), *rows])
        reviews = [
            await asked.review(bare),
            await asked.review(bare, metric="accuracy", threshold=0.5, reserve_wei="0"),
            await asked.review(bare, metric="f1", threshold=0.5, reserve_wei="9", chunks=4, privacy="public"),
            await asked.review(bare, metric="f1", threshold=0.5, reserve_wei="9", chunks=4, test_chunks=1),
        ]
        sentences = [problem["sentence"] for review in reviews for problem in review["problems"]]
        assert "Name a metric for train.py here or in morphware.toml." in sentences
        assert "The job's data is missing: upload it." in sentences
        assert len(sentences) > 8
        assert not [sentence for sentence in sentences if "--" in sentence]
