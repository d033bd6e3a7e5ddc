"""A job as its chain events tell it: the fold that brains decide on, gossip is checked against, and people look at.

``JobView.apply`` is total: an event that does not concern the job, or says what is known already, changes nothing.
"""

from dataclasses import dataclass, field
from typing import Final

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import ModelRoot, Opening, Option, Report, Terms
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei

_NEVER: Final = Timestamp(0)

BidName = tuple[Address, bytes]
"""What names a bid: bidder and commitment. A copied commitment is another bid, and one that nobody can open."""


@dataclass(slots=True)
class RoundView:
    """One drawn committee and what it said. ``restarts`` counts the keys that were disclosed while it tested.

    A disclosure clears the commitments: everybody may test again, with keys that now fit.
    """

    committee: ce.CommitteeDrawn
    test_boxes: tuple[bytes, ...] | None = None
    model_boxes: tuple[bytes, ...] | None = None
    committed: dict[Address, bytes] = field(default_factory=dict)
    revealed: dict[Address, ce.ReportRevealed] = field(default_factory=dict)
    tally: ce.RoundTallied | None = None
    restarts: int = 0

    @property
    def number(self) -> int:
        """Counts from 0; a redraw and an appeal each make a new round."""
        return self.committee.round

    @property
    def validators(self) -> tuple[Address, ...]:
        """The round's committee, in seat order."""
        return self.committee.validators

    @property
    def size(self) -> int:
        """Its seats."""
        return len(self.committee.validators)

    def restart(self) -> None:
        """Keys were disclosed: what was committed to before counts no more."""
        self.committed.clear()
        self.restarts += 1


