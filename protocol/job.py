"""A job's life: its states, who may do what in each of them and until when, and what a job remembers.

    BIDDING --deadline--> REVEALING --all open, or deadline--> AWARDED --post_keys--> KEYED --acknowledge--> TRAINING
       --submit_model--> SEED --reveal_seed--> KEYING --both sides' boxes--> VCOMMIT --all, or deadline--> VREVEAL
       --all, or deadline--> TALLIED --deadline--> CLAIMABLE --claim--> INSPECT --deadline--> CLOSED

    disputes    KEYED --complain_key--> KEY_DISPUTE --disclose_key--> KEYED
                KEYING --complain_x--> X_DISPUTE --disclose_x--> KEYING
                VCOMMIT --complain_keys--> DISCLOSE --disclose_test, disclose_model--> VCOMMIT
    appeals     TALLIED --appeal--> DRAWING, INSPECT --inspect_appeal--> DRAWING --poke--> VCOMMIT of the next round
    scarcity    SEED --reveal_seed--> DRAWING --poke--> DRAWING, again and again --poke--> KEYING
    redraw      VREVEAL --too few reports--> DRAWING
    audit       TALLIED --deadline, and the word of a block says so--> DRAWING

1. Time.  An action is valid iff ``now < deadline``, and ``poke`` iff ``now >= deadline``: at every instant exactly one
   of them is.  Nothing happens by itself; anybody may poke.
2. Progress.  Every state but CLOSED has a deadline and a row for ``poke``, so no money can be stuck: silence always
   leads on, and names who was silent.
3. Authority.  A row names its caller.  Where that is ANYBODY, the preimage of a hash is the authority, and money goes
   where it would have gone had the owner called: openings and claims are safe to relay.
4. Finality.  CLOSED has no row.  A job pays out exactly once, on entering it.

``TABLE`` is the whole of it as data: ``market.py`` looks each call up here before anything else, and holds what came
out against ``leads_to`` afterwards.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from morphware.protocol import calls
from morphware.protocol.auction import Standing
from morphware.protocol.calls import ModelRoot, Option, Terms
from morphware.protocol.committee import Round, SeatResult
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei

NOBODY: Final = Address(bytes(20))
NO_DEADLINE: Final = Timestamp(0)
NO_PRICE: Final = Wei(0)


class Party(Enum):
    """Who may make a call. A validator is known by its drawn seat, which the rule itself looks up."""

    USER = "end user"
    WINNER = "winner"
    VALIDATOR = "validator"
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True)
class Row:
    """In this state, this party may make this call, which leads to one of these states."""

    state: State
    call: type[calls.JobCall]
    party: Party
    leads_to: tuple[State, ...]


RESOLVED: Final = (State.CLAIMABLE, State.CLOSED)

TABLE: Final = (
    Row(State.BIDDING, calls.Cancel, Party.USER, (State.CLOSED,)),
    Row(State.BIDDING, calls.Commit, Party.ANYBODY, (State.BIDDING,)),
    Row(State.BIDDING, calls.CommitBatch, Party.ANYBODY, (State.BIDDING,)),
    Row(State.BIDDING, calls.Poke, Party.ANYBODY, (State.REVEALING, State.CLOSED)),
    Row(State.REVEALING, calls.RevealBids, Party.ANYBODY, (State.REVEALING, State.AWARDED, State.CLOSED)),
    Row(State.REVEALING, calls.Poke, Party.ANYBODY, (State.AWARDED, State.CLOSED)),
    Row(State.AWARDED, calls.DrawSplit, Party.ANYBODY, (State.AWARDED,)),
    Row(State.AWARDED, calls.PostKeys, Party.USER, (State.KEYED,)),
    Row(State.AWARDED, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.KEYED, calls.Acknowledge, Party.WINNER, (State.TRAINING,)),
    Row(State.KEYED, calls.Decline, Party.WINNER, (State.CLOSED,)),
    Row(State.KEYED, calls.ComplainKey, Party.WINNER, (State.KEY_DISPUTE,)),
    Row(State.KEYED, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.KEY_DISPUTE, calls.DiscloseKey, Party.USER, (State.KEYED,)),
    Row(State.KEY_DISPUTE, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.TRAINING, calls.SubmitModel, Party.WINNER, (State.SEED,)),
    Row(State.TRAINING, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.SEED, calls.RevealSeed, Party.USER, (State.KEYING, State.DRAWING, State.CLOSED)),
    Row(State.SEED, calls.Poke, Party.ANYBODY, (State.CLAIMABLE,)),
    Row(State.KEYING, calls.PostTestKeys, Party.USER, (State.KEYING, State.VCOMMIT)),
    Row(State.KEYING, calls.PostModelKeys, Party.WINNER, (State.KEYING, State.VCOMMIT)),
    Row(State.KEYING, calls.ComplainX, Party.USER, (State.X_DISPUTE,)),
    Row(State.KEYING, calls.Poke, Party.ANYBODY, (State.CLAIMABLE, State.CLOSED)),
    Row(State.X_DISPUTE, calls.DiscloseX, Party.WINNER, (State.KEYING,)),
    Row(State.X_DISPUTE, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.VCOMMIT, calls.CommitReport, Party.VALIDATOR, (State.VCOMMIT, State.VREVEAL)),
    Row(State.VCOMMIT, calls.CommitReportBatch, Party.ANYBODY, (State.VCOMMIT, State.VREVEAL)),
    Row(State.VCOMMIT, calls.PostTestKeys, Party.USER, (State.VCOMMIT,)),
    Row(State.VCOMMIT, calls.PostModelKeys, Party.WINNER, (State.VCOMMIT,)),
    Row(State.VCOMMIT, calls.ComplainKeys, Party.VALIDATOR, (State.DISCLOSE,)),
    Row(State.VCOMMIT, calls.Poke, Party.ANYBODY, (State.VREVEAL, State.DRAWING, *RESOLVED)),
    Row(State.DISCLOSE, calls.DiscloseTest, Party.ANYBODY, (State.VCOMMIT,)),
    Row(State.DISCLOSE, calls.DiscloseModel, Party.ANYBODY, (State.VCOMMIT,)),
    Row(State.DISCLOSE, calls.Poke, Party.ANYBODY, RESOLVED),
    Row(State.VREVEAL, calls.RevealReports, Party.ANYBODY, (State.VREVEAL, State.TALLIED)),
    Row(State.VREVEAL, calls.Poke, Party.ANYBODY, (State.TALLIED, State.DRAWING, *RESOLVED)),
    Row(State.TALLIED, calls.Appeal, Party.ANYBODY, (State.DRAWING,)),
    Row(State.TALLIED, calls.Poke, Party.ANYBODY, (State.DRAWING, *RESOLVED)),
    Row(State.DRAWING, calls.Poke, Party.ANYBODY, (State.KEYING, State.VCOMMIT, State.DRAWING, *RESOLVED)),
    Row(State.CLAIMABLE, calls.Claim, Party.ANYBODY, (State.INSPECT, State.CLOSED)),
    Row(State.CLAIMABLE, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
    Row(State.INSPECT, calls.InspectAppeal, Party.USER, (State.DRAWING,)),
    Row(State.INSPECT, calls.Poke, Party.ANYBODY, (State.CLOSED,)),
)
"""A row that leads to CLOSED may, where more seats have to be settled than fit one call, stay where it is until further
pokes have settled them: the outcome is set, and the deadline is past."""

RULES: Final = {(row.state, row.call): row for row in TABLE}


@dataclass(slots=True)
class SealedBid:
    """A commitment on chain: its place in the queue, and whether it was opened."""

    sequence: int
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """What the winner committed to, and the block whose hash goes into the committee's seed."""

    root: ModelRoot
    seed_block: int


