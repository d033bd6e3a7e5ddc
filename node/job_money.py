"""What one job did to one account's money, replayed from what the chain said of the job.

The chain says what happened and not what each account got; but every payment follows from the rules.  So this goes
through a job's events as the market went through its calls, with the market's own function for the last payment
(``settlement.py``), and notes what concerns the account.  Each entry has two sides: what the account can use freely,
and what of its own is locked.  Their sum is what it gained or lost.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from morphware.node.journal import StoredEvent
from morphware.node.machines import USER, VALIDATOR, WORKER
from morphware.protocol import chain_events as ce
from morphware.protocol.auction import Bid, Standing, eligible_bid, enter
from morphware.protocol.calls import Opening
from morphware.protocol.job import NOBODY, Appellant, Job
from morphware.protocol.ledger import Escrow, Free, Part
from morphware.protocol.settlement import settle_parties
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import HASH_BYTES, Address, JobId, Timestamp, Wei, is_code


class Kind(StrEnum):
    """What moved the account's money."""

    DEPOSITED = "deposited"
    WITHDRAWN = "withdrawn"
    AUDITS_FUNDED = "audits funded"
    STAKED = "seats staked"
    UNSTAKED = "stake returned"
    ESCROWED = "escrow locked"
    REFUNDED = "escrow returned"
    PRICE_PAID = "price paid"
    FEES_PAID = "validators paid"
    AUDIT_FEE_PAID = "audit fee paid"
    PRICE_RECEIVED = "price received"
    COMPENSATED = "compensation received"
    FEE_EARNED = "fee earned"
    REWARDED = "poke rewarded"
    BOND_LOCKED = "bond locked"
    BOND_RETURNED = "bond returned"
    BOND_LOST = "bond lost"
    SLASHED = "slashed"


APPELLANT: Final = "appellant"
POKER: Final = "poker"
ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. ``free_wei`` and ``locked_wei`` are signed changes; ``time`` and ``block`` are the chain's.

    ``role`` is what the account did it as; ``reason`` says it in words; what is no job's has no ``job_id``.
    """

    kind: Kind
    role: str
    free_wei: int
    locked_wei: int
    reason: str
    time: Timestamp
    block: int
    transaction_hash: bytes | None
    job_id: JobId | None = None
    part: Part | None = None
    """Of a fee: whether it came from the fees, or from the pool of appeals' bonds and slashes."""

    @property
    def net_wei(self) -> int:
        """What the account gained (or lost, below 0): what it only locks, or has back, is neither."""
        return self.free_wei + self.locked_wei


SILENT: Final = "the seat was drawn and no report of it was opened in time: a fifth of its stake is lost"
REFUTED: Final = "the report was far from what the committees found: half of the seat's stake is lost"
STRUCK: Final = "once too often the seat's report said that there was nothing to test: a tenth of its stake is lost"
BOND_REASONS: Final[dict[Outcome, str]] = {
    Outcome.USER_FAULT: "the data's key was not handed over",
    Outcome.WORKER_FAULT: "the model was not delivered",
    Outcome.MUTUAL_ABORT: "nobody could tell whose fault it was: both sides lose a part",
    Outcome.PAID: "the model could not be tested",
    Outcome.REJECTED: "the model missed the threshold",
}
BY_DEFAULT: Final = (State.SEED, State.KEYING, State.X_DISPUTE, State.DISCLOSE)
"""Who stays silent in one of these decides the verdict by it, and no event says so."""


def job_entries(events: Iterable[StoredEvent], account: Address) -> list[Entry]:
    """What a job did to an account's money.

    Args:
        events: everything that the chain said of the job, in its order, from its posting on (``Journal.timeline``).
    """
    replay: _Replay | None = None
    for stored in events:
        if isinstance(stored.event, ce.JobPosted) and replay is None:
            replay = _Replay(stored.event, account)
        if replay is not None:
            replay.take(stored)
    return [] if replay is None else replay.entries


