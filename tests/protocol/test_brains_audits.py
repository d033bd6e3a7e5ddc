"""The brains live through a random audit: its committee gets its keys, and whoever it wrongs appeals as before."""

from dataclasses import replace

from morphware.protocol import calls
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.turn import Parameters
from morphware.protocol.units import Timestamp, Wei
from tests.protocol.market_world import SEAT_STAKE_WEI
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import TIMING, account_of
from tests.protocol.test_brains_appeals import BAD, GOOD, MANY, gains_of, names_in
from tests.protocol.test_brains_hostile import loses

POOL_WEI = Wei(100)


def watched(seed: int, truth_e6: int) -> Marketplace:
    """A market that audits every finding."""
    place = Marketplace(seed, validators=MANY, metric_e6=truth_e6)
    place.market.parameters = Parameters(replace(TIMING, audit_one_in=1), SEAT_STAKE_WEI)
    for call in (calls.Deposit(POOL_WEI), calls.FundAudits(POOL_WEI)):
        assert place.market.execute(account_of("a friend of audits"), call, Timestamp(place.now), place.block) == []
    return place


def test_an_honest_committee_is_audited_and_the_job_paid() -> None:
    place = watched(1, GOOD).run()
    assert (place.is_over, place.outcome) == (True, Outcome.PAID)
    assert [len(each.validators) for each in place.view.rounds] == [5, 3]
    assert place.view.rounds[1].test_boxes is not None
    assert place.view.rounds[1].model_boxes is not None
    assert loses(place) == {"user": -50, "worker 0": 40}
    assert gains_of(place, [*names_in(place, 0), *names_in(place, 1)]) == [2] * 8
    assert place.market.ledger.audit_pool() == POOL_WEI - 6


def test_a_lazy_committee_is_found_out() -> None:
    place = watched(2, BAD).run_to(State.KEYING)
    lazy = place.committee
    place.own_metric_e6 = dict.fromkeys(lazy, GOOD)
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.REJECTED, Verdict.FAIL)
    assert place.view.audit is not None
    assert all(gain <= -35 for gain in gains_of(place, lazy))
    assert len(place.view.appeals) <= 1, "whom two committees contradict believes them"


def test_whom_a_wrong_audit_contradicts_appeals_to_the_committee_of_eleven() -> None:
    place = watched(3, GOOD).run_to(State.DRAWING).run_to(State.VCOMMIT)
    wrong = names_in(place, 1)
    place.own_metric_e6 = dict.fromkeys(wrong, BAD)
    place.run()
    assert (place.is_over, place.outcome, place.view.verdict) == (True, Outcome.PAID, Verdict.PASS)
    assert [len(each.validators) for each in place.view.rounds] == [5, 3, 11]
    assert all(gain <= -35 for gain in gains_of(place, wrong))
    assert gains_of(place, [*names_in(place, 0), *names_in(place, 2)]) == [2] * 16
