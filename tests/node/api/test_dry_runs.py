"""A job is tried out in the real sandbox, told as it goes, ended by whoever hangs up, and leaves nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from morphware.node.drafts.dry_run import Pace
from morphware.node.ports import MetricPoint
from morphware.node.runner.runner import SandboxRunner
from morphware.node.runner.sandbox import SandboxReport, probe
from tests.node.api.drafting import SCRIPT, Drafting, drafting, job_files, world_of

FOR_EVER = """
import time
print("<b>begun</b> \\x1b[31mred", flush=True)
step = 0
while True:
    print(f"step {step} loss 0.5", flush=True)
    step += 1
    time.sleep(0.05)

def predict(model_dir, test_dir):
    return []
"""
BROKEN = """
def deeper():
    raise ValueError("no such column <script>")

def predict(model_dir, test_dir):
    return []

deeper()
"""
BAD_SECOND_HALF = SCRIPT.replace('["answer"]] * 4', '["question"]] * 4')
SILENT = SCRIPT.replace('print(f"step {step} loss {1 / (step + 1):.3f}", flush=True)', "pass")


@pytest.fixture(scope="module")
def report() -> SandboxReport:
    found = probe()
    assert found.is_usable, found.remedy
    return found


@pytest.fixture
def runner(tmp_path: Path, report: SandboxReport) -> SandboxRunner:
    (tmp_path / "scratch").mkdir()
    return SandboxRunner(tmp_path / "scratch", report=report)


async def events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def told_of(asked: Drafting, draft_id: str, **wish: Any) -> list[dict[str, Any]]:
    """All events of a dry run, of which the last is the result."""
    async with asked.client.stream("POST", f"/drafts/{draft_id}/dry-run", json=wish) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        told = [event async for event in events(response)]
    assert [event["kind"] == "result" for event in told] == [False] * (len(told) - 1) + [True]
    return told


async def hang_on(asked: Drafting, address: str, wish: dict[str, Any]) -> trio.SocketStream:
    """Ask like a browser that may hang up at any time."""
    url = asked.client.base_url
    browser = await trio.open_tcp_stream(url.host, url.port or 80)
    body = json.dumps(wish).encode()
    head = f"POST {url.path.rstrip('/')}{address} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    await browser.send_all(head.encode() + b"content-length: %d\r\n\r\n%s" % (len(body), body))
    return browser


async def test_a_job_that_ends_in_time_is_tested_too(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        draft_id = await asked.draft()
        *told, result = await told_of(asked, draft_id, seconds=60)
        assert next(event["text"] for event in told if event["kind"] == "output") == "step 0 loss 1.000\n"
        points = [event for event in told if event["kind"] == "point"]
        assert [event["step"] for event in points] == [0, 1, 2, 3, 4]
        assert points[1]["values"] == {"loss": 0.5}
        assert (result["is_working"], result["has_ended"], result["is_logging"]) == (True, True, True), result
        assert result["values"] == {"accuracy": 0.75}
        assert result["step_s"] >= 0.04
        assert result["estimated_s"] >= result["seconds"] > 0.2
        assert result["peak_memory_bytes"] > 1 << 20
        assert "accuracy 0.75" in result["text"]
        assert asked.left() == [draft_id]
        assert list((tmp_path / "scratch").iterdir()) == []
        assert asked.node.engine.machines == {}


async def test_that_the_time_is_over_is_a_success(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        draft_id = await asked.draft(job_files(FOR_EVER))
        *told, result = await told_of(asked, draft_id, seconds=6)
        assert told[0]["text"] == "<b>begun</b> red\n"
        assert (result["is_working"], result["has_ended"], result["estimated_s"]) == (True, False, None), result
        assert result["step_s"] > 0.04
        assert "a step takes" in result["text"]
        assert (result["values"], result["tail"]) == ({}, "")


async def test_a_job_that_breaks_shows_its_last_lines(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        *_, result = await told_of(asked, await asked.draft(job_files(BROKEN)), seconds=60)
        assert (result["is_working"], result["estimated_s"]) == (False, None)
        assert "ValueError: no such column <script>" in result["tail"]
        assert "deeper()" in result["tail"]
        assert "The training fails" in result["text"]


async def test_a_second_half_that_breaks_is_told(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        *_, result = await told_of(asked, await asked.draft(job_files(BAD_SECOND_HALF)), seconds=60)
        assert (result["is_working"], result["has_ended"], result["values"]) == (False, True, {})
        assert "fails the test" in result["text"]
        assert "KeyError: 'question'" in result["tail"]


NEEDS_TRAINING = b"""
import os, pathlib
net = pathlib.Path(os.environ["MORPHWARE_MODEL_DIR"], "net").write_text("trained")
def predict(model_dir, test_dir):
    return net
