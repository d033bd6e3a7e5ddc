"""What the three brains share: they are folds of events, and ask for each effect once.

A brain is level-triggered.  It folds an event into what it knows, then looks at the whole and says what it wants done
*now*; an effect that it has asked for is not asked for again.  So a missed message, a burst of events in one block, or
a restart (the same events, replayed) all lead to the same wishes.  ``deadline`` is the next moment at which time alone
may change those wishes: it is asked for and never scheduled.

A call that the contract refused is asked for again under a new id while the state still wants it, at first a few
seconds later and then less and less often: somebody else may have been quicker, the chain was not yet where the brain
thought, or the account had to be funded first.  Silence would cost a bond; a refused call costs nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Appeal, DrawSplit, InspectAppeal, JobCall, Multicall, Poke
from morphware.protocol.commitments import Domain
from morphware.protocol.crypto import Unopenable, Unsealable, derive, seal, unseal
from morphware.protocol.effects import Effect, Finish, Fund, Send
from morphware.protocol.events import CallRefused, Event, Funded, Moment
from morphware.protocol.interests import Stake, appeal_bond_wei, is_appeal_left, pays
from morphware.protocol.parameters import Timing
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, view_of

ATTEMPTS: Final = 5
"""A posting that was refused so often is given up; nothing is at stake before it."""
RETRY_S: Final = 3
RETRY_MOST_S: Final = 300
NOTHING_STAKED: Final = Wei(0)
RACES: Final = frozenset({"WrongState", "TooEarly", "AlreadyDone", "AlreadyDisclosed", "NothingTaken"})
"""Refusals that only say that somebody else was quicker, or the chain a moment behind: no person has to know."""


@dataclass(frozen=True, slots=True)
class Relaying:
    """How a node shares transactions with others, if its owner wants it to.

    ``sign`` gives the account's signature (r, s, v) of an EIP-712 digest, the same one whenever it is asked;
    ``lag_s`` is how far the newest final block, which is all that a brain sees, lies behind the newest one.
    """

    sign: Callable[[bytes], bytes] = field(repr=False)
    lag_s: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the brain acts for, where, and whom it can look up (addresses to X25519 public keys).

    ``torrent`` is the host and port at which this node serves artifacts; ``patience_s`` is how long it leaves a late
    job to those with more at stake before it pokes itself; ``seat_stake_wei`` is what a validator's seat holds;
    without ``relaying`` the node brings its own commitments on chain, each call by itself, and nobody else's.
    """

    domain: Domain
    timing: Timing
    account: Address
    encryption_secret: bytes
    encryption_keys: Mapping[Address, bytes]
    patience_s: int = 30
    torrent: tuple[str, int] = ("", 0)
    seat_stake_wei: Wei = NOTHING_STAKED
    relaying: Relaying | None = None


