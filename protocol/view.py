"""A job as its chain events tell it: the fold that brains decide on, gossip is checked against, and people look at.

``JobView.apply`` is total: an event that does not concern the job, or says what is known already, changes nothing.
"""

from dataclasses import dataclass, field
from typing import Final

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Opening, Report, Terms
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei

_NEVER: Final = Timestamp(0)

BidName = tuple[Address, bytes]
"""What names a bid: bidder and commitment. A copied commitment is another bid, and one that nobody can open."""


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
    keys_box: bytes | None = None
    model: ce.ModelSubmitted | None = None
    committee: ce.CommitteeDrawn | None = None
    test_boxes: tuple[bytes, ...] | None = None
    model_boxes: tuple[bytes, ...] | None = None
    committed: dict[Address, bytes] = field(default_factory=dict)
    revealed: dict[Address, ce.ReportRevealed] = field(default_factory=dict)
    tally: ce.RoundTallied | None = None
    y: bytes | None = None
    settled: dict[Address, ce.SeatSettled] = field(default_factory=dict)
    closed: ce.JobClosed | None = None

    def apply(self, event: ce.ChainEvent) -> None:
        """Take in one chain event; another job's changes nothing."""
        if isinstance(event, ce.NodePublished) or event.job_id != self.job_id:
            return
        match event:
            case ce.StateChanged():
                self.state, self.deadline = event.state, event.deadline
            case ce.BidCommitted():
                if not self.has_bid(event.bidder, event.commitment):
                    self.bids.append(event)
            case ce.BidOpened():
                self.opened[event.bidder, event.commitment] = event
            case ce.JobAwarded():
                self.award = event
            case ce.KeysPosted():
                self.keys_box = event.box
            case ce.ModelSubmitted():
                self.model = event
            case ce.CommitteeDrawn():
                self.committee = event
            case ce.TestKeysPosted():
                self.test_boxes = event.boxes
            case ce.ModelKeysPosted():
                self.model_boxes = event.boxes
            case ce.ReportCommitted():
                self.committed[event.validator] = event.commitment
            case ce.ReportRevealed():
                self.revealed[event.validator] = event
            case ce.RoundTallied():
                self.tally = event
            case ce.Claimed():
                self.y = event.y
            case ce.SeatSettled():
                self.settled[event.validator] = event
            case ce.JobClosed():
                self.closed = event
            case ce.JobPosted():
                pass

    @property
    def is_over(self) -> bool:
        """The job is CLOSED and its payment record final."""
        return self.state is State.CLOSED

    @property
    def outcome(self) -> Outcome:
        """How the job ended; NONE while it lives."""
        return self.closed.outcome if self.closed else Outcome.NONE

    @property
    def verdict(self) -> Verdict:
        """What the committee found; NONE before the tally."""
        return self.tally.verdict if self.tally else Verdict.NONE

    @property
    def winner(self) -> Address | None:
        """The worker that the auction found."""
        return self.award.winner if self.award else None

    @property
    def validators(self) -> tuple[Address, ...]:
        """The drawn committee, in seat order."""
        return self.committee.validators if self.committee else ()

    @property
    def unopened(self) -> list[ce.BidCommitted]:
        """Bids whose openings the chain has not seen."""
        return [bid for bid in self.bids if (bid.bidder, bid.commitment) not in self.opened]

    def has_bid(self, bidder: Address, commitment: bytes) -> bool:
        """Whether the chain holds this very bid: somebody else's copy of its commitment does not count."""
        return any((bid.bidder, bid.commitment) == (bidder, commitment) for bid in self.bids)

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
