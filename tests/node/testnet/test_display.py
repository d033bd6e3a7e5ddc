"""The picture of a job: what it says, that it fits, and that nothing in it can drive the terminal."""

import io
import re
from pathlib import Path

import pytest
import trio
from rich.console import Console

from morphware.node.api.answers.submitting import Posted
from morphware.node.api.routes import Call, Route
from morphware.node.client.asks import Ask
from morphware.node.client.client import AsyncClient
from morphware.node.errors import BadInput
from morphware.node.feed import Feed
from morphware.node.testnet.display import JobDisplay, NodeGone, follow, show
from morphware.node.testnet.drawing import plot, thinned
from morphware.node.wording import last_lines, shown, tokens
from morphware.protocol import chain_events as ce
from morphware.protocol.states import State
from morphware.protocol.units import TOKEN
from tests.node.api.serving import serve_routes
from tests.node.testnet.recorded import COMMITTEE, JOB_ID, NAMES, START_S, Recorder, paid_job

STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]boo[/] \u202eevil\r\n\x9b31m" + "x" * 60


def display_at(recorder: Recorder) -> JobDisplay:
    display = JobDisplay(NAMES, clock=lambda: recorder.now_s + 0.3)
    display.begin(START_S)
    display.follow(JOB_ID.hex())
    return display


def drawn(display: JobDisplay, width: int = 80, height: int = 24) -> str:
    stream = io.StringIO()
    Console(width=width, height=height, file=stream, force_terminal=True, color_system=None).print(display.render())
    return stream.getvalue()


def pictures(width: int = 80, height: int = 24) -> dict[str, str]:
    """What stands on the screen at each point of a paid job."""
    recorder = Recorder()
    display = display_at(recorder)
    shots, told = {}, 0
    for where in paid_job(recorder):
        for who, notice in recorder.notices[told:]:
            display.note(who, notice)
        told = len(recorder.notices)
        shots[where] = drawn(display, width, height)
    return shots


def told_everything() -> JobDisplay:
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    display = display_at(recorder)
    for who, notice in recorder.notices:
        display.note(who, notice)
    return display


def test_every_part_of_a_job_is_shown_when_it_happens() -> None:
    shots = pictures()
    assert "Auction: 4 bids" in shots["bidding"]
    assert shots["bidding"].count("sealed") == 4
    assert "2.7 s left" in shots["bidding"]
    assert "preparing 1.2" in shots["bidding"]
    assert re.search(r"worker-2 +38 +winner", shots["awarded"])
    assert re.search(r"worker-1 +41 +second", shots["awarded"])
    assert re.search(r"worker-3 +17 +decoy", shots["awarded"])
    assert "price 41 MWT" in shots["awarded"]
    assert re.search(r"train +worker-2 +━+─+ +3.1 MiB/s", shots["awarded"])
    assert "loss 0.25459, step 219" in shots["training"]
    assert "epoch 10: loss 0.2546" in shots["training"]
    assert re.search(r"validator-2 +committed", shots["testing"])
    assert re.search(r"validator-7 +testing", shots["testing"])
    assert re.search(r"validator-7 +paid 2 +0.9875 +0.041235", shots["paid"])
    assert "paid out  worker-2 41 MWT, 5 validators 2 each, burned 0" in shots["paid"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (40, 12), (20, 10), (200, 60), (80, 8)])
def test_it_fits_its_terminal(width: int, height: int) -> None:
    for where, picture in pictures(width, height).items():
        lines = picture.splitlines()
        assert max(map(len, lines)) <= width, where
        if height >= 20:
            assert len(lines) < height, where


