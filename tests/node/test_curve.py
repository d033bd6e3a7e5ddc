"""The loss on its way: whatever a worker sends is bounded, and nothing makes a training wait."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from morphware.node import curve as curve_module
from morphware.node.curve import POINTS_PER_FRAME, WAITING_FRAMES_MOST, Curve, ProgressReceiver
from morphware.node.directory import Directory
from morphware.node.feed import Feed
from morphware.node.gossip.errors import PeerUnreachable
from morphware.node.journal import Journal
from morphware.node.ports import MetricPoint, UsageSample
from morphware.protocol.calls import Terms
from morphware.protocol.chain_events import JobAwarded, JobPosted, NodePublished, StateChanged
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, view_of

USER, WINNER, OTHER = (Address(bytes([number]) * 20) for number in (1, 2, 3))
USER_KEY, WINNER_KEY, OTHER_KEY = (bytes([number]) * 32 for number in (1, 2, 3))
JOB, OTHERS_JOB, UNKNOWN = (JobId(bytes([number]) * 32) for number in (7, 8, 9))
TERMS = Terms(Wei(10), Wei(1), 1, 0, 0, 0, 1, 1, 1, 1, bytes(32), bytes(32), bytes(32))
POINT = [1, 2.0, "loss", 0.5]


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.connection.execute("PRAGMA synchronous=OFF")
    yield journal
    journal.close()


class Receiving:
    """An end user's node with a job of its own, one of a neighbour, and the frames that a peer sends it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.directory = Directory({})
        # The stranger publishes the winner's peer key as its own, and is looked up first.
        for account, key in ((OTHER, WINNER_KEY), (USER, USER_KEY), (WINNER, WINNER_KEY)):
            self.directory.note(NodePublished(account, key, key, ()))
        self.views: dict[JobId, JobView] = {}
        for job_id, owner in ((JOB, USER), (OTHERS_JOB, OTHER)):
            self.views[job_id] = view_of(JobPosted(job_id, owner, TERMS, b""))
            self.views[job_id].apply(JobAwarded(job_id, WINNER, Wei(1), Wei(1), 0))
        self.receiver = ProgressReceiver(journal, Feed(), self.directory, self.views, USER)

    async def receive(self, *frames: bytes, key: bytes = WINNER_KEY) -> list[tuple[int, float, str, float]]:
        async def sent() -> AsyncGenerator[bytes, None]:
            for frame in frames:
                yield frame

        async with aclosing(sent()) as arriving:
            await self.receiver.receive(key, arriving)
        return self.journal.points(JOB)


def frame(job_id: bytes = JOB, points: Any = (POINT,), output: Any = "") -> bytes:
    return msgspec.msgpack.encode([job_id, points, output])


async def test_the_winner_draws_the_curve(journal: Journal) -> None:
    receiving = Receiving(journal)
    assert await receiving.receive(frame(), frame(points=[[2, 3.0, "loss", 0.25]])) == [
        (1, 2.0, "loss", 0.5),
        (2, 3.0, "loss", 0.25),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"\xc1", b"\xff" * 100, msgspec.msgpack.encode({}), msgspec.msgpack.encode([JOB, []]),
        msgspec.msgpack.encode([JOB, [], "", 1]), frame(b"short"), frame(UNKNOWN), frame(OTHERS_JOB),
        frame(points=[[1, 2.0, "loss"]]), frame(points=[["1", 2.0, "loss", 0.5]]), frame(points=[[1.5, 2.0, "l", 0.5]]),
        frame(points=[[-1, 2.0, "loss", 0.5]]), frame(points=[[2**64 - 1, 2.0, "loss", 0.5]]),
        frame(points=[[2**53 + 1, 2.0, "loss", 0.5]]), frame(points=[[1, 2.0, "l" * 65, 0.5]]),
        frame(points=[[1, 2.0, "loss", None]]), frame(points=[POINT] * (POINTS_PER_FRAME + 1)),
        frame(output="x" * 16_385), frame(output=b"bytes"), frame()[:-3], frame() + b"\0",
        msgspec.msgpack.encode([JOB, [POINT], ""]).replace(b"\xa4loss", b"\xa4\xff\xff\xff\xff"),
    ],
    ids=lambda bad: f"{len(bad)} bytes",
)  # fmt: skip
async def test_the_first_frame_that_is_out_of_order_ends_the_stream(bad: bytes, journal: Journal) -> None:
    receiving = Receiving(journal)
    assert await receiving.receive(frame(), bad, frame()) == [(1, 2.0, "loss", 0.5)]


