"""One call being carried out: what a rule may look at, and the two ways in which it may move its job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from morphware.protocol.chain_events import JobClosed, JobEvent, SeatSettled, StateChanged
from morphware.protocol.commitments import Domain
from morphware.protocol.committee import Registry, SeatResult
from morphware.protocol.job import NO_DEADLINE, NO_PRICE, Job
from morphware.protocol.ledger import Ledger
from morphware.protocol.parameters import Timing
from morphware.protocol.refusals import Refusal
from morphware.protocol.settlement import settle
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Address, Timestamp, Wei

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
    now: Timestamp
    block: int

    @property
    def timing(self) -> Timing:
        """The market's windows."""
        return self.parameters.timing

    def enter(self, state: State, duration_s: int) -> StateChanged:
        """The job enters a state with a deadline that counts from now."""
        self.job.state = state
        self.job.deadline = Timestamp(self.now + duration_s)
        return StateChanged(self.job.job_id, state, self.job.deadline)

    def close(self, outcome: Outcome, results: Sequence[SeatResult] = ()) -> list[JobEvent]:
        """The job ends: every bucket of it is emptied, once, and its seats go back."""
        job = self.job
        self.ledger.apply(settle(job, outcome, results))
        assert self.ledger.held(job.job_id) == 0, "a closed job holds no money"
        events: list[JobEvent] = []
        for result in results:
            if result.is_dissolved:
                self.registry.dissolve(result.seat)
            else:
                self.registry.free.append(result.seat)
            events.append(SeatSettled(job.job_id, result.owner, result.fee_wei, result.slash_wei))
        job.state, job.deadline, job.outcome = State.CLOSED, NO_DEADLINE, outcome
        events.append(StateChanged(job.job_id, State.CLOSED, NO_DEADLINE))
        events.append(
            JobClosed(
                job.job_id,
                outcome,
                job.winner,
                job.price_wei if outcome is Outcome.PAID else NO_PRICE,
                self.ledger.burned_by(job.job_id),
            )
        )
        return events

    def seed_blockhash(self, seed_block: int) -> bytes:
        """The hash of the seed block, or, once the EVM has forgotten it, of a block that nobody could choose either.

        The newest known block congruent to the seed block modulo 256: for the next 256 blocks it stays the same one,
        so waiting for a better draw costs the user far more than the window of this state allows.
        """
        newest = self.block - 1
        return self.blockhash(newest - (newest - seed_block) % BLOCKHASHES_KEPT)