def test_a_terminal_without_unicode_gets_plain_curves() -> None:
    console = Console(width=80, height=24, file=io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace"))
    console.print(told_everything().render())
    console.file.flush()
    assert b"@" in console.file.buffer.getvalue()  # type: ignore[attr-defined]


def test_an_event_counts_once_however_many_nodes_say_it() -> None:
    lines = told_everything().take_lines()
    assert len(lines) == len(set(lines))
    assert sum("worker-2 wins at 38 MWT (second price 41)" in line for line in lines) == 1
    assert next(line for line in lines if "wins" in line).split()[:3] == ["8.3", "s", "AWARDED"]
    assert "PAID: 41 MWT to worker-2" in lines[-3]


def test_a_node_that_lags_does_not_turn_time_back() -> None:
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    display = display_at(recorder)
    late = [(who, notice) for who, notice in recorder.notices if who == "validator-7"]
    for who, notice in [*recorder.notices, *late]:
        display.note(who, notice)
    assert display.progress.state == "CLOSED"
    assert display.progress.block == max(
        notice["number"] for _, notice in recorder.notices if notice["kind"] == "block"
    )


def test_the_phases_add_up_to_the_whole() -> None:
    progress = told_everything().progress
    assert progress.ended_s is not None
    seconds = progress.seconds_by_phase(progress.ended_s)
    assert list(seconds)[:3] == ["PREPARING", "BIDDING", "REVEALING"]
    assert sum(seconds.values()) == pytest.approx(progress.elapsed_s(progress.ended_s))
    assert progress.training_s == 7.9
    assert progress.evaluation_s() == pytest.approx(2.0, abs=0.2)


def test_notices_from_before_the_id_was_known_are_not_lost() -> None:
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    display = JobDisplay(NAMES, clock=lambda: recorder.now_s)
    display.begin(START_S)
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert not display.is_over
    display.follow(JOB_ID.hex())
    assert display.is_over
    assert display.take_lines() == told_everything().take_lines()


def test_another_job_changes_nothing() -> None:
    display = JobDisplay(NAMES, clock=lambda: START_S)
    display.begin(START_S)
    display.follow("ab" * 32)
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert display.take_lines() == []
    assert display.progress.view is None


@pytest.mark.parametrize("width", [80, 30])
def test_strangers_texts_cannot_drive_the_terminal(width: int) -> None:
    recorder = Recorder()
    for where in paid_job(recorder, name=HOSTILE[:80]):
        if where == "training":
            break
    for kind, values in (
        ("output", {"text": HOSTILE + "\n"}),
        ("points", {"points": [[1, 1.0, HOSTILE[:64], 0.5]]}),
        ("waits", {"role": "user", "effect": "x", "reason": HOSTILE}),
        ("refused", {"role": "user", "call": HOSTILE, "reason": HOSTILE}),
        (
            "transfer",
            {"account": "", "name": HOSTILE, "done_bytes": 9, "total_bytes": 0, "rate_bytes_s": 0, "peers": 0},
        ),
    ):
        recorder.local("user-1", kind, **values)
    display = display_at(recorder)
    for who, notice in recorder.notices:
        display.note(who, notice)
    picture, lines = drawn(display, width), "\n".join(display.take_lines())
    assert not STEERING.search(picture + lines)
    assert "owned" in lines
    assert "[bold red]boo[/]" in lines


def test_a_flood_of_points_and_names_stays_small() -> None:
    recorder = Recorder()
    display = display_at(recorder)
    for batch in range(50):
        points = [[step, 1.0, f"s{step}", 1.0] for step in range(20)]
        points += [[batch * 1000 + step, 1.0, "loss", 1.0 / (1 + step)] for step in range(1000)]
        recorder.local("user-1", "points", points=[*points, [0, 0.0, "loss", float("nan")]])
        recorder.local("user-1", "output", text="\r".join("spam" * 50 for _ in range(200)))
    for who, notice in recorder.notices:
        display.note(who, notice)
    series = display.progress.series
    assert len(series) <= 12
    assert all(len(one.values) < 2_048 for one in series.values())
    assert sum(one.count for one in series.values()) < 51_000


@pytest.mark.parametrize(
    "notice",
    [
        {},
        {"kind": "chain"},
        {"kind": "chain", "event": {"_": "Nonsense"}, "time_s": 1},
        {"kind": "chain", "event": 7, "time_s": 1},
        {"kind": "block", "number": "1"},
        {"kind": "transfer", "job_id": JOB_ID.hex(), "time_s": 1},
        {"kind": "points", "job_id": JOB_ID.hex(), "time_s": 1, "points": [[1]]},
        {"kind": "trained", "job_id": JOB_ID.hex(), "time_s": 1, "seconds": "soon", "reason": ""},
        {"kind": "novelty", "job_id": JOB_ID.hex(), "time_s": 1},
        {"kind": "dropped", "time_s": 1, "count": 3},
    ],
)
def test_what_is_not_understood_changes_nothing(notice: dict[str, object]) -> None:
    display = display_at(Recorder())
    before = drawn(display)
    display.note("user-1", notice)
    assert drawn(display) == before


def test_unnamed_accounts_are_shown_by_their_part_and_address() -> None:
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    user = next(account for account, name in NAMES.items() if name == "user-1")
    display = JobDisplay({user: "you"}, viewer="user-1", clock=lambda: recorder.now_s)
    display.begin(START_S)
    display.follow(JOB_ID.hex())
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert "worker 0x0303…0303 wins" in "\n".join(display.take_lines())
    assert "validator 0x0606…0606" in drawn(display, 120, 40)


async def test_where_there_is_no_terminal_each_change_is_a_line() -> None:
    display, stream = told_everything(), io.StringIO()
    with trio.move_on_after(0.01):
        await show(display, console=Console(file=stream, width=40))
    lines = stream.getvalue().splitlines()
    assert lines == told_everything().take_lines()  # not wrapped, however narrow
    assert not STEERING.search(stream.getvalue())


async def test_on_a_terminal_the_last_picture_stays() -> None:
    display, stream = told_everything(), io.StringIO()
    with trio.move_on_after(0.3):
        await show(display, console=Console(file=stream, width=80, height=24, force_terminal=True))
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is back
    assert "paid out" in stream.getvalue()


# --- following a node through its socket ----------------------------------------------------------------------------


async def replaying_node(folder: Path, recorder: Recorder, nursery: trio.Nursery, *, until: int | None = None) -> None:
    """A node that, asked to submit, says what was recorded for the user."""
    feed = Feed()

    async def submit(_: Call) -> Posted:
        for who, notice in recorder.notices[:until]:
            if who == "user-1":
                feed.say(
                    notice["kind"], **{key: value for key, value in notice.items() if key not in ("kind", "time_s")}
                )
        return Posted(job_id=JOB_ID.hex())

    async def refuse(_: Call) -> Posted:
        raise BadInput("No.")

    folder.mkdir()
    routes = [
        Route("POST", "/submissions", "submit", "Submits.", submit, Posted),
        Route("POST", "/refuse", "refuse", "Refuses.", refuse, Posted),
    ]
    await nursery.start(serve_routes, folder, routes, feed)


async def post(client: AsyncClient, path: str = "/submissions") -> str:
    return (await client._do(Ask("POST", path, Posted))).job_id


async def test_follow_ends_with_the_job(tmp_path: Path) -> None:
    recorder = Recorder()
    for _ in paid_job(recorder):
        pass
    display, stream = JobDisplay(NAMES), io.StringIO()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await replaying_node(tmp_path / "user", recorder, nursery)
            client = AsyncClient(tmp_path / "user")

            async def submit() -> str:
                return await post(client)

            clients = {"user-1": client, "worker-1": AsyncClient(tmp_path)}  # this worker does not run
            assert await follow(display, clients, submit, console=Console(file=stream)) == JOB_ID.hex()
            nursery.cancel_scope.cancel()
    assert "PAID" in stream.getvalue()
    assert display.progress.view is not None
    assert display.progress.view.is_over


async def test_follow_may_end_when_the_job_is_on_chain(tmp_path: Path) -> None:
    recorder = Recorder()
    for where in paid_job(recorder):
        if where == "bidding":
            break
    display = JobDisplay(NAMES)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await replaying_node(tmp_path / "user", recorder, nursery)
            client = AsyncClient(tmp_path / "user")
            await follow(
                display,
                {"user-1": client},
                lambda: post(client),
                console=Console(file=io.StringIO()),
                is_enough=lambda display: display.progress.view is not None,
            )
            nursery.cancel_scope.cancel()
    assert display.progress.state in ("PREPARING", "BIDDING")


async def test_a_user_node_that_stops_is_said(tmp_path: Path) -> None:
    recorder = Recorder()
    display = JobDisplay(NAMES)
    with trio.fail_after(60), pytest.RaisesGroup(NodeGone, flatten_subgroups=True):
        async with trio.open_nursery() as outer:
            await replaying_node(tmp_path / "user", recorder, outer)
            client = AsyncClient(tmp_path / "user")

            async def submit() -> str:
                job_id = await post(client)
                outer.cancel_scope.cancel()
                return job_id

            with trio.CancelScope(shield=True):
                await follow(display, {"user-1": client}, submit, console=Console(file=io.StringIO()))


async def test_a_refusal_reaches_the_caller(tmp_path: Path) -> None:
    with trio.fail_after(60), pytest.RaisesGroup(BadInput, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await replaying_node(tmp_path / "user", Recorder(), nursery)
            client = AsyncClient(tmp_path / "user")
            await follow(
                JobDisplay(NAMES),
                {"user-1": client},
                lambda: post(client, "/refuse"),
                console=Console(file=io.StringIO()),
            )


# --- words and curves -----------------------------------------------------------------------------------------------


def test_amounts_are_rounded_for_people_and_never_to_nothing() -> None:
    assert [tokens(amount) for amount in (0, TOKEN, 5 * TOKEN // 4, TOKEN // 3, 1, -TOKEN)] == [
        "0",
        "1",
        "1.25",
        "0.3333",
        "<0.0001",
        "-1",
    ]


def test_texts_are_bounded_and_harmless() -> None:
    assert shown("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert len(shown("x" * 10_000)) == 200
    assert last_lines("10%\r50%\r100%\n\n\nend", 5) == ["100%", "end"]


def test_curves_have_the_size_that_was_asked_for() -> None:
    lines = plot([float(10 - n % 10) for n in range(1_000)], 30, 4)
    assert len(lines) == 4
    assert {len(line) for line in lines} == {30}
    assert plot([], 30, 4) == plot([float("nan")], 30, 4) == []
    assert plot([1.0], 5, 2)[1] != " "
    assert thinned([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]


def test_a_state_that_the_display_has_no_words_for_is_still_shown() -> None:
    recorder = Recorder()
    for where in paid_job(recorder):
        if where == "bidding":
            break
    recorder.state(State.KEY_DISPUTE, 10)
    recorder.chain(ce.NodePublished(next(iter(NAMES)), b"\1" * 32, b"\2" * 32, ()))
    display = display_at(recorder)
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert "KEY_DISPUTE" in drawn(display)


def test_a_validator_that_signed_for_others_to_bring_has_tested() -> None:
    recorder = Recorder()
    for stage in paid_job(recorder):
        if stage == "testing":
            break
    display = display_at(recorder)
    recorder.notices.clear()
    recorder.local(COMMITTEE[4], "signed", role="validator")
    for who, notice in recorder.notices:
        display.note(who, notice)
    assert display.progress.doing[COMMITTEE[4]] == "tested"


def test_a_job_that_is_taken_up_in_its_middle_ends_in_the_same_picture() -> None:
    """What was told and what was heard live overlap, and count once."""
    recorder = Recorder()
    at = {where: len(recorder.notices) for where in paid_job(recorder)}
    mine = [notice for who, notice in recorder.notices if who == "user-1"]
    middle = [notice for who, notice in recorder.notices[: at["training"]] if who == "user-1"]
    logged = [point for notice in middle if notice["kind"] == "points" for point in notice["points"]]
    past = [notice for notice in middle if notice["kind"] in ("chain", "block")]
    thin = [*logged[::10], logged[-1]]  # the ends of a curve are always in it
    curve = {"kind": "points", "job_id": JOB_ID.hex(), "time_s": START_S, "points": thin, "count": len(logged)}
    taken_up, whole = (JobDisplay(NAMES, clock=lambda: recorder.now_s) for _ in range(2))
    whole.begin(START_S)
    whole.follow(JOB_ID.hex())
    for notice in mine:
        whole.note("user-1", notice)
    taken_up.begin(recorder.now_s)
    for notice in middle[-10:]:
        taken_up.note("user-1", notice)  # before the job is known
    taken_up.take_up(JOB_ID.hex(), [*past, curve])
    for notice in mine[len(middle) :]:
        taken_up.note("user-1", notice)
    assert taken_up.is_over
    assert taken_up.progress.view == whole.progress.view
    loss, all_of_it = (display.progress.series["loss"] for display in (taken_up, whole))
    assert (loss.count, loss.last_step, loss.last_value) == (all_of_it.count, all_of_it.last_step, all_of_it.last_value)
    assert len(loss.values) <= len(all_of_it.values) // 9, "new values are as thin as the old ones"
    assert drawn(taken_up).count("was paid") == drawn(whole).count("was paid")