@pytest.mark.parametrize("key", [USER_KEY, OTHER_KEY, bytes(32)], ids=["user", "other", "nobody"])
async def test_nobody_but_the_winner_is_heard(key: bytes, journal: Journal) -> None:
    assert await Receiving(journal).receive(frame(), key=key) == []


async def test_a_job_without_a_winner_or_after_its_end_has_no_curve(journal: Journal) -> None:
    receiving = Receiving(journal)
    receiving.views[JOB].award = None
    assert await receiving.receive(frame()) == []
    receiving.views[JOB].apply(JobAwarded(JOB, WINNER, Wei(1), Wei(1), 0))
    receiving.views[JOB].apply(StateChanged(JOB, State.CLOSED, Timestamp(0)))
    assert await receiving.receive(frame()) == []


async def test_numbers_that_are_none_are_left_out(journal: Journal) -> None:
    points = [[1, 2.0, "loss", value] for value in (math.nan, math.inf, -math.inf, 1.0)] + [[1, math.nan, "loss", 1.0]]
    assert await Receiving(journal).receive(frame(points=points)) == [(1, 2.0, "loss", 1.0)]


async def test_a_job_has_so_many_points_and_no_more(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_module, "POINTS_MOST", 10)
    receiving = Receiving(journal)
    assert len(await receiving.receive(*[frame(points=[POINT] * 4)] * 5)) == 10
    again = Receiving(journal)  # after a restart, what is in the journal counts
    assert len(await again.receive(frame())) == 10
    curve = Curve(journal, Feed(), JOB)
    curve.take_point(MetricPoint(1, 1.0, {"loss": 1.0}))
    assert curve.flush() == []


