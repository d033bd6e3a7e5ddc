"""The README draws and lists the states of ``protocol.job.TABLE``: ``MORPHWARE_WRITE_TABLES=1`` does so anew."""

import os
from collections.abc import Iterator

import pytest

from morphware.contracts import build
from morphware.node.chain.calldata import FUNCTIONS
from morphware.protocol.calls import Poke
from morphware.protocol.job import TABLE, Row
from morphware.protocol.states import State

README = build.FOLDER / "README.md"
BEGIN, END = "<!-- states: written by tests/contracts/test_states.py -->", "<!-- end of states -->"


def test_the_readme_tells_every_row_of_the_table() -> None:
    text = README.read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    told = before + "\n".join((BEGIN, "", *_lines(), "", END)) + after
    if os.environ.get("MORPHWARE_WRITE_TABLES"):
        README.write_text(told, "utf-8")
    assert README.read_text("utf-8") == told


@pytest.mark.parametrize("state", [state for state in State if state not in (State.NONE, State.CLOSED)])
def test_every_state_but_the_last_can_be_left_by_a_poke(state: State) -> None:
    [row] = [row for row in TABLE if row.state is state and row.call is Poke]
    assert any(next_state is not state for next_state in row.leads_to)


def _lines() -> Iterator[str]:
    yield from _diagram()
    yield ""
    yield "| state | call | by | leads to |"
    yield "|---|---|---|---|"
    before = None
    for row in TABLE:
        yield f"| {'' if row.state is before else row.state.name} | {_call(row)} | {row.party.value} | {_next(row)} |"
        before = row.state


def _diagram() -> Iterator[str]:
    """An arrow from each state to each other one, with the calls that lead there."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in TABLE:
        for state in row.leads_to:
            if state is not row.state:
                arrows.setdefault((row.state, state), []).append(_call(row).removesuffix(": poke").strip("*"))
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> BIDDING: post"
    for (before, after), calls in arrows.items():
        end = "[*]" if after is State.CLOSED else after.name
        yield f"    {before.name} --> {end}: {', '.join(dict.fromkeys(calls))}"
    yield "```"


def _call(row: Row) -> str:
    name = FUNCTIONS[row.call][1]
    return "*deadline*: poke" if row.call is Poke else name


def _next(row: Row) -> str:
    return ", ".join("the same" if state is row.state else state.name for state in row.leads_to)
