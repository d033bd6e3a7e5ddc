"""What is seen of a real machine: programs that start and end, the load of others, and never the node's own work."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import trio
from trio.testing import MockClock

from morphware.node.idleness import FREE, Availability, Observation, Rules
from morphware.node.watching import (
    PERIOD_S,
    Eyes,
    gpu_load,
    load_by_processes,
    own_processes,
    programs_of_others,
    watch_machine,
    whole_load,
)

pytestmark = pytest.mark.adapter

PMON = """\
# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0       1201     G      7      2      -      -      -      -    Xorg
    0       4242     C     88     41      -      -      -      -    python3
    0       5151     G     55      9      -      -      -      -    eldenring.exe
    1          -     -      -      -      -      -      -      -    -
"""


@contextmanager
def program(path: Path, *words: str) -> Iterator[int]:
    """A process that is no child of ours in the eyes of the watcher, whose root is another."""
    process = subprocess.Popen([path, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"here\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """A program by a name of its own."""
    path = tmp_path / "EldenRing.exe"
    shutil.copy(shutil.which("sh") or "/bin/sh", path)
    return path


WAITING = ("-c", "echo here; read line")


def test_a_program_is_seen_by_its_file_while_it_runs(game: Path) -> None:
    assert "eldenring.exe" not in programs_of_others(())
    with program(game, *WAITING):
        assert "eldenring.exe" in programs_of_others(())
    assert "eldenring.exe" not in programs_of_others(())


def test_a_program_that_has_ended_and_is_not_buried_yet_runs_no_more(game: Path) -> None:
    with program(game, "-c", "echo here") as pid:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert "eldenring.exe" not in programs_of_others(())


def test_what_the_node_started_itself_is_no_program_of_others(game: Path) -> None:
    with program(game, *WAITING) as pid:
        ours = own_processes(os.getpid())
        assert pid in ours
        assert "eldenring.exe" not in programs_of_others(ours)


def test_a_program_of_windows_is_seen_by_its_own_name(tmp_path: Path) -> None:
    """Wine gives a process the path as Windows writes it."""
    shell = shutil.which("sh") or "/bin/sh"
    source = f"import os; os.execv({shell!r}, ['S:\\\\Games\\\\A very long name.exe', '-c', 'echo here; read line'])"
    with program(Path(sys.executable), "-c", source):
        assert "a very long name.exe" in programs_of_others(())


SPINNING = "import time\nprint('here', flush=True)\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def test_the_load_of_others_is_told_from_our_own() -> None:
    """The same busy process is others' for one watcher, and its own for the other."""
    with program(Path(sys.executable), "-c", SPINNING) as pid:
        rules = Rules(other_load_percent=50)
        stranger, node = Eyes(root=1 << 30), Eyes(root=pid)
        assert stranger.look(rules).load_percent is None, "nothing to compare with yet"
        node.look(rules)
        time.sleep(2.0)  # what is measured needs time in which to happen
        everything, others = stranger.look(rules).load_percent, node.look(rules).load_percent
    assert everything is not None
    assert others is not None
    assert 0 <= others < everything <= 101


def test_what_no_rule_asks_for_is_not_looked_at() -> None:
    seen = Eyes().look(Rules())
    assert (seen.programs, seen.load_percent, seen.gpu_percent) == (frozenset(), None, None)
    assert 0 <= seen.minute < 24 * 60


# --- GPU ------------------------------------------------------------------------------------------------------------


def test_the_gpu_load_is_that_of_processes_which_are_not_ours() -> None:
    assert load_by_processes(PMON, [4242]) == 62
    assert load_by_processes(PMON, []) == 150
    assert load_by_processes(PMON, [1201, 4242, 5151]) == 0


@pytest.mark.parametrize("text", ["", "No devices were found\n", "# gpu pid\n 0 1\n", "garbage \0 in\nlines"])
def test_what_is_no_such_table_says_nothing(text: str) -> None:
    assert load_by_processes(text, []) is None


def test_the_whole_load_is_the_busiest_gpus() -> None:
    assert whole_load("3\n 71\n") == 71
    assert whole_load("[N/A]\n") is None


def _driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_machine_without_an_nvidia_driver_has_no_gpu_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_load([]) is None


def test_a_driver_that_knows_no_processes_is_asked_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _driver(tmp_path, monkeypatch, 'case "$1" in pmon) exit 3;; *) echo 44;; esac\n')
    assert gpu_load([]) == 44


def test_a_driver_that_fails_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _driver(tmp_path, monkeypatch, "echo 'NVIDIA-SMI has failed'; exit 9\n")
    assert gpu_load([]) is None


# --- the service ----------------------------------------------------------------------------------------------------


class Player:
    """An owner with a game."""

    def __init__(self) -> None:
        self.rules = Rules(programs=("eldenring.exe",), quiet_s=0)
        self.availability = FREE
        self.told = trio.Event()

    def note_availability(self, availability: Availability) -> None:
        self.availability = availability
        self.told.set()
        self.told = trio.Event()

    async def until(self, is_free: bool) -> None:
        with trio.fail_after(120):
            while self.availability.is_free is not is_free:
                await self.told.wait()


async def test_the_watcher_sees_a_game_begin_and_end(game: Path) -> None:
    player = Player()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_machine, player, Eyes(root=1 << 30).look)
        await player.until(True)
        with program(game, *WAITING):
            await player.until(False)
            assert player.availability.reason == "busy: the program eldenring.exe runs"
        await player.until(True)
        player.rules = Rules()
        player.availability = Availability(is_free=False, reason="stale")
        await player.until(True)
        nursery.cancel_scope.cancel()


async def test_a_machine_that_cannot_be_seen_for_a_moment_leaves_the_answer_as_it_was(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [psutil.AccessDenied(), OSError(24, "Too many open files")]

    async def run(look: Callable[[Rules], Observation], rules: Rules, **_: object) -> Observation:
        await trio.lowlevel.checkpoint()
        return look(rules)

    def look(_: Rules) -> Observation:
        if failures:
            raise failures.pop()
        return Observation(at_s=0.0, minute=0)

    monkeypatch.setattr(trio.to_thread, "run_sync", run)
    player = Player()
    player.availability = Availability(is_free=False, reason="as it was")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_machine, player, look)
        await trio.sleep(2.5 * PERIOD_S / 2)
        assert player.availability.reason == "as it was"
        await player.until(True)
        nursery.cancel_scope.cancel()
    assert failures == []
