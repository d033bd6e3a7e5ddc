"""The invariants of PROTOCOL.md 5.5, watched after every call: each check names its own."""

from dataclasses import dataclass, field

from morphware.protocol import calls
from morphware.protocol.calls import Call
from morphware.protocol.chain_events import BidOpened, JobAwarded, JobClosed, SeatSettled
from morphware.protocol.commitments import keccak
from morphware.protocol.digest import digest
from morphware.protocol.job import RULES, Job, Party
from morphware.protocol.ledger import Escrow, Part, SeatStake
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Address, JobId
from tests.protocol.market_world import SEAT_STAKE_WEI, TIMING, World

BEFORE_AWARD = (State.BIDDING, State.REVEALING)


def snapshot(world: World) -> object:
    """All that a call could change."""
    market = world.market
    return (
        {job_id: digest(market, job_id) for job_id in market.jobs},
        dict(market.ledger.buckets),
        dict(market.registry.seats),
        list(market.registry.free),
        market.registry.next_seat,
    )


def horizon_s(job: Job) -> int:
    """The most seconds from posting to closing if somebody pokes (PROTOCOL.md 5.2, without the later states)."""
    terms, timing = job.terms, TIMING
    return (
        terms.bidding_s
        + timing.revealing_s
        + timing.keys_s
        + timing.acknowledge_s
        + terms.training_s
        + timing.seed_s
        + timing.keying_s
        + terms.testing_s
        + timing.report_reveal_s
        + timing.appeal_s
        + timing.claim_s
    )


@dataclass
class Watch:
    """Looks at the world after every call; ``attach`` before the first."""

    world: World
    last: object = None
    eligible: dict[JobId, list[tuple[int, int, Address]]] = field(default_factory=dict)
    awarded: dict[JobId, tuple[Address, int]] = field(default_factory=dict)
    models: dict[JobId, object] = field(default_factory=dict)
    closed: dict[JobId, bytes] = field(default_factory=dict)
    paid: set[JobId] = field(default_factory=set)

    def attach(self) -> None:
        self.last = snapshot(self.world)
        self.world.observers.append(self.after)

    def after(self, caller: Address, call: Call, result: object) -> None:
        """Every invariant that a single call can break."""
        now = snapshot(self.world)
        ledger = self.world.market.ledger
        assert ledger.is_conserved(), "I1, I3"
        if isinstance(result, list):
            self._authority(caller, call)
            for event in result:
                self._event(event)
        else:
            assert now == self.last, ("I2", call, result)
        self.last = now
        for job in self.world.market.jobs.values():
            self._job(job)

    def _job(self, job: Job) -> None:
        ledger, job_id = self.world.market.ledger, job.job_id
        if job.state is State.CLOSED:
            assert ledger.held(job_id) == 0, "I5"
            fixed = digest(self.world.market, job_id)
            assert self.closed.setdefault(job_id, fixed) == fixed, "I4"
            return
        holders = job.unopened + (job.standing.best is not None)
        assert ledger.balance(Escrow(job_id, Part.BID_BONDS)) == job.bond_wei * (
            holders if job.state in BEFORE_AWARD else 1
        ), "I10: exactly the bonds of the unopened and of the best are held"
        for seat in job.seats:
            assert ledger.balance(SeatStake(seat)) == SEAT_STAKE_WEI, "I19"
        if job.state not in BEFORE_AWARD:
            award = (job.winner, job.price_wei)
            assert self.awarded.setdefault(job_id, award) == award, "I14"
        if job.model is not None:
            assert self.models.setdefault(job_id, job.model) == job.model, "I14"

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

    def _event(self, event: object) -> None:
        ledger = self.world.market.ledger
        match event:
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
                assert ledger.burned_by(job.job_id) == event.unopened * job.bond_wei, "I11"
            case SeatSettled(slash_wei=slash) if slash:
                job = self.world.job(event.job_id)
                assert event.validator not in job.reports, "I18: only silence is slashed"
                assert (job.has_test_keys, job.has_model_keys) == (True, True), "I18: no slash for a party's default"
            case JobClosed():
                job = self.world.job(event.job_id)
                assert event.job_id not in self.closed, "I4: a job closes once"
                assert (event.price_wei > 0) == (event.outcome is Outcome.PAID), "I8"
                assert event.burned_wei == ledger.burned_by(job.job_id)
                if event.outcome is Outcome.PAID:
                    assert job.model is not None
                    assert keccak(job.y or b"") == job.model.y_hash, "I9"
                assert len(set(job.committee)) == len(job.committee), "I20"
                assert not {job.user, job.winner} & set(job.committee), "I20"
            case _:
                pass
