"""``morphware logs``: what a job wrote, on standard output, so that it can be kept or searched with other tools."""

import sys
from pathlib import Path

import msgspec
import trio

from morphware.node.api.answers.jobs import OutputPiece
from morphware.node.cli.jobs import OPEN, find
from morphware.node.cli.printing import plain_text
from morphware.node.cli.submit import data_folder_of
from morphware.node.client import AsyncClient, Client
from morphware.node.errors import ExitStatus
from morphware.node.testnet.display import NodeGone


def print_logs(job_id: str, data_folder: Path | None, *, is_following: bool, as_json: bool) -> int:
    """The output so far, or with ``is_following`` until the job ends.

    Raises:
        BadInput: no job or several jobs begin so.
    """
    folder = data_folder_of(data_folder)
    job = find(Client(folder), job_id)
    trio.run(_Reader(AsyncClient(folder), job.job_id, as_json=as_json).read, is_following)
    return ExitStatus.SUCCESS


class _Reader:
    def __init__(self, client: AsyncClient, job_id: str, *, as_json: bool) -> None:
        self._client = client
        self._job_id = job_id
        self._as_json = as_json
        self._last = -1
        self._ends_open = False

    async def read(self, is_following: bool) -> None:
        if is_following:
            await self._follow()
        else:
            await self._catch_up()
        if self._ends_open:
            sys.stdout.write("\n")
            sys.stdout.flush()

    async def _follow(self) -> None:
        async with self._client.watch(self._job_id) as notices:
            await self._catch_up()
            if (await self._client.job(self._job_id)).outcome != OPEN:
                await self._catch_up()
                return
            async for notice in notices:
                is_over = notice["kind"] == "ended" or (notice.get("event") or {}).get("_") == "JobClosed"
                if is_over or notice["kind"] in ("output", "dropped"):
                    await self._catch_up()
                if is_over:
                    return
        raise NodeGone

    async def _catch_up(self) -> None:
        while (output := await self._client.output(self._job_id, self._last)).pieces:
            if self._last < 0 and output.dropped_bytes:
                sys.stderr.write(f"The first {output.dropped_bytes} bytes of the output are no longer kept.\n")
            for piece in output.pieces:
                self._write(piece)
                self._last = piece.sequence
            sys.stdout.flush()

    def _write(self, piece: OutputPiece) -> None:
        if self._as_json:
            sys.stdout.write(msgspec.json.encode(piece).decode() + "\n")
        elif piece.text:
            sys.stdout.write(plain_text(piece.text))
            self._ends_open = not piece.text.endswith("\n")
