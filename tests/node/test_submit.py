"""``morphware submit`` from its options to its last word, with a recording behind a real socket in the node's place."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from morphware.node.api.answers.jobs import Cost, Costs, Job, JobPage, JobsAsked
from morphware.node.api.answers.node import Status
from morphware.node.api.answers.submitting import Posted, WishAsked
from morphware.node.api.routes import Call, Route
from morphware.node.cli.jobs import print_job, print_jobs
from morphware.node.cli.options import SubmitOptions
from morphware.node.cli.submit import submit_job, wish_of
from morphware.node.data_folder import NodeNotRunning
from morphware.node.describe import describe, describe_unposted
from morphware.node.errors import BadInput, ExitStatus
from morphware.node.feed import Feed
from morphware.node.testnet.display import JobDisplay
from morphware.protocol.units import TOKEN, JobId, Wei
from tests.node.api.serving import serve_routes
from tests.node.testnet.recorded import ACCOUNTS, JOB_ID, NAMES, START_S, Recorder, paid_job

SCRIPT = """
def predict(model_dir, test_dir):
    return [0, 1]
"""
CONFIG = (
    'title = "Two"\nmetric = "accuracy"\nthreshold = 0.5\nreserve = "12.5"\nestimated_seconds = 7\nmemory_mib = 512\n'
)

StartNode = Callable[..., None]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    for name in ("train", "test"):
        (folder / name).mkdir(parents=True)
        (folder / name / "inputs.csv").write_text("1\n2\n")
    (folder / "test" / "labels.csv").write_text("0\n1\n")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "morphware.toml").write_text(CONFIG)
    return folder


def options(job: Path, **changes: Any) -> SubmitOptions:
    plain = SubmitOptions(
        script=job / "train.py",
        train=job / "train",
        test=job / "test",
        data=None,
        chunks=0,
        test_chunks=0,
        metric=None,
        threshold_e6=None,
        baseline_e6=None,
        reserve_wei=None,
        seats=5,
        name="",
        estimated_s=None,
        training_s=None,
        testing_s=None,
        bidding_s=6,
        privacy="sealed",
        data_folder=job.parent / "node",
        json=False,
        wait=True,
    )
    return replace(plain, **changes)


def test_what_is_not_given_is_as_the_job_says(job: Path) -> None:
    wish = wish_of(options(job))
    assert (wish.metric, wish.threshold, wish.estimated_s, wish.bidding_s) == ("accuracy", 0.5, 7, 6)
    assert wish.reserve_wei == 25 * TOKEN // 2
    assert wish.memory_bytes == 512 << 20
    assert (wish.training_s, wish.testing_s) == (None, None)


def test_what_is_given_goes_first(job: Path) -> None:
    given = options(
        job, metric="f1", threshold_e6=900_000, reserve_wei=Wei(3), estimated_s=9, training_s=5, testing_s=4
    )
    wish = wish_of(given)
    assert (wish.metric, wish.threshold, wish.estimated_s) == ("f1", 0.9, 9)
    assert (wish.reserve_wei, wish.training_s, wish.testing_s) == (3, 5, 4)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda job: (job / "train.py").write_text("def predict(:"), "does not parse"),
        (lambda job: (job / "morphware.toml").write_text(""), "Name a metric"),
        (lambda job: (job / "morphware.toml").write_text('metric = "accuracy"'), "Name the accuracy that pays"),
        (lambda job: (job / "morphware.toml").write_text('metric = "accuracy"\nthreshold = 0.5'), "give --reserve"),
        (lambda job: (job / "morphware.toml").write_text(CONFIG.replace("accuracy", "nonsense")), "never reports"),
        (lambda job: (job / "train" / "inputs.csv").unlink(), "is empty"),
        (lambda job: (job / "test" / "labels.csv").unlink(), "has no labels"),
    ],
)
def test_a_mistake_is_said_before_any_node_is_asked(job: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    spoil(job)
    with pytest.raises(BadInput, match=sentence):
        submit_job(options(job))


def test_a_node_that_does_not_run_is_said(job: Path) -> None:
    (job.parent / "node").mkdir()
    with pytest.raises((NodeNotRunning, BaseExceptionGroup)) as caught:
        submit_job(options(job))
    assert "morphware run" in str(caught.value)


# --- with a node ----------------------------------------------------------------------------------------------------


def recorded_job() -> tuple[Recorder, Job]:
    """The user's notices, and how its node describes the job at the end."""
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    display = JobDisplay(NAMES)
    display.begin(START_S)
    display.follow(JOB_ID.hex())
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert display.progress.view is not None
    job = describe(display.progress.view, account=ACCOUNTS["user-1"], problem="", model=Path("/models/1"))
    return recorder, job


