"""What a greedy job cannot take: memory, disk, processes, time, or the node's attention."""

from pathlib import Path

import pytest
import trio

from morphware.node.ports import Limits
from morphware.node.runner.runner import SandboxRunner, Settings
from morphware.node.runner.sandbox import SandboxReport
from morphware.node.runner.supervise import LogBounds
from tests.node.runner.stranger import LIMITS, Stranger

pytestmark = pytest.mark.adapter

DONE = "open(os.environ['MORPHWARE_MODEL_DIR'] + '/done.txt', 'w').write('x')"

DELETED = """
keep = []
for i in range(100):
    keep.append(open('/job/output/x', 'wb'))
    os.unlink('/job/output/x')
    keep[-1].write(b'x' * (1 << 20))
    keep[-1].flush()
time.sleep(30)
"""
GREEDY = {
    "memory": ("x = [bytearray(1 << 22) for _ in range(400)]; time.sleep(30)", "memory"),
    "memory in nameless files": (
        "for i in range(200): os.write(os.memfd_create(str(i)), b'x' * (4 << 20))\ntime.sleep(30)",
        "memory",
    ),
    "disk in many files": (
        "for i in range(100): open(f'/job/output/{i}', 'wb').write(b'x' * (1 << 20))\ntime.sleep(30)",
        "disk",
    ),
    "disk in deleted files": (DELETED, "disk"),
    "disk in one file": ("f = open('/job/output/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", "File too large"),
    "files": ("for i in range(30000): open(f'/job/output/{i}', 'w').close()\ntime.sleep(30)", "disk: more than"),
    "log": ("while True: print('x' * 1000)", "log"),
}


@pytest.mark.parametrize("name", GREEDY)
async def test_greed_is_stopped_with_its_reason(stranger: Stranger, name: str) -> None:
    source, reason = GREEDY[name]
    with trio.fail_after(60):
        result = await stranger.train("import os, time\n" + source)
    assert reason in result.reason, result.log_tail


async def test_wall_time_is_kept(stranger: Stranger) -> None:
    with trio.fail_after(30):
        result = await stranger.train("while True: pass", Limits(wall_s=1, threads=1))
    assert result.reason.startswith("wall time")


async def test_a_fork_bomb_stays_small_and_dies(stranger: Stranger) -> None:
    source = f"""
        import os, time
        count = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(60); os._exit(0)
                count += 1
        except OSError:
            print("stopped at", count)
        {DONE}
    """
    with trio.fail_after(60):
        result = await stranger.train(source)
    assert result.reason == "", result.log_tail
    stopped = next(line for line in stranger.told.lines if line.startswith("stopped"))
    assert int(stopped.split()[-1]) <= LIMITS.processes


async def test_terminal_escapes_never_reach_the_terminal(stranger: Stranger) -> None:
    source = f"import os; print('\\x1b[2J\\x1b]0;owned\\x07plain\\x9b31m'); {DONE}"
    await stranger.train(source)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in stranger.told.lines for c in line)
    assert any("plain" in line for line in stranger.told.lines)


async def test_a_forged_flood_of_metrics_is_bounded(stranger: Stranger) -> None:
    source = f"""
        import morphware, os, sys
        pipe = morphware._state["descriptor"]
        os.set_blocking(pipe, True)
        os.write(pipe, b'garbage\\n[1,2]\\n')
        os.write(pipe, b'[-5, 0, {{"loss": 1}}, "log"]\\n[1e99, 0, {{}}, "log"]\\n')
        os.write(pipe, b"x" * 200000 + b"\\n")
        for step in range(30000):
            os.write(pipe, b'[%d, 1e300, {{"loss": 0.0, "bad\\\\u0001": 1}}, "log"]\\n' % step)
        {DONE}
    """
    with trio.fail_after(60):
        result = await stranger.train(source)
    assert result.reason == "", result.log_tail
    assert 0 < len(stranger.told.points) < 5_000
    assert all(0 <= point.time_s <= 60 and point.values == {"loss": 0.0} for point in stranger.told.points)


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 11)", "1 / 0", "(("])
async def test_a_failed_script_has_a_reason_and_leaves_no_model(stranger: Stranger, source: str) -> None:
    result = await stranger.train(source)
    assert result.reason
    assert not stranger.model.exists()


async def test_a_job_without_a_model_is_a_failed_job(stranger: Stranger) -> None:
    result = await stranger.train("print('nothing')")
    assert "left no file" in result.reason


@pytest.mark.parametrize("entry", ["/etc/passwd", "../train.py", "missing.py"])
async def test_an_entry_outside_of_the_code_is_refused(stranger: Stranger, entry: str) -> None:
    result = await stranger.runner.train(
        code=stranger.code("print(1)"),
        entry=entry,
        train=stranger.folder / "code",
        model=stranger.model,
        limits=LIMITS,
        on_metric=stranger.told.points.append,
        on_log=stranger.told.lines.append,
        on_usage=stranger.told.usage.append,
    )
    assert result.reason


async def test_after_a_flood_of_output_the_newest_lines_are_still_passed_on(
    tmp_path: Path, report: SandboxReport
) -> None:
    bounds = LogBounds(forward_bytes=32 << 10, forward_bytes_per_s=8 << 10)
    settings = Settings(log_bounds=bounds)
    stranger = Stranger(SandboxRunner(tmp_path / "scratch", report=report, settings=settings), tmp_path)
    result = await stranger.train("""
        import os, pathlib, time
        for line in range(20_000):
            print(f"flood {line:05}", "x" * 50)
        time.sleep(3)
        print("the last word")
        pathlib.Path(os.environ["MORPHWARE_MODEL_DIR"], "model").write_text("x")
    """)
    assert result.reason == "", result.log_tail
    assert stranger.told.lines[-1] == "the last word"
    assert any(line.endswith("bytes left out …") for line in stranger.told.lines)
    assert sum(map(len, stranger.told.lines)) < 1_000_000
