"""Requests about how a job went: its steps on the chain, where its money went, its model, and a record to keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from morphware.node.api.answers.jobs import Moment, MoneyMove, Past, Receipt, SignedRecord, Timeline
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.jobs import cost_of, job_id_of
from morphware.node.api.problems import NOT_FOUND, Refusal
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.api.streams import Streamed
from morphware.node.api.zips import zipped
from morphware.node.describe import address_text
from morphware.node.job_moves import Party, job_moves
from morphware.node.journal import StoredEvent
from morphware.node.narration import sentence
from morphware.node.plain import to_plain
from morphware.node.record import signed_record
from morphware.protocol import chain_events as ce
from morphware.protocol.documents import read_spec
from morphware.protocol.units import Address, JobId
from morphware.protocol.view import JobView, view_of

OTHERS: Final = {"market": "the market", "audits": "audits", "nobody": "nobody"}
NAMES: Final = {"user": "the end user", "worker": "the winner"}


@dataclass(frozen=True, slots=True)
class HistoryRequests:
    """Answers from the journal, which has what the chain said of each job."""

    node: Running
    catalogue: Catalogue

    def routes(self) -> list[Route]:
        """What can be asked here."""
        one = "/jobs/{job_id}"
        return [
            Route("GET", f"{one}/timeline", "get_timeline", "A job's steps on the chain, oldest first.",
                  self.timeline, Timeline),
            Route("GET", f"{one}/past", "get_past", "A job's steps so far as notices, like those that `watch` tells.",
                  self.past, Past),
            Route("GET", f"{one}/receipt", "get_receipt", "Where a job's money is, or went, and what gas it cost here.",
                  self.receipt, Receipt),
            Route("GET", f"{one}/model", "get_model", "The trained model, as a zip archive.", self.model,
                  "application/zip"),
            Route("GET", f"{one}/record", "get_record", "A record of the job, signed by this node's account.",
                  self.record, SignedRecord),
        ]  # fmt: skip

    async def timeline(self, call: Call) -> Timeline:
        """Every step that has something to say."""
        return Timeline(moments=await self._moments(job_id_of(call)))

    async def past(self, call: Call) -> Past:
        """For whoever begins to watch a job that has begun."""
        job_id = job_id_of(call)
        self.catalogue.view(job_id)
        return Past(
            notices=[
                {"kind": "chain", "time_s": stored.now.timestamp, "event": to_plain(stored.event)}
                for stored in await self._events(job_id)
            ]
        )

    async def _events(self, job_id: JobId) -> list[StoredEvent]:
        """What the chain said of a job; there may be thousands, each of which is decoded."""
        return await self.node.read(lambda journal: journal.timeline(job_id))

    async def _moments(self, job_id: JobId) -> list[Moment]:
        """What the chain said of a job, in words, as the journal has it."""
        spec, name, moments = read_spec(self.catalogue.view(job_id)), self._names(job_id), []
        told: JobView | None = None
        for stored in await self._events(job_id):
            event = stored.event
            if isinstance(event, ce.JobPosted):
                told = view_of(event)
            elif told is not None:
                told.apply(event)  # type: ignore[arg-type]
            if told is None:
                continue
            said = sentence(event, told, spec, name)  # type: ignore[arg-type]
            if said or isinstance(event, ce.StateChanged):
                transaction = None if stored.transaction_hash is None else "0x" + stored.transaction_hash.hex()
                moments.append(
                    Moment(
                        time_s=stored.now.timestamp,
                        block=stored.now.block,
                        event=type(event).__name__,
                        sentence=said,
                        state=told.state.name,
                        transaction=transaction,
                        link=self.node.link_to(transaction),
                    )
                )
        return moments

    async def receipt(self, call: Call) -> Receipt:
        """What the chain said of money."""
        job_id = job_id_of(call)
        view = self.catalogue.view(job_id)
        is_final = view.is_over  # asked first, so that the end is among the events
        events = await self._events(job_id)
        name_of = self._names(job_id)

        def name(party: Party) -> str:
            return name_of(party) if isinstance(party, bytes) else OTHERS[party]

        return Receipt(
            job_id=job_id.hex(),
            is_final=is_final,
            moves=[
                MoneyMove(
                    kind=move.kind,
                    payer=name(move.payer),
                    payee=name(move.payee),
                    amount_wei=str(int(move.amount_wei)),
                    what=move.reason,
                )
                for move in job_moves(events)
            ],
            costs=[cost_of(cost) for cost in self.node.engine.journal.costs(job_id)],
        )

    async def model(self, call: Call) -> Streamed:
        """A file to save; only a paid model of our own is here."""
        job = self.catalogue.job(job_id_of(call))
        if job.model_path is None:
            raise Refusal(NOT_FOUND, "There is no model of this job here: the end user of a paid job has it.")
        name = f'attachment; filename="model-{job.job_id[:8]}.zip"'
        pieces = zipped(self.node.job_folder(job_id_of(call)) / "user" / "model", self.node.folder / "scratch")
        return Streamed(pieces, "application/zip", {"content-disposition": name})

    async def record(self, call: Call) -> SignedRecord:
        """Everything that this node says of the job, with its signature."""
        job_id = job_id_of(call)
        return signed_record(
            self.catalogue.job(job_id),
            await self._moments(job_id),
            chain_id=self.node.deployment.chain_id,
            market="0x" + self.node.deployment.market.hex(),
            account="0x" + self.node.account.hex(),
            sign=self.node.sign,
        )

    def _names(self, job_id: JobId) -> Callable[[Address], str]:
        """Parties by what they are to the job, others by the beginning and end of their account."""
        view = self.catalogue.view(job_id)
        own = self.node.account

        def name(account: Address) -> str:
            if account == own:
                return "this node"
            if account == view.user:
                return NAMES["user"]
            if account == view.winner:
                return NAMES["worker"]
            text = address_text(account) or ""
            return f"{text[:6]}…{text[-4:]}"

        return name
