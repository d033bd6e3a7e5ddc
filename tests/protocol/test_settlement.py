"""Settlement empties a job to the wei, whatever the amounts: nothing is made, nothing stays, remainders burn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.protocol.auction import Bid, Standing
from morphware.protocol.calls import Option
from morphware.protocol.committee import SeatResult, Tally
from morphware.protocol.job import NOBODY, Appellant, Job
from morphware.protocol.ledger import Burned, Escrow, Free, Ledger, Move, Part, SeatStake
from morphware.protocol.settlement import bounty, burned_by, divert, paid_price, release_seat, seize, settle_parties
from morphware.protocol.states import Outcome, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from tests.protocol.market_world import STRANGER, USER, VALIDATORS, WORKERS, terms_of

JOB_ID = JobId(bytes(32))
WITHOUT_WINNER = (Outcome.CANCELLED, Outcome.NO_BIDS)
WITH_WINNER = tuple(set(Outcome) - {Outcome.NONE, *WITHOUT_WINNER})


def job_of(outcome: Outcome, reserve: int, fee: int, price: int, verdict: Verdict = Verdict.PASS) -> Job:
    job = Job(JOB_ID, USER, terms_of(reserve_wei=reserve, fee_wei=fee), Timestamp(0), seat_span=0)
    if outcome not in WITHOUT_WINNER:
        job.standing = Standing(Bid(Wei(min(price, 1)), 0, WORKERS[0], 40, bytes(32)))
        job.price_wei = Wei(price)
    job.verdict = verdict
    return job


def settled(job: Job, outcome: Outcome, results: list[SeatResult], stake_wei: int = 70, pool_wei: int = 0) -> Ledger:
    """The ledger after a job that held exactly what the rules say it holds."""
    ledger = Ledger()
    ledger.deposit(USER, 2**100)
    held = {
        Part.RESERVE: job.terms.reserve_wei,
        Part.FEES: job.terms.seats * job.terms.fee_wei,
        Part.USER_BOND: job.bond_wei,
        Part.BID_BONDS: 0 if job.standing.best is None else job.bond_wei,
        Part.POOL: pool_wei,
    }
    ledger.apply(Move(Free(USER), Escrow(JOB_ID, part), amount) for part, amount in held.items())
    ledger.apply(Move(Free(USER), SeatStake(result.seat), stake_wei) for result in results)
    ledger.withdraw(USER, ledger.free(USER))
    ledger.apply(seize(job, results))
    job.slashed_wei += sum(result.slash_wei for result in results)
    for result in results:
        ledger.apply(release_seat(job, result, stake_wei, ledger.balance(Escrow(JOB_ID, Part.FEES))))
    left = {part: ledger.balance(Escrow(JOB_ID, part)) for part in Part}
    ledger.apply(settle_parties(job, outcome, left, job.price_wei if outcome is Outcome.PAID else Wei(0)))
    assert ledger.is_conserved()
    assert ledger.held(JOB_ID) == 0
    assert ledger.free(NOBODY) == 0
    return ledger


@given(
    st.sampled_from(tuple(set(Outcome) - {Outcome.NONE})),
    st.sampled_from((Verdict.PASS, Verdict.NO_TEST)),
    st.integers(1, 2**96 - 1),
    st.integers(0, 2**80),
    st.data(),
)
def test_every_outcome_empties_the_job_and_makes_no_money(
    outcome: Outcome, verdict: Verdict, reserve: int, fee: int, data: st.DataObject
) -> None:
    job = job_of(outcome, reserve, fee, data.draw(st.integers(1, reserve)), verdict)
    stake, pool = data.draw(st.integers(5, 2**90)), data.draw(st.integers(0, 2**85))
    for account in data.draw(st.lists(st.sampled_from((USER, STRANGER, WORKERS[0], NOBODY)), max_size=3)):
        job.appellants.append(Appellant(account, 11, data.draw(st.sampled_from(list(Verdict))), 0))
    kinds = data.draw(st.lists(st.sampled_from(("paid", "unpaid", "silent")), max_size=5))
    if outcome in WITHOUT_WINNER:
        kinds = []
    results = [
        SeatResult(
            seat,
            VALIDATORS[seat],
            Wei(fee if kind == "paid" else 0),
            Wei(stake // 5 if kind == "silent" else 0),
        )
        for seat, kind in enumerate(kinds)
    ]
    ledger = settled(job, outcome, results, stake, pool)
    for seat, kind in enumerate(kinds):
        assert ledger.free(VALIDATORS[seat]) == {"paid": fee, "unpaid": 0, "silent": stake - stake // 5}[kind]
        assert ledger.balance(SeatStake(seat)) == (0 if kind == "silent" else stake)


@pytest.mark.parametrize(
    ("outcome", "verdict", "user", "winner", "burned"),
    [
        (Outcome.CANCELLED, Verdict.NONE, 160, 0, 0),
        (Outcome.NO_BIDS, Verdict.NONE, 160, 0, 0),
        (Outcome.USER_FAULT, Verdict.NONE, 110, 75, 25),
        (Outcome.MUTUAL_ABORT, Verdict.NONE, 148, 38, 24),
        (Outcome.WORKER_FAULT, Verdict.NONE, 185, 0, 25),
        (Outcome.PAID, Verdict.PASS, 120, 90, 0),
        (Outcome.PAID, Verdict.NO_TEST, 70, 90, 50),
        (Outcome.REJECTED, Verdict.FAIL, 160, 35, 15),
        (Outcome.INCONCLUSIVE, Verdict.NONE, 160, 50, 0),
    ],
)
def test_who_gets_what_of_210(outcome: Outcome, verdict: Verdict, user: int, winner: int, burned: int) -> None:
    ledger = settled(job_of(outcome, 100, 2, 40, verdict), outcome, [])
    assert (ledger.free(USER), ledger.free(WORKERS[0]), ledger.burned_by(JOB_ID)) == (user, winner, burned)


@pytest.mark.parametrize(
    ("outcome", "user", "winner", "burned"),
    [
        (Outcome.USER_FAULT, 99, 73, 25),  # the bond is 49: half of it is 24, and 25 burn
        (Outcome.MUTUAL_ABORT, 136, 37, 24),
        (Outcome.WORKER_FAULT, 172, 0, 25),
        (Outcome.REJECTED, 148, 35, 14),
        (Outcome.PAID, 108, 89, 0),
    ],
)
def test_an_odd_reserve_rounds_shares_down_and_burns_the_remainder(
    outcome: Outcome, user: int, winner: int, burned: int
) -> None:
    ledger = settled(job_of(outcome, 99, 0, 40), outcome, [])
    assert (ledger.free(USER), ledger.free(WORKERS[0]), ledger.burned_by(JOB_ID)) == (user, winner, burned)


@pytest.mark.parametrize(("silent", "compensation", "burned"), [(0, 0, 0), (1, 14, 0), (2, 28, 0), (3, 40, 2)])
def test_slashes_compensate_the_worker_up_to_its_price_when_nobody_found_anything(
    silent: int, compensation: int, burned: int
) -> None:
    results = [SeatResult(seat, VALIDATORS[seat], Wei(0), Wei(14)) for seat in range(silent)]
    ledger = settled(job_of(Outcome.INCONCLUSIVE, 100, 2, 40, Verdict.NONE), Outcome.INCONCLUSIVE, results)
    assert (ledger.free(WORKERS[0]), ledger.balance(Burned(JOB_ID))) == (50 + compensation, burned)


@pytest.mark.parametrize(
    ("verdict", "pool", "refunds"),
    [
        (Verdict.PASS, 100, {STRANGER: 46}),
        (Verdict.FAIL, 100, {WORKERS[1]: 22}),
        (Verdict.FAIL, 21, {WORKERS[1]: 21}),
        (Verdict.NO_TEST, 60, {WORKERS[1]: 22, STRANGER: 38}),
        (Verdict.NONE, 100, {}),
    ],
)
def test_who_doubted_another_verdict_gets_the_bond_back_as_far_as_there_is_money_first_come_first_served(
    verdict: Verdict, pool: int, refunds: dict[Address, int]
) -> None:
    job = job_of(Outcome.REJECTED, 100, 2, 40, verdict)
    job.appellants = [Appellant(WORKERS[1], 11, Verdict.PASS, 0), Appellant(STRANGER, 23, Verdict.FAIL, 1)]
    ledger = settled(job, Outcome.REJECTED, [], pool_wei=pool)
    assert {who: ledger.free(who) for who in (WORKERS[1], STRANGER) if ledger.free(who)} == refunds
    assert ledger.burned_by(JOB_ID) == 15 + pool - sum(refunds.values())


@pytest.mark.parametrize(
    ("outcome", "verdict", "slashed", "pool", "audits", "burned"),
    [
        (Outcome.PAID, Verdict.PASS, 0, 0, 4, 0),  # a hundredth of the price of 400, which the end user pays
        (Outcome.PAID, Verdict.PASS, 70, 70, 4 + 14, 56),
        (Outcome.PAID, Verdict.PASS, 70, 5, 4 + 5, 0),  # fees and refunds have taken most of the slashes
        (Outcome.PAID, Verdict.NO_TEST, 0, 0, 4, 496),  # of the bond, which burns
        (Outcome.REJECTED, Verdict.FAIL, 0, 0, 0, 150),
        (Outcome.REJECTED, Verdict.FAIL, 100, 100, 0, 250),  # a quarter of the reserve burns first
        (Outcome.REJECTED, Verdict.FAIL, 110, 110, 10, 250),
        (Outcome.REJECTED, Verdict.FAIL, 1_000, 1_000, 200, 950),
        (Outcome.WORKER_FAULT, Verdict.NO_MODEL, 70, 70, 14, 306),
        (Outcome.INCONCLUSIVE, Verdict.NONE, 700, 700, 50, 250),  # 400 went to the worker
        (Outcome.INCONCLUSIVE, Verdict.NONE, 600, 600, 0, 200),
        (Outcome.USER_FAULT, Verdict.NONE, 0, 0, 0, 250),
        (Outcome.CANCELLED, Verdict.NONE, 0, 0, 0, 0),
    ],
)
def test_the_audit_pool_gets_a_hundredth_of_the_price_and_a_fifth_of_slashes_of_what_would_burn(
    outcome: Outcome, verdict: Verdict, slashed: int, pool: int, audits: int, burned: int
) -> None:
    job = job_of(outcome, 1_000, 2, 400, verdict)
    job.slashed_wei = slashed
    ledger = settled(job, outcome, [], pool_wei=pool)
    assert (ledger.audit_pool(), ledger.burned_by(JOB_ID)) == (audits, burned)


def test_the_bond_of_an_audit_that_changed_the_verdict_goes_back_to_the_pool_in_its_turn() -> None:
    job = job_of(Outcome.REJECTED, 100, 2, 40, Verdict.FAIL)
    job.appellants = [Appellant(NOBODY, 3, Verdict.PASS, 0), Appellant(STRANGER, 11, Verdict.PASS, 1)]
    ledger = settled(job, Outcome.REJECTED, [], pool_wei=20)
    assert (ledger.audit_pool(), ledger.free(STRANGER), ledger.free(NOBODY)) == (6, 14, 0)


def test_fees_come_from_the_jobs_fees_first_and_from_the_pool_then() -> None:
    results = [SeatResult(seat, VALIDATORS[seat], Wei(4), Wei(0)) for seat in range(5)]
    ledger = settled(job_of(Outcome.REJECTED, 100, 2, 40, Verdict.FAIL), Outcome.REJECTED, results, pool_wei=30)
    assert ledger.burned_by(JOB_ID) == 15 + 30 - 10
    assert ledger.free(USER) == 150


@pytest.mark.parametrize(
    ("metric", "verdict", "paid"),
    [(1_000, Verdict.PASS, 39), (2**63 - 1, Verdict.PASS, 40), (500, Verdict.PASS, 19), (1, Verdict.PASS, 0)],
)
def test_a_linear_price_is_the_part_that_was_reached(metric: int, verdict: Verdict, paid: int) -> None:
    job = job_of(Outcome.PAID, 100, 2, 40, verdict)
    job.terms = terms_of(options=Option.LINEAR, baseline_e6=0, threshold_e6=1_001)
    assert paid_price(job, Tally(verdict, metric, 0)) == paid


def test_a_linear_price_is_not_confused_by_the_ends_of_64_bits() -> None:
    job = job_of(Outcome.PAID, 100, 2, 40)
    job.terms = terms_of(options=Option.LINEAR, baseline_e6=-(2**63), threshold_e6=2**63 - 1)
    assert [paid_price(job, Tally(Verdict.PASS, metric)) for metric in (2**63 - 1, 2**63 - 2, -1)] == [40, 39, 19]


@pytest.mark.parametrize(
    ("burned", "spared", "reward"), [(0, 0, 0), (999, 0, 0), (1_000, 0, 1), (2_000, 1_001, 0), (10, 20, 0)]
)
def test_a_bounty_is_a_thousandth_of_what_burns_beyond_what_is_spared(burned: int, spared: int, reward: int) -> None:
    assert bounty(burned, spared) == reward


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=6), st.data())
def test_a_diverted_amount_is_burned_less_and_nothing_else_changes(
    amounts: list[tuple[int, bool]], data: st.DataObject
) -> None:
    source = Escrow(JOB_ID, Part.POOL)
    moves = [Move(source, Burned(JOB_ID) if burns else Free(USER), amount) for amount, burns in amounts]
    amount = data.draw(st.integers(0, burned_by(moves)))
    after = divert(moves, Free(STRANGER), amount)
    assert burned_by(after) == burned_by(moves) - amount
    assert sum(move.amount_wei for move in after if move.target == Free(STRANGER)) == amount
    for target in (Free(USER),):
        assert sum(m.amount_wei for m in after if m.target == target) == sum(
            m.amount_wei for m in moves if m.target == target
        )


def test_every_way_out_after_the_award_but_payment_costs_the_two_parties_a_quarter_of_the_reserve() -> None:
    """D5: the cheapest exit bounds what a shill gains by winning and walking away, even with the user's help."""
    for outcome in set(WITH_WINNER) - {Outcome.PAID, Outcome.INCONCLUSIVE}:
        fee = Wei(20 if outcome is Outcome.REJECTED else 0)
        results = [SeatResult(seat, VALIDATORS[seat], fee, Wei(0)) for seat in range(5)]
        ledger = settled(job_of(outcome, 1_000, 20, 400), outcome, results, 700)
        put_in = 1_000 + 5 * 20 + 500 + 500
        assert ledger.free(USER) + ledger.free(WORKERS[0]) <= put_in - 250, outcome