@dataclass(slots=True)
class JobView:
    """Everything that the chain has said of one job so far."""

    job_id: JobId
    user: Address
    terms: Terms
    spec: bytes
    state: State = State.NONE
    deadline: Timestamp = _NEVER
    bids: list[ce.BidCommitted] = field(default_factory=list)
    opened: dict[BidName, ce.BidOpened] = field(default_factory=dict)
    award: ce.JobAwarded | None = None
    split_seed: bytes | None = None
    keys_box: bytes | None = None
    train_keys: bytes | None = None
    model: ce.ModelSubmitted | None = None
    x: bytes | None = None
    rounds: list[RoundView] = field(default_factory=list)
    complaint: ce.KeysComplained | None = None
    test_keys: bytes | None = None
    model_keys: tuple[bytes, bytes] | None = None
    appeals: list[ce.Appealed] = field(default_factory=list)
    unheard: list[ce.AppealUnheard] = field(default_factory=list)
    """Appeals, and the audit, that no committee could be drawn for: they are undone."""
    failed_draws: int = 0
    """How often no committee was drawn in a row, as too many seats sit in other jobs: the job waits for them."""
    audit: ce.Audited | None = None
    audited: RoundView | None = None
    """The round that the market had tested again by chance: appeals go by its size, as if there had been no audit."""
    y: bytes | None = None
    settled: dict[Address, ce.SeatSettled] = field(default_factory=dict)
    closed: ce.JobClosed | None = None

    def apply(self, event: ce.ChainEvent) -> None:
        """Take in one chain event; another job's changes nothing."""
        if isinstance(event, ce.NodePublished) or event.job_id != self.job_id:
            return
        match event:
            case ce.StateChanged():
                self._enter(event)
            case ce.BidCommitted():
                if not self.has_bid(event.bidder, event.commitment):
                    self.bids.append(event)
            case ce.BidOpened():
                self.opened[event.bidder, event.commitment] = event
            case ce.JobAwarded():
                self.award = event
            case ce.SplitDrawn():
                self.split_seed = event.seed
            case ce.KeysPosted():
                self.keys_box = event.box
            case ce.KeyDisclosed():
                self.train_keys = event.keys
            case ce.ModelSubmitted():
                self.model = event
            case ce.XDisclosed():
                self.x = event.x
            case ce.KeysComplained():
                self.complaint = event
            case ce.Appealed():
                self.appeals.append(event)
            case ce.AppealUnheard():
                self._undo(event)
            case ce.Audited():
                self.audit, self.audited = event, self.round
            case ce.Claimed():
                self.y = event.y
            case ce.SeatSettled():
                self.settled[event.validator] = event
            case ce.JobClosed():
                self.closed = event
            case ce.CommitteeDrawn():
                self._begin_round(event)
            case ce.TestKeysDisclosed() if self.test_keys is None:
                self.test_keys = event.keys
                self._restart_round()
            case ce.ModelKeysDisclosed() if self.model_keys is None:
                self.x, self.model_keys = event.x, (event.x, event.y)
                self._restart_round()
            case ce.TestKeysPosted() | ce.ModelKeysPosted() | ce.ReportCommitted() | ce.ReportRevealed():
                self._apply_to_round(event)
            case ce.RoundTallied():
                self._apply_to_round(event)
            case ce.JobPosted() | ce.PokeRewarded() | ce.TestKeysDisclosed() | ce.ModelKeysDisclosed():
                pass

    def _enter(self, event: ce.StateChanged) -> None:
        if event.state is not State.DRAWING or self.state not in (State.SEED, State.DRAWING):
            self.failed_draws = 0
        elif event.deadline != self.deadline:
            self.failed_draws += 1
        self.state, self.deadline = event.state, event.deadline

    def _undo(self, event: ce.AppealUnheard) -> None:
        """The last appeal is undone, or the audit: it has no appellant."""
        self.unheard.append(event)
        if not any(event.appellant):
            self.audit, self.audited = None, None
        elif self.appeals:
            self.appeals.pop()

    def _begin_round(self, event: ce.CommitteeDrawn) -> None:
        if event.round == len(self.rounds):
            self.rounds.append(RoundView(event))

    def _restart_round(self) -> None:
        if self.round is not None:
            self.round.restart()

    def _apply_to_round(
        self,
        event: ce.TestKeysPosted | ce.ModelKeysPosted | ce.ReportCommitted | ce.ReportRevealed | ce.RoundTallied,
    ) -> None:
        """What concerns a committee: boxes are the newest one's, reports and tallies name theirs."""
        if isinstance(event, ce.TestKeysPosted | ce.ModelKeysPosted):
            found = self.round
        else:
            found = self.rounds[event.round] if 0 <= event.round < len(self.rounds) else None
        if found is None:
            return
        match event:
            case ce.TestKeysPosted():
                found.test_boxes = event.boxes
            case ce.ModelKeysPosted():
                found.model_boxes = event.boxes
            case ce.ReportCommitted():
                found.committed[event.validator] = event.commitment
            case ce.ReportRevealed():
                found.revealed[event.validator] = event
            case ce.RoundTallied():
                found.tally = event

    @property
    def round(self) -> RoundView | None:
        """The newest round; None before the first committee is drawn."""
        return self.rounds[-1] if self.rounds else None

    def round_of(self, validator: Address) -> RoundView | None:
        """The round in which an account sits: nobody serves twice in a job."""
        return next((each for each in self.rounds if validator in each.validators), None)

    @property
    def is_over(self) -> bool:
        """The job is CLOSED and its payment record final."""
        return self.state is State.CLOSED

    @property
    def outcome(self) -> Outcome:
        """How the job ended; NONE while it lives."""
        return self.closed.outcome if self.closed else Outcome.NONE

    @property
    def tally(self) -> ce.RoundTallied | None:
        """The newest finding: a round without a quorum, or with none, leaves the one before it standing."""
        found = (each.tally for each in reversed(self.rounds))
        return next((tally for tally in found if tally is not None and tally.verdict is not Verdict.NONE), None)

    @property
    def reference(self) -> ce.RoundTallied | None:
        """What metric reports of all rounds are held against: the newest finding that is about a metric."""
        found = (each.tally for each in reversed(self.rounds))
        return next((tally for tally in found if tally and tally.verdict in (Verdict.PASS, Verdict.FAIL)), None)

    @property
    def verdict(self) -> Verdict:
        """What the committees found; NONE before a tally that found something."""
        return self.tally.verdict if self.tally else Verdict.NONE

    @property
    def winner(self) -> Address | None:
        """The worker that the auction found."""
        return self.award.winner if self.award else None

    @property
    def validators(self) -> tuple[Address, ...]:
        """The newest committee, in seat order."""
        return self.round.validators if self.round else ()

    @property
    def everybody_drawn(self) -> tuple[Address, ...]:
        """Every round's committee, in order."""
        return tuple(validator for each in self.rounds for validator in each.validators)

    @property
    def committed(self) -> dict[Address, bytes]:
        """The newest committee's commitments."""
        return self.round.committed if self.round else {}

    @property
    def revealed(self) -> dict[Address, ce.ReportRevealed]:
        """The newest committee's open reports."""
        return self.round.revealed if self.round else {}

    @property
    def is_user_accused(self) -> bool:
        """In DISCLOSE: whether the end user has to publish its keys, and not the winner."""
        return self.complaint is not None and self.complaint.against_user

    @property
    def is_public(self) -> bool:
        """The end user's keys stand in the specification from the start."""
        return bool(self.terms.options & Option.PUBLIC)

    @property
    def is_split(self) -> bool:
        """What tests the model is drawn after the award."""
        return bool(self.terms.options & Option.SPLIT)

    @property
    def unopened(self) -> list[ce.BidCommitted]:
        """Bids whose openings the chain has not seen."""
        return [bid for bid in self.bids if (bid.bidder, bid.commitment) not in self.opened]

    def has_bid(self, bidder: Address, commitment: bytes) -> bool:
        """Whether the chain holds this very bid: somebody else's copy of its commitment does not count."""
        return any((bid.bidder, bid.commitment) == (bidder, commitment) for bid in self.bids)

    @property
    def model_root(self) -> ModelRoot | None:
        """The four words of the submitted model, that calls on it bring along."""
        model = self.model
        return None if model is None else ModelRoot(model.model_hash, model.x_hash, model.y_hash, model.worker_seed)

    @property
    def bond_wei(self) -> Wei:
        """The uniform bid bond, and the end user's: half of the reserve."""
        return Wei(self.terms.reserve_wei // 2)


def view_of(event: ce.JobPosted) -> JobView:
    """A new view of a job that was just posted."""
    return JobView(job_id=event.job_id, user=event.user, terms=event.terms, spec=event.spec)


def opening_bytes(opening: Opening) -> bytes:
    """An opening as it travels inside a sealed bid: price 12, flag 1, seconds 4, salt 32 bytes (49 in all)."""
    return (
        int(opening.price_wei).to_bytes(12, "big")
        + bytes([opening.is_authentic])
        + opening.estimated_s.to_bytes(4, "big")
        + opening.salt
    )


def opening_from_bytes(data: bytes, bidder: Address) -> Opening:
    """The opening that ``opening_bytes`` wrote, of at least 49 bytes; the padding is ignored."""
    return Opening(
        bidder=bidder,
        price_wei=Wei(int.from_bytes(data[:12], "big")),
        is_authentic=data[12] == 1,
        estimated_s=int.from_bytes(data[13:17], "big"),
        salt=data[17:49],
    )


def report_of(validator: Address, metric_e6: int, fingerprint_e9: int, root: bytes, salt: bytes) -> Report:
    """A report, ready to be committed to."""
    return Report(
        validator=validator,
        metric_e6=metric_e6,
        fingerprint_e9=fingerprint_e9,
        prediction_root=root,
        salt=salt,
    )
