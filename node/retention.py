"""Lets go of what closed jobs left behind: served files, and all their folders but the end user's trained models."""

from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

import structlog
import trio

from morphware.node.engine import Engine
from morphware.node.machines import USER
from morphware.node.ports import Artifacts
from morphware.protocol.units import JobId

log = structlog.get_logger()

LOOK_EVERY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """``folder`` holds a folder for each job; ``retention_s`` counts from a job's end, by the chain's clock."""

    engine: Engine
    artifacts: Artifacts
    folder: Path
    retention_s: float

    async def serve(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            for job_id in self.expired():
                await self.let_go(job_id)
            await trio.sleep(LOOK_EVERY_S)

    def expired(self) -> list[JobId]:
        """Jobs that ended long enough ago, in which no role has anything left to do, and that left files."""
        have_files = dict.fromkeys(job_id for job_id, *_ in self.engine.journal.files())
        last = self.engine.journal.last_moments()
        return [
            job_id
            for job_id in have_files
            if self._is_over(job_id) and self.engine.now.timestamp - last[job_id] >= self.retention_s
        ]

    def _is_over(self, job_id: JobId) -> bool:
        """Closed on chain (or given up before it got there), and finished here."""
        view = self.engine.views.get(job_id)
        roles = [machine for (known, _), machine in self.engine.machines.items() if known == job_id]
        return (view is None or view.is_over) and all(role.is_finished and not role.failure for role in roles)

    async def let_go(self, job_id: JobId) -> None:
        """Stop serving, then delete; a crash in between is made up for by the next look."""
        files = [(name, file) for known, name, file, _ in self.engine.journal.files() if known == job_id]
        for _, file in files:
            await self.artifacts.unseed(file)
        await trio.to_thread.run_sync(_delete_all_but_model, self.folder / job_id.hex())
        with self.engine.journal.transaction():
            for name, _ in files:
                self.engine.journal.drop_file(job_id, name)
        log.info("job_let_go", job_id=job_id.hex(), files=len(files))


def _delete_all_but_model(folder: Path) -> None:
    """Of a job's folder only ``user/model`` stays."""
    for path in folder.glob("*"):
        inside = path.glob("*") if path.name == USER else [path]
        for doomed in inside:
            if doomed.name == "model" and path.name == USER:
                continue
            if doomed.is_dir() and not doomed.is_symlink():
                rmtree(doomed, ignore_errors=True)
            else:
                doomed.unlink(missing_ok=True)
