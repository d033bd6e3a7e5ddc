"""What one sender does in one transaction: end a phase that is over, and do at once what the next one is for.

A poke moves a job whose deadline has passed.  Whoever also has the next move makes both together, which saves a
transaction and a block: the end user opens all bids as it ends the bidding, and the winner claims as it ends the time
for appeals.  For the first, bidders show their keys as soon as a final block is past the deadline: no bid can be
committed to any more, whether somebody has said so on chain or not.

Whoever is too late, or lacks something, does what was to be done anyway: the poke, and then the next move.
"""

from typing import Final

from morphware.protocol.bidding import MOST_BATCH
from morphware.protocol.brain import Brain
from morphware.protocol.calls import Claim, Multicall, Opening, Poke, RevealBids
from morphware.protocol.states import State, Verdict
from morphware.protocol.view import JobView

GRACE_S: Final = 2
"""So long after the deadline bidders' keys may come before the end user ends the bidding without them."""
OPEN: Final = "poke+reveal"


def opens_with_poke(brain: Brain, view: JobView, openings: tuple[Opening, ...]) -> bool:
    """Whether no poke alone is to end the bidding for now: keys may come, or all bids are being opened with it."""
    if brain.identity.relaying is None or view.state is not State.BIDDING or not brain.at(view.deadline):
        return False
    if not view.bids or len(view.bids) > MOST_BATCH or brain.has_failed(OPEN):
        return False
    if len(openings) < len(view.bids):
        return not brain.at(view.deadline + min(GRACE_S, brain.identity.patience_s))
    brain.call(OPEN, Multicall(brain.job_id, (Poke(brain.job_id), RevealBids(brain.job_id, openings))))
    return not brain.at(view.deadline + max(GRACE_S, brain.identity.patience_s))


def is_claim_next(view: JobView) -> bool:
    """Whether the winner may claim once the time for appeals is over: then ending it is left to the winner first."""
    return view.state is State.TALLIED and view.verdict in (Verdict.PASS, Verdict.NO_TEST) and view.y is None


def claim_with_poke(brain: Brain, view: JobView, claim: Claim) -> None:
    """The winner's: end the time for appeals and claim; without sharing transactions, end it as the first to do so."""
    key = f"poke+claim|{len(view.rounds)}"
    if not is_claim_next(view) or not brain.at(view.deadline) or brain.has_failed(key):
        return
    poke = Poke(brain.job_id)
    call = poke if brain.identity.relaying is None else Multicall(brain.job_id, (poke, claim))
    brain.call(key, call)
