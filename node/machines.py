"""The brains of one node: made, replayed from the journal, and looked up by job and role."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from morphware.node.journal import Journal, StoredMachine
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
    """One role in one job: the brain, and whether it still has something to do."""

    job_id: JobId
    role: str
    brain: Brain
    sources: Sources | None = None
    is_finished: bool = False
    is_started: bool = False
    failure: str = ""

    @property
    def problem(self) -> str:
        """What a person should know of this role, if anything."""
        return self.failure or self.brain.problem

    def handle(self, event: Event, now: Moment, *, is_behind: bool) -> tuple[Effect, ...]:
        """Hand an event to the brain."""
        if isinstance(event, Started):
            self.is_started = True
        return self.brain.handle(event, now, is_behind=is_behind)


def user_config(submission: Submission, sources: Sources) -> tuple[object, ...]:
    """What the journal keeps to make the end user's brain again."""
    return (submission, str(sources.code), str(sources.train), str(sources.test))


def make_machine(stored: StoredMachine, identity: Identity) -> Machine:
    """The machine as it was before its first event."""
    brain: Brain
    sources: Sources | None = None
    match stored.role, stored.config:
        case "user", (Submission() as submission, code, train, test):
            brain = UserBrain(identity, stored.seed, submission)
            sources = Sources(Path(code), Path(train), Path(test))
        case "worker", WorkerPolicy() as policy:
            brain = WorkerBrain(identity, stored.job_id, stored.seed, policy)
        case "validator", _:
            brain = ValidatorBrain(identity, stored.job_id, stored.seed)
        case _:
            msg = f"the journal holds a machine of an unknown kind: {stored.role}"
            raise ValueError(msg)
    return Machine(stored.job_id, stored.role, brain, sources, is_finished=stored.outcome is not None)


def replay(journal: Journal, machine: Machine) -> list[Effect]:
    """Bring a machine to where it was when the node stopped: the same events, in the same order. Return its wishes."""
    wanted: list[Effect] = []
    for record in journal.events(machine.job_id):
        if record.role in (None, machine.role):
            wanted += machine.handle(record.event, record.now, is_behind=record.is_behind)
    return wanted
