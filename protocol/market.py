"""The market as a pure machine: the executable specification of the contracts.

``execute(caller, call, now, block)`` is one transaction.  It returns the events that the contract would emit, or the
refusal that it would revert with; a refused call changes nothing.  Nothing else changes the market: time passes only
as the argument ``now``, and what a deadline brings about is done by whoever pokes.

Every call on a job passes the same gates in the same order, and only then reaches its rule:

1. the job's state has a row for the call in ``job.TABLE`` (else WrongState; an unknown job is in state NONE), and the
   first committee gets its keys before it tests, not later;
2. an action is before the deadline (else TooLate), a poke is not (else TooEarly);
3. the caller is the party that the row names (else WrongCaller).

Calls are well-formed: values that the ABI cannot carry (a negative price, a hash of 31 bytes) raise ValueError here, as
no transaction could be encoded from them.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from morphware.protocol import calls, rules
from morphware.protocol.calls import Call, JobCall, Multicall, Option, Post, Terms
from morphware.protocol.chain_events import ChainEvent, JobPosted, NodePublished, StateChanged
from morphware.protocol.commitments import Domain, job_id_of
from morphware.protocol.job import NOBODY, RULES, Job, Party
from morphware.protocol.ledger import AuditPool, Escrow, Free, Ledger, Move, Part, SeatStake
from morphware.protocol.refusals import (
    BadTerms,
    BoxTooLarge,
    InsufficientBalance,
    JobExists,
    NotEnoughSeats,
    Refusal,
    SeatBonding,
    SeatBusy,
    SeatNotLeaving,
    SeatNotYours,
    TooEarly,
    TooLate,
    WrongCaller,
    WrongState,
)
from morphware.protocol.registry import NEVER, SPARSEST, Registry, Seat
from morphware.protocol.states import Outcome, State
from morphware.protocol.turn import Parameters, Turn
from morphware.protocol.units import Address, JobId, Timestamp, Wei

SPEC_MOST_BYTES: Final = 8 * 1024
"""The encoded specification: magnet links, sizes and hashes of three files, and a few short texts."""

ADDRESSES_MOST: Final = 8
ADDRESS_MOST_BYTES: Final = 200
"""A node publishes few multiaddresses, and none of them is long."""

SEATS_MOST: Final = 11
"""The largest first committee: its settlement has to fit one transaction."""

BOXES: Final = (calls.PostTestKeys, calls.PostModelKeys)

RESERVE_MOST_SHARE: Final = 4
"""The reserve is at most a quarter of what a committee and one more seat stake: the rule of stakes below."""

RESERVE_LEAST_SHARE: Final = 32
"""The reserve is at least a 32nd of what a committee and one more seat stake, which is an eighth of its most."""

FEE_LEAST_SHARE: Final = 100
"""A validator's fee is at least a hundredth of its stake."""

WINDOW_MOST_S: Final = 30 * 24 * 3600
"""The longest window that a job may set: bonds and seats are held through all of them."""


