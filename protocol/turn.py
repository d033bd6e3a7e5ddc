"""One call being carried out: what a rule may look at, and the ways in which it may move its job.

A job ends in two steps.  The first fixes its outcome, judges every seat of all its rounds, and seizes the slashes; then
the seats are let go of, ``SWEEP`` a call.  Few jobs have more: those are past their deadline at once, and each poke
settles some more seats.  With the last of them the parties are paid, and the job is CLOSED.
"""

from collections.abc import Callable
from dataclasses import dataclass

from morphware.protocol.chain_events import JobClosed, JobEvent, PokeRewarded, SeatSettled, StateChanged
from morphware.protocol.commitments import Domain, job_id_of
from morphware.protocol.committee import Finding, SeatResult, assess
from morphware.protocol.job import NO_DEADLINE, NO_PRICE, Job
from morphware.protocol.ledger import Escrow, Free, Ledger, Move, Part
from morphware.protocol.parameters import Timing
from morphware.protocol.refusals import Refusal
from morphware.protocol.registry import Registry
from morphware.protocol.settlement import (
    SWEEP,
    bounty,
    burned_by,
    divert,
    paid_price,
    release_seat,
    seize,
    settle_parties,
)
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Address, JobId, Timestamp, Wei

BLOCKHASHES_KEPT = 256
"""The EVM knows the hashes of this many latest blocks."""

Result = list[JobEvent] | Refusal


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is fixed when a market is deployed."""

    timing: Timing
    seat_stake_wei: Wei


@dataclass(frozen=True, slots=True)
class Turn:
    """A call that passed the table: its job, caller and instant, and the market's books."""

    domain: Domain
    parameters: Parameters
    ledger: Ledger
    registry: Registry
    blockhash: Callable[[int], bytes]
    job: Job
    caller: Address
    is_poke: bool
    now: Timestamp
    block: int

    @property
    def timing(self) -> Timing:
        """The market's windows."""
        return self.parameters.timing

    def job_named(self, seed_hash: bytes, train_key_hash: bytes, test_key_hash: bytes) -> JobId:
        """The name that a job of this user with these secrets has: this job's, if they are right."""
        return job_id_of(self.domain, self.job.user, seed_hash, train_key_hash, test_key_hash)

    def enter(self, state: State, duration_s: int) -> StateChanged:
        """The job enters a state with a deadline that counts from now."""
        self.job.state = state
        self.job.deadline = Timestamp(self.now + duration_s)
        return StateChanged(self.job.job_id, state, self.job.deadline)

    def close(self, outcome: Outcome) -> list[JobEvent]:
        """The job ends: its outcome is fixed, and as much of it is settled as fits one call."""
        job = self.job
        assert job.outcome is Outcome.NONE, "a job ends once"
        job.outcome = outcome
        funds = sum(self.ledger.balance(Escrow(job.job_id, part)) for part in (Part.FEES, Part.POOL))
        results = assess(job.rounds, job.terms, self.parameters.seat_stake_wei, self.registry, funds, self.now)
        self.ledger.apply(seize(job, results))
        for result in results:
            if result.strikes is not None:
                self.registry.strikes[result.seat] = result.strikes
        job.slashed_wei = sum(result.slash_wei for result in results)
        job.unsettled = results
        events = self.sweep()
        return events if job.state is State.CLOSED else [*events, self.enter(job.state, 0)]

    def sweep(self) -> list[JobEvent]:
        """Some of the seats are settled; with the last of them the parties are paid, and the job is closed."""
        job = self.job
        swept, job.unsettled = job.unsettled[:SWEEP], job.unsettled[SWEEP:]
        events: list[JobEvent] = [self._release(result) for result in swept]
        if job.unsettled:
            return events
        outcome, paid = job.outcome, NO_PRICE
        if outcome is Outcome.PAID:
            paid = paid_price(job, Finding(job.rounds, job.terms).reference)
        held = {part: self.ledger.balance(Escrow(job.job_id, part)) for part in Part}
        spared = job.terms.reserve_wei // 4 if job.standing.best is not None else 0
        rewards = self.burn(settle_parties(job, outcome, held, paid), spared)
        assert self.ledger.held(job.job_id) == 0, "a closed job holds no money"
        job.state, job.deadline = State.CLOSED, NO_DEADLINE
        return [
            *events,
            *rewards,
            StateChanged(job.job_id, State.CLOSED, NO_DEADLINE),
            JobClosed(job.job_id, outcome, job.winner, paid, self.ledger.burned_by(job.job_id)),
        ]

    def burn(self, moves: list[Move], spared_wei: int) -> list[JobEvent]:
        """Carry out moves that burn; a poker gets its part of it.

        Args:
            spared_wei: how much of what burns does not count: what two friends burn who stage their own failure.
        """
        reward = bounty(burned_by(moves), spared_wei) if self.is_poke else Wei(0)
        self.ledger.apply(divert(moves, Free(self.caller), reward))
        return [PokeRewarded(self.job.job_id, self.caller, reward)] if reward else []

    def past_blockhash(self, number: int) -> bytes:
        """The hash of an earlier block, or, once the EVM has forgotten it, of one that nobody could choose either.

        The newest known block congruent to it modulo 256: for the next 256 blocks it stays the same one, so waiting
        for a better draw costs far more than it could bring.
        """
        newest = self.block - 1
        kept = newest - (newest - number) % BLOCKHASHES_KEPT
        return self.blockhash(kept) if kept >= 0 else bytes(32)

    def _release(self, result: SeatResult) -> SeatSettled:
        fees = self.ledger.balance(Escrow(self.job.job_id, Part.FEES))
        self.ledger.apply(release_seat(self.job, result, self.parameters.seat_stake_wei, fees))
        if result.is_dissolved:
            self.registry.dissolve(result.seat)
        else:
            self.registry.release(result.seat)
        return SeatSettled(self.job.job_id, result.owner, result.fee_wei, result.slash_wei)