class Brain(ABC):
    """One role in one job. ``seed`` is the 32 random bytes that all its secrets of this job are derived from."""

    poke_rank: int = 0
    """How many patiences this role lets pass before it pokes, so that not everybody pays for the same poke."""

    def __init__(self, identity: Identity, job_id: JobId, seed: bytes) -> None:
        self.identity = identity
        self.job_id = job_id
        self.seed = seed
        self.view: JobView | None = None
        self.problem = ""
        self._asked: set[str] = set()
        self._refused: dict[str, tuple[int, Timestamp]] = {}
        self._wakes: list[Timestamp] = []
        self._wanted: list[Effect] = []
        self._now = Moment(Timestamp(0), 0)
        self._entered_block = 0
        self._funded: dict[str, Wei] = {}
        self._bond_wei = Wei(0)

    def handle(self, event: Event, now: Moment, *, is_behind: bool = False) -> tuple[Effect, ...]:
        """Fold an event in and return the effects that are wanted from now on and were not asked for before.

        ``is_behind`` says that newer blocks are known to exist: the event is folded in, and nothing is wanted yet.
        """
        self._now = now
        self._wanted, self._wakes, self._bond_wei = [], [], Wei(0)
        if isinstance(event, ce.JobPosted):
            if event.job_id == self.job_id and self.view is None:
                self.view = view_of(event)
        elif self.view is not None:
            self._view_apply(event)
        if isinstance(event, CallRefused):
            self._note_refusal(event)
        if isinstance(event, Funded):
            self._funded[event.effect_id] = event.free_wei
        self.learn(event)
        if is_behind:
            return ()
        if self.view is not None and self.view.is_over:
            self.close(self.view)
        else:
            self.plan()
        return tuple(self._wanted)

    @property
    def deadline(self) -> Timestamp | None:
        """The next moment at which time alone may make this brain want something."""
        return min(self._wakes, default=None)

    @property
    def promised_wei(self) -> Wei:
        """Free balance that this role is about to lock, so that no other job of the account counts on it."""
        return self._bond_wei

    @property
    @abstractmethod
    def is_concerned(self) -> bool:
        """Whether this role has anything at stake in the job, and so pokes it when it is late."""

    @abstractmethod
    def learn(self, event: Event) -> None:
        """Fold in what concerns this role beyond the chain's view."""

    @abstractmethod
    def plan(self) -> None:
        """Say, with ``ask`` and ``call``, what is wanted now."""

    def close(self, view: JobView) -> None:
        """Say what is wanted once the job is CLOSED."""
        self.ask(Finish("finish", view.outcome.name))

    # --- what plans are made of -------------------------------------------------------------------------------------

    @property
    def now(self) -> Timestamp:
        """The newest final block's time."""
        return self._now.timestamp

    @property
    def block(self) -> int:
        """The newest final block's number."""
        return self._now.block

    def secret(self, label: str) -> bytes:
        """A 32-byte secret of this job and role."""
        return derive(self.seed, label)

    def seal_for(self, account: Address, message: bytes, label: str) -> bytes:
        """A sealed box for an account, or an empty one where its key is unknown or no good (it may then complain)."""
        key = self.identity.encryption_keys.get(account)
        if key is None:
            return b""
        try:
            return seal(message, key, self.secret(f"ephemeral|{label}|{account.hex()}"))
        except Unsealable:
            return b""

    def ask(self, effect: Effect) -> bool:
        """Want an effect, once; whether it is new."""
        is_new = effect.id not in self._asked
        if is_new:
            self._asked.add(effect.id)
            self._wanted.append(effect)
        return is_new

    def call(self, key: str, call: JobCall | Multicall) -> bool:
        """Want a call, once, and again after a refusal while it is still wanted; whether it is wanted anew."""
        attempts, retry_at = self._refused.get(key, (0, Timestamp(0)))
        return self.at(retry_at) and self.ask(Send(_effect_id(key, attempts), call))

    def at(self, moment: int) -> bool:
        """Whether a moment has come; if not, the brain wants to be woken then."""
        if self.now >= moment:
            return True
        self._wakes.append(Timestamp(moment))
        return False

    def has_failed(self, key: str) -> bool:
        """Whether a call was refused at least once."""
        return key in self._refused

    def is_refused(self, key: str) -> bool:
        """Whether a call was refused so often that it may be given up."""
        return self._refused.get(key, (0, 0))[0] >= ATTEMPTS

    def poke_when_late(self, view: JobView) -> None:
        """Move the job once its deadline has passed; each role waits a little longer than the one before it.

        A job with many seats is closed in several steps: each settles some of them, and the next is due at once.
        """
        is_alive = view.state not in (State.NONE, State.CLOSED)
        late_at = view.deadline + self.poke_rank * self.identity.patience_s
        if not (is_alive and self.is_concerned and self.at(late_at)):
            return
        if view.state is State.DRAWING and self._now.block <= self._entered_block + self.identity.timing.seed_blocks:
            self.at(self.now + 1)  # the committee comes out of a block that is not there yet
            return
        self.call(f"poke|{view.state.name}|{view.deadline}|{len(view.settled)}", Poke(self.job_id))

    def draw_split(self, view: JobView) -> bool:
        """Whether it is known which chunks test the model; if not, have them drawn as soon as their block is past."""
        if not view.is_split or view.split_seed is not None:
            return True
        if self._now.block > self._entered_block + self.identity.timing.seed_blocks:
            self.call("split", DrawSplit(self.job_id))
        else:
            self.at(self.now + 1)
        return False

    def appeal(self, view: JobView, stake: Stake) -> None:
        """Doubt the finding, if that pays: have the bond ready, then appeal; in INSPECT only the end user may."""
        bond_wei = appeal_bond_wei(view)
        if not is_appeal_left(view) or not pays(stake, bond_wei):
            return
        key = f"appeal|{len(view.rounds)}|{view.state.name}"  # an appeal that was not heard may be made again later
        fund = f"fund|{_effect_id(key, self._refused.get(key, (0, 0))[0])}"
        self._bond_wei = bond_wei
        self.ask(Fund(fund, bond_wei, "An appeal"))
        free_wei = self._funded.get(fund)
        if free_wei is None:
            return
        if free_wei < bond_wei:
            self.problem = "An appeal against the committee's finding would pay, but the account lacks its bond."
            return
        self.call(key, InspectAppeal(self.job_id) if view.state is State.INSPECT else Appeal(self.job_id))

    def open_box(self, box: bytes | None) -> bytes:
        """What a sealed box for this account holds; empty if it does not open."""
        try:
            return unseal(box or b"", self.identity.encryption_secret)
        except Unopenable:
            return b""

    def _view_apply(self, event: Event) -> None:
        assert self.view is not None
        if isinstance(event, ce.ChainEvent):
            self.view.apply(event)
        if isinstance(event, ce.StateChanged) and event.job_id == self.job_id:
            self._entered_block = self._now.block

    def _note_refusal(self, event: CallRefused) -> None:
        """Only the refusal of the newest attempt counts: an older one, told again, changes nothing."""
        key = event.effect_id.split("#", 1)[0]
        attempts, _ = self._refused.get(key, (0, 0))
        if event.effect_id == _effect_id(key, attempts) and event.effect_id in self._asked:
            wait_s = min(RETRY_MOST_S, RETRY_S * 2 ** min(attempts, 10))
            self._refused[key] = (attempts + 1, Timestamp(self.now + wait_s))
            if event.error not in RACES:
                self.problem = event.sentence


def _effect_id(key: str, attempts: int) -> str:
    return key if attempts == 0 else f"{key}#{attempts}"
