"""The invariants of PROTOCOL.md 5.5, watched after every call: each check names its own.

Those about honest parties (I15, I16, I17) need to know who is honest, and those about several traces (I12, I23, I24)
compare them: they have tests of their own.  I25 is the differential test.
"""

from dataclasses import dataclass, field

from morphware.protocol import calls
from morphware.protocol.calls import Call
from morphware.protocol.chain_events import (
    Appealed,
    AppealUnheard,
    Audited,
    BidOpened,
    CommitteeDrawn,
    JobAwarded,
    JobClosed,
    JobPosted,
    PokeRewarded,
    RoundTallied,
    SeatSettled,
)
from morphware.protocol.commitments import keccak
from morphware.protocol.digest import digest
from morphware.protocol.drawing import MOST_WAITS
from morphware.protocol.job import NOBODY, RULES, Job, Party
from morphware.protocol.ledger import Escrow, Part, SeatStake
from morphware.protocol.settlement import SWEEP
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId
from tests.protocol.market_world import TIMING, World

BEFORE_AWARD = (State.BIDDING, State.REVEALING)
EXITS = (Outcome.USER_FAULT, Outcome.WORKER_FAULT, Outcome.MUTUAL_ABORT, Outcome.REJECTED)
"""Ways out after the award in which the price is not paid although somebody could have had it."""


def snapshot(world: World) -> object:
    """All that a call could change."""
    market = world.market
    registry = market.registry
    return (
        {job_id: digest(market, job_id) for job_id in market.jobs},
        dict(market.ledger.buckets),
        {number: (seat.owner, seat.since, seat.free_at, seat.is_busy) for number, seat in registry.seats.items()},
        (registry.next_seat, registry.free_seats, registry.busy_seats, list(registry.freed), dict(registry.strikes)),
    )


def horizon_s(job: Job) -> int:
    """The most seconds from posting to closing if somebody pokes at every deadline (PROTOCOL.md 5.2)."""
    terms, timing = job.terms, TIMING
    draw_s = sum(timing.draw_s << 2 * waits for waits in range(MOST_WAITS + 1))
    commit_and_reveal = draw_s + terms.testing_s + timing.report_reveal_s
    return (
        terms.bidding_s
        + timing.revealing_s
        + timing.keys_s
        + 2 * timing.acknowledge_s
        + timing.dispute_s
        + terms.training_s
        + timing.seed_s
        + draw_s
        + timing.keying_s
        + (timing.dispute_s + timing.keying_s)
        + 2 * (timing.dispute_s + terms.testing_s)
        + 5 * (commit_and_reveal + timing.appeal_s)
        + commit_and_reveal
        + timing.claim_s
        + timing.inspect_s
    )


