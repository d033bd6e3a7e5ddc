"""Whoever keeps to the rules is safe from those who do not (I15, I16, I17), whatever they do and however late.

In every life some of the roles are honest: they do the next thing that the protocol asks of them, at any moment before
the deadline, often at the last.  All others belong to one adversary, which withholds, complains, lies and appeals as it
likes, and may do what hostile strangers do.  What is promised is promised where most of the last committee is honest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from morphware.protocol import calls, refusals
from morphware.protocol.calls import Call
from morphware.protocol.chain_events import JobClosed, SeatSettled
from morphware.protocol.job import Job
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import BAD_MODEL, NO_MODEL, NO_TEST, Address, JobId, Wei
from tests.protocol import market_traces
from tests.protocol.market_world import (
    BAD,
    GOOD,
    STRANGER,
    USER,
    VALIDATORS,
    WORKERS,
    World,
    appeal_seats,
    report_of,
)

LIVES = 500
LIES = (GOOD, BAD, BAD_MODEL, NO_MODEL, NO_TEST, 0)


@dataclass
class Life:
    """One job among honest and dishonest parties; the latter mostly report the same, whatever the truth is."""

    random: Random
    world: World
    job_id: JobId
    truth: int
    line: int
    honest: frozenset[Address]
    closed: JobClosed | None = None
    slashed: set[Address] = field(default_factory=set)

    @property
    def job(self) -> Job:
        return self.world.job(self.job_id)

    def listen(self, _caller: Address, _call: Call, result: object) -> None:
        for event in result if isinstance(result, list) else ():
            if isinstance(event, JobClosed) and event.job_id == self.job_id:
                self.closed = event
            elif isinstance(event, SeatSettled) and event.slash_wei:
                self.slashed.add(event.validator)

    def live(self) -> None:
        """Until the job is closed; at the last moment before a deadline all that honest parties still owe is done."""
        for _ in range(1_000):
            if self.job.state is State.CLOSED:
                return
            if self.random.random() < 0.5:
                self.conspire()
            owed = [each for each in self.duties() if each[0] in self.honest]
            if owed and self.random.random() < 0.4:
                self.world.ask(*self.random.choice(owed))
            elif self.random.random() < 0.5:
                self.pass_time()
        raise AssertionError(f"still {self.job.state.name}")

    def pass_time(self) -> None:
        left = self.job.deadline - self.world.now
        if left > 1 and self.random.random() < 0.7:
            self.world.wait(self.random.randrange(1, left))
            return
        self.world.wait(max(0, left - 1), blocks=self.random.choice((0, 1, 4)))
        state, deadline = self.job.state, self.job.deadline
        while (self.job.state, self.job.deadline) == (state, deadline):
            owed = [each for each in self.duties() if each[0] in self.honest]
            if not owed:
                break
            result = self.world.ask(*self.random.choice(owed))
            if not isinstance(result, list):
                assert isinstance(result, refusals.SeedBlockPending), ("an honest party's duty was refused", result)
                self.world.wait(0, blocks=3)
        if (self.job.state, self.job.deadline) == (state, deadline) and state is not State.CLOSED:
            self.world.wait(max(0, deadline - self.world.now), blocks=3)
            self.world.ask(self.random.choice((USER, *WORKERS)), calls.Poke(self.job_id))

    def duties(self) -> Iterator[tuple[Address, Call]]:
        """What each party has to do now, if it keeps to the rules."""
        job, job_id, world = self.job, self.job_id, self.world
        if job.outcome is not Outcome.NONE:
            return  # its seats are being settled
        match job.state:
            case State.AWARDED:
                yield job.user, calls.PostKeys(job_id, b"box")
            case State.KEYED:
                yield job.winner, calls.Acknowledge(job_id)
            case State.KEY_DISPUTE:
                yield job.user, world.disclose_key(job_id)
            case State.TRAINING:
                yield job.winner, world.submission(job_id)
            case State.SEED:
                yield job.user, world.seed(job_id)
            case State.KEYING:
                if not job.rounds[-1].has_test_keys:
                    yield job.user, calls.PostTestKeys(job_id, world.boxes(job_id))
                if not job.rounds[-1].has_model_keys:
                    yield job.winner, calls.PostModelKeys(job_id, world.boxes(job_id))
            case State.X_DISPUTE:
                yield job.winner, world.disclose_x(job_id)
            case State.DISCLOSE:
                call = world.disclose_test(job_id) if job.accused and job.accused.name == "USER" else None
                yield (job.user, call) if call else (job.winner, world.disclose_model(job_id))
            case State.VCOMMIT:
                for each in job.committee:
                    if each not in job.rounds[-1].commitments:
                        commitment = world.remember(job_id, report_of(each, self.truth))
                        yield each, calls.CommitReport(job_id, commitment)
            case State.VREVEAL:
                for each in job.committee:
                    report = world.reports[job_id].get((job.round, each))
                    if report and each in job.rounds[-1].commitments and each not in job.rounds[-1].reports:
                        yield each, calls.RevealReports(job_id, (report,))
            case State.CLAIMABLE:
                yield job.winner, world.claim(job_id)
            case _:
                yield from self.objections()

    def objections(self) -> Iterator[tuple[Address, Call]]:
        """A party appeals a verdict that is wrong and hurts it, as long as it can."""
        job, most = self.job, 2 + (self.job.y is not None)
        seats = appeal_seats(job)
        may = job.appeals_made < most and seats <= 47 and self.world.market.registry.free_seats >= seats
        hurts_user = job.verdict in ((Verdict.NO_TEST,) if self.truth == GOOD else (Verdict.PASS, Verdict.NO_TEST))
        if job.state is State.TALLIED and may and self.world.free(job.user) >= seats * job.terms.fee_wei:
            if hurts_user:
                yield job.user, calls.Appeal(self.job_id)
            if self.truth == GOOD and job.verdict in (Verdict.FAIL, Verdict.NO_MODEL):
                yield job.winner, calls.Appeal(self.job_id)
        may = job.appeals_made <= 2 and seats <= 47 and self.world.market.registry.free_seats >= seats
        if job.state is State.INSPECT and may and self.truth == BAD:
            yield job.user, calls.InspectAppeal(self.job_id)

    def conspire(self) -> None:
        """The adversary does something: its own duty, a lie, a complaint, an appeal, or what any stranger could."""
        job, random = self.job, self.random
        conspirators = [each for each in (USER, *WORKERS[:1], *job.committee) if each not in self.honest]
        if not conspirators:
            return
        liars = [each for each in job.committee if each not in self.honest]
        if job.state is State.VCOMMIT and liars and random.random() < 0.5:
            for liar in liars:
                if liar not in job.rounds[-1].commitments and random.random() < 0.9:
                    metric = random.choice((*(self.line,) * 4, random.choice(LIES)))
                    lie = self.world.remember(self.job_id, report_of(liar, metric))
                    self.world.ask(liar, calls.CommitReport(self.job_id, lie))
            return
        own = [each for each in self.duties() if each[0] not in self.honest and job.state is not State.VCOMMIT]
        if own and random.random() < 0.7:
            self.world.ask(*random.choice(own))
            return
        who = random.choice(conspirators)
        menu: list[Call] = [
            calls.ComplainKey(self.job_id),
            calls.ComplainX(self.job_id),
            calls.ComplainKeys(self.job_id, against_user=random.random() < 0.5),
            calls.Decline(self.job_id),
            calls.Appeal(self.job_id),
            calls.InspectAppeal(self.job_id),
        ]
        self.world.ask(who, random.choice(menu))
        if random.random() < 0.1:
            market_traces.hostile(self.world, random, self.honest)


def life_of(seed: int) -> Life:
    random = Random(f"honest {seed}")
    world = World().found(VALIDATORS[: random.choice((20, 40, 90))])
    share = random.choice((0.0, 0.2, 0.4, 0.6, 1.0))
    honest = {each for each in VALIDATORS if random.random() >= share}
    honest |= {each for each in (USER, WORKERS[0]) if random.random() < 0.7}
    world.do(STRANGER, calls.FundAudits(Wei(random.choice((0, 100)))))
    job_id = world.post(seats=random.choice((1, 3, 5)), reserve_wei=random.choice((20, 35)))
    world.advance(job_id, State.AWARDED, prices=(10, 20))
    life = Life(random, world, job_id, random.choice((GOOD, BAD)), random.choice(LIES), frozenset(honest))
    world.observers.append(life.listen)
    life.live()
    return life


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    return [life_of(seed) for seed in range(LIVES)]


def is_promised(life: Life) -> bool:
    """Most of the last committee is honest, and could report."""
    last = life.job.rounds[-1] if life.job.rounds else None
    if last is None or last.is_aborted:
        return False
    return 2 * sum(each in life.honest for each in last.validators) > len(last.seats)


def outcome(life: Life) -> Outcome:
    assert life.closed is not None
    return life.closed.outcome


def test_an_honest_user_never_pays_for_a_poor_model_and_loses_no_more_than_it_agreed_to(lives: list[Life]) -> None:
    """I15."""
    seen = 0
    for life in lives:
        if USER not in life.honest or not is_promised(life):
            continue
        if life.truth == BAD:
            assert outcome(life) is not Outcome.PAID
            seen += 1
        job = life.job
        bonds = sum(each.seats * job.terms.fee_wei for each in job.appellants if each.account == USER)
        agreed = job.price_wei + job.price_wei // 100 + job.terms.seats * job.terms.fee_wei + bonds
        if outcome(life) is not Outcome.MUTUAL_ABORT:
            assert life.world.worth(USER) >= 10_000 - agreed, outcome(life)
    assert seen >= 5


def test_an_honest_worker_with_a_good_model_gets_its_bond_back_and_is_paid_unless_nobody_tested(
    lives: list[Life],
) -> None:
    """I16."""
    seen = 0
    for life in lives:
        if WORKERS[0] in life.honest and life.truth == GOOD and is_promised(life):
            assert outcome(life) in (Outcome.PAID, Outcome.USER_FAULT, Outcome.INCONCLUSIVE)
            assert life.job.appeals_made or life.world.worth(WORKERS[0]) >= 10_000
            seen += 1
    assert seen >= 5


def test_an_honest_validator_is_never_slashed(lives: list[Life]) -> None:
    """I17; and I18: where a party cut the last round short, nobody is slashed for that round."""
    seen = 0
    for life in lives:
        everybody = {owner for each in life.job.rounds for owner in each.validators}
        if is_promised(life) or (life.job.rounds and life.job.rounds[-1].is_aborted):
            seen += len(everybody & life.honest)
            assert not life.slashed & life.honest, life.job.rounds
    assert seen >= 100


def test_the_lives_were_not_dull(lives: list[Life]) -> None:
    assert {outcome(life) for life in lives} >= {
        Outcome.PAID,
        Outcome.REJECTED,
        Outcome.WORKER_FAULT,
        Outcome.USER_FAULT,
    }
    assert max(life.job.appeals_made for life in lives) >= 2
    assert sum(life.job.is_audited for life in lives) >= 5
    assert any(life.job.is_audited and life.job.appeals_made for life in lives)
    assert any(life.slashed for life in lives)
    assert any(not is_promised(life) and life.slashed & life.honest for life in lives), "where it is not promised"
