"""What a node says of a job is what the chain said, of each bid by itself."""

import dataclasses
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from morphware.node import describe as words
from morphware.node.describe import AUDITED, PAYING_OUT, SCARCE, UNTESTED, WAITS_FOR, address_text
from morphware.protocol import chain_events as ce
from morphware.protocol import effects as fx
from morphware.protocol.job import NOBODY, TABLE
from morphware.protocol.states import State
from morphware.protocol.units import Address, Timestamp, Wei
from morphware.protocol.view import JobView
from tests.protocol.marketplace import Marketplace
from tests.protocol.marketplace_nodes import ALONE, SUBMISSION, account_of


def describe(view: JobView, *, account: Address, problem: str = "", model: Path | None = None) -> dict[str, Any]:
    """What the node says, as it travels."""
    return dict(to_builtins(words.describe(view, account=account, problem=problem, model=model)))


def test_a_copy_of_a_bid_is_not_shown_as_opened_with_the_bid_that_it_copies() -> None:
    place = Marketplace(1, relaying=ALONE).run_to(State.REVEALING)
    owner, copier = account_of("worker 0"), account_of("copier")
    [bid] = [bid for bid in place.view.bids if bid.bidder == owner]
    place.view.apply(ce.BidCommitted(place.job_id, copier, bid.commitment, 9))
    place.view.apply(ce.BidOpened(place.job_id, owner, bid.commitment, Wei(30), True, 20))
    shown = {said["bidder"]: said for said in describe(place.view, account=owner, problem="", model=None)["bids"]}
    assert (shown[address_text(owner)]["is_opened"], shown[address_text(owner)]["price_wei"]) == (True, "30")
    assert (shown[address_text(copier)]["is_opened"], shown[address_text(copier)]["price_wei"]) == (False, None)


def test_every_state_that_a_job_can_wait_in_says_what_for() -> None:
    assert set(WAITS_FOR) == {row.state for row in TABLE}


def test_reports_of_every_round_are_shown_with_their_round() -> None:
    place = Marketplace(1, validators=24).run_to(State.KEYING)
    place.faults.mute.update(dict.fromkeys(place.committee, frozenset({fx.Send})))
    place.run()
    shown = describe(place.view, account=account_of("user"), problem="", model=None)
    assert [report["round"] for report in shown["reports"]] == [0] * 5 + [1] * 5
    assert [report["is_committed"] for report in shown["reports"]] == [False] * 5 + [True] * 5
    assert [int(report["slash_wei"]) for report in shown["reports"]] == [14] * 5 + [0] * 5
    assert shown["committee"] == [report["validator"] for report in shown["reports"][5:]]
    assert (shown["verdict"], shown["metric_value"], shown["appeals"]) == ("PASS", 0.95, [])


def test_a_job_that_was_paid_for_without_a_test_does_not_say_that_it_met_the_threshold() -> None:
    place = Marketplace(1)
    place.faults.vanish["user"] = State.SEED
    place.run()
    assert describe(place.view, account=account_of("user"), problem="", model=None)["reason"] == UNTESTED


def test_a_job_that_pays_in_part_shows_what_was_paid_beside_the_price() -> None:
    linear = dataclasses.replace(SUBMISSION, baseline_e6=500_000)
    place = Marketplace(1, submission=linear, metric_e6=700_000).run()
    shown = describe(place.view, account=account_of("user"), problem="", model=None)
    assert (shown["outcome"], shown["price_wei"], shown["paid_wei"], shown["baseline"]) == ("PAID", "40", "20", 0.5)
    assert place.gains()["worker 0"] == 20


def test_a_job_whose_seats_are_being_settled_says_so() -> None:
    place = Marketplace(1).run_to(State.INSPECT)
    place.view.apply(ce.SeatSettled(place.job_id, place.view.validators[0], Wei(2), Wei(0)))
    assert describe(place.view, account=account_of("user"), problem="", model=None)["reason"] == PAYING_OUT


def test_a_draw_that_waits_for_seats_says_so_and_one_that_only_waits_for_its_block_does_not() -> None:
    place = Marketplace(1).run_to(State.SEED)

    def reason_in(state: State, deadline: int) -> str:
        place.view.apply(ce.StateChanged(place.job_id, state, Timestamp(deadline)))
        return str(describe(place.view, account=account_of("user"), problem="", model=None)["reason"])

    assert reason_in(State.DRAWING, 10) == SCARCE, "out of SEED nobody wants another committee"
    assert reason_in(State.DRAWING, 12) == SCARCE
    assert reason_in(State.KEYING, 13) == WAITS_FOR[State.KEYING]
    assert reason_in(State.TALLIED, 14) == WAITS_FOR[State.TALLIED]
    assert reason_in(State.DRAWING, 15) == WAITS_FOR[State.DRAWING]
    assert reason_in(State.DRAWING, 17) == SCARCE


def test_an_appeal_and_an_audit_that_were_not_heard_are_shown_as_that_and_as_nothing_else() -> None:
    place = Marketplace(1).run_to(State.TALLIED)
    user = account_of("user")
    place.view.apply(ce.Audited(place.job_id, 3, Wei(6)))
    place.view.apply(ce.StateChanged(place.job_id, State.DRAWING, Timestamp(1)))
    assert describe(place.view, account=user, problem="", model=None)["reason"] == AUDITED
    place.view.apply(ce.AppealUnheard(place.job_id, NOBODY, Wei(6), Wei(6)))
    place.view.apply(ce.Appealed(place.job_id, user, 11, Wei(22)))
    place.view.apply(ce.AppealUnheard(place.job_id, user, Wei(22), Wei(10)))
    shown = describe(place.view, account=user, problem="", model=None)
    assert (shown["appeals"], shown["audit"]) == ([], None)
    assert shown["unheard"] == [
        {"appellant": None, "bond_wei": "6", "kept_wei": "6"},
        {"appellant": address_text(user), "bond_wei": "22", "kept_wei": "10"},
    ]
