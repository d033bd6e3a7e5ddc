"""Every movement of an account's money is told, and together they are what it has: to the wei, for everybody."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from morphware.node.account_history import DAY_S, Earning, account_history, earnings
from morphware.node.job_money import BOND_REASONS, REFUTED, SILENT, Entry, Kind
from morphware.node.journal import Journal
from morphware.node.testnet.rehearsal import account_of, rehearse
from morphware.node.testnet.scenarios import all_names, find
from morphware.protocol import calls
from morphware.protocol.commitments import Domain, keccak
from morphware.protocol.states import State
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from tests.contracts.rehearsed import INPUTS, TIMING
from tests.node.recording_market import RecordingMarket
from tests.protocol import marketplace as marketplace_module
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import SEAT_STAKE_WEI, SUBMISSION
from tests.protocol.marketplace_nodes import account_of as account_in_marketplace


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.connection.execute("PRAGMA synchronous=OFF")
    yield journal
    journal.close()


def played(name: str, validators: int = 17) -> RecordingMarket:
    markets: list[RecordingMarket] = []

    def open_market(parameters: Parameters) -> RecordingMarket:
        domain = Domain(1, account_of("market"))
        markets.append(RecordingMarket(domain, parameters, lambda number: keccak(b"%d" % number)))
        return markets[0]

    scenario = replace(find(name), seats=5, validators=validators)
    if scenario.liars:
        scenario = replace(scenario, liars=3 if scenario.liars < find(name).seats else 5)
    rehearse(scenario, INPUTS, open_market)
    return markets[0]


def everybody(market: RecordingMarket) -> list[Address]:
    return sorted(market.account_events)


def history_of(market: RecordingMarket, account: Address, journal: Journal) -> list[Entry]:
    """The history, which is checked against the market's own books."""
    history = account_history(market.journal_of(account, journal), account, market.parameters.seat_stake_wei)
    staked = sum(seat.owner == account for seat in market.registry.seats.values())
    assert sum(entry.free_wei for entry in history) == market.ledger.free(account)
    assert sum(entry.locked_wei for entry in history) == staked * market.parameters.seat_stake_wei
    running = 0
    for entry in history:
        running += entry.free_wei
        assert entry.transaction_hash is not None and entry.time and entry.block
    assert running >= 0
    assert all(entry.free_wei or entry.locked_wei for entry in history)
    return history


@pytest.mark.parametrize("name", list(all_names()))
def test_the_history_of_everybody_is_what_everybody_has(name: str, journal: Journal) -> None:
    market = played(name)
    told: Counter[Kind] = Counter()
    for account in everybody(market):
        told += Counter(entry.kind for entry in history_of(market, account, journal))
    assert told[Kind.ESCROWED] == 3
    assert told[Kind.DEPOSITED] >= 10


def kinds(history: list[Entry]) -> dict[Kind, tuple[int, int]]:
    """What each kind of movement came to."""
    found: dict[Kind, tuple[int, int]] = {}
    for entry in history:
        free, net = found.get(entry.kind, (0, 0))
        found[entry.kind] = free + entry.free_wei, net + entry.net_wei
    return found


def test_a_paid_job_in_the_books_of_its_user_and_its_winner(journal: Journal) -> None:
    market = played("vanish:INSPECT:validators")
    user = kinds(history_of(market, account_of("user-1"), journal))
    del user[Kind.DEPOSITED]
    assert user == {
        Kind.ESCROWED: (-1600, 0),
        Kind.REFUNDED: (1600 - 400 - 100 - 4, 0),
        Kind.PRICE_PAID: (0, -400),
        Kind.FEES_PAID: (0, -100),
        Kind.AUDIT_FEE_PAID: (0, -4),
    }
    worker = kinds(history_of(market, account_of("worker-1"), journal))
    del worker[Kind.DEPOSITED]
    assert worker == {Kind.BOND_LOCKED: (-500, 0), Kind.BOND_RETURNED: (500, 0), Kind.PRICE_RECEIVED: (400, 400)}
    loser = kinds(history_of(market, account_of("worker-2"), journal))
    assert {kind: free for kind, (free, _) in loser.items() if kind is not Kind.DEPOSITED} == {
        Kind.BOND_LOCKED: -500,
        Kind.BOND_RETURNED: 500,
    }


def test_a_lost_bond_and_a_slash_say_why(journal: Journal) -> None:
    market = played("vanish:TRAINING:winner")
    [lost] = [entry for entry in history_of(market, account_of("worker-1"), journal) if entry.kind is Kind.BOND_LOST]
    assert (lost.net_wei, lost.free_wei, lost.role) == (-500, 0, "worker")
    assert lost.reason in BOND_REASONS.values()
    [gained] = [entry for entry in history_of(market, account_of("user-1"), journal) if entry.kind is Kind.COMPENSATED]
    assert (gained.net_wei, gained.role) == (250, "user")