@dataclass
class Watch:
    """Looks at the world after every call; ``attach`` before the first."""

    world: World
    last: object = None
    eligible: dict[JobId, list[tuple[int, int, Address]]] = field(default_factory=dict)
    awarded: dict[JobId, tuple[Address, int]] = field(default_factory=dict)
    splits: dict[JobId, bytes] = field(default_factory=dict)
    models: dict[JobId, object] = field(default_factory=dict)
    rounds: dict[JobId, list[dict[int, Address]]] = field(default_factory=dict)
    outcomes: dict[JobId, Outcome] = field(default_factory=dict)
    settled: dict[JobId, list[Address]] = field(default_factory=dict)
    closed: dict[JobId, bytes] = field(default_factory=dict)
    unopened_wei: dict[JobId, int] = field(default_factory=dict)
    rewarded_wei: dict[JobId, int] = field(default_factory=dict)
    audited: dict[JobId, int] = field(default_factory=dict)
    audit_pool_wei: int = 0

    def attach(self) -> None:
        self.last = snapshot(self.world)
        self.audit_pool_wei = self.world.market.ledger.audit_pool()
        self.world.observers.append(self.after)

    def after(self, caller: Address, call: Call, result: object) -> None:
        """Every invariant that a single call can break."""
        now = snapshot(self.world)
        market = self.world.market
        assert market.ledger.is_conserved(), "I1, I3"
        registry = market.registry
        assert registry.free_seats == sum(seat.is_free for seat in registry.seats.values())
        assert registry.busy_seats == sum(seat.is_busy for seat in registry.seats.values())
        assert registry.busy_seats == sum(map(_seats_held, market.jobs.values())), "each of them sits in one job"
        assert len(registry.seats) + len(registry.freed) == registry.next_seat
        if isinstance(result, list):
            self._authority(caller, call)
            assert sum(isinstance(event, SeatSettled) for event in result) <= SWEEP
            for event in result:
                self._event(event, caller, call)
            self._audit_pool(call, result)
        else:
            assert now == self.last, ("I2", call, result)
        self.last = now
        for job in market.jobs.values():
            self._job(job)

    def _audit_pool(self, call: Call, result: list[object]) -> None:
        """The audit pool is fed by gifts and closing jobs, and pays for audits alone: three fees each, once a job.

        An audit that no committee could be drawn for is paid back at once, and an appeal pays for what it kept busy.
        """
        before, now = self.audit_pool_wei, self.world.market.ledger.audit_pool()
        self.audit_pool_wei = now
        before += sum(event.kept_wei for event in result if isinstance(event, AppealUnheard))
        match call, [event for event in result if isinstance(event, Audited | JobClosed)]:
            case calls.FundAudits(), []:
                assert now == before + call.amount_wei
            case _, [Audited() as audited]:
                job = self.world.job(audited.job_id)
                assert isinstance(call, calls.Poke)
                assert 0 < audited.bond_wei == 3 * job.terms.fee_wei == before - now
            case _, [JobClosed() as closed]:
                job = self.world.job(closed.job_id)
                own = closed.price_wei // 100 + job.slashed_wei // 5
                back = sum(3 * job.terms.fee_wei for each in job.appellants if each.is_audit)
                assert 0 <= now - before <= own + back
            case _:
                assert now == before, call

    def _job(self, job: Job) -> None:
        ledger, job_id = self.world.market.ledger, job.job_id
        assert self.outcomes.setdefault(job_id, job.outcome) in (Outcome.NONE, job.outcome), "I4"
        self.outcomes[job_id] = job.outcome
        if job.state is State.CLOSED:
            assert ledger.held(job_id) == 0, "I5"
            fixed = digest(self.world.market, job_id)
            assert self.closed.setdefault(job_id, fixed) == fixed, "I4"
            return
        holders = job.unopened + (job.standing.best is not None)
        assert ledger.balance(Escrow(job_id, Part.BID_BONDS)) == job.bond_wei * (
            holders if job.state in BEFORE_AWARD else 1
        ), "I10: exactly the bonds of the unopened and of the best are held"
        if job.outcome is Outcome.NONE:
            for each in job.rounds:
                for seat, owner in each.seats.items():
                    record = self.world.market.registry.seats[seat]
                    assert (record.owner, record.is_busy) == (owner, True), "I19"
                    assert ledger.balance(SeatStake(seat)) == self.world.market.parameters.seat_stake_wei, "I19"
        if job.state not in BEFORE_AWARD:
            award = (job.winner, job.price_wei)
            assert self.awarded.setdefault(job_id, award) == award, "I14"
        if job.split_seed is not None:
            assert self.splits.setdefault(job_id, job.split_seed) == job.split_seed, "a split is drawn once"
        assert not job.is_split or job.split_seed or job.state in (*BEFORE_AWARD, State.AWARDED), "no keys before it"
        if job.model is not None:
            assert self.models.setdefault(job_id, job.model) == job.model, "I14"
        drawn = [each.seats for each in job.rounds]
        before = self.rounds.get(job_id, [])
        assert drawn[: len(before)] == before, "I14: a drawn committee stays"
        self.rounds[job_id] = [dict(each) for each in drawn]

    def _authority(self, caller: Address, call: Call) -> None:
        job = self.world.market.jobs.get(getattr(call, "job_id", JobId(b"")))
        if job is None:
            return
        parties = {row.party for row in RULES.values() if row.call is type(call)}
        if parties == {Party.USER}:
            assert caller == job.user, "I13"
        elif parties == {Party.WINNER}:
            assert caller == job.winner, "I13"
        elif parties == {Party.VALIDATOR}:
            assert caller in job.committee, "I13"
        assert not (isinstance(call, calls.Commit) and caller == job.user), "I13"

    def _event(self, event: object, caller: Address, call: Call) -> None:
        ledger = self.world.market.ledger
        match event:
            case JobPosted():
                free = self.world.market.registry.free_seats
                assert free >= self.world.market.registry.busy_seats, "nobody is let in while most seats sit"
                assert free > 3 * event.terms.seats
            case BidOpened():
                job = self.world.job(event.job_id)
                sequence = job.bids[event.bidder, event.commitment].sequence
                may_win = event.is_authentic and 0 < event.price_wei <= job.terms.reserve_wei
                if may_win and 0 < event.estimated_s <= job.terms.training_s:
                    self.eligible.setdefault(job.job_id, []).append((event.price_wei, sequence, event.bidder))
            case JobAwarded():
                job = self.world.job(event.job_id)
                ranked = sorted(self.eligible[job.job_id])
                price = ranked[1][0] if len(ranked) > 1 else job.terms.reserve_wei
                assert (event.winner, event.bid_wei, event.price_wei) == (ranked[0][2], ranked[0][0], price), "I8"
                assert event.bid_wei <= event.price_wei <= job.terms.reserve_wei, "I8"
                lost = ledger.burned_by(job.job_id) + self.rewarded_wei.get(job.job_id, 0)
                assert lost == event.unopened * job.bond_wei, "I11"
                self.unopened_wei[job.job_id] = lost
            case RoundTallied():
                job = self.world.job(event.job_id)
                assert event.round == job.round
                assert event.verdict in (Verdict.NONE, job.verdict), "a round's finding is the job's verdict"
            case Appealed():
                job = self.world.job(event.job_id)
                assert event.appellant == caller
                is_first_since = job.is_audited and job.appeals_made == 1
                doubted = self.audited[job.job_id] if is_first_since else len(job.committee)
                assert event.seats == 2 * doubted + 1, "an audit's committee does not count"
                assert job.appeals_made <= 3
            case CommitteeDrawn():
                self._drawn(event)
            case AppealUnheard():
                self._unheard(event, call)
            case Audited():
                job = self.world.job(event.job_id)
                assert job.job_id not in self.audited, "one a job"
                self.audited[job.job_id] = len(job.committee)
                assert (event.seats, len(job.appellants), job.is_audited) == (3, 1, True)
                found = [each.tally(job.terms).verdict for each in job.rounds]
                assert found[-1] is job.verdict, "what is audited is the first finding"
                assert job.verdict in (Verdict.PASS, Verdict.FAIL)
                assert set(found[:-1]) <= {Verdict.NONE}
                free = self.world.market.registry.free_seats
                assert free >= max(3, self._elsewhere(job)), "no audit is made that would have to wait"
            case PokeRewarded():
                assert isinstance(call, calls.Poke)
                assert event.poker == caller
                self.rewarded_wei[event.job_id] = self.rewarded_wei.get(event.job_id, 0) + event.amount_wei
            case SeatSettled():
                self._seat_settled(event)
            case JobClosed():
                self._closed(event)
            case _:
                pass

    def _drawn(self, event: CommitteeDrawn) -> None:
        job, registry = self.world.job(event.job_id), self.world.market.registry
        assert event.round == job.round
        wanted = job.next_seats if event.round else job.terms.seats
        assert len(set(event.validators)) == len(event.validators) == wanted, "a committee is whole"
        assert registry.free_seats + wanted >= self._elsewhere(job), "none is drawn while most seats sit in other jobs"

    def _elsewhere(self, job: Job) -> int:
        return self.world.market.registry.busy_seats - job.seats_drawn

    def _unheard(self, event: AppealUnheard, call: Call) -> None:
        """What is undone was the last doubt of the finding that stands; who doubted pays for the seats that waited."""
        job = self.world.job(event.job_id)
        assert isinstance(call, calls.Poke)
        assert job.rounds, "without a first committee there is nothing to doubt"
        assert event.bond_wei == job.next_seats * job.terms.fee_wei
        sat = sum(len(each.seats) for each in job.rounds) * job.terms.fee_wei
        assert event.kept_wei == (event.bond_wei if event.appellant == NOBODY else min(event.bond_wei, sat))
        assert all(each.round < job.round for each in job.appellants)
        assert job.outcome is not Outcome.NONE or job.state is State.CLAIMABLE, "the verdict stands"

    def _seat_settled(self, event: SeatSettled) -> None:
        job = self.world.job(event.job_id)
        assert job.outcome is not Outcome.NONE, "I19: settled only when no verdict can change"
        settled = self.settled.setdefault(event.job_id, [])
        assert event.validator not in settled, "I19: settled exactly once"
        settled.append(event.validator)
        [each] = [each for each in job.rounds if event.validator in each.validators]
        if event.slash_wei:
            assert not each.is_aborted, "I18: no slash for a party's default"
            assert event.fee_wei == 0
        if event.fee_wei:
            assert event.validator in each.reports
            assert event.fee_wei <= job.terms.fee_wei

    def _closed(self, event: JobClosed) -> None:
        job = self.world.job(event.job_id)
        assert event.job_id not in self.closed, "I4: a job closes once"
        assert event.outcome is self.outcomes.get(event.job_id, event.outcome) or not self.outcomes[event.job_id], "I4"
        assert event.burned_wei == self.world.market.ledger.burned_by(job.job_id)
        assert 0 <= event.price_wei <= job.price_wei, "I8"
        if event.outcome is not Outcome.PAID:
            assert event.price_wei == 0, "I8"
        else:
            assert event.winner == job.winner, "I8"
            assert event.price_wei == job.price_wei or job.is_linear, "I8"
            assert keccak(job.y or b"") == job.submitted.root.y_hash, "I9"
        everybody = [owner for each in job.rounds for owner in each.validators]
        assert len(set(everybody)) == len(everybody), "I20"
        assert not {job.user, job.winner} & set(everybody), "I20"
        assert self.settled.get(job.job_id, []) == everybody, "in the order of the draws, all of them"
        for each in job.rounds:
            assert len(each.seats) % 2 == 1
        if event.outcome in EXITS:
            self._exit_burns(job, event)
        elif event.outcome is Outcome.INCONCLUSIVE:
            self._nobody_reported(job)
        else:
            assert event.outcome in (Outcome.PAID, Outcome.CANCELLED, Outcome.NO_BIDS), "I22 knows every other exit"

    def _exit_burns(self, job: Job, event: JobClosed) -> None:
        """I22: no way out of an awarded job is free for the end user and its own winner.

        What burned since the award, without the pool of validators and appellants, is at least what the outcome's row
        of the table says.  A quarter of the reserve is its floor in round numbers; the divisions round in favour of the
        parties by less than two wei, and REJECTED burns less but costs the fees of a committee that measured.
        """
        since = event.burned_wei + self.rewarded_wei.get(job.job_id, 0) - self.unopened_wei.get(job.job_id, 0)
        assert job.standing.best is not None, "exits follow the award"
        if event.outcome is Outcome.REJECTED:
            assert since >= job.bond_wei * 3_000 // 10_000, "I22"
        else:
            assert since + 2 >= job.terms.reserve_wei // 4, "I22"

    def _nobody_reported(self, job: Job) -> None:
        """I22: the one exit that burns nothing is paid for by seats that were drawn and stayed silent, as most did."""
        assert job.rounds, "scarce seats are no free way out"
        for each in job.rounds:
            assert 2 * len(each.reports) < len(each.seats)
            assert not each.is_aborted


def _seats_held(job: Job) -> int:
    """Seats that a job has not let go of."""
    return job.seats_drawn if job.outcome is Outcome.NONE else len(job.unsettled)
