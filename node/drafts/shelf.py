"""Where uploaded jobs wait: a folder each below the data folder's ``drafts``, the oldest of too many let go."""

import math
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import trio

from morphware.node.api.answers.plain import JobIdText
from morphware.node.api.answers.submitting import Draft
from morphware.node.artifacts.disk import remove_leftovers
from morphware.node.drafts.filing import remove

DRAFTS_MOST: Final = 20
LIFE_S: Final = 7 * 24 * 3600.0
DESCRIPTION: Final = "draft.json"
POSTING: Final = "posting.json"

_ID: Final = re.compile(r"[0-9a-f]{32}")


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """Written before a draft is posted: under which request, as which job."""

    request_id: str
    job_id: JobIdText


class Shelf:
    """The drafts of one node; all methods block but ``workshop`` and ``hold``. One that is being used is not let go."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._held: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        remove_leftovers(folder)

    @asynccontextmanager
    async def workshop(self) -> AsyncIterator[Path]:
        """A new private folder on the same disk, which goes at the end; the next start removes what a crash left."""
        folder = Path(await trio.to_thread.run_sync(lambda: tempfile.mkdtemp(".part", ".", self.folder)))
        try:
            yield folder
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(remove, folder)

    def add(self, folder: Path, describe: Callable[[Path, str, float], Draft]) -> Draft:
        """Keep what was filed in a workshop's folder; what is too old, or too much, goes."""
        draft_id, created_s = secrets.token_hex(16), self._clock()
        draft = describe(folder, draft_id, created_s)
        (folder / DESCRIPTION).write_bytes(msgspec.json.encode(draft))
        folder.rename(self.folder / draft_id)
        self.tidy()
        return draft

    def find(self, draft_id: str) -> Path | None:
        """A draft's folder."""
        folder = self.folder / draft_id
        return folder if _ID.fullmatch(draft_id) and (folder / DESCRIPTION).is_file() else None

    def read(self, draft_id: str) -> Draft | None:
        """What was read in a draft when it came. One that another version of us wrote is none. Raises ``OSError``."""
        folder = self.find(draft_id)
        return None if folder is None else _described(folder)

    def remove(self, draft_id: str) -> bool:
        """Let a draft go, whole; whether it was there and nobody used it."""
        if self.find(draft_id) is None or self._held.get(draft_id):
            return False
        _let_go(self.folder / draft_id)
        return True

    def tidy(self) -> list[Draft]:
        """Let go what is older than a week, the oldest of too many, and what is half gone; the others, newest first.

        What cannot be read now, by a passing failure or another version of us, may be readable later: it is as old as
        its folder.
        """
        waiting: list[tuple[float, Path, Draft | None]] = []
        for path in self.folder.iterdir():
            if not _ID.fullmatch(path.name):
                continue
            try:
                draft = _described(path)
                waiting.append((path.stat().st_mtime if draft is None else draft.created_s, path, draft))
            except FileNotFoundError:  # whoever let it go was killed
                waiting.append((-math.inf, path, None))
            except OSError:
                waiting.append((path.stat().st_mtime, path, None))
        waiting.sort(key=lambda each: (-each[0], each[1].name))
        oldest_s, kept = self._clock() - LIFE_S, list[Draft]()
        for place, (created_s, path, draft) in enumerate(waiting):
            if (place >= DRAFTS_MOST or created_s <= oldest_s) and not self.is_held(path.name):
                _let_go(path)
            elif draft is not None:
                kept.append(draft)
        return kept

    @contextmanager
    def hold(self, draft_id: str) -> Iterator[None]:
        """Keep a draft where it is while it is used."""
        self._held[draft_id] = self._held.get(draft_id, 0) + 1
        try:
            yield
        finally:
            self._held[draft_id] -= 1
            if not self._held[draft_id]:
                del self._held[draft_id]

    def is_held(self, draft_id: str) -> bool:
        """Whether somebody uses it."""
        return draft_id in self._held

    # --- postings ---------------------------------------------------------------------------------------------------

    def note_posting(self, draft_id: str, posting: Posting) -> None:
        """Remember that a draft is about to be a job."""
        fresh = self.folder / draft_id / f"{POSTING}.new"
        fresh.write_bytes(msgspec.json.encode(posting))
        fresh.replace(self.folder / draft_id / POSTING)

    def posting(self, draft_id: str) -> Posting | None:
        """What was noted. Raises ``OSError``: whether a draft was posted must not be guessed."""
        try:
            return msgspec.json.decode((self.folder / draft_id / POSTING).read_bytes(), type=Posting)
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def _described(folder: Path) -> Draft | None:
    """What a folder's description says; None where it is of another form. Raises ``OSError``."""
    try:
        return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Draft)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _let_go(folder: Path) -> None:
    """Remove a draft, its description first: what is left of it is none."""
    with suppress(OSError):
        (folder / DESCRIPTION).unlink()
    remove(folder)