"""


@pytest.mark.parametrize(
    ("program", "advice"),
    [
        (b"open('train.csv')\ndef predict(m, t): ...\n", "$MORPHWARE_TRAIN_DIR"),
        (b"import fastai\ndef predict(m, t): ...\n", "scikit-learn"),
        (NEEDS_TRAINING, "read what it needs from model_dir"),
    ],
)
async def test_what_newcomers_jobs_end_with_is_answered_with_what_to_do(
    tmp_path: Path, runner: SandboxRunner, program: bytes, advice: str
) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        files = [("program", ("train.py", program)), *(each for each in job_files(BROKEN) if each[0] != "program")]
        *_, result = await told_of(asked, await asked.draft(files), seconds=60, metric="accuracy")
        assert not result["is_working"]
        assert advice in result["text"]


async def test_a_job_that_logs_nothing_has_no_pace(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        files = [each for each in job_files(SILENT) if each[0] != "test"]
        told = await told_of(asked, await asked.draft(files), seconds=60)
        result = told[-1]
        assert (result["is_working"], result["is_logging"], result["step_s"]) == (True, False, None)
        assert "logs no steps" in result["text"]
        assert "there is no testing data yet" in result["text"]


async def test_a_job_that_cannot_be_tried_is_a_sentence(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        no_data = await asked.draft([("program", ("train.py", SCRIPT.encode()))])
        [result] = await told_of(asked, no_data)
        assert (result["is_working"], "upload it first" in result["text"]) == (False, True)
        broken = await asked.draft([("program", ("train.py", b"def f(:"))])
        response = await asked.client.post(f"/drafts/{broken}/dry-run", json={})
        assert (response.status_code, response.json()["field"]) == (400, "program")
        for wrong in ({"seconds": 0}, {"seconds": 121}, {"seconds": "x"}, {"surprise": 1}):
            response = await asked.client.post(f"/drafts/{no_data}/dry-run", json=wrong)
            assert response.status_code == 400


async def test_one_at_a_time_and_hanging_up_ends_it(tmp_path: Path, runner: SandboxRunner) -> None:
    async with drafting(world_of(tmp_path), runner) as asked:
        draft_id = await asked.draft(job_files(FOR_EVER))
        address = f"/drafts/{draft_id}/dry-run"
        with trio.fail_after(60):
            browser = await hang_on(asked, address, {"seconds": 120})
            said = b""
            while b"event: point" not in said:
                said += await browser.receive_some()
            second = await asked.client.post(address, json={})
            assert (second.status_code, second.json()["kind"]) == (409, "conflict")
            assert (await asked.client.delete(f"/drafts/{draft_id}")).status_code == 409
            assert (await asked.post(draft_id)).status_code == 409
            await browser.aclose()
            while (await asked.client.delete(f"/drafts/{draft_id}")).status_code == 409:  # noqa: ASYNC110 - over HTTP
                await trio.sleep(0.1)
            assert list((tmp_path / "scratch").iterdir()) == []
            assert asked.left() == []
            again = await asked.draft()
            assert (await told_of(asked, again, seconds=60))[-1]["is_working"] is True


async def test_only_what_would_travel_is_there_when_it_is_tried(tmp_path: Path, runner: SandboxRunner) -> None:
    script = SCRIPT.replace(
        "train(None", "print(sorted(os.listdir(os.path.dirname(__file__))), flush=True)\n    train(None"
    )
    async with drafting(world_of(tmp_path), runner) as asked:
        files = [*job_files(script), ("program", ("ones/.env", b"secret")), ("program", ("ones/helper.py", b""))]
        told = await told_of(asked, await asked.draft(files), seconds=60)
        shown = "\n".join(event["text"] for event in told)
        assert "helper.py" in shown
        assert ".env" not in shown


def test_the_pace_is_taken_from_steps_that_rise() -> None:
    def pace(*points: tuple[int, float]) -> float | None:
        told = Pace()
        for step, time_s in points:
            told.note(MetricPoint(step, time_s, {"loss": 1.0}))
        return told.step_s

    assert pace((0, 1.0), (10, 2.0), (20, 3.0)) == 0.1
    assert pace((5, 1.0)) is None
    assert pace((5, 1.0), (5, 2.0)) is None
    assert pace((5, 1.0), (3, 2.0)) is None
    assert pace((0, 3.0), (10, 2.0)) is None
