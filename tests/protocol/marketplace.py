"""A whole marketplace in virtual time: the pure market, a block a second, and one brain for each node.

A step is a block, as in ``node/engine.py``: due transactions are carried out, the block's events go to every brain (all
but the last of a job's events with ``is_behind``), brains whose deadline has come are told that time passed, and then
answers and messages that are due are handled.  Whatever a brain asks for is performed with random delays, and what it
asked for is checked against what it asked for before: an effect is asked for once.

Everything that goes wrong is a knob: nodes vanish, crash, sleep, lose messages, seal garbage.
"""

import heapq
import random
from collections.abc import Callable
from functools import partial

from morphware.protocol import calls
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol import events as ev
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.brain import Brain, Identity, Relaying
from morphware.protocol.chunks import chunk_name
from morphware.protocol.codec import decode, encode
from morphware.protocol.commitments import keccak
from morphware.protocol.crypto import encryption_public_key, peer_public_key, sha256_of
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment
from morphware.protocol.gossip import Knowledge, judge, topic_of
from morphware.protocol.market import Market
from morphware.protocol.messages import (
    BODIES,
    TYPE_OF,
    BidKey,
    BidSealed,
    BidsSigned,
    Body,
    Envelope,
    ReportOpening,
    ReportSigned,
    signed,
)
from morphware.protocol.signatures import sign_digest
from morphware.protocol.states import State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.user import Submission, UserBrain
from morphware.protocol.validator import ValidatorBrain
from morphware.protocol.verdicts import Accept, Verdict
from morphware.protocol.view import JobView, report_of, view_of
from morphware.protocol.worker import WorkerBrain, WorkerPolicy
from tests.protocol.marketplace_nodes import (
    DOMAIN,
    HORIZON_S,
    NET,
    PATIENCE_S,
    RICH_WEI,
    SEAT_STAKE_WEI,
    START_S,
    SUBMISSION,
    TIMING,
    Faults,
    Node,
    Record,
    account_of,
    private_key_of,
)
from tests.protocol.marketplace_observed import Observed


