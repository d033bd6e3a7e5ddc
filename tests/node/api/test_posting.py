"""A draft is posted once, whole, and what its review said is what the market does."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from morphware.node.drafts.review import Stakes
from morphware.protocol.ledger import Free, Part
from morphware.protocol.settlement import settle_parties
from morphware.protocol.states import Outcome, Verdict
from morphware.protocol.units import Address, JobId, Wei
from tests.node.api.drafting import SCRIPT, File, drafting, job_files, world_of
from tests.node.world import SUBMISSION, TIMING


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


def _settled_loss(outcome: Outcome, verdict: Verdict) -> int:
    """What the end user loses where the price is the reserve, and every validator that sat earned its fee."""
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
