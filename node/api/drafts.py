"""Requests about uploaded jobs: taken in, shown, let go, tried out, reviewed, and posted once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from morphware.node.api.answers.plain import Done
from morphware.node.api.answers.submitting import (
    Draft,
    Drafts,
    DryRunAsked,
    FieldProblem,
    PostAsked,
    Posted,
    Review,
    Terms,
    UploadAsked,
)
from morphware.node.api.dry_runs import DryRunAnswer
from morphware.node.api.problems import BAD_INPUT, CONFLICT, NOT_FOUND, UNAVAILABLE, WRONG_TYPE, Refusal
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.api.submitting import SubmitRequests, require_user
from morphware.node.artifacts.disk import require_space
from morphware.node.drafts.choosing import choices_of, submission_for
from morphware.node.drafts.dry_run import Trial, limits_for, metric_for
from morphware.node.drafts.filing import Budget, remove
from morphware.node.drafts.reading import describe_draft, told
from morphware.node.drafts.receiving import Receiver
from morphware.node.drafts.review import gas_sentence, longest_s, losses_of, most_lost_wei, parts_of, windows_of
from morphware.node.drafts.shelf import Posting, Shelf
from morphware.node.errors import BadInput
from morphware.node.pricing import check_seats, least_fee_wei
from morphware.node.runner.inspect import inspect_job
from morphware.node.wishes import JobWish
from morphware.node.wishing import MIB, USUAL_MEMORY_MIB, wish_from
from morphware.protocol.metrics import metric_from_e6
from morphware.protocol.units import JobId
from morphware.protocol.user import Submission

UPLOAD: Final = "multipart/form-data"
UPLOADS_MOST: Final = 2
"""Uploads at the same time; each may take gigabytes."""
STANDSTILL_S: Final = 60.0
PIECE_BYTES: Final = 1 << 20
"""So much of an upload is handed to a thread at once."""
GAS_JOBS: Final = 20
"""By so many of the node's last jobs it is told what gas a job takes."""
UNPACKED_SHARE: Final = 4
"""What an upload unpacks to may be so many times what it may be itself."""