@pytest.mark.parametrize(
    ("name", "slash_wei", "reason"), [("vanish:VCOMMIT:validator", 140, SILENT), ("appeal", 350, REFUTED)]
)
def test_a_slashed_seat_is_gone_with_what_it_lost(name: str, slash_wei: int, reason: str, journal: Journal) -> None:
    market = played(name)
    slashed = []
    for account in everybody(market):
        history = history_of(market, account, journal)
        for entry in history:
            if entry.kind is Kind.SLASHED:
                slashed.append(entry)
                assert (entry.free_wei, entry.role, entry.reason) == (-slash_wei, "validator", reason)
                assert [each.free_wei for each in history if each.kind is Kind.UNSTAKED] == [700]
    assert slashed


def test_a_history_is_the_accounts_own_and_in_order(journal: Journal) -> None:
    market = played("vanish:INSPECT:validators")
    history = history_of(market, account_of("user-1"), journal)
    assert [entry.block for entry in history] == sorted(entry.block for entry in history)
    assert account_history(journal, account_of("nobody"), Wei(700))[1:] == []  # but for the deposit above
    of_jobs = [entry for entry in history if entry.job_id is not None]
    assert {entry.role for entry in of_jobs} == {"user"}
    assert {entry.job_id for entry in history} == {None, of_jobs[0].job_id}


def test_money_that_goes_out_again_and_seats_that_are_given_back(journal: Journal) -> None:
    market = RecordingMarket(Domain(1, account_of("market")), Parameters(TIMING, Wei(700)), lambda _: bytes(32))
    account = account_of("validator-1")
    made: list[calls.Call] = [
        calls.Deposit(Wei(3000)),
        calls.Stake(2),
        calls.RequestUnstake(0),
        calls.FundAudits(Wei(11)),
        calls.Unstake(0),
        calls.Withdraw(Wei(1000)),
    ]
    for block, call in enumerate(made):
        result = market.execute(account, call, Timestamp(1_800_000_000 + block * 10_000), 1 + block)
        assert isinstance(result, list), result
    history = history_of(market, account, journal)
    assert [(entry.kind, entry.free_wei, entry.net_wei) for entry in history] == [
        (Kind.DEPOSITED, 3000, 3000),
        (Kind.STAKED, -1400, 0),
        (Kind.AUDITS_FUNDED, -11, -11),
        (Kind.UNSTAKED, 700, 0),
        (Kind.WITHDRAWN, -1000, -1000),
    ]
    funded_on = Timestamp(1_800_030_000 // DAY_S * DAY_S)
    assert earnings(history) == [Earning(funded_on, "account", Wei(0), Wei(11))]


def test_earnings_are_what_was_gained_and_lost_each_day_in_each_role() -> None:
    def entry(day: int, role: str, kind: Kind, free_wei: int, locked_wei: int = 0) -> Entry:
        return Entry(kind, role, free_wei, locked_wei, "", Timestamp(day * DAY_S + 5), 1, None, JobId(bytes(32)))

    entries = [
        entry(3, "worker", Kind.PRICE_RECEIVED, 40),
        entry(3, "worker", Kind.BOND_LOST, 0, -15),
        entry(3, "validator", Kind.FEE_EARNED, 2),
        entry(3, "worker", Kind.BOND_LOCKED, -50, 50),
        entry(1, "account", Kind.DEPOSITED, 900),
        entry(2, "worker", Kind.PRICE_RECEIVED, 7),
    ]
    found = earnings(entries)
    assert found == [
        Earning(Timestamp(2 * DAY_S), "worker", Wei(7), Wei(0)),
        Earning(Timestamp(3 * DAY_S), "validator", Wei(2), Wei(0)),
        Earning(Timestamp(3 * DAY_S), "worker", Wei(40), Wei(15)),
    ]
    assert found[2].net_wei == 25


@pytest.mark.parametrize("seed", range(6))
def test_jobs_of_whole_brains_are_told_to_the_wei(seed: int, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoys, bids that nobody opens, prices paid in part: what brains do that scenarios do not."""
    monkeypatch.setattr(marketplace_module, "Market", RecordingMarket)
    linear = replace(SUBMISSION, baseline_e6=500_000) if seed % 2 else SUBMISSION
    place = Marketplace(seed, decoy_chance_256=200, submission=linear, metric_e6=700_000 + 50_000 * seed)
    if seed == 3:
        place.faults.vanish["worker 0"] = State.REVEALING
    place.run()
    market = place.market
    assert isinstance(market, RecordingMarket)
    assert market.parameters.seat_stake_wei == SEAT_STAKE_WEI
    for name in place.names:
        history_of(market, account_in_marketplace(name), journal)


def test_a_job_is_told_while_it_runs(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marketplace_module, "Market", RecordingMarket)
    place = Marketplace(1).run_to(State.TRAINING)
    market = place.market
    assert isinstance(market, RecordingMarket)
    account = account_in_marketplace("user")
    history = account_history(market.journal_of(account, journal), account, SEAT_STAKE_WEI)
    assert sum(entry.free_wei for entry in history) == market.ledger.free(account)
    assert sum(entry.locked_wei for entry in history) == 160