@dataclass(slots=True)
class Market:
    """All jobs, all seats and all money of one deployed market.

    ``blockhash`` answers for the latest 256 blocks, as the EVM does; it is the only thing that the market asks of the
    chain, and it is an argument.
    """

    domain: Domain
    parameters: Parameters
    blockhash: Callable[[int], bytes]
    ledger: Ledger = field(default_factory=Ledger)
    registry: Registry = field(default_factory=Registry)
    jobs: dict[JobId, Job] = field(default_factory=dict)

    def execute(
        self, caller: Address, call: Call | Multicall, now: Timestamp, block: int
    ) -> list[ChainEvent] | Refusal:
        """One transaction: its events, or why it was refused."""
        if not isinstance(call, Multicall):
            return self._carry_out(caller, call, now, block)
        before = deepcopy((self.ledger, self.registry, self.jobs))
        events: list[ChainEvent] = []
        for each in call.calls:
            result = self._carry_out(caller, each, now, block)
            if not isinstance(result, list):  # all of them, or none
                self.ledger, self.registry, self.jobs = before
                return result
            events += result
        return events

    def _carry_out(self, caller: Address, call: Call, now: Timestamp, block: int) -> list[ChainEvent] | Refusal:
        match call:
            case calls.Approve():
                return []  # the token's business: the market sees only the deposit that follows
            case calls.Deposit():
                self.ledger.deposit(caller, call.amount_wei)
                return []
            case calls.Withdraw():
                return self._withdraw(caller, call.amount_wei)
            case calls.Stake():
                return self._stake(caller, call.count, now)
            case calls.RequestUnstake():
                return self._request_unstake(caller, call.seat, now)
            case calls.Unstake():
                return self._unstake(caller, call.seat, now)
            case calls.FundAudits():
                return self._fund_audits(caller, call.amount_wei)
            case calls.PublishNode():
                return _publish(caller, call)
            case Post():
                return self._post(caller, call, now)
            case _:
                return self._act(caller, call, now, block)

    def _withdraw(self, caller: Address, amount_wei: int) -> list[ChainEvent] | Refusal:
        balance = self.ledger.free(caller)
        if amount_wei > balance:
            return InsufficientBalance(caller, balance, Wei(amount_wei))
        self.ledger.withdraw(caller, amount_wei)
        return []

    def _fund_audits(self, caller: Address, amount_wei: int) -> list[ChainEvent] | Refusal:
        """Anybody may pay for random audits; nobody has it back."""
        balance = self.ledger.free(caller)
        if amount_wei > balance:
            return InsufficientBalance(caller, balance, Wei(amount_wei))
        self.ledger.apply([Move(Free(caller), AuditPool(), amount_wei)])
        return []

    def _stake(self, caller: Address, count: int, now: Timestamp) -> list[ChainEvent] | Refusal:
        if count == 0:
            return BadTerms("count")
        each = self.parameters.seat_stake_wei
        balance = self.ledger.free(caller)
        if balance < count * each:
            return InsufficientBalance(caller, balance, Wei(count * each))
        for _ in range(count):
            self.ledger.apply([Move(Free(caller), SeatStake(self.registry.add(caller, now)), each)])
        return []

    def _request_unstake(self, caller: Address, seat: int, now: Timestamp) -> list[ChainEvent] | Refusal:
        """The seat is not drawn any more; if it sits already, it does so to the end."""
        record = self._own_seat(caller, seat)
        if not isinstance(record, Seat):
            return record
        if record.free_at != NEVER:
            return SeatBonding(seat, record.free_at)
        self.registry.leave(seat, Timestamp(now + self.parameters.timing.unbonding_s))
        return []

    def _unstake(self, caller: Address, seat: int, now: Timestamp) -> list[ChainEvent] | Refusal:
        """A seat that has waited long enough, and serves no job, becomes free balance."""
        record = self._own_seat(caller, seat)
        if not isinstance(record, Seat):
            return record
        if record.free_at == NEVER:
            return SeatNotLeaving(seat)
        if record.is_busy:
            return SeatBusy(seat)
        if now < record.free_at:
            return SeatBonding(seat, record.free_at)
        self.registry.dissolve(seat)
        self.ledger.apply([Move(SeatStake(seat), Free(caller), self.parameters.seat_stake_wei)])
        return []

    def _own_seat(self, caller: Address, seat: int) -> Seat | Refusal:
        record = self.registry.seats.get(seat)
        if record is None or record.owner != caller:
            return SeatNotYours(seat, NOBODY if record is None else record.owner)
        return record

    def _post(self, caller: Address, call: Post, now: Timestamp) -> list[ChainEvent] | Refusal:
        """A job is posted with its reserve, its fees and the user's bond, all of which it must be able to cover.

        There have to be seats for its committee and, beside it, for the first appeal: whoever has the last word could
        say what it likes.  And not too few of all numbers may be free seats, or draws would miss.
        """
        terms = call.terms
        bad_field = self._bad_field(terms)
        if bad_field is not None:
            return BadTerms(bad_field)
        if len(call.spec) > SPEC_MOST_BYTES:
            return BoxTooLarge(len(call.spec), SPEC_MOST_BYTES)
        job_id = job_id_of(self.domain, caller, terms.seed_hash, terms.train_key_hash, terms.test_key_hash)
        if job_id in self.jobs:
            return JobExists(job_id)
        free, numbers = self.registry.free_seats, self.registry.next_seat
        for needed in (3 * terms.seats + 1, -(-numbers // SPARSEST), self.registry.busy_seats):
            if free < needed:
                return NotEnoughSeats(free, needed)
        job = Job(job_id, caller, terms, posted_at=now, seat_span=numbers)
        job.is_train_key_public = job.is_test_key_public = bool(terms.options & Option.PUBLIC)
        fees = terms.seats * terms.fee_wei
        needed = terms.reserve_wei + fees + job.bond_wei
        balance = self.ledger.free(caller)
        if balance < needed:
            return InsufficientBalance(caller, balance, Wei(needed))
        self.ledger.apply(
            Move(Free(caller), Escrow(job_id, part), amount)
            for part, amount in (
                (Part.RESERVE, terms.reserve_wei),
                (Part.FEES, fees),
                (Part.USER_BOND, job.bond_wei),
            )
        )
        self.jobs[job_id] = job
        job.deadline = Timestamp(now + terms.bidding_s)
        return [JobPosted(job_id, caller, terms, call.spec), StateChanged(job_id, job.state, job.deadline)]

    def _bad_field(self, terms: Terms) -> str | None:
        """The first field that breaks a rule.

        The rule of stakes makes a captured bare majority of the committee lose at least the reserve: half of the stake
        of (seats + 1) / 2 seats, which is what is slashed of outliers.

        Whoever has a committee drawn keeps other people's seats busy.  The floors make that cost its fees, or, where it
        does not test, what both parties burn, which is a quarter of the reserve.

        A committee that has no time to test is slashed for its silence, and the winner is paid its slashes: it has no
        less time than what the market itself finds enough for sending one transaction.
        """
        if terms.reserve_wei <= 0:
            return "reserve"
        if terms.seats % 2 == 0 or not 1 <= terms.seats <= SEATS_MOST:
            return "seats"
        for name, duration in (
            ("biddingSeconds", terms.bidding_s),
            ("trainingSeconds", terms.training_s),
            ("testingSeconds", terms.testing_s),
        ):
            if not 0 < duration <= WINDOW_MOST_S:
                return name
        if terms.testing_s < self.parameters.timing.report_reveal_s:
            return "testingSeconds"
        stakes_wei = self.parameters.seat_stake_wei * (terms.seats + 1)
        if not RESERVE_MOST_SHARE * terms.reserve_wei <= stakes_wei <= RESERVE_LEAST_SHARE * terms.reserve_wei:
            return "reserve"
        if FEE_LEAST_SHARE * terms.fee_wei < self.parameters.seat_stake_wei:
            return "fee"
        both = Option.PUBLIC | Option.SPLIT  # keys that are public cannot be withheld from a worker
        if terms.options > Option.LINEAR | Option.SPLIT or terms.options & both == both:
            return "options"
        if terms.options & Option.LINEAR:
            return "baseline" if terms.baseline_e6 >= terms.threshold_e6 else None
        return None if terms.baseline_e6 == 0 else "baseline"

    def _act(self, caller: Address, call: JobCall, now: Timestamp, block: int) -> list[ChainEvent] | Refusal:
        """The gates of the table, then the rule, then the table once more."""
        assert not isinstance(call, Post)
        job = self.jobs.get(call.job_id)
        if job is None:
            return WrongState(call.job_id, State.NONE)
        row = RULES.get((job.state, type(call)))
        if row is None or (job.state is State.VCOMMIT and job.round == 0 and isinstance(call, BOXES)):
            return WrongState(job.job_id, job.state)
        if isinstance(call, calls.Poke):
            if now < job.deadline:
                return TooEarly(job.job_id, job.deadline, now)
        elif now >= job.deadline:
            return TooLate(job.job_id, job.deadline, now)
        wanted = {Party.USER: job.user, Party.WINNER: job.winner}.get(row.party, caller)
        if caller != wanted:
            return WrongCaller(caller, wanted)
        is_poke = isinstance(call, calls.Poke)
        turn = Turn(
            self.domain, self.parameters, self.ledger, self.registry, self.blockhash, job, caller, is_poke, now, block
        )
        result = rules.apply(turn, call)
        if isinstance(result, list):
            state = job.state if job.outcome is Outcome.NONE else State.CLOSED
            assert state in row.leads_to, f"{row} does not lead to {state.name}"
            return [*result]
        return result


def _publish(caller: Address, call: calls.PublishNode) -> list[ChainEvent] | Refusal:
    if len(call.addresses) > ADDRESSES_MOST:
        return BoxTooLarge(len(call.addresses), ADDRESSES_MOST)
    for address in call.addresses:
        if len(address.encode()) > ADDRESS_MOST_BYTES:
            return BoxTooLarge(len(address.encode()), ADDRESS_MOST_BYTES)
    return [NodePublished(caller, call.encryption_key, call.peer_key, call.addresses)]
