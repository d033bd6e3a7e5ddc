"""Who gets what for each outcome: pure functions from a finished job to the moves that empty its escrow.

With R the reserve, B = D = R / 2 the winner's and the end user's bonds, p the price, and "pool" the appellants' bonds
and all slashes:

| outcome | winner | end user | burned |
|---|---|---|---|
| CANCELLED, NO_BIDS | - | R + fees + D | - |
| USER_FAULT | B + D/2 | R + fees | D/2 |
| MUTUAL_ABORT | B - x | R + fees + D - x | 2x, x = min(B/4, D) |
| WORKER_FAULT | - | R + fees + D + B/2 | B/2, pool |
| PAID on PASS | B + p | R - p - p/100 + fees + D | pool |
| PAID on NO_TEST | B + p | R - p + fees | D, pool |
| REJECTED | B - 30% | R + fees + D | 30% of B, pool |
| INCONCLUSIVE | B + min(p, pool) | R + fees + D | rest of the pool |

"fees" is what the coherent validators left of it: they are paid from the fees first and from the pool then.  What is
left of the pool refunds, in the order of the appeals, the bonds of those who doubted another verdict than the last one;
a random audit's bond goes back to where it came from.

Random audits live on what jobs pay: a hundredth of the price, which the end user pays on top of it where the model
passed, and a fifth of all slashes.  Both come out of what would burn, and never so much that less than a quarter of the
reserve burns where nobody is paid: no failure gets cheaper by it.

Bonds of unopened bids were burned at the award.  Shares are rounded down and the remainder is burned.  Every way out
after the award but a fair one burns something: nobody, alone or with his counterparty, profits from a failure that he
can cause.

A LINEAR job pays of p the part that the metric has reached of the way from baseline to threshold.

Whoever pokes a silent job into its award or its end gets a small part of what would have burned: less than the two
parties could get out of it by staging a failure, so nobody stages one for it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from morphware.protocol.committee import SeatResult, Tally
from morphware.protocol.job import Job
from morphware.protocol.ledger import AuditPool, Bucket, Burned, Escrow, Free, Move, Part, SeatStake
from morphware.protocol.states import Outcome, Verdict
from morphware.protocol.units import BPS, Address, Wei

COMPENSATION_BPS: Final = 5_000
"""The part of a faulty side's bond that the other side gets; the rest burns, or two friends could stage faults."""

MUTUAL_ABORT_BPS: Final = 2_500
"""The part of the bid bond that each side burns when nobody could tell whose fault it was."""

AUDITED_PRICE: Final = 100
"""A paid job gives the audit pool one part in so many of its price: with one audit of three fees in ten findings, and
fees of a fiftieth of the reserve, audits pay for themselves where prices are six tenths of reserves."""

AUDITED_SLASHES: Final = 5
"""A job gives the audit pool one part in so many of its slashes: who is caught pays for those who look."""

REJECTED_BPS: Final = 3_000
"""The part of the winner's bond that an honest failure burns: a free failure would be a free way out for a shill."""

BOUNTY_BPS: Final = 10
"""The part of what a poke burns that goes to the poker."""

SWEEP: Final = 24
"""Seats that are settled in one call: the bound on what closing may cost it."""


def seize(job: Job, results: Sequence[SeatResult]) -> list[Move]:
    """All slashes go to the pool at once, when the job's end is fixed; the seats are let go of later, a few a call."""
    return [
        Move(SeatStake(result.seat), _escrow(job, Part.POOL), result.slash_wei)
        for result in results
        if result.slash_wei
    ]


def release_seat(job: Job, result: SeatResult, stake_wei: int, fees_left_wei: int) -> list[Move]:
    """A coherent validator gets its fee, from the fees and then from the pool; a dissolved seat's owner the rest."""
    from_fees = min(result.fee_wei, fees_left_wei)
    moves = [
        Move(_escrow(job, Part.FEES), Free(result.owner), from_fees),
        Move(_escrow(job, Part.POOL), Free(result.owner), result.fee_wei - from_fees),
    ]
    if result.is_dissolved:
        moves.append(Move(SeatStake(result.seat), Free(result.owner), stake_wei - result.slash_wei))
    return [move for move in moves if move.amount_wei]