class _Replay:
    """The market's books of one job, as far as its events tell them."""

    def __init__(self, posted: ce.JobPosted, account: Address) -> None:
        self.entries: list[Entry] = []
        self._account = account
        self._job = Job(posted.job_id, posted.user, posted.terms, posted_at=Timestamp(0), seat_span=0)
        self._held: Counter[Part] = Counter()
        self._bids: dict[tuple[Address, bytes], int] = {}
        self._opened: set[tuple[Address, bytes]] = set()
        self._locked: defaultdict[tuple[str, Part], int] = defaultdict(int)
        """What is still locked of the account's own money, by what it was locked as."""
        self._reports: dict[Address, int] = {}
        self._entered = State.NONE
        self._left = State.NONE
        self._now: StoredEvent | None = None

    def take(self, stored: StoredEvent) -> None:
        """The next event."""
        self._now = stored
        job = self._job
        match stored.event:
            case ce.JobPosted(user=user, terms=terms):
                self._lock(user, USER, Part.RESERVE, terms.reserve_wei, "the reserve, of which the price is paid")
                self._lock(user, USER, Part.FEES, terms.seats * terms.fee_wei, "the validators' fees")
                self._lock(user, USER, Part.USER_BOND, job.bond_wei, "the end user's bond")
            case ce.StateChanged(state=state):
                self._left, self._entered = self._entered, state
                if state is State.CLAIMABLE and self._left in BY_DEFAULT:
                    job.verdict = Verdict.NO_TEST
            case ce.BidCommitted(bidder=bidder, commitment=commitment, sequence=sequence):
                self._bids[bidder, commitment] = sequence
                self._lock(bidder, WORKER, Part.BID_BONDS, job.bond_wei, "the bond of a bid")
            case ce.BidOpened():
                self._open(stored.event)
            case ce.JobAwarded(winner=winner, bid_wei=bid_wei, price_wei=price_wei):
                self._award(winner, bid_wei, price_wei)
            case ce.ReportRevealed(validator=validator, metric_e6=metric_e6):
                self._reports[validator] = metric_e6
            case ce.RoundTallied(verdict=verdict) if verdict is not Verdict.NONE:
                job.verdict = verdict
            case ce.Appealed(appellant=appellant, seats=seats, bond_wei=bond_wei):
                job.appellants.append(Appellant(appellant, seats, job.verdict, 0))
                self._lock(appellant, APPELLANT, Part.POOL, bond_wei, f"an appeal to {seats} validators")
            case ce.Audited(seats=seats, bond_wei=bond_wei):
                job.appellants.append(Appellant(NOBODY, seats, job.verdict, 0))
                self._held[Part.POOL] += bond_wei
            case ce.AppealUnheard():
                self._undo_appeal(stored.event)
            case ce.SeatSettled():
                self._settle_seat(stored.event)
            case ce.PokeRewarded(poker=poker, amount_wei=amount_wei):
                self._gain(poker, Kind.REWARDED, POKER, amount_wei, "moved on a job that was silent")
            case ce.JobClosed():
                self._close(stored.event)
            case _:
                pass

    # --- the auction ------------------------------------------------------------------------------------------------

    def _open(self, event: ce.BidOpened) -> None:
        """An opened bid's bond goes back, unless it is the best so far: then that of the one before it."""
        name = (event.bidder, event.commitment)
        if name not in self._bids or name in self._opened:
            return
        self._opened.add(name)
        opening = Opening(event.bidder, event.price_wei, event.is_authentic, event.estimated_s, bytes(HASH_BYTES))
        bid = eligible_bid(self._job.terms, opening, self._bids[name])
        released: Address | None = event.bidder
        if bid is not None:
            before = self._job.standing.best
            self._job.standing = enter(self._job.standing, bid)
            if self._job.standing.best is bid:
                released = before.bidder if before else None
        if released is not None:
            reason = "the bid was opened, and is not the best"
            self._unlock(released, WORKER, Part.BID_BONDS, self._job.bond_wei, reason)

    def _award(self, winner: Address, bid_wei: Wei, price_wei: Wei) -> None:
        if self._job.standing.best is None or self._job.standing.best.bidder != winner:
            self._job.standing = Standing(Bid(bid_wei, 0, winner, 0, bytes(HASH_BYTES)))
        self._job.price_wei = price_wei
        self._lose_unopened()

    def _lose_unopened(self) -> None:
        for name in self._bids.keys() - self._opened:
            self._held[Part.BID_BONDS] -= self._job.bond_wei
            reason = "the bid was not opened in time: its bond is burned"
            self._lose(name[0], Kind.BOND_LOST, WORKER, Part.BID_BONDS, self._job.bond_wei, reason)
        self._bids = {name: sequence for name, sequence in self._bids.items() if name in self._opened}

    # --- the committees ---------------------------------------------------------------------------------------------

    def _undo_appeal(self, event: ce.AppealUnheard) -> None:
        if self._job.appellants:
            self._job.appellants.pop()
        self._held[Part.POOL] -= event.kept_wei
        back_wei = event.bond_wei - event.kept_wei
        if not any(event.appellant):
            self._held[Part.POOL] -= back_wei
            return
        self._unlock(event.appellant, APPELLANT, Part.POOL, back_wei, "no validators could be had for the appeal")
        reason = "the audit pool keeps what the waiting validators cost"
        self._lose(event.appellant, Kind.BOND_LOST, APPELLANT, Part.POOL, event.kept_wei, reason)

    def _settle_seat(self, event: ce.SeatSettled) -> None:
        """Fees come from the fees and then from the pool, into which the slashes have gone."""
        from_fees = min(event.fee_wei, self._held[Part.FEES])
        self._held[Part.FEES] -= from_fees
        self._held[Part.POOL] += event.slash_wei - (event.fee_wei - from_fees)
        self._job.slashed_wei += event.slash_wei
        of_pool = "the report was coherent; appeals and slashes pay for it"
        self._gain(event.validator, Kind.FEE_EARNED, VALIDATOR, from_fees, "the report was coherent", Part.FEES)
        self._gain(event.validator, Kind.FEE_EARNED, VALIDATOR, event.fee_wei - from_fees, of_pool, Part.POOL)
        if event.slash_wei and event.validator == self._account:
            metric = self._reports.get(event.validator)
            reason = SILENT if metric is None else STRUCK if is_code(metric) else REFUTED
            # the seat's whole stake is noted as returned in the same transaction
            self._note(Kind.SLASHED, VALIDATOR, -event.slash_wei, 0, reason)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _close(self, event: ce.JobClosed) -> None:
        job = self._job
        if event.outcome is Outcome.NO_BIDS:
            self._lose_unopened()
        left = self._left if self._entered is State.CLOSED else self._entered
        if left in BY_DEFAULT and event.outcome in (Outcome.PAID, Outcome.WORKER_FAULT):
            job.verdict = Verdict.NO_TEST if event.outcome is Outcome.PAID else Verdict.NO_MODEL
        held = {part: self._held[part] for part in Part}
        for move in settle_parties(job, event.outcome, held, event.price_wei):
            if move.target == Free(self._account) and isinstance(move.source, Escrow):
                self._get(move.source.part, move.amount_wei)
        self._write_off(event.outcome)

    def _get(self, part: Part, amount_wei: int) -> None:
        """Something of the job's escrow comes to the account: its own back, or somebody else's."""
        mine = {Part.BID_BONDS: WORKER, Part.POOL: APPELLANT}.get(part, USER)
        own_wei = min(amount_wei, self._locked[mine, part])
        if own_wei:
            kind = Kind.REFUNDED if mine == USER else Kind.BOND_RETURNED
            self._locked[mine, part] -= own_wei
            self._note(kind, mine, own_wei, -own_wei, f"what is left of the {part.value}")
        if rest_wei := amount_wei - own_wei:
            is_price = part is Part.RESERVE
            role = USER if self._account == self._job.user else WORKER
            reason = "the model met the threshold" if is_price else "a part of what others lost by the job"
            self._note(Kind.PRICE_RECEIVED if is_price else Kind.COMPENSATED, role, rest_wei, 0, reason)

    def _write_off(self, outcome: Outcome) -> None:
        """What is locked still does not come back."""
        is_paid = outcome is Outcome.PAID
        is_tested = is_paid and self._job.verdict is Verdict.PASS
        lost = BOND_REASONS.get(outcome, "the rules of the job's end")
        ways = {
            Part.RESERVE: (Kind.PRICE_PAID, "the price of the model"),
            Part.FEES: (Kind.FEES_PAID, "the fees of the coherent validators"),
            Part.USER_BOND: (Kind.AUDIT_FEE_PAID, "a hundredth of the price, for random audits")
            if is_tested
            else (Kind.BOND_LOST, lost),
            Part.BID_BONDS: (Kind.BOND_LOST, lost),
            Part.POOL: (Kind.BOND_LOST, "the appeal paid for its committee"),
        }
        for (role, part), amount_wei in list(self._locked.items()):
            if amount_wei:
                kind, reason = ways[part]
                self._note(kind, role, 0, -amount_wei, reason)
                self._locked[role, part] = 0

    # --- entries ----------------------------------------------------------------------------------------------------

    def _lock(self, owner: Address, role: str, part: Part, amount_wei: int, reason: str) -> None:
        self._held[part] += amount_wei
        if owner == self._account and amount_wei:
            self._locked[role, part] += amount_wei
            self._note(Kind.ESCROWED if role == USER else Kind.BOND_LOCKED, role, -amount_wei, amount_wei, reason)

    def _unlock(self, owner: Address, role: str, part: Part, amount_wei: int, reason: str) -> None:
        self._held[part] -= amount_wei
        if owner == self._account and amount_wei:
            self._locked[role, part] -= amount_wei
            self._note(Kind.BOND_RETURNED, role, amount_wei, -amount_wei, reason)

    def _lose(self, owner: Address, kind: Kind, role: str, part: Part, amount_wei: int, reason: str) -> None:
        if owner == self._account and amount_wei:
            self._locked[role, part] -= amount_wei
            self._note(kind, role, 0, -amount_wei, reason)

    def _gain(
        self, owner: Address, kind: Kind, role: str, amount_wei: int, reason: str, part: Part | None = None
    ) -> None:
        if owner == self._account and amount_wei:
            self._note(kind, role, amount_wei, 0, reason, part)

    def _note(
        self, kind: Kind, role: str, free_wei: int, locked_wei: int, reason: str, part: Part | None = None
    ) -> None:
        assert self._now is not None
        now, known = self._now.now, self._now.transaction_hash
        job_id = self._job.job_id
        entry = Entry(kind, role, free_wei, locked_wei, reason, now.timestamp, now.block, known, job_id, part)
        self.entries.append(entry)
