"""Who gets what for each outcome: pure functions from a finished job to the moves that empty its escrow.

With R the reserve, B = D = R / 2 the winner's and the end user's bonds, p the price, and F a fee:

| outcome | winner | end user | burned |
|---|---|---|---|
| CANCELLED, NO_BIDS | - | R + fees + D | - |
| USER_FAULT | B + D/2 | R + fees | D/2 |
| MUTUAL_ABORT | B - x | R + fees + D - x | 2x, x = min(B/4, D) |
| WORKER_FAULT | - | R + fees + D + B/2 | B/2 |
| PAID on PASS | B + p | R - p + fees + D | - |
| PAID on NO_TEST | B + p | R - p + fees | D |
| REJECTED | B - 30% | R + fees + D | 30% of B |
| INCONCLUSIVE | B + min(p, slashes) | R + fees + D | other slashes |

"fees" is what the coherent validators left of it.  Bonds of unopened bids were burned at the award.  Shares are rounded
down and the remainder is burned.  Every way out after the award but a fair one burns something: nobody, alone or with
his counterparty, profits from a failure that he can cause.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from morphware.protocol.committee import SeatResult
from morphware.protocol.job import Job
from morphware.protocol.ledger import Bucket, Burned, Escrow, Free, Move, Part, SeatStake
from morphware.protocol.states import Outcome, Verdict
from morphware.protocol.units import BPS, Address, Wei

COMPENSATION_BPS: Final = 5_000
"""The part of a faulty side's bond that the other side gets; the rest burns, or two friends could stage faults."""

MUTUAL_ABORT_BPS: Final = 2_500
"""The part of the bid bond that each side burns when nobody can tell whose fault it was."""

REJECTED_BPS: Final = 3_000
"""The part of the winner's bond that an honest failure burns: a free failure would be a free way out for a shill."""


def settle(job: Job, outcome: Outcome, results: Sequence[SeatResult]) -> list[Move]:
    """Every move that ends a job: seats first, then the pool, the two parties, and the remainders."""
    return [*release_seats(job, results), *settle_parties(job, outcome, results)]


def release_seats(job: Job, results: Sequence[SeatResult]) -> list[Move]:
    """A coherent validator gets its fee; a slash goes to the pool, and a dissolved seat's rest to its owner."""
    moves = []
    for result in results:
        moves.append(Move(_escrow(job, Part.FEES), Free(result.owner), result.fee_wei))
        moves.append(Move(SeatStake(result.seat), _escrow(job, Part.POOL), result.slash_wei))
        if result.is_dissolved:
            moves.append(Move(SeatStake(result.seat), Free(result.owner), result.stake_wei - result.slash_wei))
    return [move for move in moves if move.amount_wei]


def settle_parties(job: Job, outcome: Outcome, results: Sequence[SeatResult]) -> list[Move]:
    """What the winner and the end user get or lose; the row of the table above."""
    pool = Wei(sum(result.slash_wei for result in results))
    fees = Wei(job.terms.seats * job.terms.fee_wei - sum(result.fee_wei for result in results))
    purse = _Purse(job, fees, pool)
    match outcome:
        case Outcome.CANCELLED | Outcome.NO_BIDS:
            pass
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
            if job.tally.verdict is Verdict.NO_TEST:
                purse.burn_rest(Part.USER_BOND)
            purse.pay(Part.RESERVE, job.winner, job.price_wei)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.REJECTED:
            purse.burn(Part.BID_BONDS, job.bond_wei * REJECTED_BPS // BPS)
            purse.pay_rest(Part.BID_BONDS, job.winner)
        case Outcome.INCONCLUSIVE:
            purse.pay_rest(Part.BID_BONDS, job.winner)
            purse.pay(Part.POOL, job.winner, min(pool, job.price_wei))
        case Outcome.NONE:
            raise AssertionError("a job does not end without an outcome")
        case _:
            assert_never(outcome)
    purse.burn_rest(Part.POOL)
    for part in (Part.RESERVE, Part.FEES, Part.USER_BOND):
        purse.pay_rest(part, job.user)
    return purse.moves


class _Purse:
    """A job's escrow while it is being paid out, so that "the rest" needs no arithmetic at each outcome."""

    def __init__(self, job: Job, fees_wei: Wei, pool_wei: Wei) -> None:
        self.moves: list[Move] = []
        self._job = job
        self._left: dict[Part, int] = {
            Part.RESERVE: job.terms.reserve_wei,
            Part.FEES: fees_wei,
            Part.USER_BOND: job.bond_wei,
            Part.BID_BONDS: 0 if job.standing.best is None else job.bond_wei,
            Part.POOL: pool_wei,
        }

    def pay(self, part: Part, account: Address, amount_wei: int) -> None:
        self._take(part, Free(account), amount_wei)

    def burn(self, part: Part, amount_wei: int) -> None:
        self._take(part, Burned(self._job.job_id), amount_wei)

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
