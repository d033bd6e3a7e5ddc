"""How nodes share transactions: who seals something signs it, and one of them brings everybody's on chain in one batch.

A relayed commitment is as good as a self-sent one, and costs less together: a bid 43,000 gas in a batch of five instead
of 61,000, a report 42,000 instead of 60,000 to 72,000.  Nobody depends on it.  Whoever's commitment is not on chain at
two thirds of its window sends it itself; the contract takes each commitment once, whoever brings it, so nothing is
committed to twice.

- A worker signs all its bids, decoys included, in one message.  The end user brings them once a third of the bidding
  window is over and nobody has signed for a moment, or once they fill a batch.
- A validator signs its report's commitment, if it measured.  The first of the committee by draw order brings them once
  all who have not committed have signed, or else once a third of the testing window is over; the second does a step
  later if the first has not, and then the third.

A message holds nothing but what the batch shows everybody a moment later, bids in the order in which a worker would
have sent them: so neither the end user nor a listener can tell a decoy from a bid.  The end user pays others' gas only
for accounts whose free balance covers their bonds, for four bids of each, and for a few batches.

A report that says that something could not be had is not signed: keys may yet be disclosed, the round begins again
then, and an old signature would bring the old report back.  What was measured stays the same, with the same salt.
"""

from typing import Final

from morphware.protocol.bidding import MOST_BATCH
from morphware.protocol.brain import Brain
from morphware.protocol.calls import CommitBatch, CommitReportBatch, SignedBid, SignedReport
from morphware.protocol.effects import Appraise, Publish, Send
from morphware.protocol.events import Appraised, Event, SignedBidsHeard, SignedReportHeard
from morphware.protocol.messages import BidsSigned, ReportSigned, SignedCommitment
from morphware.protocol.signatures import commit_digest, commit_report_digest
from morphware.protocol.units import Address, Timestamp, Wei
from morphware.protocol.view import JobView, RoundView

BIDDERS_MOST: Final = 256
"""Bidders whose signed bids are kept; the others bring their own."""
BIDS_MOST: Final = 4
"""Bids of one worker that the end user pays the gas of: the authentic one and three decoys."""
BATCHES_MOST: Final = 3
"""Batches that an end user pays for in one auction."""
LEAST: Final = 2
"""One commitment alone costs no less relayed."""
COLLECT_SHARE: Final = 3
"""After a third of the window whoever collects waits for nobody."""
QUIET_SHARE: Final = 12
QUIET_LEAST_S: Final = 1
"""So long nobody else may have signed: bidders who learn of a job together sign together."""
COLLECTORS_MOST: Final = 3
"""Validators that may collect, one after another; then everybody's two thirds are near."""
STEP_SHARE: Final = 24
STEP_LEAST_S: Final = 3
"""So long each leaves it to the one before it, and the lag besides: its transaction takes a block to be seen."""


