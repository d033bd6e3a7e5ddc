"""The job on a terminal, live; elsewhere a line for each meaningful change.

``JobDisplay`` folds notices (``progress.py``) and draws them (``screen.py``); ``follow`` feeds it from running nodes.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import trio
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from morphware.node.client.client import AsyncClient
from morphware.node.data_folder import NodeNotRunning
from morphware.node.testnet.progress import JobProgress
from morphware.node.testnet.screen import Screen
from morphware.node.wording import shown
from morphware.protocol.units import Address

FRAMES_PER_S: Final = 8
QUIET_FRAMES: Final = 4
"""While nothing happens only every so many frames are drawn, for the countdown: a frame costs 10 ms of a processor."""
VIEWER: Final = "user-1"


class NodeGone(NodeNotRunning):
    """The end user's node stopped while its job was being followed: look at its log, and start it again; it goes on."""


class JobDisplay:
    """One job's picture. ``note`` takes notices from any number of nodes; ``render`` gives what to show now.

    Args:
        names: accounts that have a name ("worker-1"); others are shown by their address.
        viewer: the node of the job's end user, as ``note`` names it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        names: Mapping[Address, str],
        viewer: str = VIEWER,
        job_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.progress = JobProgress({account: shown(name, 20) for account, name in names.items()}, viewer, job_id)
        self._clock = clock

    def begin(self, time_s: float | None = None) -> None:
        """The submission starts now (or then): what all seconds are counted from."""
        self.progress.begin(self._clock() if time_s is None else time_s)

    def follow(self, job_id: str) -> None:
        """This is the job; notices that came before its id was known are not lost."""
        self.progress.follow(job_id)

    def take_up(self, job_id: str, notices: Sequence[Mapping[str, Any]]) -> None:
        """This is the job, and it has begun: what the viewer's node would have said of it so far."""
        self.progress.take_up(job_id, notices)

    def note(self, account_name: str, notice: Mapping[str, Any]) -> None:
        """A node said something."""
        self.progress.note(account_name, notice)

    @property
    def is_over(self) -> bool:
        """The end user's node is done with the job."""
        return self.progress.is_over

    def take_lines(self) -> list[str]:
        """Plain sentences since the last time."""
        return self.progress.take_lines()

    def render(self) -> RenderableType:
        """What to show now, fitted to the console that shows it."""
        return Screen(self.progress, self._clock())


async def follow(
    display: JobDisplay,
    clients: Mapping[str, AsyncClient],
    submit: Callable[[], Awaitable[str]],
    *,
    console: Console | None = None,
    is_plain: bool | None = None,
    is_enough: Callable[[JobDisplay], bool] = lambda display: display.is_over,
) -> str:
    """Listen to nodes, submit a job through one of them, show it until it is over, and return its id.

    Args:
        clients: nodes by name; the one named as the display's viewer must stay up, others may come and go.
        submit: submits the job and returns its id; called once everybody is listened to.
        is_enough: when to stop instead of at the job's end.

    Raises:
        NodeGone: the viewer's node stopped.
    """
    changed = trio.Event()

    async def listen(name: str, client: AsyncClient, *, task_status: trio.TaskStatus[None]) -> None:
        nonlocal changed
        is_listening = False
        try:
            async with client.watch() as notices:
                task_status.started()
                is_listening = True
                async for notice in notices:
                    display.note(name, notice)
                    changed.set()
        except NodeNotRunning:
            if name == display.progress.viewer and not is_listening:
                raise
        if name == display.progress.viewer:
            raise NodeGone
        if not is_listening:
            task_status.started()

    async with trio.open_nursery() as nursery:
        for name, client in clients.items():
            await nursery.start(listen, name, client)
        nursery.start_soon(partial(show, display, console=console, is_plain=is_plain))
        display.begin()
        job_id = await submit()
        display.follow(job_id)
        while not is_enough(display):
            await changed.wait()
            changed = trio.Event()
        nursery.cancel_scope.cancel()
    return job_id


async def show(display: JobDisplay, *, console: Console | None = None, is_plain: bool | None = None) -> None:
    """Show until cancelled, and the last picture at the end.

    Args:
        console: where to (standard output). Log lines must go elsewhere meanwhile.
        is_plain: lines instead of a live picture; None: on whatever is no terminal.
    """
    console = console or Console(file=sys.stdout)
    if not console.is_terminal if is_plain is None else is_plain:
        try:
            while True:
                _print_lines(display, console)
                await trio.sleep(1 / FRAMES_PER_S)
        finally:
            _print_lines(display, console)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop", get_renderable=display.render) as live:
        drawn, skipped = -1, 0
        while True:
            if display.progress.revision != drawn or skipped >= QUIET_FRAMES:
                drawn, skipped = display.progress.revision, 0
                live.refresh()
            skipped += 1
            await trio.sleep(1 / FRAMES_PER_S)


def _print_lines(display: JobDisplay, console: Console) -> None:
    lines = display.take_lines()
    if lines:
        console.print(Text("\n".join(lines)), soft_wrap=True)
