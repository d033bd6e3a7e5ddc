"""The hands of the node: what cannot be done is said in an event, and what may be mended is tried again."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from morphware.node.artifacts.errors import ArtifactCorrupt, ArtifactTooLarge, DiskFull, SourceRefused
from morphware.node.chain.errors import ChainUnreachable
from morphware.node.machines import Machine, Sources
from morphware.node.performer import LEAST_RUN_S
from morphware.node.ports import Limits, RunResult
from morphware.node.retention import Retention
from morphware.node.runner.errors import SandboxFailed, SandboxUnavailable
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.effects import (
    Appraise,
    Effect,
    Evaluate,
    FetchBundle,
    Fund,
    JoinChunks,
    Prefetch,
    SealModel,
    Train,
)
from morphware.protocol.events import (
    Appraised,
    BundleFailed,
    BundleFetched,
    Evaluated,
    Funded,
    ModelSealed,
    TrainingEnded,
)
from morphware.protocol.states import Outcome
from morphware.protocol.units import BAD_MODEL, JobId, Timestamp, Wei
from tests.node.engine_runs import run_to_end
from tests.node.world import Node, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")

JOB = JobId(b"j" * 32)
TRAIN = Train("train", "train.py", Timestamp(100), 1 << 60, 1 << 60, bytes(20))  # type: ignore[arg-type]


class Bench:
    """One node's performer, for single effects."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.node = Node(self.world, "node", "worker").enrol()
        self.node._open()
        assert self.node.engine.performer is not None
        self.performer = self.node.engine.performer
        self.job = self.performer.job_folder(JOB)
        for name, file in (("code", "train.py"), ("train", "inputs.csv"), ("model", "old.txt")):
            (self.job / "worker" / name).mkdir(parents=True)
            (self.job / "worker" / name / file).write_text("x")
        self.machine = Machine(JOB, "worker", None)  # type: ignore[arg-type]
        self.now = Timestamp(50)

    async def perform(self, effect: Effect) -> Any:
        return await self.performer.perform(self.machine, effect, None, lambda: self.now)

    @property
    def model(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.job / "worker" / "model").iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    bench = Bench(tmp_path)
    yield bench
    bench.node.journal.close()


