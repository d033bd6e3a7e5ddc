"""The rules of the sealed-bid auction: one function for each row of the table and for each deadline."""

from typing import Final

from morphware.protocol.auction import eligible_bid, enter, price_of
from morphware.protocol.calls import Commit, CommitBatch, Opening, RevealBids
from morphware.protocol.chain_events import BidCommitted, BidOpened, JobAwarded, JobEvent
from morphware.protocol.commitments import bid_commitment
from morphware.protocol.job import SealedBid
from morphware.protocol.ledger import Burned, Escrow, Free, Move, Part
from morphware.protocol.refusals import (
    AlreadyBid,
    BadTerms,
    BoxTooLarge,
    CommitmentExists,
    InsufficientBalance,
    NothingTaken,
    Refusal,
    UnknownCommitment,
    UserMayNotBid,
)
from morphware.protocol.signatures import commit_digest, is_signed_by
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import HASH_BYTES, Address

MOST_BATCH: Final = 64
"""Elements of one batch: more would not fit a block that others want to be in, too."""

NO_COMMITMENT: Final = bytes(HASH_BYTES)
"""The contract's storage says "none" with it, so nobody may commit to it."""


def cancel(turn: Turn) -> Result:
    """A job can be taken back only while nobody has bid: later it would be a free look at the bids."""
    if turn.job.bids:
        return AlreadyBid(len(turn.job.bids))
    return turn.close(Outcome.CANCELLED)


def commit(turn: Turn, call: Commit) -> Result:
    """A sealed bid locks the uniform bond. An address may bid more than once, but make each commitment only once.

    Bids are told apart by bidder, too: else whoever copied a commitment on its way, and was first, would keep the
    original out.  A copy is worthless: the bidder is in the hash, so nobody can open it, and its bond burns.
    """
    return _refused(turn, turn.caller, call.commitment) or [_lock(turn, turn.caller, call.commitment)]


def commit_batch(turn: Turn, call: CommitBatch) -> Result:
    """Anybody may bring signed bids on chain; what could not be taken from the bidder itself is passed over."""
    job = turn.job
    if len(call.bids) > MOST_BATCH:
        return BoxTooLarge(len(call.bids), MOST_BATCH)
    events: list[JobEvent] = []
    for bid in call.bids:
        digest = commit_digest(turn.domain, job.job_id, bid.bidder, bid.commitment)
        if is_signed_by(bid.bidder, digest, bid.signature) and _refused(turn, bid.bidder, bid.commitment) is None:
            events.append(_lock(turn, bid.bidder, bid.commitment))
    return events or NothingTaken(job.job_id)


def _refused(turn: Turn, bidder: Address, commitment: bytes) -> Refusal | None:
    job = turn.job
    if bidder == job.user:
        return UserMayNotBid(job.user)
    if commitment == NO_COMMITMENT:
        return BadTerms("commitment")
    if (bidder, commitment) in job.bids:
        return CommitmentExists(commitment)
    balance = turn.ledger.free(bidder)
    return InsufficientBalance(bidder, balance, job.bond_wei) if balance < job.bond_wei else None


def _lock(turn: Turn, bidder: Address, commitment: bytes) -> BidCommitted:
    job = turn.job
    turn.ledger.apply([Move(Free(bidder), Escrow(job.job_id, Part.BID_BONDS), job.bond_wei)])
    sequence = len(job.bids)
    job.bids[bidder, commitment] = SealedBid(sequence)
    job.unopened += 1
    return BidCommitted(job.job_id, bidder, commitment, sequence)


def end_bidding(turn: Turn) -> Result:
    """At the deadline the bids are opened, if there are any."""
    if not turn.job.bids:
        return turn.close(Outcome.NO_BIDS)
    return [turn.enter(State.REVEALING, turn.timing.revealing_s)]


def reveal_bids(turn: Turn, call: RevealBids) -> Result:
    """An opened bid gets its bond back, unless it is the best so far; the best's bond stays until it is dethroned.

    What is unknown or open already is passed over, so that nobody can spoil another's batch; a batch that opens
    nothing is refused.  When the last is open there is nothing to wait for.
    """
    job = turn.job
    if len(call.openings) > MOST_BATCH:
        return BoxTooLarge(len(call.openings), MOST_BATCH)
    opened = [(bid_commitment(turn.domain, job.job_id, opening), opening) for opening in call.openings]
    events: list[JobEvent] = []
    for commitment, opening in opened:
        sealed = job.bids.get((opening.bidder, commitment))
        if sealed is not None and not sealed.is_open:
            events.append(_open(turn, opening, commitment, sealed))
    if not events:
        return UnknownCommitment(opened[0][0] if opened else NO_COMMITMENT)
    return events if job.unopened else [*events, *award(turn)]


def _open(turn: Turn, opening: Opening, commitment: bytes, sealed: SealedBid) -> BidOpened:
    job = turn.job
    sealed.is_open = True
    job.unopened -= 1
    released: Address | None = opening.bidder
    bid = eligible_bid(job.terms, opening, sealed.sequence)
    if bid is not None:
        before = job.standing.best
        job.standing = enter(job.standing, bid)
        if job.standing.best is bid:
            released = before.bidder if before else None
    if released is not None:
        turn.ledger.apply([Move(Escrow(job.job_id, Part.BID_BONDS), Free(released), job.bond_wei)])
    return BidOpened(
        job.job_id, opening.bidder, commitment, opening.price_wei, opening.is_authentic, opening.estimated_s
    )


def award(turn: Turn) -> list[JobEvent]:
    """The auction ends: bonds of unopened bids burn, and are paid to nobody whom hiding a bid could have served."""
    job = turn.job
    bonds = Move(Escrow(job.job_id, Part.BID_BONDS), Burned(job.job_id), job.unopened * job.bond_wei)
    best = job.standing.best
    if best is None:
        return turn.close(Outcome.NO_BIDS)
    rewards = turn.burn([bonds], spared_wei=0)
    job.price_wei = price_of(job.standing, job.terms.reserve_wei)
    if job.is_split:
        job.draw_block = turn.block + turn.timing.seed_blocks
    return [
        *rewards,
        JobAwarded(job.job_id, best.bidder, best.price_wei, job.price_wei, job.unopened),
        turn.enter(State.AWARDED, turn.timing.keys_s),
    ]
