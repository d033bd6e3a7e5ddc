"""Who loses what when somebody vanishes: every party in every state, on a real chain, as a table in the README.

Each life is played with amounts that one can check by hand: R = 1000, bids of 300 and 400, so a price of 400, five
seats at a fee of 20, bonds of 500, and 700 on a seat.  Every call is a transaction on anvil and a call of the pure
market; the two have to agree on events, refusals and balances.  ``MORPHWARE_WRITE_TABLES=1`` writes the table anew.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from morphware.contracts import build
from morphware.node.testnet.rehearsal import Specified, account_of, rehearse
from morphware.node.testnet.scenarios import Scenario, all_names, find
from morphware.protocol.turn import Parameters
from tests.contracts.anvil_market import AnvilMarket, Chain, Stage, with_anvil
from tests.contracts.rehearsed import INPUTS

README = build.FOLDER / "README.md"
BEGIN, END = "<!-- losses: written by tests/contracts/test_losses.py -->", "<!-- end of losses -->"
SEATS, VALIDATORS = 5, 17


@pytest.mark.contracts
async def test_the_table_of_losses_is_what_happens_on_a_real_chain(tmp_path: Path) -> None:
    rows: list[str] = []
    await with_anvil(tmp_path, lambda chain: rows.extend(_rows(chain)))
    table = "\n".join((BEGIN, "", *_HEAD, *rows, "", END))
    text = README.read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    if os.environ.get("MORPHWARE_WRITE_TABLES"):
        README.write_text(before + table + after, "utf-8")
    assert README.read_text("utf-8") == before + table + after


_HEAD = (
    "| what happens | outcome | user | winner | validators | audit pool | burned |",
    "|---|---|---|---|---|---|---|",
)


def _rows(chain: Chain) -> Iterator[str]:
    stage = Stage(chain)
    for name in all_names():
        scenario = replace(find(name), seats=SEATS, validators=VALIDATORS)
        if scenario.liars:
            scenario = replace(scenario, liars=SEATS // 2 + 1 if scenario.liars < find(name).seats else SEATS)
        yield _row(scenario, _played(stage, scenario))


def _played(stage: Stage, scenario: Scenario) -> Specified:
    """What the scenario came to, with the chain's own balances held against it at the end."""
    markets: list[AnvilMarket] = []

    def open_market(parameters: Parameters) -> AnvilMarket:
        markets.append(AnvilMarket(stage, parameters))
        return markets[0]

    specified = rehearse(scenario, INPUTS, open_market)
    [market] = markets
    for name in (f"validator-{number + 1}" for number in range(scenario.validators)):
        owned = sum(seat.owner == account_of(name) for seat in market.registry.seats.values())
        assert market.worth(account_of(name)) == market.ledger.free(account_of(name)) + INPUTS.seat_stake_wei * owned
    for name in ("user-1", "worker-1", "worker-2", "stranger"):
        assert market.worth(account_of(name)) == market.ledger.free(account_of(name)), (scenario.name, name)
    assert market.burned() == market.ledger.burned() == specified.burned_wei
    assert market.audit_pool() == market.ledger.audit_pool()
    return specified


def _row(scenario: Scenario, played: Specified) -> str:
    gains = played.gains_wei
    losers = sum(gain for name, gain in gains.items() if name not in ("user-1", played.winner))
    winner = f"{gains[played.winner]:+d}" if played.winner else f"{losers:+d} (both bidders)" if losers else "-"
    counted = Counter(gain for seats in played.seats_wei for gain in seats)
    validators = ", ".join(
        f"{gain:+d}" + (f" ({times} of them)" if times > 1 else "") for gain, times in sorted(counted.items())
    )
    vanishing = scenario.vanishing
    assert vanishing is None or vanishing.state in played.states, "nobody vanishes in a state that never comes"
    columns = (scenario.sentence, played.outcome.name, f"{gains['user-1']:+d}", winner, validators or "-")
    rewards = sum(played.rewards_wei)
    everybody = sum(gains.values()) + sum(sum(seats) for seats in played.seats_wei) + rewards
    assert everybody + played.audits_wei + played.burned_wei == 0, "what one loses somebody has, or it is burned"
    return f"| {' | '.join(columns)} | {_signed(played.audits_wei)} | {played.burned_wei} |"


def _signed(amount_wei: int) -> str:
    return f"{amount_wei:+d}" if amount_wei else "-"