# --- folders that cannot be sealed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SourceRefused("the name 'a\\nb' holds invisible characters"), "holds invisible characters"),
        (DiskFull("5 bytes are needed"), "not enough free disk space"),
        (ArtifactTooLarge("5 bytes, the limit is 4"), "the limit is 4"),
    ],
)
async def test_a_job_whose_folders_cannot_be_sealed_is_given_up_with_the_sentence(
    error: Exception, sentence: str, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("morphware.node.performer.publish_folder", fail)
    world = World(tmp_path)
    Node(world, "user", "user").enrol()
    job_id = await run_to_end(world)
    machine = world.nodes["user"].engine.machines[job_id, "user"]
    assert machine.is_finished
    assert sentence in machine.problem
    assert world.calls_of("user") == []
    assert [notice["outcome"] for notice in world.nodes["user"].seen("ended")] == ["NOT_POSTED"]


async def test_a_real_folder_with_an_odd_name_is_such_a_job(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = World(tmp_path)
    user = Node(world, "user", "user").enrol()
    odd = user.folder / "mine" / "train" / "a\nb.csv"
    odd.parent.mkdir(parents=True)
    odd.write_text("1\n")
    job_id = await run_to_end(world)
    assert "invisible characters" in user.engine.machines[job_id, "user"].problem


async def test_chunks_are_joined_once_and_those_that_do_not_fit_are_said_to(bench: Bench) -> None:
    worker = bench.job / "worker"
    for name in ("chunk-00", "chunk-02"):
        (worker / name).mkdir()
        (worker / name / "inputs.csv").write_text("a,b\n1,2\n")
    joining = JoinChunks("join|test", "test", ("chunk-00", "chunk-02"))
    assert await bench.perform(joining) == BundleFetched("test")
    assert (worker / "test" / "inputs.csv").read_text() == "a,b\n1,2\n1,2\n"
    (worker / "chunk-02" / "inputs.csv").write_text("a,c\n1,2\n")
    assert await bench.perform(joining) == BundleFetched("test"), "it is there already"
    answer = await bench.perform(JoinChunks("join|test", "other", joining.chunks))
    assert isinstance(answer, BundleFailed)
    assert "another header" in answer.reason


async def test_a_model_that_cannot_travel_is_handed_in_as_a_failure(bench: Bench) -> None:
    (bench.job / "worker" / "model" / "a\nb.bin").write_text("weights")
    answer = await bench.perform(SealModel("seal", bytes(32)))
    assert isinstance(answer, ModelSealed)
    assert list(bench.model) == ["FAILED.txt"]
    assert "invisible characters" in bench.model["FAILED.txt"]


async def test_a_model_that_can_travel_is_handed_in_as_it_is(bench: Bench) -> None:
    assert isinstance(await bench.perform(SealModel("seal", bytes(32))), ModelSealed)
    assert bench.model == {"old.txt": "x"}


# --- fetching -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ArtifactCorrupt("a lie"), ArtifactTooLarge("too much")])
async def test_a_file_that_never_fits_is_reported_and_a_prefetch_of_it_given_up(
    error: Exception, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(bench.node.artifacts, "fetch", fail)
    file = SealedFile("magnet:?", 1, bytes(32))
    assert await bench.perform(Prefetch("prefetch", "train", file)) is None
    answer = await bench.perform(FetchBundle("fetch", "other", file, bytes(32), None))
    assert isinstance(answer, BundleFailed)
    assert answer.name == "other"


async def test_a_bundle_that_is_there_is_not_fetched_again(bench: Bench) -> None:
    effect = FetchBundle("fetch", "train", SealedFile("magnet:?", 1, bytes(32)), bytes(32), None)
    assert (await bench.perform(effect)).name == "train"


# --- training -------------------------------------------------------------------------------------------------------


async def test_a_training_starts_from_nothing(bench: Bench, autojump_clock: MockClock) -> None:
    assert await bench.perform(TRAIN) == TrainingEnded("")
    assert bench.model == {"model.txt": "a model"}
    names = [name for _, _, name, _ in bench.node.journal.points(JOB)]
    assert names.count("loss") == names.count("system/cpu_percent") == 3


async def test_a_run_that_fails_hands_in_only_its_reason(
    bench: Bench, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*, model: Path, **_: object) -> RunResult:
        (model / "half.bin").write_text("half")
        return RunResult(1, "it divided by zero \ud800", 1.0, 0, "")

    monkeypatch.setattr(bench.node.runner, "train", fail)
    assert (await bench.perform(TRAIN)).reason.startswith("it divided by zero")
    assert bench.model == {"FAILED.txt": "it divided by zero ?\n"}


async def test_without_a_sandbox_the_failure_is_handed_in_at_once(bench: Bench, autojump_clock: MockClock) -> None:
    bench.node.runner.failures = [SandboxUnavailable("Install bubblewrap.")]
    assert await bench.perform(TRAIN) == TrainingEnded("Install bubblewrap.")
    assert bench.model == {"FAILED.txt": "Install bubblewrap.\n"}


async def test_a_machine_that_fails_is_given_another_try_while_there_is_time(
    bench: Bench, autojump_clock: MockClock
) -> None:
    bench.node.runner.failures = [SandboxFailed("no memory"), SandboxFailed("no memory")]
    with pytest.raises(SandboxFailed, match="no memory"):
        await bench.perform(TRAIN)
    bench.now = TRAIN.until
    assert await bench.perform(TRAIN) == TrainingEnded("no memory")


async def test_a_worker_without_a_sandbox_is_rejected_and_loses_no_bond(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    world.nodes["worker0"].runner.failures = [SandboxUnavailable("Install bubblewrap.")]
    for index in range(5):
        world.nodes[f"validator{index}"].runner.metric_e6 = -(2**63) + 2
    job_id = await run_to_end(world)
    assert world.outcome(job_id) is Outcome.REJECTED


async def test_a_job_gets_what_its_owner_allows_and_no_more(
    bench: Bench, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Limits] = []

    async def train(*, limits: Limits, **_: object) -> RunResult:
        seen.append(limits)
        return RunResult(0, "", 1.0, 0, "")

    monkeypatch.setattr(bench.node.runner, "train", train)
    most = Limits(wall_s=20, memory_bytes=1 << 30, disk_bytes=1 << 31)
    object.__setattr__(bench.performer, "most", lambda _: most)
    await bench.perform(TRAIN)
    bench.now = Timestamp(1000)
    await bench.perform(TRAIN)
    assert [limits.wall_s for limits in seen] == [20, LEAST_RUN_S]
    assert [limits.deadline_s for limits in seen] == [50, LEAST_RUN_S], "the window ends whether a job runs or not"
    assert (seen[0].memory_bytes, seen[0].disk_bytes) == (1 << 30, 1 << 31)


# --- evaluating -----------------------------------------------------------------------------------------------------

EVALUATE = Evaluate("evaluate", "train.py", "accuracy", Timestamp(100), 1 << 30, 1 << 30)


@pytest.mark.parametrize("error", [RecursionError("deep"), OverflowError("large"), MemoryError()])
@pytest.mark.parametrize("is_grouped", [False, True])
async def test_an_evaluation_that_breaks_is_a_bad_model_and_never_silence(
    error: Exception, is_grouped: bool, bench: Bench
) -> None:
    bench.node.runner.failures = [ExceptionGroup("tasks", [error]) if is_grouped else error]
    answer = await bench.perform(EVALUATE)
    assert isinstance(answer, Evaluated)
    assert (answer.metric_e6, answer.fingerprint_e9, answer.prediction_root) == (BAD_MODEL, 0, bytes(32))
    assert "the evaluation ended in" in answer.reason


@pytest.mark.parametrize("error", [SandboxFailed("no memory"), OSError(28, "No space left on device")])
@pytest.mark.parametrize("is_grouped", [False, True])
async def test_an_evaluation_that_this_machine_failed_is_tried_again(
    error: Exception, is_grouped: bool, bench: Bench
) -> None:
    bench.node.runner.failures = [ExceptionGroup("tasks", [error]) if is_grouped else error]
    with pytest.raises(type(error)):
        await bench.perform(EVALUATE)


# --- letting go -----------------------------------------------------------------------------------------------------


async def test_after_its_retention_a_closed_job_leaves_nothing_but_the_trained_model(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    world = market_of(tmp_path, validators=5)
    kept = Node(world, "kept", "user").enrol()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
            retention = Retention(node.engine, node.artifacts, node.folder / "jobs", 1000.0)
            nursery.start_soon(retention.serve)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: world.outcome(job_id) is not Outcome.NONE)
        await trio.sleep(800)
        for name in ("user", "worker0", "validator0"):
            assert world.nodes[name].journal.files(), name
            assert world.nodes[name].artifacts.served, name
        waiting = await kept.submit(bidding_s=10_000)
        await trio.sleep(900)
        for name in ("user", "worker0", *[f"validator{index}" for index in range(5)]):
            node = world.nodes[name]
            left = [path for path in (node.folder / "jobs" / job_id.hex()).rglob("*") if path.is_file()]
            assert [path.name for path in left] == (["model.txt"] if name == "user" else []), name
            assert node.journal.files() == [], name
            assert node.artifacts.served == {}, name
        assert len(kept.journal.files()) == 3  # its job lives
        assert waiting in kept.engine.views
        nursery.cancel_scope.cancel()


async def test_a_job_that_was_never_posted_is_let_go_as_well(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = World(tmp_path)
    user = Node(world, "user", "user").enrol(free_wei=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        await user.start(nursery)
        job_id = await user.submit()
        await world.until(lambda: bool(user.seen("ended")))
        retention = Retention(user.engine, user.artifacts, user.folder / "jobs", 50.0)
        assert retention.expired() == []
        await trio.sleep(100)
        assert retention.expired() == [job_id]
        await retention.let_go(job_id)
        await retention.let_go(job_id)
        assert retention.expired() == []
        assert not any(path.is_file() for path in (user.folder / "jobs" / job_id.hex()).rglob("*"))
        nursery.cancel_scope.cancel()


# --- the end user's and the appellant's effects ---------------------------------------------------------------------


async def test_an_end_user_tests_the_model_with_the_folders_that_it_gave_itself(
    bench: Bench, autojump_clock: MockClock
) -> None:
    """They lie where they were kept when the job was submitted, and the fetched model in the role's own folder."""
    sources = Sources(bench.job / "code", bench.job / "train", bench.job / "test")
    for folder, file in ((sources.code, "train.py"), (sources.test, "labels.csv")):
        folder.mkdir()
        (folder / file).write_text("x")
    (bench.job / "user" / "model").mkdir(parents=True)
    (bench.job / "user" / "model" / "model.txt").write_text("a model")
    bench.machine = Machine(JOB, "user", None, sources)  # type: ignore[arg-type]
    answer = await bench.perform(Evaluate("evaluate", "train.py", "accuracy", Timestamp(100), 1 << 30, 1 << 30))
    assert isinstance(answer, Evaluated)
    assert answer.metric_e6 == bench.node.runner.metric_e6


@pytest.mark.parametrize(
    ("free", "wallet", "promised", "expected"), [(30, 0, 0, 30), (5, 100, 0, 22), (5, 100, 10, 22), (25, 0, 10, 15)]
)
async def test_a_bond_is_funded_besides_what_other_jobs_are_about_to_lock(
    free: int, wallet: int, promised: int, expected: int, tmp_path: Path, autojump_clock: MockClock,
    nursery: trio.Nursery,
) -> None:  # fmt: skip
    world = World(tmp_path)
    node = Node(world, "node", "validator").enrol(free_wei=free, wallet_wei=wallet)
    node._open()
    assert node.engine.performer is not None
    object.__setattr__(node.engine.performer, "promised", lambda machine: Wei(promised))
    nursery.start_soon(world.tick)
    machine = Machine(JOB, "validator", None)  # type: ignore[arg-type]
    effect = Fund("fund|appeal|1", Wei(22), "An appeal")
    answer = await node.engine.performer.perform(machine, effect, None, lambda: Timestamp(0))
    assert answer == Funded(effect.id, Wei(expected))
    assert world.market.ledger.free(node.account) == expected + promised
    node.journal.close()


async def test_accounts_are_appraised_in_the_order_in_which_they_were_named(bench: Bench) -> None:
    rich = Node(bench.world, "rich", "worker").enrol(free_wei=77)
    poor = Node(bench.world, "poor", "worker").enrol(free_wei=0)
    accounts = (poor.account, bench.node.account, rich.account)
    answer = await bench.perform(Appraise("appraise|0", accounts))
    assert answer == Appraised("appraise|0", (Wei(0), Wei(10_000), Wei(77)))
    assert await bench.perform(Appraise("appraise|1", ())) == Appraised("appraise|1", ())


async def test_a_chain_that_does_not_say_what_accounts_have_is_asked_again(bench: Bench) -> None:
    bench.world.balance_reads_fail = 1
    with pytest.raises(ChainUnreachable):
        await bench.perform(Appraise("appraise|0", (bench.node.account, bench.node.account)))
    answer = await bench.perform(Appraise("appraise|0", (bench.node.account,)))
    assert answer == Appraised("appraise|0", (Wei(10_000),))
