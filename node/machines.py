"""The brains of one node: made, replayed from the journal, and looked up by job and role."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from morphware.node.journal import Journal, StoredMachine
from morphware.node.offers import Offer
from morphware.protocol.brain import Brain, Identity
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment, Started
from morphware.protocol.units import JobId
from morphware.protocol.user import Submission, UserBrain
from morphware.protocol.validator import ValidatorBrain
from morphware.protocol.worker import WorkerBrain, WorkerPolicy

USER: Final = "user"
WORKER: Final = "worker"
VALIDATOR: Final = "validator"
ROLES: Final = (USER, WORKER, VALIDATOR)


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders that an end user's job is made of, as the node keeps them."""

    code: Path
    train: Path
    test: Path


@dataclass(slots=True)
class Machine:
    """One role in one job: the brain, and whether it still has something to do.

    A worker's brain may be started more than once: a job that it left alone is looked at again when its owner offers
    something else. ``offers`` holds what each start went by, so that a replay decides as the brain did.
    """

    job_id: JobId
    role: str
    brain: Brain
    sources: Sources | None = None
    is_finished: bool = False
    offers: tuple[Offer, ...] = ()
    starts: int = 0
    failure: str = ""

    @property
    def is_started(self) -> bool:
        """Whether a worker's brain has been asked to look at the job."""
        return self.starts > 0

    @property
    def offer(self) -> Offer | None:
        """What the job was looked at with last, and so bid on with; None where no offer is needed."""
        return self.offers[min(max(0, self.starts - 1), len(self.offers) - 1)] if self.offers else None

    @property
    def problem(self) -> str:
        """What a person should know of this role, if anything."""
        return self.failure or self.brain.problem

    def handle(self, event: Event, now: Moment, *, is_behind: bool) -> tuple[Effect, ...]:
        """Hand an event to the brain."""
        if isinstance(event, Started):
            self._start()
        return self.brain.handle(event, now, is_behind=is_behind)

    def _start(self) -> None:
        """Let a worker's brain decide anew, by what is offered now; bids that it has drawn up stay."""
        self.starts += 1
        if isinstance(self.brain, WorkerBrain) and self.offer is not None and not self.brain.bids:
            self.brain.policy = self.offer.policy
            self.brain.stays_out_because = ""


def user_config(submission: Submission, sources: Sources) -> tuple[object, ...]:
    """What the journal keeps to make the end user's brain again."""
    return (submission, str(sources.code), str(sources.train), str(sources.test))


def make_machine(stored: StoredMachine, identity: Identity) -> Machine:
    """The machine as it was before its first event."""
    brain: Brain
    sources: Sources | None = None
    offers: tuple[Offer, ...] = ()
    match stored.role, stored.config:
        case "user", (Submission() as submission, code, train, test):
            brain = UserBrain(identity, stored.seed, submission)
            sources = Sources(Path(code), Path(train), Path(test))
        case "worker", (Offer() as first, *more):
            offers = (first, *more)
            brain = WorkerBrain(identity, stored.job_id, stored.seed, first.policy)
        case "worker", WorkerPolicy() as policy:  # as journals had it before offers could change
            offers = (Offer(policy),)
            brain = WorkerBrain(identity, stored.job_id, stored.seed, policy)
        case "validator", _:
            brain = ValidatorBrain(identity, stored.job_id, stored.seed)
        case _:
            msg = f"the journal holds a machine of an unknown kind: {stored.role}"
            raise ValueError(msg)
    return Machine(stored.job_id, stored.role, brain, sources, stored.outcome is not None, offers)


def replay(journal: Journal, machine: Machine) -> list[Effect]:
    """Bring a machine to where it was when the node stopped: the same events, in the same order. Return its wishes."""
    wanted: list[Effect] = []
    for record in journal.events(machine.job_id):
        if record.role in (None, machine.role):
            wanted += machine.handle(record.event, record.now, is_behind=record.is_behind)
    return wanted