@dataclass(frozen=True, slots=True)
class DraftRequests:
    """Uploaded jobs on their way to the market."""

    node: Running
    submitting: SubmitRequests
    shelf: Shelf
    _uploading: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(UPLOADS_MOST))
    _trying: trio.Lock = field(default_factory=trio.Lock)
    _posting: trio.Lock = field(default_factory=trio.Lock)

    def routes(self) -> list[Route]:
        """What can be asked here."""
        one = "/drafts/{draft_id}"
        return [
            Route("POST", "/drafts", "upload_draft", "Upload a job's program and data, to look at before posting.",
                  self.upload, Draft, query=UploadAsked, body=UPLOAD),
            Route("GET", "/drafts", "list_drafts", "Uploaded jobs that are not posted, newest first.",
                  self.drafts, Drafts),
            Route("GET", one, "get_draft", "What the node read in an uploaded job.", self.draft, Draft),
            Route("DELETE", one, "delete_draft", "Let an uploaded job go.", self.delete, Done),
            Route("POST", f"{one}/dry-run", "try_draft", "Run an uploaded job here for a few seconds; told as it goes.",
                  self.try_out, "text/event-stream", body=DryRunAsked),
            Route("POST", f"{one}/review", "review_draft", "What posting would lock, and what could be lost.",
                  self.review, Review, body=Terms),
            Route("POST", f"{one}/post", "post_draft", "Post an uploaded job on these terms.",
                  self.post, Posted, body=PostAsked),
        ]  # fmt: skip

    # --- taking in --------------------------------------------------------------------------------------------------

    async def upload(self, call: Call) -> Draft:
        """File what comes in, read it, and keep it; what is refused leaves nothing."""
        request, asked = call.request, call.query
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != UPLOAD:
            raise Refusal(WRONG_TYPE, f"An upload has the type {UPLOAD}.")
        try:
            self._uploading.acquire_nowait()
        except trio.WouldBlock:
            raise Refusal(UNAVAILABLE, "Other uploads are going on: wait until they have ended.") from None
        try:
            with self._based_on(asked.base) as base:
                async with self.shelf.workshop() as folder:
                    said = request.headers.get("content-length", "0")
                    require_space(folder, int(said) if said.isdigit() else 0)
                    budget = Budget(UNPACKED_SHARE * self.node.config.web.upload_mib * MIB)
                    receiver = Receiver(request.headers["content-type"], folder, budget)
                    try:
                        await _take(request, receiver)
                        if base is not None:
                            kept = [name for name in asked.keep.split(",") if name]
                            await trio.to_thread.run_sync(receiver.keep, base, kept)
                        await trio.to_thread.run_sync(receiver.finish, trio.from_thread.check_cancelled)
                    finally:
                        receiver.close()
                    return await trio.to_thread.run_sync(self.shelf.add, folder, describe_draft)
        finally:
            self._uploading.release()

    @contextmanager
    def _based_on(self, draft_id: str | None) -> Iterator[Path | None]:
        """The folder of an earlier draft, which stays meanwhile."""
        base = None if draft_id is None else self.shelf.find(draft_id)
        if draft_id is None:
            yield None
        elif base is None:
            raise _gone()
        else:
            with self.shelf.hold(draft_id):
                yield base

    # --- looking ----------------------------------------------------------------------------------------------------

    async def drafts(self, _: Call) -> Drafts:
        """All that wait. What was posted, by a node that was killed or beside a dry run, waits no more: it goes."""

        def look() -> list[tuple[Draft, Posting | None]]:
            return [(draft, self.shelf.posting(draft.draft_id)) for draft in self.shelf.tidy()]

        waiting = []
        for draft, noted in await trio.to_thread.run_sync(look):
            if noted is None or not self._is_known(_job_id(noted)):
                waiting.append(draft)
            elif not self.shelf.is_held(draft.draft_id):
                self._note_posted(noted.request_id, noted.job_id)
                await trio.to_thread.run_sync(self.shelf.remove, draft.draft_id)
        return Drafts(drafts=waiting)

    async def draft(self, call: Call) -> Draft:
        """One that waits."""
        draft = await trio.to_thread.run_sync(self.shelf.read, call.path["draft_id"])
        if draft is None:
            raise _gone()
        return draft

    async def delete(self, call: Call) -> Done:
        """Let one go."""
        draft_id = call.path["draft_id"]
        self._folder(draft_id)
        self._refuse_held(draft_id)
        await trio.to_thread.run_sync(self.shelf.remove, draft_id)
        return Done(sentence="The uploaded job is gone.")

    def _folder(self, draft_id: str) -> Path:
        folder = self.shelf.find(draft_id)
        if folder is None:
            raise _gone()
        return folder

    def _refuse_held(self, draft_id: str) -> None:
        if self.shelf.is_held(draft_id):
            raise Refusal(
                CONFLICT, "This job is being used: stop its dry run, or wait until it is tried out or posted."
            )

    # --- trying out -------------------------------------------------------------------------------------------------

    async def try_out(self, call: Call) -> Response:
        """The answer tries the job while it is sent, so that hanging up ends both."""
        asked: DryRunAsked = call.body
        draft_id = call.path["draft_id"]
        folder = self._folder(draft_id)
        performer = self.node.engine.performer
        if performer is None:
            raise Refusal(UNAVAILABLE, "This node runs no jobs.")
        job = await trio.to_thread.run_sync(inspect_job, folder / "program")
        trial = Trial(
            folder=folder,
            job=job,
            metric=metric_for(job, asked.metric),
            limits=limits_for(
                self.node.engine.roles.offer.limits, (job.config.memory_mib or USUAL_MEMORY_MIB) * MIB, asked.seconds
            ),
            validator=self.node.account,
        )
        return DryRunAnswer(performer.runner, trial, self.shelf, self._trying)

    # --- reviewing and posting --------------------------------------------------------------------------------------

    async def review(self, call: Call) -> Review:
        """Nothing is changed, and nothing is promised: posting asks everything again."""
        node, terms = self.node, call.body
        folder = self._folder(call.path["draft_id"])
        stake_wei = node.parameters.seat_stake_wei

        def look() -> tuple[str, Submission | None, list[BadInput]]:
            job = inspect_job(folder / "program")
            choices = choices_of(folder, job, terms)
            submission, problems = submission_for(
                job, choices, node.parameters.timing, stake_wei, least_fee_wei(stake_wei)
            )
            return choices.name, submission, problems

        name, submission, problems = terms.name, None, list[BadInput]()
        try:
            name, submission, problems = await trio.to_thread.run_sync(look)
        except BadInput as problem:
            problems = [problem]
        problems += await self._node_problems(terms.seats, [problem.field for problem in problems])
        return await self._reviewed(name, terms, submission, told(problems, folder))

    async def _node_problems(self, seats: int, known: list[str]) -> list[BadInput]:
        problems: list[BadInput] = []
        try:
            require_user(self.node)
        except BadInput as problem:
            problems.append(problem)
        if "seats" not in known:
            try:
                check_seats(seats, free=await self.node.chain.free_seats(), busy=await self.node.chain.busy_seats())
            except BadInput as problem:
                problems.append(problem)
        return problems

    async def _reviewed(
        self, name: str, terms: Terms, submission: Submission | None, problems: list[FieldProblem]
    ) -> Review:
        node = self.node
        free_wei = await node.chain.free_balance(node.account)
        wallet_wei = await node.chain.wallet_balance(node.account)
        promised_wei = node.engine.promised_wei()
        if submission is None:
            return Review(
                name=name, metric=terms.metric, threshold=terms.threshold, seats=terms.seats, escrow_wei=None,
                parts=[], losses=[], most_lost_wei=None, back_by=None, free_wei=str(free_wei),
                wallet_wei=str(wallet_wei), promised_wei=str(promised_wei), is_payable=False, windows=[],
                problems=problems,
            )  # fmt: skip
        timing = node.parameters.timing
        job_fees_wei = await node.read(lambda journal: journal.last_fees("user", GAS_JOBS))
        return Review(
            name=submission.name,
            metric=submission.metric,
            threshold=metric_from_e6(submission.metric, submission.threshold_e6),
            seats=submission.seats,
            escrow_wei=str(submission.escrow_wei),
            parts=parts_of(submission),
            losses=losses_of(submission, gas_sentence(job_fees_wei)),
            most_lost_wei=str(most_lost_wei(submission)),
            back_by=max(int(time.time()), node.engine.now.timestamp) + longest_s(submission, timing),
            free_wei=str(free_wei),
            wallet_wei=str(wallet_wei),
            promised_wei=str(promised_wei),
            is_payable=free_wei + wallet_wei >= submission.escrow_wei + promised_wei,
            windows=windows_of(submission, timing),
            problems=problems,
        )

    async def post(self, call: Call) -> Posted:
        """Post a draft. The same request again, also after a crash at any point, is answered with the same job."""
        asked: PostAsked = call.body
        draft_id, journal = call.path["draft_id"], self.node.engine.journal
        async with self._posting:
            if (job_id := journal.get(_posted(asked.request_id))) is not None:
                return Posted(job_id=job_id)
            folder = self._folder(draft_id)
            self._refuse_held(draft_id)
            with self.shelf.hold(draft_id):
                noted = self.shelf.posting(draft_id)
                if noted is not None and self._is_known(_job_id(noted)):  # we were killed after that, and before this
                    job_id = noted.job_id
                else:
                    if noted is not None:  # killed before the node knew of the job: only its copies are there
                        await trio.to_thread.run_sync(remove, self.node.job_folder(_job_id(noted)))
                    job_id = await self._post(folder, asked)
                self._note_posted(asked.request_id, job_id)
            await trio.to_thread.run_sync(self.shelf.remove, draft_id)
        return Posted(job_id=job_id)

    async def _post(self, folder: Path, asked: PostAsked) -> str:
        def note(job_id: JobId) -> None:
            self.shelf.note_posting(folder.name, Posting(request_id=asked.request_id, job_id=job_id.hex()))

        def look() -> JobWish:
            job = inspect_job(folder / "program")
            return wish_from(choices_of(folder, job, asked), job)

        try:
            return await self.submitting.post(await trio.to_thread.run_sync(look), note)
        except BadInput as problem:
            [shown] = told([problem], folder)
            raise Refusal(BAD_INPUT, shown.sentence, shown.field or None) from problem

    def _note_posted(self, request_id: str, job_id: str) -> None:
        """Whoever sends the same request again is answered with this job."""
        journal = self.node.engine.journal
        with journal.transaction():
            journal.put(_posted(request_id), job_id)

    def _is_known(self, job_id: JobId) -> bool:
        return job_id in self.node.engine.views or bool(self.node.engine.parts(job_id))


def _posted(request_id: str) -> str:
    return f"posted/{request_id}"


def _job_id(noted: Posting) -> JobId:
    return JobId(bytes.fromhex(noted.job_id))


def _gone() -> Refusal:
    return Refusal(NOT_FOUND, "There is no such draft: it was posted or deleted, or it was older than a week.")


async def _take(request: Request, receiver: Receiver) -> None:
    """Hand an upload's bytes to the receiver, in pieces, as they come."""
    waiting: list[bytes] = []
    size = 0
    stream = request.stream()
    while True:
        chunk: bytes | None = None
        with trio.move_on_after(STANDSTILL_S) as patience:
            try:
                chunk = await anext(stream, None)
            except ClientDisconnect:
                raise Refusal(BAD_INPUT, "The upload broke off before its end.") from None
        if patience.cancelled_caught:
            raise Refusal(BAD_INPUT, f"Nothing of the upload came for {STANDSTILL_S:g} s: upload it again.")
        if chunk:
            waiting.append(chunk)
            size += len(chunk)
        if size >= PIECE_BYTES or chunk is None:
            await trio.to_thread.run_sync(receiver.feed, b"".join(waiting))
            waiting, size = [], 0
        if chunk is None:
            return
