"""What a node is doing now, role by role and job by job, in words and numbers for its owner."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from morphware.node.activity import Running
from morphware.node.brake import Brake, Brakes
from morphware.node.chain.calldata import name_of
from morphware.node.describe import read_names, reason
from morphware.node.engine import Engine
from morphware.node.machines import VALIDATOR, WORKER, Machine
from morphware.protocol.effects import (
    Appraise,
    Effect,
    Evaluate,
    FetchBundle,
    Fund,
    JoinChunks,
    Prefetch,
    SealBundles,
    SealChunks,
    SealModel,
    Send,
    Train,
)
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView
from morphware.protocol.worker import WorkerBrain

LEFT_ALONE_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class JobDoing:
    """One role's part in one job; ``sentence`` says to people what it does.

    ``name`` is the end user's word for the job, empty where it cannot be read; ``deadline`` is the state's on the
    chain; ``estimated_s`` is how long the end user thinks that the training takes, while it runs; ``waits_because`` is
    what the world refused the last time.
    """

    job_id: JobId
    role: str
    name: str
    sentence: str
    since_s: float | None
    deadline: Timestamp | None
    estimated_s: int | None = None
    waits_because: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A job that takes bids and gets none of ours, and why."""

    job_id: JobId
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerDoing:
    """What the worker's role is up to as a whole."""

    capacity: int
    occupied: int
    is_taking: bool
    left_alone: tuple[LeftAlone, ...]


@dataclass(frozen=True, slots=True)
class ValidatorDoing:
    """Seats; ``seats_held`` is None when the chain did not say."""

    seats_held: int | None
    seats_busy: int


@dataclass(frozen=True, slots=True)
class Doing:
    """Everything at one time. ``worker`` and ``validator`` are None where this node has no such role."""

    jobs: tuple[JobDoing, ...]
    worker: WorkerDoing | None
    validator: ValidatorDoing | None


WORDS: Final[dict[type[Effect], str]] = {
    Train: "trains",
    Evaluate: "tests the model",
    FetchBundle: "fetches the {name} bundle",
    Prefetch: "fetches the {name} bundle in advance",
    JoinChunks: "puts the {name} data together",
    SealBundles: "seals the job's folders",
    SealChunks: "cuts and seals the job's data",
    SealModel: "seals the model",
    Fund: "gets the tokens together that are needed",
    Appraise: "looks up what bidders have",
    Send: "sends {name} to the chain",
}
"""What an effect is to people; the first that runs, in this order, is what a role does."""
STATES: Final = {
    State.BIDDING: "has bid, and waits for the end of bidding",
    State.REVEALING: "opens its bids",
    State.AWARDED: "has won, and waits for the data's key",
}
"""What a worker does in a state when no effect runs."""


def job_doings(engine: Engine, brakes: Brakes) -> tuple[JobDoing, ...]:
    """Every live part of this node in a job, oldest first."""
    return tuple(_job_doing(engine, brakes, machine) for machine in _live(engine))


def bonds_wei(engine: Engine) -> Wei:
    """What workers have locked in bonds in all jobs that go on."""
    return Wei(sum(bond_of(machine) for machine in _live(engine)))


def _live(engine: Engine) -> list[Machine]:
    return [machine for machine in engine.machines.values() if not machine.is_finished and _is_live(machine)]


def _is_live(machine: Machine) -> bool:
    """An end user's job is, from the start; others' parts are while something is at stake in them."""
    return machine.brain.view is None or machine.brain.is_concerned


def _job_doing(engine: Engine, brakes: Brakes, machine: Machine) -> JobDoing:
    job_id, role, view = machine.job_id, machine.role, engine.views.get(machine.job_id)
    running = _foremost(engine.activity.by(job_id, role))
    brake = brakes.running.get(job_id) if role == WORKER else None
    is_training = brake is not None and running is not None and isinstance(running.effect, Train)
    return JobDoing(
        job_id=job_id,
        role=role,
        name=read_names(view)[0] if view is not None else "",
        sentence=_sentence(machine, view, running, brake),
        since_s=running.since_s if running is not None else None,
        deadline=view.deadline if view is not None else None,
        estimated_s=view.terms.estimated_s if is_training and view is not None else None,
        waits_because=running.waits_because if running is not None else "",
        problem=machine.problem,
    )


def _foremost(running: Iterable[Running]) -> Running | None:
    order = list(WORDS)
    known = [each for each in running if type(each.effect) in WORDS]
    return min(known, key=lambda each: order.index(type(each.effect)), default=None)


def _sentence(machine: Machine, view: JobView | None, running: Running | None, brake: Brake | None) -> str:
    if running is not None:
        effect = running.effect
        if isinstance(effect, Train) and brake is not None and brake.is_on:
            return "stands still, as its owner wishes"
        name = name_of(effect.call) if isinstance(effect, Send) else getattr(effect, "name", "")
        return WORDS[type(effect)].format(name=name)
    if view is None:
        return "waits for the job to be posted"
    if machine.role == WORKER and view.state in STATES:
        return STATES[view.state]
    return f"waits: {reason(view)}"


def bond_of(machine: Machine) -> Wei:
    """What a worker has locked in a job: a bond for each bid that is not opened, and the winner's for the work."""
    brain, view = machine.brain, machine.brain.view
    if not isinstance(brain, WorkerBrain) or view is None:
        return Wei(0)
    account = brain.identity.account
    locked = sum(bid.bidder == account for bid in view.unopened) if view.award is None else int(brain.is_winner)
    return Wei(view.bond_wei * locked)


def worker_doing(engine: Engine) -> WorkerDoing:
    """What the worker's role is up to."""
    brains = [
        machine.brain
        for machine in engine.machines.values()
        if not machine.is_finished and isinstance(machine.brain, WorkerBrain)
    ]
    left_alone = [
        (view, brain.stays_out_because or _not_looked_at(engine))
        for brain in brains
        if not brain.bids and (view := brain.view) is not None and view.state is State.BIDDING
    ]
    return WorkerDoing(
        capacity=engine.roles.capacity,
        occupied=sum(brain.is_occupied for brain in brains),
        is_taking=engine.roles.is_taking,
        left_alone=tuple(
            LeftAlone(view.job_id, read_names(view)[0], why) for view, why in left_alone[-LEFT_ALONE_MOST:]
        ),
    )


def _not_looked_at(engine: Engine) -> str:
    return "it was not looked at yet" if engine.roles.is_taking else "this worker takes no new jobs now"


def busy_seats(engine: Engine, account: Address) -> int:
    """Seats of this account that sit in jobs which have not settled them, as far as the final blocks tell."""
    live = [machine for machine in engine.machines.values() if machine.role == VALIDATOR and not machine.is_finished]
    views = [machine.brain.view for machine in live if machine.brain.view is not None]
    return sum(view.everybody_drawn.count(account) for view in views if account not in view.settled)