def own_from(start: int, window_s: int, lag_s: int) -> Timestamp:
    """From when on everybody sends its own: two thirds of the window, less what a transaction takes to be seen."""
    return Timestamp(start + 2 * window_s // 3 - lag_s)


class BidSigner:
    """A worker's part: it signs all its bids at once, and leaves them to the end user for a while."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain
        self._message: BidsSigned | None = None

    def waits(self, view: JobView, commitments: tuple[bytes, ...]) -> bool:
        """Whether the commitments are the end user's to bring for now; they are signed and said then."""
        brain, relaying = self._brain, self._brain.identity.relaying
        if relaying is None:
            return False
        window_s = view.terms.bidding_s
        if brain.at(own_from(view.deadline - window_s, window_s, relaying.lag_s)):
            return False
        if self._message is None:
            identity = brain.identity
            digests = [commit_digest(identity.domain, brain.job_id, identity.account, each) for each in commitments]
            pairs = zip(commitments, map(relaying.sign, digests), strict=True)
            self._message = BidsSigned(bids=tuple(SignedCommitment(commitment=c, signature=s) for c, s in pairs))
        brain.ask(Publish("signed", self._message))
        return True


class BidCollector:
    """The end user's part: it brings signed bids on chain, as far as their bidders can cover them."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain
        self._heard: dict[Address, tuple[SignedBid, ...]] = {}
        self._heard_at = Timestamp(0)
        self._tried: set[SignedBid] = set()
        self._asked: tuple[Address, ...] = ()
        self._free_wei: dict[str, tuple[Wei, ...]] = {}
        self._batch = 0

    def learn(self, event: Event) -> None:
        """Keep what was signed, a bidder's first word, and what accounts were found to have."""
        match event:
            case SignedBidsHeard(bids=bids) if bids:
                bidder = bids[0].bidder
                is_one = all(bid.bidder == bidder for bid in bids)
                if is_one and bidder not in self._heard and len(self._heard) < BIDDERS_MOST:
                    self._heard[bidder], self._heard_at = bids[:BIDS_MOST], self._brain.now
            case Appraised():
                self._free_wei[event.effect_id] = event.free_wei
            case _:
                pass

    def plan(self, view: JobView) -> None:
        """Before its bidders send their own: see who can cover its bids, then bring those in one call."""
        brain, relaying = self._brain, self._brain.identity.relaying
        waiting = self._waiting(view)
        if relaying is None or self._batch == BATCHES_MOST or len(waiting) < LEAST:
            return
        window_s, lag_s = view.terms.bidding_s, relaying.lag_s
        start = view.deadline - window_s
        if brain.now >= own_from(start, window_s, lag_s):
            return
        quiet_s = max(QUIET_LEAST_S, window_s // QUIET_SHARE)
        due = max(start + window_s // COLLECT_SHARE - lag_s, self._heard_at + quiet_s)
        if len(waiting) < MOST_BATCH and not brain.at(due):
            return
        question = f"appraise|{self._batch}"
        accounts = tuple(dict.fromkeys(bid.bidder for bid in waiting))[:MOST_BATCH]
        if brain.ask(Appraise(question, accounts)):
            self._asked = accounts
        if (free_wei := self._free_wei.get(question)) is None:
            return
        chosen = self._covered(view, waiting, dict(zip(self._asked, free_wei, strict=False)))
        self._tried.update(bid for bid in waiting if bid.bidder in self._asked)
        if len(chosen) >= LEAST:  # never again, if it is refused: its bidders do not wait for us
            brain.ask(Send(f"relay|{self._batch}", CommitBatch(brain.job_id, chosen)))
        self._batch += 1

    def _waiting(self, view: JobView) -> list[SignedBid]:
        """What was signed, is not on chain, and was not tried yet."""
        return [
            bid
            for bids in self._heard.values()
            for bid in bids
            if bid not in self._tried and not view.has_bid(bid.bidder, bid.commitment)
        ]

    def _covered(self, view: JobView, waiting: list[SignedBid], free_wei: dict[Address, Wei]) -> tuple[SignedBid, ...]:
        """As many bids of each as its free balance covers: the contract would pass over the others."""
        left = {account: free // max(1, view.bond_wei) for account, free in free_wei.items()}
        chosen: list[SignedBid] = []
        for bid in waiting:
            if left.get(bid.bidder, 0) > 0 and len(chosen) < MOST_BATCH:
                left[bid.bidder] -= 1
                chosen.append(bid)
        return tuple(chosen)


class ReportRelay:
    """A validator's part: it signs its commitment, and is one of those who may collect its fellows'."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain
        self._heard: dict[tuple[int, int, Address], SignedReport] = {}
        self._heard_at = Timestamp(0)

    def learn(self, event: Event) -> None:
        """Keep the newest that each member of a committee signed; gossip lets nobody else's through."""
        if isinstance(event, SignedReportHeard) and self._sits(event.round, event.report.validator):
            self._note(event.round, event.restarts, event.report)

    def waits(self, view: JobView, mine: RoundView, commitment: bytes) -> bool:
        """Whether the commitment is the committee's to bring for now; it is signed and said then."""
        brain, relaying = self._brain, self._brain.identity.relaying
        account = brain.identity.account
        has_company = any(other not in mine.committed for other in mine.validators if other != account)
        if relaying is None or not has_company:
            return False
        window_s = view.terms.testing_s
        if brain.at(own_from(view.deadline - window_s, window_s, relaying.lag_s)):
            return False
        attempt = (mine.number, mine.restarts)
        signed = self._heard.get((*attempt, account))
        if signed is None or signed.commitment != commitment:
            digest = commit_report_digest(brain.identity.domain, brain.job_id, *attempt, account, commitment)
            signed = SignedReport(account, commitment, relaying.sign(digest))
            self._note(*attempt, signed)
        sealed = SignedCommitment(commitment=signed.commitment, signature=signed.signature)
        body = ReportSigned(round=mine.number, restarts=mine.restarts, sealed=sealed)
        brain.ask(Publish(f"signed|{mine.number}|{mine.restarts}", body))
        return True

    def collect(self, view: JobView, mine: RoundView) -> None:
        """Bring what the committee signed: all of it when it is complete, else what there is after a while."""
        brain, relaying = self._brain, self._brain.identity.relaying
        rank = mine.validators.index(brain.identity.account)
        missing = [each for each in mine.validators if each not in mine.committed]
        names = [(mine.number, mine.restarts, each) for each in missing]
        waiting = [self._heard[name] for name in names if name in self._heard]
        if relaying is None or rank >= COLLECTORS_MOST or len(waiting) < LEAST:
            return
        window_s, lag_s = view.terms.testing_s, relaying.lag_s
        start = view.deadline - window_s
        if brain.now >= own_from(start, window_s, lag_s):
            return
        is_whole = len(waiting) == len(missing)
        due = max(start, self._heard_at) if is_whole else start + window_s // COLLECT_SHARE - lag_s
        if brain.at(due + rank * (max(STEP_LEAST_S, window_s // STEP_SHARE) + lag_s)):
            occasion = "all" if is_whole else "some"
            call = CommitReportBatch(brain.job_id, tuple(waiting))
            brain.call(f"relay|{mine.number}|{mine.restarts}|{occasion}", call)

    def _sits(self, number: int, validator: Address) -> bool:
        view = self._brain.view
        return view is not None and 0 <= number < len(view.rounds) and validator in view.rounds[number].validators

    def _note(self, number: int, restarts: int, report: SignedReport) -> None:
        name = (number, restarts, report.validator)
        if self._heard.get(name) != report:
            self._heard[name], self._heard_at = report, self._brain.now