async def serve_node(folder: Path, *, outcome: str = "PAID", is_stuck: bool = False) -> None:
    """A node that has lived through the recorded job, or stays in its bidding."""
    recorder, job = recorded_job()
    feed = Feed()

    async def status(_: Call) -> Status:
        account = "0x" + ACCOUNTS["user-1"].hex()
        return Status(
            name="node", account=account, roles=["user"], addresses=[], artifacts="127.0.0.1:1", free_wei="0",
            wallet_wei=str(949 * TOKEN), seats=0, block=1, peers=0, known_nodes=1, version="0",
        )  # fmt: skip

    async def submit(call: Call) -> Posted:
        if call.body.seats > 5:
            raise BadInput("There are not so many seats: ask for fewer.")
        for who, notice in recorder.notices:
            if who == "user-1" and not (is_stuck and notice["kind"] in ("ended", "output")):
                values = {key: value for key, value in notice.items() if key not in ("kind", "time_s")}
                if notice["kind"] == "ended":
                    values["outcome"] = outcome
                feed.say(notice["kind"], **values)
        return Posted(job_id=JOB_ID.hex())

    async def one(_: Call) -> Job:
        return msgspec.structs.replace(job, outcome=outcome)

    async def jobs(call: Call) -> JobPage:
        unposted = describe_unposted(JobId(b"\xab" * 32), is_given_up=False, problem="")
        rows = [row for row in (unposted.row(), (await one(call)).row()) if row.job_id.startswith(call.query.q)]
        return JobPage(jobs=rows, total=len(rows), page=1, size=50)

    async def costs(_: Call) -> Costs:
        ours = Cost(job_id=JOB_ID.hex(), role="user", call="Post", gas=312_000, fee_wei="312")
        return Costs(costs=[ours, msgspec.structs.replace(ours, job_id="ab" * 32)])

    routes = [
        Route("GET", "/status", "status", "Status.", status, Status),
        Route("POST", "/submissions", "submit", "Submits.", submit, Posted, body=WishAsked),
        Route("GET", "/jobs/{job_id}", "job", "One job.", one, Job),
        Route("GET", "/jobs", "jobs", "Jobs.", jobs, JobPage, query=JobsAsked),
        Route("GET", "/costs", "costs", "Costs.", costs, Costs),
    ]
    await serve_routes(folder, routes, feed)


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Starts the node in a process of its own, as the command starts a trio of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: Any) -> None:
        folder = tmp_path / "node"
        folder.mkdir()
        program = textwrap.dedent(
            f"""
            import sys, trio
            sys.path.insert(0, {str(Path(__file__).parents[2])!r})
            from functools import partial
            from pathlib import Path
            from tests.node.test_submit import serve_node
            trio.run(partial(serve_node, Path({str(folder)!r}), **{settings!r}))
            """
        )
        started.append(subprocess.Popen([sys.executable, "-c", program], start_new_session=True))

        async def wait() -> None:
            with trio.fail_after(60):
                while not (folder / "node.sock").exists():
                    assert started[-1].poll() is None
                    await trio.sleep(0.05)

        trio.run(wait)

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_paid_job_ends_with_its_receipt_and_status_0(job: Path, start_node: StartNode, capsys: Capture) -> None:
    start_node()
    assert submit_job(options(job)) == ExitStatus.SUCCESS
    out = capsys.readouterr().out
    assert "BIDDING" in out
    assert "you" in out
    assert "worker 0x0303…0303 wins at 38 MWT" in out
    assert "was paid 41 MWT" in out
    assert "/models/1" in out
    assert "Your tokens: 0 MWT, now 949." in out


def test_json_has_standard_output_for_itself(job: Path, start_node: StartNode, capsys: Capture) -> None:
    start_node()
    assert submit_job(options(job, json=True)) == ExitStatus.SUCCESS
    captured = capsys.readouterr()
    receipt = json.loads(captured.out)
    assert receipt["outcome"] == "PAID"
    assert receipt["account"]["after_wei"] == str(949 * TOKEN)
    assert [cost["call"] for cost in receipt["costs"]] == ["Post"]
    assert "wins at 38 MWT" in captured.err


def test_another_outcome_is_status_1(job: Path, start_node: StartNode, capsys: Capture) -> None:
    start_node(outcome="REJECTED")
    assert submit_job(options(job)) == ExitStatus.NOT_PAID
    assert "REJECTED" in capsys.readouterr().out


def test_without_waiting_it_returns_once_the_job_is_on_chain(job: Path, start_node: StartNode, capsys: Capture) -> None:
    start_node(is_stuck=True)
    assert submit_job(options(job, wait=False)) == ExitStatus.SUCCESS
    assert f"morphware job {JOB_ID.hex()}" in capsys.readouterr().out


def test_the_nodes_refusal_reaches_the_user(job: Path, start_node: StartNode) -> None:
    start_node()
    with pytest.RaisesGroup(BadInput, flatten_subgroups=True, allow_unwrapped=True):
        submit_job(options(job, seats=7))


def test_ctrl_c_says_that_the_job_goes_on(job: Path, start_node: StartNode) -> None:
    start_node(is_stuck=True)
    arguments = ["submit", job / "train.py", "--train", job / "train", "--test", job / "test"]
    arguments += ["--data-folder", job.parent / "node"]
    main = [sys.executable, "-m", "morphware.node.cli.main", *map(str, arguments)]
    process = subprocess.Popen(main, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if b"CLAIMABLE" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitStatus.INTERRUPTED
    assert b"The job goes on without this window" in err
    assert f"morphware job {JOB_ID.hex()}".encode() in err
    assert b"Traceback" not in err


def test_jobs_are_listed_and_shown(tmp_path: Path, start_node: StartNode, capsys: Capture) -> None:
    start_node()
    folder = tmp_path / "node"
    assert print_jobs(folder, as_json=False) == 0
    out = capsys.readouterr().out
    assert JOB_ID.hex()[:12] in out
    assert "PAID" in out
    assert print_job(JOB_ID.hex()[:6], folder, as_json=False) == 0
    assert "was paid 41 MWT" in capsys.readouterr().out
    assert print_job(JOB_ID.hex(), folder, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "PAID"
    for start, sentence in (("", "64 hexadecimal"), ("xyz", "64 hexadecimal"), ("0f", "no job")):
        with pytest.raises(BadInput, match=sentence):
            print_job(start, folder, as_json=False)
