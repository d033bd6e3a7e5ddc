"""The heart of the node: event -> brain -> journal -> effects, once each, through crashes.

Each final block is handled in one transaction: its events, the wishes of every brain that they concern, and the
chain's cursor.  Only then are the effects performed, each job and role in a task of its own that is supervised: what
goes wrong in one stops no other.  An effect that is done answers with an event, which is handled the same way.

On start every brain is replayed from the journal, blocks that were missed are folded in without acting on the past
(``is_behind``), and what is then still wanted, or was wanted and not done, is performed.  Until then nothing is
performed, whoever speaks: the node does not know yet what the chain has become.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from morphware.node.activity import Activity, Running
from morphware.node.directory import Directory
from morphware.node.errors import MorphwareError
from morphware.node.feed import Feed
from morphware.node.journal import Journal, StoredMachine
from morphware.node.machines import USER, VALIDATOR, WORKER, Machine, Sources, make_machine, replay, user_config
from morphware.node.offers import Offer, is_met
from morphware.node.performer import Performer
from morphware.node.plain import to_plain
from morphware.node.ports import Block, Chain, Entropy, Limits
from morphware.node.treasury import Treasury
from morphware.protocol import chain_events as ce
from morphware.protocol.brain import Identity
from morphware.protocol.effects import Effect, Finish
from morphware.protocol.events import (
    Event,
    LocalEvent,
    Moment,
    ReportHeard,
    Said,
    SignedBidsHeard,
    SignedReportHeard,
    Started,
    TimePassed,
)
from morphware.protocol.states import State
from morphware.protocol.units import JobId, Timestamp, Wei
from morphware.protocol.user import SEALED_BIDS_MOST, Submission, user_job_id
from morphware.protocol.view import JobView, view_of
from morphware.protocol.worker import DECOYS_MOST, WorkerBrain

log = structlog.get_logger()

PATIENCE_MOST_S = 30.0
"""What the world refuses is tried again after 1, 2, 4 … seconds, and at least this often."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What this node is there for.

    ``offer``, ``capacity`` and ``is_taking`` (whether new jobs are looked at) matter to workers only; the owner may
    change them at any time, and jobs that were bid on keep what they were bid on with.
    """

    names: frozenset[str]
    offer: Offer
    capacity: int = 1
    is_taking: bool = True


@dataclass(slots=True)
class Engine:
    """All jobs of one node: ``views`` are everybody's as the chain tells them, ``machines`` are our part in them."""

    journal: Journal
    chain: Chain
    entropy: Entropy
    identity: Identity
    roles: Roles
    feed: Feed
    directory: Directory
    treasury: Treasury
    performer: Performer | None = None
    connect: Callable[[Sequence[str]], Awaitable[None]] | None = None
    views: dict[JobId, JobView] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)
    now: Moment = field(default_factory=lambda: Moment(Timestamp(0), 0))
    machines: dict[tuple[JobId, str], Machine] = field(default_factory=dict)
    _by_job: dict[JobId, list[Machine]] = field(default_factory=lambda: defaultdict(list))
    _queues: dict[tuple[JobId, str], trio.MemorySendChannel[Effect]] = field(default_factory=dict)
    _performing: set[tuple[JobId, str, str]] = field(default_factory=set)
    _heard: Counter[JobId] = field(default_factory=Counter)
    _is_live: bool = False
    _new_block: trio.Event = field(default_factory=trio.Event)
    _nursery: trio.Nursery | None = None

    async def run(
        self, first_block: int, head: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Replay the journal, follow the chain and perform, until cancelled. Started once ``head`` is reached."""
        cursor = json.loads(self.journal.get("cursor") or "null")
        after = first_block - 1 if cursor is None else int(cursor["block"])
        if cursor is not None:
            self.now = Moment(Timestamp(cursor["timestamp"]), int(cursor["block"]))
        after_hash = None if cursor is None else bytes.fromhex(cursor["hash"])
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._restore()
            if after >= head:
                self._catch_up_is_over()
                task_status.started()
            async with aclosing(self.chain.follow(after, after_hash=after_hash)) as blocks:
                async for block in blocks:
                    self._take_block(block, is_behind=block.number <= head)
                    if not self._is_live and block.number >= head:
                        self._catch_up_is_over()
                        task_status.started()

    # --- what happens -----------------------------------------------------------------------------------------------

    async def submit(self, submission: Submission, keep: Callable[[JobId], Sources]) -> JobId:
        """Take a job from our own end user; ``keep`` copies its folders, in a thread, to where the job's files live."""
        seed = self.entropy.token(32)
        job_id = user_job_id(self.identity, seed, submission)
        sources = await trio.to_thread.run_sync(keep, job_id)
        with self.journal.transaction():
            machine = self._add_machine(StoredMachine(job_id, USER, seed, user_config(submission, sources), None))
            effects = self._let_handle(machine, TimePassed(), is_behind=not self._is_live, is_kept=True)
        self._perform(machine, effects)
        return job_id

    def tell(self, job_id: JobId, role: str, event: Event) -> None:
        """Handle what happened to one role in one job; unknown and finished ones are left alone."""
        machine = self.machines.get((job_id, role))
        if machine is None or machine.is_finished:
            return
        with self.journal.transaction():
            effects = self._let_handle(machine, event, is_behind=not self._is_live, is_kept=True)
        self._perform(machine, effects)

    def hear(self, job_id: JobId, event: Said) -> None:
        """A peer said something of a bid or a report: only its job's end user, winner or committee has a use for it.

        Rooms are bounded: a bid's by what is kept of all of them, a report's by the committee, as the rules of gossip
        let through only what opens a commitment on chain, or what a member of the newest committee signed.
        """
        view = self.views.get(job_id)
        if view is None:
            return
        if isinstance(event, ReportHeard):
            if view.winner == self.identity.account:
                self.tell(job_id, WORKER, event)
            return
        if isinstance(event, SignedReportHeard):
            if self.identity.relaying is not None and self.identity.account in view.validators:
                self.tell(job_id, VALIDATOR, event)
            return
        if (job_id, USER) not in self.machines:
            return
        if isinstance(event, SignedBidsHeard):
            is_on_chain = False
            if self.identity.relaying is None:
                return
        else:
            is_on_chain = view.has_bid(event.bidder, event.commitment)
        if self._heard[job_id] < 2 * SEALED_BIDS_MOST or is_on_chain:
            self._heard[job_id] += 1
            self.tell(job_id, USER, event)

    def parts(self, job_id: JobId) -> tuple[Machine, ...]:
        """This node's parts in a job."""
        return tuple(self._by_job.get(job_id, ()))

    def promised_wei(self, besides: Machine | None = None) -> Wei:
        """Free balance that is spoken for: what our jobs are about to lock and have not locked yet."""
        live = (machine for machine in self.machines.values() if not machine.is_finished and machine is not besides)
        return Wei(sum(machine.brain.promised_wei for machine in live))

    def change_roles(self, roles: Roles) -> None:
        """The owner changes what workers go by: jobs that are open are looked at with it at once."""
        self.roles = roles
        self._wake_workers()

    def limits(self, machine: Machine) -> Limits:
        """What a job may use here: as it was bid on, and for everything else as the owner says now."""
        return (machine.offer or self.roles.offer).limits

    def note_node(self, record: ce.NodePublished) -> None:
        """A node's signed record came by gossip."""
        self.directory.note(record, is_on_chain=False)
        self._meet(record)

    def _meet(self, record: ce.NodePublished) -> None:
        """Tell gossip of a node's addresses."""
        addresses = [address for address in record.addresses if address.startswith("/")]
        if record.account != self.identity.account and self._nursery is not None and self.connect is not None:
            self._nursery.start_soon(self.connect, addresses)

    def _take_block(self, block: Block, *, is_behind: bool) -> None:
        """Handle a final block in one transaction, then perform what it led to."""
        self.now = Moment(block.timestamp, block.number)
        wanted: list[tuple[Machine, tuple[Effect, ...]]] = []
        touched: set[tuple[JobId, str]] = set()
        # Of a job's events in one block only the last may be acted on: in between, a job stands between two states.
        last = {
            event.job_id: index for index, event in enumerate(block.events) if not isinstance(event, ce.NodePublished)
        }
        with self.journal.transaction():
            for index, (event, transaction_hash) in enumerate(block.caused):
                if isinstance(event, ce.NodePublished):
                    self.journal.put_node(event)
                    self.directory.note(event)
                    self._meet(event)
                    continue
                is_partial = is_behind or index < last[event.job_id]
                self._note_job_event(event, transaction_hash, is_behind=is_partial)
                for machine in self._by_job[event.job_id]:
                    effects = self._let_handle(machine, event, is_behind=is_partial, is_kept=False)
                    wanted.append((machine, effects))
                    touched.add((machine.job_id, machine.role))
            for about_us, transaction_hash in block.account_events:
                self.journal.add_account_event(about_us, self.now, transaction_hash)
            if not is_behind:
                wanted += [(machine, self._tick(machine)) for machine in self._due(touched)]
            self.journal.put(
                "cursor", json.dumps({"block": block.number, "timestamp": block.timestamp, "hash": block.hash.hex()})
            )
        self.feed.say("block", number=block.number, timestamp=block.timestamp)
        for event, transaction_hash in block.caused:
            transaction = None if transaction_hash is None else "0x" + transaction_hash.hex()
            self.feed.say("chain", event=to_plain(event), transaction=transaction)
        for about_us, transaction_hash in block.account_events:
            transaction = None if transaction_hash is None else "0x" + transaction_hash.hex()
            self.feed.say("account", event=to_plain(about_us), transaction=transaction)
        for machine, effects in wanted:
            self._perform(machine, effects)
        self._wake_workers()

    def _wake_workers(self) -> None:
        self._new_block.set()
        self._new_block = trio.Event()

    def _note_job_event(self, event: ce.JobEvent, transaction_hash: bytes | None, *, is_behind: bool) -> None:
        """Store a job's event and fold it into the job's view; a job just posted gets its machines."""
        self.journal.add_event(
            event.job_id, None, event, self.now, is_behind=is_behind, transaction_hash=transaction_hash
        )
        if not isinstance(event, ce.JobPosted):
            if (view := self.views.get(event.job_id)) is not None:
                view.apply(event)
            return
        self.views[event.job_id] = view_of(event)
        if event.user == self.identity.account:
            return
        configs: dict[str, object] = {WORKER: (self.roles.offer,), VALIDATOR: None}
        for role, config in configs.items():
            if role in self.roles.names:
                self._add_machine(StoredMachine(event.job_id, role, self.entropy.token(32), config, None))

    def _due(self, touched: set[tuple[JobId, str]]) -> Iterable[Machine]:
        """Machines that only time concerns now: their deadline has come and no event has reached them."""
        for machine in list(self.machines.values()):
            deadline = machine.brain.deadline
            is_due = deadline is not None and deadline <= self.now.timestamp
            if is_due and not machine.is_finished and (machine.job_id, machine.role) not in touched:
                yield machine

    def _tick(self, machine: Machine) -> tuple[Effect, ...]:
        """Let time pass for a machine; kept only if it led to something, so that idle blocks cost nothing."""
        return self._let_handle(machine, TimePassed(), is_behind=False, is_kept=False)

    def _let_handle(self, machine: Machine, event: Event, *, is_behind: bool, is_kept: bool) -> tuple[Effect, ...]:
        """Hand an event to a brain and store what comes of it. A brain that fails is put to rest, alone."""
        if machine.is_finished:
            return ()
        try:
            effects = machine.handle(event, self.now, is_behind=is_behind)
        except Exception as error:  # noqa: BLE001 - our bug, met on one job: every other job goes on
            self._quarantine(machine, error)
            return ()
        if is_kept or (effects and isinstance(event, TimePassed)):
            self.journal.add_event(machine.job_id, machine.role, event, self.now, is_behind=is_behind)
        return tuple(effect for effect in effects if self.journal.add_effect(machine.job_id, machine.role, effect))

    # --- machines ---------------------------------------------------------------------------------------------------

    def _add_machine(self, stored: StoredMachine) -> Machine:
        self.journal.add_machine(stored.job_id, stored.role, stored.seed, stored.config)
        machine = make_machine(stored, self.identity)
        self._register(machine)
        return machine

    def _register(self, machine: Machine) -> None:
        self.machines[machine.job_id, machine.role] = machine
        self._by_job[machine.job_id].append(machine)

    def _restore(self) -> None:
        """Rebuild views and brains from the journal."""
        for job_id in self.journal.jobs():
            for record in self.journal.events(job_id):
                if isinstance(record.event, ce.JobPosted):
                    self.views[job_id] = view_of(record.event)
                elif record.role is None and job_id in self.views:
                    self.views[job_id].apply(record.event)  # type: ignore[arg-type]
        for stored in self.journal.machines():
            machine = make_machine(stored, self.identity)
            self._register(machine)
            try:
                wanted = replay(self.journal, machine)
            except Exception as error:  # noqa: BLE001 - our bug, met on one job: every other job goes on
                self._quarantine(machine, error)
                continue
            if not machine.is_finished:
                # All of it is stored already, unless the role was at rest when the chain said what led to it.
                with self.journal.transaction():
                    for effect in wanted:
                        self.journal.add_effect(machine.job_id, machine.role, effect)

    def _catch_up_is_over(self) -> None:
        """Act again: perform what was stored and not done, and let every brain look at where its job is now."""
        self._is_live = True
        wanted: list[tuple[Machine, tuple[Effect, ...]]] = []
        with self.journal.transaction():
            for machine in list(self.machines.values()):
                if not machine.is_finished:
                    pending = self.journal.pending_effects(machine.job_id, machine.role)
                    wanted.append((machine, (*pending, *self._tick(machine))))
        for machine, effects in wanted:
            self._perform(machine, effects)
        if WORKER in self.roles.names and self._nursery is not None:
            self._nursery.start_soon(self._start_workers)

    async def _start_workers(self) -> None:
        """Tell workers' new brains what they may spend, one after another, so that none counts another's money.

        While this node is at capacity, or the chain does not answer, a job is left for a later block.
        """
        while True:
            new_block = self._new_block
            for machine in list(self.machines.values()):
                if not self._may_start(machine):
                    continue
                view, promised = self.views[machine.job_id], self.promised_wei()
                try:
                    free = await self.treasury.fund_bonds(view.bond_wei, most=1 + DECOYS_MOST, besides=promised)
                except MorphwareError as error:
                    log.warning("worker_waits", job_id=machine.job_id.hex(), reason=error.sentence)
                    continue
                if self._may_start(machine):
                    self._start(machine, Started(Wei(max(0, free - promised)), is_busy=False))
            await new_block.wait()

    def _start(self, machine: Machine, event: Started) -> None:
        """Let a worker's brain look at a job with what its owner offers now, which is stored with the event."""
        offers = (*machine.offers[: machine.starts], self.roles.offer)
        with self.journal.transaction():
            if offers != machine.offers:
                self.journal.change_machine(machine.job_id, machine.role, offers)
                machine.offers = offers
            effects = self._let_handle(machine, event, is_behind=not self._is_live, is_kept=True)
        self._perform(machine, effects)

    def _may_start(self, machine: Machine) -> bool:
        """Whether a worker should look at a job now: its owner wants jobs, it is open, and there is capacity.

        It is looked at once, and again if it was left alone for what the owner offers differently now.
        """
        if machine.role != WORKER or machine.is_finished or not self.roles.is_taking:
            return False
        view = self.views.get(machine.job_id)
        if view is None or view.state is not State.BIDDING or self.now.timestamp >= view.deadline:
            return False
        if machine.is_started and not self._is_worth_another_look(machine, view):
            return False
        others = [other.brain for other in self.machines.values() if other is not machine and not other.is_finished]
        occupied = sum(isinstance(brain, WorkerBrain) and brain.is_occupied for brain in others)
        return occupied < self.roles.capacity

    def _is_worth_another_look(self, machine: Machine, view: JobView) -> bool:
        """The offer kept this worker from bidding, and would not any more."""
        brain = machine.brain
        is_left_alone = isinstance(brain, WorkerBrain) and not brain.bids and bool(brain.stays_out_because)
        before, after = machine.offer, self.roles.offer
        return is_left_alone and before not in (None, after) and not is_met(view, before) and is_met(view, after)

    # --- effects ----------------------------------------------------------------------------------------------------

    def _perform(self, machine: Machine, effects: tuple[Effect, ...]) -> None:
        """Queue effects for the machine's own task, which is started when it gets its first one."""
        key = (machine.job_id, machine.role)
        for effect in effects:
            if machine.is_finished:
                return
            if isinstance(effect, Finish):
                with self.journal.transaction():
                    self._end(machine, effect.summary)
                return
            if key not in self._queues and self._nursery is not None:
                send, receive = trio.open_memory_channel[Effect](10_000)
                self._queues[key] = send
                self._nursery.start_soon(self._serve_machine, machine, receive)
            # what the newest block led to is also found among what the journal has not seen done: once is enough
            if key in self._queues and (*key, effect.id) not in self._performing:
                self._performing.add((*key, effect.id))
                self._queues[key].send_nowait(effect)

    def _end(self, machine: Machine, outcome: str) -> None:
        """A role is done with its job: its tasks are cancelled, and one line says how it went."""
        machine.is_finished = True
        self.journal.finish_machine(machine.job_id, machine.role, outcome)
        if (queue := self._queues.pop((machine.job_id, machine.role), None)) is not None:
            queue.close()
        log.info("job_ended", job_id=machine.job_id.hex(), role=machine.role, outcome=outcome, **self._amounts(machine))
        self.feed.say("ended", job_id=machine.job_id.hex(), role=machine.role, outcome=outcome)

    def _quarantine(self, machine: Machine, error: Exception) -> None:
        """Put one role of one job to rest until the next start; what it wanted is in the journal."""
        machine.is_finished = True
        machine.failure = f"This node failed at the job, which rests until the node is started again: {error!r}"
        job_id = machine.job_id.hex()
        log.error("job_failed", job_id=job_id, role=machine.role, exc_info=error)
        self.feed.say("failed", job_id=job_id, role=machine.role, reason=repr(error))
        if (queue := self._queues.pop((machine.job_id, machine.role), None)) is not None:
            queue.close()

    def _amounts(self, machine: Machine) -> dict[str, Any]:
        """What the canonical log line says of money and problems."""
        view = machine.brain.view
        amounts: dict[str, Any] = {"problem": machine.brain.problem} if machine.brain.problem else {}
        if view is not None and view.closed is not None:
            amounts |= {
                "price_wei": str(view.closed.price_wei),
                "burned_wei": str(view.closed.burned_wei),
                "metric_e6": view.tally.metric_e6 if view.tally else None,
            }
        return amounts

    async def _serve_machine(self, machine: Machine, effects: trio.MemoryReceiveChannel[Effect]) -> None:
        """Perform one role's effects side by side until it is finished; its failure stays its own."""
        try:
            async with trio.open_nursery() as nursery:
                async for effect in effects:
                    nursery.start_soon(self._perform_one, machine, effect)
                nursery.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - supervision: one job's failure stops no other
            self._quarantine(machine, error)

    async def _perform_one(self, machine: Machine, effect: Effect) -> None:
        """Perform an effect to its end, however long the world needs, and handle its answer."""
        with self.activity.of(machine.job_id, machine.role, effect) as running:
            answer = await self._perform_to_its_end(machine, effect, running)
        with self.journal.transaction():
            follow_ups = self._let_handle(machine, answer, is_behind=False, is_kept=True) if answer is not None else ()
            if not machine.is_finished:  # a brain that failed at the answer gets it again after the next start
                self.journal.finish_effect(machine.job_id, machine.role, effect.id)
        self._perform(machine, follow_ups)

    async def _perform_to_its_end(self, machine: Machine, effect: Effect, running: Running) -> LocalEvent | None:
        view = self.views.get(machine.job_id)
        patience_s = 1.0
        assert self.performer is not None
        while True:
            try:
                return await self.performer.perform(machine, effect, view, self._chain_time)
            except (MorphwareError, OSError) as error:  # a full disk, too, may have room again
                job_id = machine.job_id.hex()
                log.warning("effect_waits", job_id=job_id, role=machine.role, effect=effect.id, reason=str(error))
                self.feed.say("waits", job_id=job_id, role=machine.role, effect=effect.id, reason=str(error))
                running.waits_because = str(error)
                await trio.sleep(patience_s)
                running.waits_because = ""
                patience_s = min(PATIENCE_MOST_S, patience_s * 2)

    def _chain_time(self) -> Timestamp:
        return self.now.timestamp