def paid_price(job: Job, reference: Tally | None) -> Wei:
    """What a paid winner is paid: the price, or its earned part in a LINEAR job."""
    if not job.is_linear or job.verdict is not Verdict.PASS:
        return job.price_wei
    assert reference is not None
    whole = job.terms.threshold_e6 - job.terms.baseline_e6
    reached = min(reference.metric_e6 - job.terms.baseline_e6, whole)
    return Wei(job.price_wei * reached // whole)


def settle_parties(job: Job, outcome: Outcome, held: Mapping[Part, int], paid_wei: Wei) -> list[Move]:
    """What the winner, the end user and the appellants get of what the job still holds, and what burns."""
    purse = _Purse(job, held)
    match outcome:
        case Outcome.CANCELLED | Outcome.NO_BIDS:
            purse.burn_rest(Part.BID_BONDS)
        case Outcome.USER_FAULT:
            purse.pay(Part.USER_BOND, job.winner, job.bond_wei * COMPENSATION_BPS // BPS)
            purse.burn_rest(Part.USER_BOND)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.MUTUAL_ABORT:
            share = min(job.bond_wei * MUTUAL_ABORT_BPS // BPS, job.bond_wei)
            purse.burn(Part.BID_BONDS, share)
            purse.burn(Part.USER_BOND, share)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.WORKER_FAULT:
            purse.pay(Part.BID_BONDS, job.user, job.bond_wei * COMPENSATION_BPS // BPS)
            purse.burn_rest(Part.BID_BONDS)
        case Outcome.PAID:
            if job.verdict is Verdict.NO_TEST:
                purse.burn_rest(Part.USER_BOND)
            else:
                purse.burn(Part.USER_BOND, paid_wei // AUDITED_PRICE)
            purse.pay(Part.RESERVE, job.winner, paid_wei)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.REJECTED:
            purse.burn(Part.BID_BONDS, job.bond_wei * REJECTED_BPS // BPS)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.INCONCLUSIVE:
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.NONE:
            raise AssertionError("a job does not end without an outcome")
        case _:
            assert_never(outcome)
    for appellant in job.appellants:
        if job.verdict not in (Verdict.NONE, appellant.verdict):
            target = AuditPool() if appellant.is_audit else Free(appellant.account)
            purse.move_most(Part.POOL, target, appellant.seats * job.terms.fee_wei)
    if outcome is Outcome.INCONCLUSIVE:
        purse.move_most(Part.POOL, Free(job.winner), job.price_wei)
    purse.burn_rest(Part.POOL)
    for part in (Part.RESERVE, Part.FEES, Part.USER_BOND):
        purse.pay_rest(part, job.user)
    return _feed_audits(job, outcome, purse.moves, paid_wei)


def _feed_audits(job: Job, outcome: Outcome, moves: Sequence[Move], paid_wei: int) -> list[Move]:
    """The audit pool gets its part of what would burn, as long as an unpaid job burns a quarter of its reserve."""
    spared = 0 if outcome is Outcome.PAID else job.terms.reserve_wei // 4
    most = max(0, burned_by(moves) - spared)
    return divert(moves, AuditPool(), min(paid_wei // AUDITED_PRICE + job.slashed_wei // AUDITED_SLASHES, most))


def bounty(burned_wei: int, spared_wei: int) -> Wei:
    """What a poke earns that burns so much; of what the parties burn themselves by a staged exit, nothing."""
    return Wei(max(0, burned_wei - spared_wei) * BOUNTY_BPS // BPS)


def divert(moves: Sequence[Move], target: Bucket, amount_wei: int) -> list[Move]:
    """The same moves, but an amount of what they burn goes into another bucket."""
    diverted = []
    for move in moves:
        part = min(move.amount_wei, amount_wei) if isinstance(move.target, Burned) else 0
        amount_wei -= part
        diverted += [Move(move.source, move.target, move.amount_wei - part), Move(move.source, target, part)]
    assert amount_wei == 0, "no more can be diverted than burns"
    return [move for move in diverted if move.amount_wei]


def burned_by(moves: Sequence[Move]) -> int:
    """How much the moves burn."""
    return sum(move.amount_wei for move in moves if isinstance(move.target, Burned))


class _Purse:
    """A job's escrow while it is being paid out, so that "the rest" needs no arithmetic at each outcome."""

    def __init__(self, job: Job, held: Mapping[Part, int]) -> None:
        self.moves: list[Move] = []
        self._job = job
        self._left = dict(held)

    def pay(self, part: Part, account: Address, amount_wei: int) -> None:
        self._take(part, Free(account), amount_wei)

    def burn(self, part: Part, amount_wei: int) -> None:
        self._take(part, Burned(self._job.job_id), amount_wei)

    def move_most(self, part: Part, target: Bucket, amount_wei: int) -> None:
        self._take(part, target, min(amount_wei, self._left[part]))

    def pay_rest(self, part: Part, account: Address) -> None:
        self.pay(part, account, self._left[part])

    def burn_rest(self, part: Part) -> None:
        self.burn(part, self._left[part])

    def _take(self, part: Part, target: Bucket, amount_wei: int) -> None:
        assert 0 <= amount_wei <= self._left[part], (part, amount_wei)
        self._left[part] -= amount_wei
        if amount_wei:
            self.moves.append(Move(_escrow(self._job, part), target, amount_wei))


def _escrow(job: Job, part: Part) -> Escrow:
    return Escrow(job.job_id, part)
