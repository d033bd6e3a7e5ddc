"""Requests of whoever runs a worker or validator: what it does, what it offers, to pause it and let it go on."""

from dataclasses import dataclass

from morphware.node.api.answers.node import Duty, Offer, OffersAsked, Operator, PauseAsked, Unwanted
from morphware.node.api.answers.plain import Done
from morphware.node.api.ledger import LedgerBook
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.doing import JobDoing, LeftAlone
from morphware.node.errors import BadInput
from morphware.node.machines import WORKER


@dataclass(frozen=True, slots=True)
class OperatorRequests:
    """Answers from what the node is doing, and from the journal."""

    node: Running
    ledger: LedgerBook

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/operator", "get_operator", "What this worker or validator does, offers and has earned.",
                  self.operator, Operator),
            Route("POST", "/operator/pause", "pause", "Take no new jobs; training may be stopped, too.", self.pause,
                  Done, body=PauseAsked),
            Route("POST", "/operator/resume", "resume", "Take jobs again.", self.resume, Done),
            Route("PATCH", "/operator/offers", "change_offers", "Change what the worker asks for, and when it works.",
                  self.change, Done, body=OffersAsked),
        ]  # fmt: skip

    async def operator(self, _: Call) -> Operator:
        """Everything for the operator's page."""
        operating = self.node.operating
        doing = await operating.doing()
        worker, validator = doing.worker, doing.validator
        return Operator(
            roles=list(self.node.config.node.roles),
            is_paused=operating.is_paused,
            is_frozen=operating.is_freezing,
            availability=operating.standing,
            is_available=worker.is_taking if worker else not operating.is_paused,
            capacity=worker.capacity if worker else 0,
            occupied=worker.occupied if worker else 0,
            seats=(validator.seats_held or 0) if validator else 0,
            busy_seats=validator.seats_busy if validator else 0,
            duties=[_duty(job) for job in doing.jobs],
            left_alone=[_left_alone(job) for job in worker.left_alone] if worker else [],
            offers=[
                Offer(
                    name=setting.name,
                    value=setting.text,
                    origin=setting.origin,
                    sentence=setting.description,
                    unit=setting.unit,
                    choices=setting.choices,
                )
                for setting in (operating.policy() if worker else ())
            ],
            earnings=await self.ledger.earnings(),
            slashes=await self.ledger.slashes(),
        )

    async def pause(self, call: Call) -> Done:
        """What that means for what runs is said."""
        return Done(sentence=self.node.operating.pause(freeze=call.body.freeze).sentence)

    async def resume(self, _: Call) -> Done:
        """Jobs that are open are looked at again."""
        return Done(sentence=self.node.operating.resume().sentence)

    async def change(self, call: Call) -> Done:
        """All of the changes, or none."""
        if WORKER not in self.node.config.node.roles:
            raise BadInput('This node has nothing to offer: only the role "worker" bids for jobs.')
        asked: OffersAsked = call.body
        self.node.operating.change_policy(asked.offers)
        return Done(sentence="It holds for all jobs that are not yet bid on.")


def _duty(job: JobDoing) -> Duty:
    why = job.problem or job.waits_because
    return Duty(
        job_id=job.job_id.hex(),
        name=job.name,
        role=job.role,  # type: ignore[arg-type]
        doing=f"{job.sentence} ({why})" if why else job.sentence,
        deadline=job.deadline,
        since_s=job.since_s,
        estimated_s=job.estimated_s,
    )


def _left_alone(job: LeftAlone) -> Unwanted:
    return Unwanted(job_id=job.job_id.hex(), name=job.name, sentence=f"No bid is made: {job.reason}.")
