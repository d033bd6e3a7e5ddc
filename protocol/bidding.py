"""The rules from the first bid to the trained model: one function for each row of the table and for each deadline."""

from morphware.protocol.auction import eligible_bid, enter, price_of
from morphware.protocol.calls import Commit, PostKeys, RevealBids, SubmitModel
from morphware.protocol.chain_events import BidCommitted, BidOpened, JobAwarded, JobEvent, KeysPosted, ModelSubmitted
from morphware.protocol.commitments import bid_commitment, salt_of
from morphware.protocol.job import Model, SealedBid
from morphware.protocol.ledger import Burned, Escrow, Free, Move, Part
from morphware.protocol.refusals import (
    AlreadyBid,
    BoxTooLarge,
    CommitmentExists,
    InsufficientBalance,
    UnknownCommitment,
    UserMayNotBid,
    WrongPreimage,
)
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Result, Turn
from morphware.protocol.units import Address

BOX_MOST_BYTES = 512
"""A sealed box with two 32-byte keys has 112 bytes; the rest is room for another cipher."""

MODEL_MOST_BYTES = 8 * 1024
"""An encoded manifest: a magnet link, a size, hashes and two boxes."""


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
    job = turn.job
    if turn.caller == job.user:
        return UserMayNotBid(job.user)
    key = (turn.caller, call.commitment)
    if key in job.bids:
        return CommitmentExists(call.commitment)
    balance = turn.ledger.free(turn.caller)
    if balance < job.bond_wei:
        return InsufficientBalance(turn.caller, balance, job.bond_wei)
    turn.ledger.apply([Move(Free(turn.caller), Escrow(job.job_id, Part.BID_BONDS), job.bond_wei)])
    sequence = len(job.bids)
    job.bids[key] = SealedBid(sequence)
    job.unopened += 1
    return [BidCommitted(job.job_id, turn.caller, call.commitment, sequence)]


def end_bidding(turn: Turn) -> Result:
    """At the deadline the bids are opened, if there are any."""
    if not turn.job.bids:
        return turn.close(Outcome.NO_BIDS)
    return [turn.enter(State.REVEALING, turn.timing.revealing_s)]


def reveal_bids(turn: Turn, call: RevealBids) -> Result:
    """An opened bid gets its bond back, unless it is the best so far; the best's bond stays until it is dethroned.

    What is open already is skipped, so that two relayers cannot spoil each other's batches; one unknown opening
    spoils its whole batch.  When the last is open there is nothing to wait for.
    """
    job = turn.job
    opened = [(bid_commitment(turn.domain, job.job_id, opening), opening) for opening in call.openings]
    for commitment, opening in opened:
        if (opening.bidder, commitment) not in job.bids:
            return UnknownCommitment(commitment)
    events: list[JobEvent] = []
    for commitment, opening in opened:
        sealed = job.bids[opening.bidder, commitment]
        if sealed.is_open:
            continue
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
        events.append(
            BidOpened(
                job.job_id,
                opening.bidder,
                commitment,
                opening.price_wei,
                opening.is_authentic,
                opening.estimated_s,
            )
        )
    return events if job.unopened else [*events, *award(turn)]


def award(turn: Turn) -> list[JobEvent]:
    """The auction ends: bonds of unopened bids burn, and are paid to nobody whom hiding a bid could have served."""
    job = turn.job
    bonds = Escrow(job.job_id, Part.BID_BONDS)
    turn.ledger.apply([Move(bonds, Burned(job.job_id), job.unopened * job.bond_wei)])
    best = job.standing.best
    if best is None:
        return turn.close(Outcome.NO_BIDS)
    job.price_wei = price_of(job.standing, job.terms.reserve_wei)
    return [
        JobAwarded(job.job_id, best.bidder, best.price_wei, job.price_wei, job.unopened),
        turn.enter(State.AWARDED, turn.timing.keys_s),
    ]


def post_keys(turn: Turn, call: PostKeys) -> Result:
    """The end user hands over the keys of the training data and the code."""
    if len(call.box) > BOX_MOST_BYTES:
        return BoxTooLarge(len(call.box), BOX_MOST_BYTES)
    return [KeysPosted(turn.job.job_id, call.box), turn.enter(State.KEYED, turn.timing.acknowledge_s)]


def acknowledge(turn: Turn) -> Result:
    """The winner accepts the data, and has as long to train as its bid said."""
    best = turn.job.standing.best
    assert best is not None
    return [turn.enter(State.TRAINING, best.estimated_s)]


def abort(turn: Turn) -> Result:
    """A winner that declines or stays silent may be right or wrong: both sides burn the same small amount."""
    return turn.close(Outcome.MUTUAL_ABORT)


def submit_model(turn: Turn, call: SubmitModel) -> Result:
    """The winner commits to the model, and shows its share of the seed, which its bid committed to."""
    job = turn.job
    best = job.standing.best
    assert best is not None
    salt = salt_of(call.worker_seed)
    if salt != best.salt:
        return WrongPreimage(best.salt, salt)
    if len(call.model) > MODEL_MOST_BYTES:
        return BoxTooLarge(len(call.model), MODEL_MOST_BYTES)
    seed_block = turn.block + turn.timing.seed_blocks
    job.model = Model(call.model_hash, call.x_hash, call.y_hash, call.worker_seed, seed_block)
    return [
        ModelSubmitted(job.job_id, call.model_hash, call.x_hash, call.y_hash, call.worker_seed, seed_block, call.model),
        turn.enter(State.SEED, turn.timing.seed_s),
    ]


def fault_user(turn: Turn) -> Result:
    """The end user withheld the keys: half of its bond compensates the winner."""
    return turn.close(Outcome.USER_FAULT)


def fault_worker(turn: Turn) -> Result:
    """The winner did not deliver: half of its bond compensates the end user."""
    return turn.close(Outcome.WORKER_FAULT)