@dataclass(frozen=True, slots=True)
class Appellant:
    """Who doubted a finding, how many seats it paid for, the verdict that it doubted, and in which round.

    A random audit is the market's own doubt: its account is NOBODY, and the audit pool stands for it.
    """

    account: Address
    seats: int
    verdict: Verdict
    round: int

    @property
    def is_audit(self) -> bool:
        """The market doubts at random, and nobody in particular."""
        return self.account == NOBODY


@dataclass(slots=True)
class Job:
    """Everything that the market remembers of a job; its money is in the ledger."""

    job_id: JobId
    user: Address
    terms: Terms
    posted_at: Timestamp
    seat_span: int
    state: State = State.BIDDING
    deadline: Timestamp = NO_DEADLINE
    outcome: Outcome = Outcome.NONE

    bids: dict[tuple[Address, bytes], SealedBid] = field(default_factory=dict)  # by bidder and commitment
    unopened: int = 0
    standing: Standing = field(default_factory=Standing)
    price_wei: Wei = NO_PRICE
    split_seed: bytes | None = None

    model: Model | None = None
    y: bytes | None = None
    is_train_key_public: bool = False
    is_test_key_public: bool = False
    is_x_public: bool = False
    is_model_public: bool = False
    accused: Party | None = None

    rounds: list[Round] = field(default_factory=list)
    verdict: Verdict = Verdict.NONE
    appellants: list[Appellant] = field(default_factory=list)
    redraws: int = 0
    next_seats: int = 0
    draw_block: int = 0
    waits: int = 0  # draws that have failed since DRAWING began
    audit_block: int = 0
    slashed_wei: int = 0
    unsettled: list[SeatResult] = field(default_factory=list)

    @property
    def bond_wei(self) -> Wei:
        """The uniform bond of every bid, and the end user's own: half of the reserve."""
        return Wei(self.terms.reserve_wei // 2)

    @property
    def winner(self) -> Address:
        """The cheapest eligible bidder; a draft until AWARDED, and the zero address while there is none."""
        return NOBODY if self.standing.best is None else self.standing.best.bidder

    @property
    def round(self) -> int:
        """The index of the round drawn last; 0 before the first."""
        return max(0, len(self.rounds) - 1)

    @property
    def committee(self) -> tuple[Address, ...]:
        """The validators drawn last, in the order of the draw."""
        return self.rounds[-1].validators if self.rounds else ()

    @property
    def seats_drawn(self) -> int:
        """Seats that sit in this job, of all its rounds."""
        return sum(len(each.seats) for each in self.rounds)

    @property
    def is_appeal_pending(self) -> bool:
        """No committee was drawn since the last appeal, or audit: a redraw's silent committee was that appeal's own."""
        return bool(self.appellants) and self.appellants[-1].round == self.round

    @property
    def is_audited(self) -> bool:
        """There was a random audit; it comes before all appeals, or not at all."""
        return bool(self.appellants) and self.appellants[0].is_audit

    @property
    def appeals_made(self) -> int:
        """How often parties or others have appealed; an audit takes nobody's appeal away."""
        return len(self.appellants) - self.is_audited

    @property
    def submitted(self) -> Model:
        """The winner's model, where the table says that there is one."""
        assert self.model is not None
        return self.model

    @property
    def is_split(self) -> bool:
        """What tests the model is drawn after the award."""
        return bool(self.terms.options & Option.SPLIT)

    @property
    def is_linear(self) -> bool:
        """Pays for what the model has reached of the way from baseline to threshold."""
        return bool(self.terms.options & Option.LINEAR)
