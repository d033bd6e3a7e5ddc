"""The owner's powers over a running node: to pause it, to change what it asks for, and to see what it is doing.

A pause keeps a worker from new bids and new jobs.  It breaks no promise: bids that were made (a signature that was
said cannot be taken back) are opened, and won jobs are trained, for their bonds are at stake.  An owner who needs the
machine at once may freeze the trainings: they stand still, keep their memory, and go on with the pause's end, or
before, when only as much time is left as the rest of the work needs.  So freezing costs no bond as long as the end
user's estimate is right.

Duties of a validator cannot be paused: committees are drawn by the chain from all seats.  Who wants fewer has to give
up seats.  Everything here is in the journal before it counts, and holds over restarts.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
import trio

from morphware.node.amounts import format_tokens
from morphware.node.brake import Brakes
from morphware.node.config import Config
from morphware.node.doing import Doing, ValidatorDoing, bonds_wei, busy_seats, job_doings, worker_doing
from morphware.node.engine import Engine
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.idleness import FREE, UNSEEN, Availability, Rules
from morphware.node.machines import VALIDATOR, WORKER
from morphware.node.offers import offer_of
from morphware.node.policy import Policy, Setting
from morphware.protocol.units import Wei

log = structlog.get_logger()

POLICY_KEY: Final = "operator policy"
PAUSE_KEY: Final = "operator pause"
SEATS_FRESH_S: Final = 30.0
"""Reading an account's seats takes a question for each of them."""
DUTIES: Final = (
    "A validator's duties go on: the chain draws committees from all seats, and silence is slashed. To be drawn no "
    "more, give up seats."
)
KEPT: Final = "Bids that were made are kept and opened, and jobs that are won are trained: their bonds are at stake."
FROZEN: Final = (
    "Trainings stand still but keep their memory, and go on by themselves when only the time is left that the rest of "
    "the work needs by the end user's estimate. If that is too low, a model that is not ready costs 30 % of the bond."
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Whether the node is paused, since when, its bonds in what runs on, and what that means in sentences."""

    is_paused: bool
    is_freezing: bool
    since_s: float | None
    bonds_wei: Wei
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it for people."""
        if not self.is_paused:
            return "This node takes jobs again."
        stakes = f" At stake are {format_tokens(self.bonds_wei)} tokens in bonds." if self.bonds_wei else ""
        return " ".join(("This node takes no new jobs.", *self.notes)) + stakes


@dataclass(slots=True)
class Operating:
    """What the owner says goes through here, before the engine runs and while it does.

    ``read_seats`` asks the chain how many seats the account holds.
    """

    engine: Engine
    brakes: Brakes
    config: Config
    read_seats: Callable[[], Awaitable[int]] | None = None
    clock: Callable[[], float] = time.time
    _policy: Policy = field(init=False)
    _paused_s: float | None = field(init=False, default=None)
    _is_freezing: bool = field(init=False, default=False)
    _availability: Availability = field(init=False, default=FREE)
    _seats: tuple[float, int] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Take up what the journal kept."""
        journal = self.engine.journal
        self._policy = Policy.from_json(self.config, journal.get(POLICY_KEY))
        pause = json.loads(journal.get(PAUSE_KEY) or "null")
        if pause is not None:
            self._paused_s, self._is_freezing = float(pause["since_s"]), bool(pause["freeze"])
        if self.rules.are_any and WORKER in self.engine.roles.names:
            self._availability = UNSEEN
        self._apply()

    # --- what the owner asks ----------------------------------------------------------------------------------------

    async def doing(self) -> Doing:
        """What every role does now."""
        engine, roles = self.engine, self.engine.roles.names
        validator = None
        if VALIDATOR in roles:
            validator = ValidatorDoing(await self._seats_held(), busy_seats(engine, engine.identity.account))
        return Doing(
            jobs=job_doings(engine, self.brakes),
            worker=worker_doing(engine) if WORKER in roles else None,
            validator=validator,
        )

    def policy(self) -> tuple[Setting, ...]:
        """Every setting that can be changed here, what is in force, and where it comes from."""
        return self._policy.settings()

    @property
    def rules(self) -> Rules:
        """When the machine is free."""
        return self._policy.rules

    @property
    def availability(self) -> Availability:
        """Whether the machine is free now, and why not."""
        return self._availability

    @property
    def is_paused(self) -> bool:
        """Whether the owner has paused this node."""
        return self._paused_s is not None

    @property
    def standing(self) -> str:
        """Whether new jobs are taken, and why not, in one sentence."""
        if self.is_paused:
            return "Paused: no new jobs are taken until you resume."
        if not self._availability.is_free:
            return f"No new jobs are taken: {self._availability.reason}."
        return "New jobs are taken as they come."

    @property
    def is_freezing(self) -> bool:
        """Whether trainings, too, stand still while this node is paused."""
        return self.is_paused and self._is_freezing

    # --- what the owner says ----------------------------------------------------------------------------------------

    def change_policy(self, changes: Mapping[str, object]) -> tuple[Setting, ...]:
        """Give settings (``worker.capacity``) new values, typed or as text, for all jobs that are not yet bid on.

        None goes back to the configuration's value.

        Raises:
            BadInput: a name is unknown, or a value is out of its bounds; nothing is changed then.
        """
        return self._keep_policy(self._policy.changed(changes, self.clock()), list(changes))

    def pause(self, *, freeze: bool = False) -> Pause:
        """Take no new jobs; with ``freeze`` let trainings stand still, too. Pausing again changes only that.

        Raises:
            BadInput: this node does nothing for others that could be paused.
        """
        if not self.engine.roles.names & {WORKER, VALIDATOR}:
            raise BadInput('This node has nothing to pause: only the roles "worker" and "validator" work for others.')
        since_s = self.clock() if self._paused_s is None else self._paused_s
        self._keep(PAUSE_KEY, json.dumps({"since_s": since_s, "freeze": freeze}))
        self._paused_s, self._is_freezing = since_s, freeze
        self._apply()
        log.info("paused", freeze=freeze)
        self.engine.feed.say("paused", since_s=since_s, freeze=freeze)
        return self._pause()

    def resume(self) -> Pause:
        """Take jobs again, those that are open among them; a node that is not paused stays as it is."""
        if self.is_paused:
            self._keep(PAUSE_KEY, "null")
            self._paused_s, self._is_freezing = None, False
            self._apply()
            log.info("resumed")
            self.engine.feed.say("resumed")
        return self._pause()

    def note_availability(self, availability: Availability) -> None:
        """The machine was looked at."""
        before, self._availability = self._availability, availability
        if (before.is_free, before.reason) != (availability.is_free, availability.reason):
            self._apply()
            log.info("availability", is_free=availability.is_free, reason=availability.reason)
            self.engine.feed.say("availability", is_free=availability.is_free, reason=availability.reason)

    # --- how it is done ---------------------------------------------------------------------------------------------

    def _keep_policy(self, policy: Policy, names: list[str]) -> tuple[Setting, ...]:
        self._keep(POLICY_KEY, policy.to_json())
        self._policy = policy
        self._apply()
        values: dict[str, Any] = {setting.name: setting.value for setting in policy.settings()}
        log.info("policy_changed", **{name: values[name] for name in names})
        self.engine.feed.say("policy", changed=names)
        return self.policy()

    def _keep(self, key: str, value: str) -> None:
        with self.engine.journal.transaction():
            self.engine.journal.put(key, value)

    def _apply(self) -> None:
        """Let the engine and the trainings go by what is in force now."""
        worker, is_free = self._policy.worker, self._availability.is_free
        roles = replace(
            self.engine.roles,
            offer=offer_of(worker),
            capacity=worker.capacity,
            is_taking=is_free and not self.is_paused,
        )
        self.brakes.is_wished = self._is_freezing or (not is_free and self._policy.idle.on_busy == "freeze")
        if roles != self.engine.roles:
            self.engine.change_roles(roles)

    def _pause(self) -> Pause:
        """Whether this node is paused, and what runs on meanwhile."""
        notes = []
        if self.is_paused:
            has_worker, has_seats = (role in self.engine.roles.names for role in (WORKER, VALIDATOR))
            notes = [KEPT] * has_worker + [FROZEN] * (has_worker and self._is_freezing) + [DUTIES] * has_seats
        return Pause(self.is_paused, self._is_freezing, self._paused_s, bonds_wei(self.engine), tuple(notes))

    async def _seats_held(self) -> int | None:
        if self.read_seats is None:
            return None
        now_s = trio.current_time()
        if self._seats is None or now_s - self._seats[0] > SEATS_FRESH_S:
            try:
                self._seats = (now_s, await self.read_seats())
            except MorphwareError as error:
                log.info("seats_unknown", reason=error.sentence)
                return None
        return self._seats[1]