class Marketplace(Observed):
    """One job, from its submission to its end."""

    def __init__(
        self,
        seed: int = 0,
        *,
        costs: tuple[int, ...] = (30, 40, 55),
        validators: int = 11,
        metric_e6: int = 950_000,
        decoy_chance_256: int = 0,
        faults: Faults | None = None,
        submission: Submission = SUBMISSION,
        free_wei: int = RICH_WEI,
        own_metric_e6: dict[str, int] | None = None,
        user: type[UserBrain] = UserBrain,
        relaying: frozenset[str] | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.seed = seed
        self.faults = faults or Faults()
        self.metric_e6 = metric_e6
        self.own_metric_e6 = own_metric_e6 or {}
        self.free_wei = free_wei
        self.relaying = relaying
        self.now, self.block = START_S, 1_000
        self.market = Market(
            DOMAIN, Parameters(TIMING, SEAT_STAKE_WEI), lambda number: keccak(number.to_bytes(8, "big"))
        )
        self.views: dict[JobId, JobView] = {}
        self.history: list[tuple[int, ce.ChainEvent]] = []
        self.sent: list[tuple[str, fx.Send, object]] = []
        self.verdicts: list[tuple[str, Body, Verdict]] = []
        self.sealed_with: dict[bytes, tuple[str, bytes, bytes]] = {}
        self.opened: dict[str, set[str]] = {}
        self._answers: list[tuple[int, int, Callable[[], None]]] = []
        self._transactions: list[tuple[int, int, Node, fx.Send]] = []
        self._receipts: dict[tuple[str, str], Event] = {}
        self._counter = 0
        self._sequence = 0

        self.workers = [f"worker {index}" for index in range(len(costs))]
        self.validators = [f"validator {index}" for index in range(validators)]
        self.names = ["user", *self.workers, *self.validators]
        self.keys = {name: keccak(b"x25519 " + name.encode()) for name in self.names}
        self.peer_seeds = {name: keccak(b"ed25519 " + name.encode()) for name in self.names}
        self.encryption_keys = {account_of(name): encryption_public_key(key) for name, key in self.keys.items()}
        for name in self.names:
            self._must(name, calls.Deposit(Wei(RICH_WEI)))
        # A posting wants three times its committee and one seat more; the first validators hold two.
        spare = max(0, 3 * SUBMISSION.seats + 1 - validators)
        for index, name in enumerate(self.validators):
            self._must(name, calls.Stake(2 if index < spare else 1))
        self.now += 1
        self.before = {name: self.worth(name) for name in self.names}

        policies = {
            name: WorkerPolicy(Wei(0), Wei(cost), decoy_chance_256, 8 << 30, 8 << 30)
            for name, cost in zip(self.workers, costs, strict=True)
        }
        user_seed = keccak(b"user seed %d" % seed)
        make_user = partial(user, self.identity("user"), user_seed, submission)
        self.job_id = make_user().job_id
        self.makers: dict[str, Callable[[], Brain]] = {"user": make_user}
        for name in self.workers:
            self.makers[name] = partial(
                WorkerBrain, self.identity(name), self.job_id, self._secret(name), policies[name]
            )
        for name in self.validators:
            self.makers[name] = partial(ValidatorBrain, self.identity(name), self.job_id, self._secret(name))
        self.nodes: dict[str, Node] = {}
        self._add("user")
        self._handle(self.nodes["user"], ev.TimePassed())

    # --- who is who -------------------------------------------------------------------------------------------------

    def identity(self, name: str) -> Identity:
        return Identity(
            DOMAIN,
            TIMING,
            account_of(name),
            self.keys[name],
            self.encryption_keys,
            PATIENCE_S,
            seat_stake_wei=SEAT_STAKE_WEI,
            relaying=Relaying(partial(sign_digest, private_key_of(name))) if self.does_relay(name) else None,
        )

    def does_relay(self, name: str) -> bool:
        """Whether a node shares transactions: everybody, unless the test names who does."""
        return self.relaying is None or name in self.relaying

    # --- time -------------------------------------------------------------------------------------------------------

    def run(self, horizon_s: int = HORIZON_S) -> "Marketplace":
        """Until the job is closed and everybody alive knows it, or the horizon; money is conserved at each block."""
        end = self.now + horizon_s
        while self.now < end and not self.is_over:
            self.step()
        return self

    def run_to(self, state: State) -> "Marketplace":
        """Until the job is in a state and everybody has seen it."""
        for _ in range(HORIZON_S):
            if self.state is state:
                return self
            self.step()
        raise AssertionError(f"the job never reached {state.name}")

    @property
    def is_over(self) -> bool:
        return all(node.is_finished or node.is_dead for node in self.nodes.values())

    def step(self) -> None:
        """One block and the second after it."""
        self.now += 1
        self.block += 1
        moment = self.moment
        events = self._mine()
        self.history += [(self.now, event) for event in events]
        for event in events:
            if isinstance(event, ce.JobPosted):
                self.views[event.job_id] = view_of(event)
                for name in (*self.workers, *self.validators):
                    if name not in self.faults.absent:
                        self._add(name)
            elif not isinstance(event, ce.NodePublished):
                self.views[event.job_id].apply(event)
        for node in self.nodes.values():
            node.knowledge.note_block(self.now, float(self.now))
            self._maybe_vanish(node)
            self._take_block(node, events, moment)
        if any(isinstance(event, ce.JobPosted) for event in events):
            for name in self.workers:
                if name in self.nodes:
                    self._greet(self.nodes[name])
        while self._answers and self._answers[0][0] <= self.now:
            heapq.heappop(self._answers)[2]()
        assert self.market.ledger.is_conserved()

    @property
    def moment(self) -> Moment:
        return Moment(Timestamp(self.now), self.block)

    def _mine(self) -> list[ce.ChainEvent]:
        """Carry out the transactions that are due, in any order."""
        due = [entry for entry in self._transactions if entry[0] <= self.now]
        self._transactions = [entry for entry in self._transactions if entry[0] > self.now]
        self.chance.shuffle(due)
        events: list[ce.ChainEvent] = []
        for _, _, node, send in due:
            result = self.market.execute(node.account, send.call, Timestamp(self.now), self.block)
            self.sent.append((node.name, send, result))
            answer: Event
            if isinstance(result, list):
                events += result
                answer = ev.CallDone(send.id)
            else:
                answer = ev.CallRefused(send.id, type(result).__name__, str(result))
            self._receipts[node.name, send.id] = answer
            self._later(partial(self._answer, node, send, answer, node.life))
        return events

    def _take_block(self, node: Node, events: list[ce.ChainEvent], moment: Moment) -> None:
        if node.is_dead or node.is_finished:
            return
        if node.asleep_until:
            node.missed.append((events, moment))
            if self.now < node.asleep_until:
                return
            node.asleep_until = 0
            for missed, then in node.missed:
                for event in missed:
                    self._handle(node, event, is_behind=True, moment=then)
            node.missed = []
            self._rebuild(node, is_answer_lost=True)
            self._handle(node, ev.TimePassed())
            return
        for index, event in enumerate(events):
            self._handle(node, event, is_behind=index < len(events) - 1, moment=moment)
        deadline = node.brain.deadline
        is_due = deadline is not None and deadline <= self.now
        if not events and (is_due or self.faults.is_every_second):
            self._handle(node, ev.TimePassed())
        deadline = node.brain.deadline
        assert deadline is None or deadline > self.now, f"{node.name} would be woken at once, for ever"

    # --- brains -----------------------------------------------------------------------------------------------------

    def _add(self, name: str) -> None:
        peer_keys = {account_of(other): peer_public_key(seed) for other, seed in self.peer_seeds.items()}
        knowledge = Knowledge(DOMAIN, NET, peer_keys, self.views)
        make = self.makers[name]
        self.nodes[name] = Node(name, account_of(name), make, make(), knowledge)

    def _maybe_vanish(self, node: Node) -> None:
        wanted = self.faults.vanish.get(node.name)
        if wanted is not None and self.job_id in self.views and self.view.state >= wanted:
            node.is_dead = True
            self._transactions = [entry for entry in self._transactions if entry[2] is not node]

    def _greet(self, node: Node) -> None:
        """Tell a worker's new brain what it may spend, once."""
        if node.name in self.workers and all(not isinstance(line.event, ev.Started) for line in node.journal):
            self._later(partial(self._start, node, node.life))

    def _start(self, node: Node, life: int) -> None:
        if node.is_awake and life == node.life:
            self._handle(node, ev.Started(Wei(self.free_wei), is_busy=False))

    def _answer(self, node: Node, effect: Effect, event: Event | None, life: int) -> None:
        """An effect is done: noted together with the event that it answers with, or lost with the process."""
        if node.is_awake and life == node.life:
            node.done.add(effect.id)
            if event is not None:
                self._handle(node, event)

    def _handle(self, node: Node, event: Event, *, is_behind: bool = False, moment: Moment | None = None) -> None:
        if node.is_finished:
            return
        now = moment or self.moment
        if self.faults.is_reborn_at_each_event:
            self._rebuild(node, is_answer_lost=False)
        wanted = node.brain.handle(event, now, is_behind=is_behind)
        if wanted or not isinstance(event, ev.TimePassed):
            node.journal.append(Record(event, now, is_behind))
        for effect in wanted:
            assert effect.id not in node.effects, f"{node.name} asks for {effect.id} again"
            node.effects[effect.id] = effect
        is_killed = self.chance.random() < self.faults.crash
        for effect in wanted:
            if isinstance(effect, fx.Finish):
                node.is_finished, node.summary = True, effect.summary
                return
            if not is_killed or self.chance.random() < 0.5:
                self._perform(node, effect)
        if is_killed and not is_behind:
            self._rebuild(node, is_answer_lost=True)
            self._handle(node, ev.TimePassed())
        elif self.chance.random() < self.faults.sleep and not is_behind and not node.asleep_until:
            node.asleep_until = self.now + self.chance.randrange(1, 4)

    def _rebuild(self, node: Node, *, is_answer_lost: bool) -> None:
        """A new brain from the journal wants what the old one wanted, with the same secrets, and nothing else."""
        brain = node.make()
        wanted: dict[str, Effect] = {}
        for record in node.journal:
            for effect in brain.handle(record.event, record.now, is_behind=record.is_behind):
                assert effect.id not in wanted
                wanted[effect.id] = effect
        assert wanted == node.effects, f"{node.name} remembers other wishes"
        node.brain = brain
        if is_answer_lost:
            node.life += 1
            self._greet(node)
            for effect in list(node.effects.values()):
                if effect.id not in node.done and not isinstance(effect, fx.Finish):
                    self._perform(node, effect)

    # --- the world --------------------------------------------------------------------------------------------------

    def _perform(self, node: Node, effect: Effect) -> None:
        if node.is_dead or type(effect) in self.faults.mute.get(node.name, frozenset()):
            return
        if node.name in self.faults.alter:
            effect = self.faults.alter[node.name](effect)
        match effect:
            case fx.Send():
                self._send(node, effect)
            case fx.Publish(body=body):
                node.done.add(effect.id)
                self._publish(node, body)
            case fx.SealBundles():
                keys = {"code": effect.code_key, "train": effect.train_key, "test": effect.test_key}
                files = {name: self.seal(name, key) for name, key in keys.items()}
                self._reply(node, effect, ev.BundlesSealed(**files))
            case fx.SealChunks():
                code = self.seal("code", effect.code_key)
                chunks = enumerate(effect.chunk_keys)
                self._reply(
                    node, effect, ev.ChunksSealed(code, tuple(self.seal(chunk_name(n), key) for n, key in chunks))
                )
            case fx.JoinChunks():
                there = self.opened.get(node.name, set())
                assert node.name == "user" or there.issuperset(effect.chunks), f"{node.name} has not all of them"
                self._reply(node, effect, ev.BundleFetched(effect.name))
            case fx.Prefetch():
                self._reply(node, effect, None)
            case fx.FetchBundle():
                opened = self._open(effect)
                if isinstance(opened, ev.BundleFetched):
                    self.opened.setdefault(node.name, set()).add(effect.name)
                self._reply(node, effect, opened)
            case fx.Train():
                self._reply(node, effect, ev.TrainingEnded(""))
            case fx.SealModel():
                file = self.seal("model", effect.key)
                self._reply(node, effect, ev.ModelSealed(file, self.sealed_with[file.sha256][2]))
            case fx.Evaluate():
                self._reply(node, effect, self._evaluate(node))
            case fx.Fund():
                self._reply(node, effect, ev.Funded(effect.id, self.market.ledger.free(node.account)))
            case fx.Appraise(accounts=accounts):
                free = tuple(self.market.ledger.free(account) for account in accounts)
                self._reply(node, effect, ev.Appraised(effect.id, free))
            case fx.Finish():
                raise AssertionError("the node itself finishes")

    def seal(self, name: str, key: bytes) -> SealedFile:
        sha256 = sha256_of(name.encode() + key)
        self.sealed_with[sha256] = (name, key, sha256_of(b"archive " + name.encode()))
        return SealedFile(magnet=f"magnet:?xt=urn:btmh:1220{sha256.hex()}", size_bytes=1000, sha256=sha256)

    def _open(self, effect: fx.FetchBundle) -> Event:
        sealed = self.sealed_with.get(effect.file.sha256)
        if sealed is None or sealed[:2] != (effect.name, effect.key) or effect.archive_sha256 not in (None, sealed[2]):
            return ev.BundleFailed(effect.name, "The ciphertext, its key and its hash do not fit.")
        return ev.BundleFetched(effect.name)

    def _evaluate(self, node: Node) -> Event:
        """Whoever lies lies alike: a metric of its own, and a fingerprint that goes with it."""
        metric_e6 = self.own_metric_e6.get(node.name, self.metric_e6)
        return ev.Evaluated(metric_e6, 123_456_789 + metric_e6 - self.metric_e6, keccak(node.account), "")

    def _send(self, node: Node, send: fx.Send) -> None:
        receipt = self._receipts.get((node.name, send.id))
        if receipt is not None:  # the chain adapter's log knows the transaction from before the crash
            self._reply(node, send, receipt)
        elif not any(other is node and pending.id == send.id for _, _, other, pending in self._transactions):
            self._counter += 1
            self._transactions.append((self.now + 1 + self._delay(self.faults.delay_s), self._counter, node, send))

    def _publish(self, author: Node, body: Body) -> None:
        self._sequence += 1
        envelope = signed(
            body,
            net=NET,
            job=self.job_id,
            author=author.account,
            sequence=self._sequence,
            sent_at=self.now,
            peer_seed=self.peer_seeds[author.name],
        )
        data = encode(envelope)
        for node in self.nodes.values():
            copies = 1 + (self.chance.random() < self.faults.duplicate)
            for _ in range(copies):
                if self.chance.random() >= self.faults.lose:
                    self._later(partial(self._hear, node, data, body), self._delay(self.faults.message_delay_s))

    def _hear(self, node: Node, data: bytes, body: Body) -> None:
        if not node.is_awake:
            return
        topic = topic_of(NET, TYPE_OF[type(body)], self.job_id)
        verdict = judge(topic, data, node.knowledge, float(self.now))
        self.verdicts.append((node.name, body, verdict))
        if not isinstance(verdict, Accept):
            return
        envelope = decode(data, Envelope)
        author = Address(envelope.author)
        match decode(envelope.body, BODIES[envelope.type]):
            case BidSealed() as bid if node.name == "user":
                self._handle(node, ev.BidHeard(author, bid.commitment, bid.nonce, bid.sealed))
            case BidKey() as key if node.name == "user":
                self._handle(node, ev.BidKeyHeard(author, key.commitment, key.key))
            case BidsSigned(bids=bids) if node.name == "user" and self.does_relay("user"):
                signed_bids = tuple(calls.SignedBid(author, bid.commitment, bid.signature) for bid in bids)
                self._handle(node, ev.SignedBidsHeard(signed_bids))
            case ReportSigned(round=number, restarts=restarts, sealed=sealed) if self._sits(node):
                signed_report = calls.SignedReport(author, sealed.commitment, sealed.signature)
                self._handle(node, ev.SignedReportHeard(number, restarts, signed_report))
            case ReportOpening() as opening if node.account == self.view.winner:
                report = report_of(
                    author, opening.metric_e6, opening.fingerprint_e9, opening.prediction_root, opening.salt
                )
                self._handle(node, ev.ReportHeard(opening.round, report))
            case _:
                pass

    def _sits(self, node: Node) -> bool:
        return node.account in self.view.validators and self.does_relay(node.name)

    def _reply(self, node: Node, effect: Effect, event: Event | None) -> None:
        self._later(partial(self._answer, node, effect, event, node.life), self._delay(self.faults.delay_s))

    def _later(self, act: Callable[[], None], delay_s: int = 0) -> None:
        self._counter += 1
        heapq.heappush(self._answers, (self.now + delay_s, self._counter, act))

    def _delay(self, most_s: int) -> int:
        return self.chance.randint(0, most_s)

    def _must(self, name: str, call: calls.Call) -> None:
        result = self.market.execute(account_of(name), call, Timestamp(self.now), self.block)
        assert isinstance(result, list), result

    def _secret(self, name: str) -> bytes:
        return keccak(f"seed of {name} in {self.seed}".encode())
