"""An uploaded job is read, kept, reviewed and posted once; whatever is broken in it is a sentence beside its field."""

import json
import tarfile
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.drafts.shelf import DRAFTS_MOST, LIFE_S
from morphware.protocol.units import Wei
from tests.node.api.drafting import SCRIPT, File, drafting, job_files, world_of
from tests.node.world import SUBMISSION, TIMING


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
        ({"program": ("notes.txt", b"hello")}, "program", "Which file of program is the job"),
        ({"program": ("train.rs", b"fn main() {}")}, "program", "Which file of program is the job"),
        ({"program": ("morphware.toml", b"= broken")}, "program", "program/morphware.toml cannot be used"),
        ({"program": ("morphware.toml", b'entry = "/etc/passwd"')}, "program", "which is not in the folder"),
        ({"train": ("empty/.DS_Store", b"")}, "train", "is empty"),
        ({"test": ("inputs.csv", b"1\n")}, "test", "The testing data folder test has no labels file"),
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


# --- posting --------------------------------------------------------------------------------------------------------


async def test_a_posted_draft_becomes_a_job_and_goes(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        response = await asked.post(draft_id, estimated_s=9)
        assert response.status_code == 200, response.text
        job_id = response.json()["job_id"]
        assert asked.left() == []
        kept = asked.node.folder / "jobs" / job_id
        assert (kept / "code" / "train.py").read_text() == SCRIPT
        assert (kept / "test" / "labels.csv").is_file()
        [machine] = asked.node.engine.machines.values()
        assert machine.job_id.hex() == job_id
        submission = machine.brain.submission  # type: ignore[attr-defined]
        assert (submission.name, submission.reserve_wei, submission.estimated_s) == ("Ones", 100, 9)
        assert submission.escrow_wei == SUBMISSION.escrow_wei
        assert (await asked.client.get(f"/drafts/{draft_id}")).status_code == 404


async def test_a_double_click_posts_once_also_across_a_restart(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    async with drafting(world) as asked:
        draft_id = await asked.draft()
        answers: list[Any] = []

        async def click() -> None:
            answers.append((await asked.post(draft_id)).json())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(click)
            nursery.start_soon(click)
        assert answers[0] == answers[1]
        assert len(asked.node.engine.machines) == 1
        assert (await asked.post(draft_id, "another")).status_code == 404
    async with drafting(world) as asked:
        assert (await asked.post(draft_id)).json() == answers[0]
        assert len(asked.node.engine.machines) == 1


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_posting_that_a_crash_cut_short_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """Killed after the job was stored, or before, and before the request was noted as done."""
    world = world_of(tmp_path)
    async with drafting(world) as asked:
        draft_id = await asked.draft()
        journal, engine = asked.node.engine.journal, asked.node.engine
        with monkeypatch.context() as patch:

            def killed(*_: object) -> None:
                raise OSError("killed")

            if is_committed:
                patch.setattr(journal, "put", killed)
            else:
                patch.setattr(journal, "add_machine", killed)
            assert (await asked.post(draft_id)).status_code == 503
        assert len(engine.machines) == is_committed
        noted = json.loads((asked.folder / draft_id / "posting.json").read_bytes())
        assert noted["request_id"] == "click"
    async with drafting(world) as asked:
        response = await asked.post(draft_id)
        assert response.status_code == 200
        assert (response.json()["job_id"] == noted["job_id"]) is is_committed
        assert len(asked.node.engine.machines) == 1
        assert asked.left() == []
        assert [path.name for path in (asked.node.folder / "jobs").iterdir()] == [response.json()["job_id"]]


async def test_a_draft_that_was_posted_before_a_crash_is_listed_no_more_and_its_request_still_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(tmp_path)
    async with drafting(world) as asked:
        posted, waiting = await asked.draft(), await asked.draft()
        with monkeypatch.context() as patch:

            def killed(*_: object) -> None:
                raise OSError("killed")

            patch.setattr(asked.node.engine.journal, "put", killed)
            assert (await asked.post(posted)).status_code == 503
        [machine] = asked.node.engine.machines.values()
    async with drafting(world) as asked:
        listed = (await asked.client.get("/drafts")).json()["drafts"]
        assert [draft["draft_id"] for draft in listed] == [waiting]
        assert asked.left() == [waiting]
        assert (await asked.post(posted)).json() == {"job_id": machine.job_id.hex()}
        assert len(asked.node.engine.machines) == 1


async def test_a_draft_whose_posting_came_to_nothing_is_still_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        with monkeypatch.context() as patch:

            def killed(*_: object) -> None:
                raise OSError("killed")

            patch.setattr(asked.node.engine.journal, "add_machine", killed)
            assert (await asked.post(draft_id)).status_code == 503
        assert (asked.folder / draft_id / "posting.json").is_file()
        assert [draft["draft_id"] for draft in (await asked.client.get("/drafts")).json()["drafts"]] == [draft_id]


@pytest.mark.parametrize(
    ("terms", "field"),
    [({"threshold": 2}, "threshold"), ({"seats": 4}, "seats"), ({"reserve_wei": "1"}, "reserve_wei"),
     ({"fee_wei": "0"}, "fee_wei"), ({"seats": 11}, "seats"), ({"chunks": 4, "test_chunks": 1}, "data")],
)  # fmt: skip
async def test_a_posting_with_a_wrong_field_is_refused_and_the_draft_stays(
    tmp_path: Path, terms: dict[str, Any], field: str
) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft()
        response = await asked.post(draft_id, **terms)
        assert (response.status_code, response.json()["field"]) == (400, field)
        assert str(tmp_path) not in response.text
        assert asked.left() == [draft_id]
        assert not asked.node.engine.machines
        jobs = asked.node.folder / "jobs"
        assert not jobs.exists() or not any(jobs.iterdir())


async def test_a_posting_that_the_account_cannot_pay_is_refused(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path), free_wei=159) as asked:
        draft_id = await asked.draft()
        assert (await asked.review(draft_id))["is_payable"] is False
        response = await asked.post(draft_id)
        assert response.status_code == 400
        assert "needs" in response.json()["sentence"]
        assert not asked.node.engine.machines


async def test_data_that_the_protocol_splits_is_posted_whole(tmp_path: Path) -> None:
    rows = "".join(f"{row}\n" for row in range(12)).encode()
    files: list[File] = [each for each in job_files() if each[0] == "program"]
    files += [("data", ("data/inputs.csv", rows)), ("data", ("data/labels.csv", rows))]
    async with drafting(world_of(tmp_path)) as asked:
        draft_id = await asked.draft(files)
        review = await asked.review(draft_id, chunks=4, test_chunks=1)
        assert review["problems"] == []
        response = await asked.post(draft_id, chunks=4, test_chunks=1)
        assert response.status_code == 200, response.text
        kept = asked.node.folder / "jobs" / response.json()["job_id"]
        assert (kept / "data" / "labels.csv").read_bytes() == rows


# --- what a review says is what the market does ---------------------------------------------------------------------


def test_the_losses_of_a_review_are_those_of_the_settlement() -> None:
    """Each way for a job to end, settled by the market's own rules at the largest price, costs what the review says."""
    from morphware.node.drafts.review import Stakes
    from morphware.protocol.states import Outcome, Verdict

    stakes = Stakes.of(SUBMISSION)
    expected = {
        (Outcome.PAID, Verdict.PASS): stakes.paid_wei,
        (Outcome.PAID, Verdict.NO_TEST): stakes.reserve_wei + stakes.bond_wei + stakes.fees_wei,
        (Outcome.REJECTED, Verdict.FAIL): stakes.fees_wei,
        (Outcome.USER_FAULT, Verdict.NONE): stakes.bond_wei,
        (Outcome.MUTUAL_ABORT, Verdict.NONE): stakes.abort_wei,
        (Outcome.NO_BIDS, Verdict.NONE): 0,
    }
    for (outcome, verdict), loss in expected.items():
        assert _settled_loss(outcome, verdict) == loss, outcome


def _settled_loss(outcome: Any, verdict: Any) -> int:
    """What the end user loses where the price is the reserve, and every validator that sat earned its fee."""
    from types import SimpleNamespace

    from morphware.protocol.ledger import Free, Part
    from morphware.protocol.settlement import settle_parties
    from morphware.protocol.states import Verdict
    from morphware.protocol.units import Address, JobId

    user, winner = Address(b"u" * 20), Address(b"w" * 20)
    bond = SUBMISSION.reserve_wei // 2
    fees = 0 if verdict is not Verdict.NONE else SUBMISSION.seats * SUBMISSION.fee_wei
    job: Any = SimpleNamespace(
        job_id=JobId(bytes(32)), user=user, winner=winner, bond_wei=bond, verdict=verdict, appellants=[],
        price_wei=SUBMISSION.reserve_wei, slashed_wei=0, terms=SimpleNamespace(
            reserve_wei=SUBMISSION.reserve_wei, fee_wei=SUBMISSION.fee_wei),
    )  # fmt: skip
    held = {
        Part.RESERVE: SUBMISSION.reserve_wei, Part.FEES: fees, Part.USER_BOND: bond, Part.BID_BONDS: bond, Part.POOL: 0,
    }  # fmt: skip
    moves = settle_parties(job, outcome, held, Wei(SUBMISSION.reserve_wei))
    back = sum(move.amount_wei for move in moves if move.target == Free(user))
    assert TIMING.audit_one_in
    return SUBMISSION.escrow_wei - back