async def test_what_the_machine_gives_stands_beside_what_the_job_logs(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_usage(UsageSample(1.25, 150.0, 3 << 20, 1 << 19))
    curve.take_usage(UsageSample(3.75, 99.5, 5 << 20, 1 << 20, 80.0, 7 << 20))
    frames = curve.flush()
    wanted = [
        (1, 1.25, "system/cpu_percent", 150.0),
        (1, 1.25, "system/memory_mib", 3.0),
        (1, 1.25, "system/disk_mib", 0.5),
        (3, 3.75, "system/cpu_percent", 99.5),
        (3, 3.75, "system/memory_mib", 5.0),
        (3, 3.75, "system/disk_mib", 1.0),
        (3, 3.75, "system/gpu_percent", 80.0),
        (3, 3.75, "system/gpu_memory_mib", 7.0),
    ]
    assert journal.points(JOB) == wanted
    assert await Receiving(journal).receive(*frames) == wanted + wanted


async def test_a_job_cannot_log_in_the_name_of_its_machine(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_point(MetricPoint(1, 1.0, {"system/cpu_percent": 1.0, "system/" + "x" * 80: 2.0, "systems": 3.0}))
    curve.flush()
    assert [name for _, _, name, _ in journal.points(JOB)] == [
        "own/system/cpu_percent",
        ("own/system/" + "x" * 80)[:64],
        "systems",
    ]


async def test_a_job_that_has_logged_all_that_it_may_is_still_watched(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_module, "POINTS_MOST", 4)
    monkeypatch.setattr(curve_module, "SYSTEM_POINTS_MOST", 7)
    sample = UsageSample(1.0, 1.0, 1, 1)
    frames = []
    for _ in range(2):  # the second life of the node counts what the first has kept
        curve = Curve(journal, Feed(), JOB)
        for _ in range(3):
            curve.take_point(MetricPoint(1, 1.0, {"loss": 1.0}))
            curve.take_usage(sample)
        frames += curve.flush()
        names = [name for _, _, name, _ in journal.points(JOB)]
        assert names.count("loss") == (3 if len(frames) == 1 else 4)
        assert sum(name.startswith("system/") for name in names) == 7
    received = await Receiving(journal).receive(frame(points=[POINT] * 9 + [[1, 2.0, "system/cpu_percent", 1.0]] * 9))
    assert len(received) == 4 + 7


async def test_a_job_has_so_many_series_and_no_more(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_module, "SERIES_MOST", 3)
    names = ["a", "b", "system/mine", "c", "a", "system/cpu_percent"]
    received = await Receiving(journal).receive(frame(points=[[1, 2.0, name, 0.5] for name in names]))
    assert [name for _, _, name, _ in received] == ["a", "b", "own/system/mine", "a", "system/cpu_percent"]
    again = Receiving(journal)  # after a restart, what is in the journal counts
    received = await again.receive(frame(points=[[2, 2.0, name, 0.5] for name in names]))
    assert [name for _, _, name, _ in received[5:]] == ["a", "b", "own/system/mine", "a", "system/cpu_percent"]


async def test_a_flood_of_frames_waits(journal: Journal, autojump_clock: MockClock) -> None:
    """Each frame is written to the disk: a peer that sends thousands at once must not take the node's time."""
    start = trio.current_time()
    await Receiving(journal).receive(*[frame()] * 600)
    assert trio.current_time() - start >= (600 - curve_module.FRAMES_BURST) / curve_module.FRAMES_PER_S - 0.1


# --- the worker's side ----------------------------------------------------------------------------------------------


class Peer:
    """A gossip port with one peer, that may be away or slow."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.is_away = False
        self.is_stuck = False
        self.bug: Exception | None = None

    @asynccontextmanager
    async def stream_to(self, peer_key: bytes, protocol: str) -> AsyncIterator["Peer"]:
        if self.bug is not None:
            raise self.bug
        if self.is_away:
            raise PeerUnreachable("away")
        yield self

    async def send(self, data: bytes) -> None:
        if self.is_away:
            raise PeerUnreachable("gone")
        if self.is_stuck:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        self.received.append(data)


def output_of(journal: Journal) -> str:
    return "".join(text for _, _, text in journal.output(JOB))


def points_in(frames: list[bytes]) -> list[Any]:
    return [tuple(point) for data in frames for point in msgspec.msgpack.decode(data)[1]]


async def test_what_a_job_logs_arrives_and_stays(
    journal: Journal, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    peer: Any = Peer()
    curve = Curve(journal, Feed(), JOB)
    nursery.start_soon(curve.stream, peer, USER_KEY)
    for step in range(1000):
        curve.take_point(MetricPoint(step, float(step), {"loss": 1.0, "accuracy": 0.5}))
    curve.take_output("hello\n")
    await trio.sleep(2)
    assert points_in(peer.received) == journal.points(JOB)
    assert len(journal.points(JOB)) == 2000
    assert msgspec.msgpack.decode(peer.received[-1])[2] == "hello\n"
    receiving = Receiving(journal)
    assert len(await receiving.receive(*peer.received)) == 4000  # what we send, we take


async def test_an_end_user_who_is_away_gets_what_was_kept_for_him(
    journal: Journal, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    peer: Any = Peer()
    curve = Curve(journal, Feed(), JOB)
    peer.is_away = True
    nursery.start_soon(curve.stream, peer, USER_KEY)
    for step in range(20):
        curve.take_point(MetricPoint(step, float(step), {"loss": 1.0}))
        await trio.sleep(1)
    peer.is_away = False
    await trio.sleep(5)
    assert points_in(peer.received) == journal.points(JOB)


async def test_no_failure_of_the_stream_reaches_the_training(
    journal: Journal, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    peer: Any = Peer()
    curve = Curve(journal, Feed(), JOB)
    peer.bug = ExceptionGroup("from a library", [RuntimeError("nursery is closed")])
    nursery.start_soon(curve.stream, peer, USER_KEY)
    curve.take_point(MetricPoint(1, 1.0, {"loss": 1.0}))
    await trio.sleep(10)
    peer.bug = None
    await trio.sleep(5)
    assert points_in(peer.received) == journal.points(JOB) == [(1, 1.0, "loss", 1.0)]


async def test_an_end_user_who_never_reads_holds_up_nothing(
    journal: Journal, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    peer: Any = Peer()
    curve = Curve(journal, Feed(), JOB)
    peer.is_stuck = True
    nursery.start_soon(curve.stream, peer, USER_KEY)
    for step in range(2 * WAITING_FRAMES_MOST):
        curve.take_point(MetricPoint(step, float(step), {"loss": 1.0}))
        await trio.sleep(0.5)
    assert len(journal.points(JOB)) >= 2 * WAITING_FRAMES_MOST - 2
    assert len(curve._waiting) <= WAITING_FRAMES_MOST


@pytest.mark.parametrize(
    "point",
    [
        MetricPoint(-1, 1.0, {"loss": 1.0}),
        MetricPoint(2**64, 1.0, {"loss": 1.0}),
        MetricPoint(1, math.nan, {"loss": 1.0}),
        MetricPoint(1, 1.0, {"loss": math.inf}),
        MetricPoint(1, 1.0, {}),
    ],
)
async def test_what_is_no_point_is_not_kept(point: MetricPoint, journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_point(point)
    assert curve.flush() == []
    assert journal.points(JOB) == []


async def test_broken_text_and_long_names_are_mended(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_point(MetricPoint(1, 1.0, {"\ud800" + "x" * 100: 1.0}))
    curve.take_output("\udfff" + "y" * 10_000 + "\x1b[31mred\u202e")
    frames = curve.flush()
    assert journal.points(JOB) == [(1, 1.0, "?" + "x" * 63, 1.0)]
    assert output_of(journal) == "?" + "y" * 10_000 + "red\n"
    assert await Receiving(journal).receive(*frames)
    assert output_of(journal) == 2 * ("?" + "y" * 10_000 + "red\n")


async def test_what_a_job_writes_is_kept_by_the_worker_and_by_the_end_user(
    journal: Journal, tmp_path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    peer: Any = Peer()
    feed = Feed()
    curve = Curve(journal, feed, JOB)
    with feed.listen() as notices:
        nursery.start_soon(curve.stream, peer, USER_KEY)
        for line in range(500):
            curve.take_output(f"line {line}")
            await trio.sleep(0.05)
        await trio.sleep(2)
        assert (await anext(notices))["sequence"] == 1
    wanted = "".join(f"line {line}\n" for line in range(500))
    assert output_of(journal) == wanted
    theirs = Journal(tmp_path / "theirs.sqlite")
    await Receiving(theirs).receive(*peer.received)
    assert output_of(theirs) == wanted
    theirs.close()


async def test_a_chatty_job_is_cut_in_the_middle_and_says_so(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    for line in range(10_000):
        curve.take_output(f"line {line:04}")
    frames = curve.flush()
    text = output_of(journal)
    assert text.startswith("line 0000\nline 0001\n")
    assert text.endswith("line 9998\nline 9999\n")
    assert "\n… 84,000 characters left out …\n" in text
    assert len(frames) <= 6
    assert all(len(data) < 65_536 for data in frames)
    curve.take_output("later")
    curve.flush()
    assert output_of(journal) == text + "later\n"


async def test_an_endless_line_keeps_its_end(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_output("x" * 50_000 + "end")
    curve.flush()
    assert output_of(journal).endswith("xend\n")
    assert output_of(journal).startswith("… 38,004 characters left out …\nxxx")


async def test_four_bytes_a_character_still_fit_a_frame(journal: Journal) -> None:
    curve = Curve(journal, Feed(), JOB)
    curve.take_output("\U0001f600" * 30_000)
    frames = curve.flush()
    assert all(len(data) < 65_536 for data in frames)
    written = output_of(journal)
    await Receiving(journal).receive(*frames)
    assert output_of(journal) == 2 * written


async def test_what_a_worker_says_is_made_fit_to_be_shown(journal: Journal) -> None:
    hostile = frame(
        points=[[1, 2.0, "\x1b[2J\nloss", 0.5], [1, 2.0, "", 0.5]], output="\x1b]0;title\x07\x1b[2Jtext\u202e\n"
    )
    assert await Receiving(journal).receive(hostile) == [(1, 2.0, "?[2J?loss", 0.5), (1, 2.0, "unnamed", 0.5)]
    assert output_of(journal) == "]0;titletext\n"
    await Receiving(journal).receive(frame(points=[], output="\x07\x1b[2J"))
    assert len(journal.output(JOB)) == 1
