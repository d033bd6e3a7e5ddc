"""The nodes of the virtual marketplace, what may go wrong with them, and the numbers of its one job."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from eth_keys.datatypes import PrivateKey

from morphware.protocol import chain_events as ce
from morphware.protocol.brain import Brain
from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.effects import Effect
from morphware.protocol.events import Event, Moment
from morphware.protocol.gossip import Knowledge, net_of
from morphware.protocol.parameters import Timing
from morphware.protocol.states import State
from morphware.protocol.units import Address, Wei
from morphware.protocol.user import Submission

START_S = 1_800_000_000
RICH_WEI = 1_000
SEAT_STAKE_WEI = Wei(70)
PATIENCE_S = 3
DOMAIN = Domain(31337, Address(bytes(range(20))))
NET = net_of(DOMAIN, bytes(32))
TIMING = Timing(
    revealing_s=18,
    keys_s=12,
    acknowledge_s=18,
    dispute_s=12,
    seed_s=14,
    keying_s=12,
    report_reveal_s=24,
    appeal_s=16,
    claim_s=12,
    inspect_s=20,
    draw_s=4,
    unbonding_s=1,
    seed_blocks=2,
    audit_one_in=10,
)
SUBMISSION = Submission(
    name="digits",
    kind="script",
    entry="train.py",
    metric="accuracy",
    threshold_e6=900_000,
    reserve_wei=Wei(100),
    fee_wei=Wei(2),
    seats=5,
    bidding_s=14,
    training_s=30,
    testing_s=24,
    estimated_s=20,
)
ALONE: frozenset[str] = frozenset()
"""Nobody shares a transaction: bids are opened in REVEALING, and claims are made in CLAIMABLE, a block later."""
HORIZON_S = 1_200
"""All windows of the job with all patiences are shorter."""


@dataclass(frozen=True)
class Record:
    """One line of a journal."""

    event: Event
    now: Moment
    is_behind: bool


@dataclass
class Node:
    """One role in one job, with its journal: what the engine keeps."""

    name: str
    account: Address
    make: Callable[[], Brain]
    brain: Brain
    knowledge: Knowledge
    journal: list[Record] = field(default_factory=list)
    effects: dict[str, Effect] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    life: int = 0
    is_finished: bool = False
    is_dead: bool = False
    missed: list[tuple[list[ce.ChainEvent], Moment]] = field(default_factory=list)
    asleep_until: int = 0
    summary: str = ""

    @property
    def is_awake(self) -> bool:
        return not (self.is_finished or self.is_dead or self.asleep_until)


@dataclass
class Faults:
    """What goes wrong. Probabilities are per event; ``vanish`` names the state at whose entry a node dies."""

    vanish: dict[str, State] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    crash: float = 0.0
    sleep: float = 0.0
    lose: float = 0.0
    duplicate: float = 0.0
    message_delay_s: int = 1
    delay_s: int = 2
    is_every_second: bool = False
    is_reborn_at_each_event: bool = False
    alter: dict[str, Callable[[Effect], Effect]] = field(default_factory=dict)
    mute: dict[str, frozenset[type]] = field(default_factory=dict)


@cache
def account_of(name: str) -> Address:
    """A readable name's address."""
    return Address(PrivateKey(private_key_of(name)).public_key.to_canonical_address())


def private_key_of(name: str) -> bytes:
    """A readable name's key, with which it signs what others may bring on chain."""
    return keccak(b"account " + name.encode())
