"""Who gained and lost what on the chain, beside what the specification says: equal to the wei, or it failed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from morphware.node.testnet.receipt import new_table
from morphware.node.testnet.rehearsal import USER, Inputs, Specified
from morphware.node.testnet.scenarios import Scenario
from morphware.node.wording import shown, tokens
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Wei


@dataclass(frozen=True, slots=True)
class Played:
    """How the scenario ended on the chain. Gains are of all accounts, by name; the rounds hold names by seat."""

    outcome: Outcome
    states: tuple[State, ...]
    winner: str | None
    price_wei: Wei
    gains_wei: Mapping[str, int]
    rounds: tuple[tuple[str, ...], ...]
    rewards_wei: tuple[tuple[str, int], ...]
    burned_wei: int
    audits_wei: int
    ended: tuple[str, ...] = ()
    own_pokes: tuple[State, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One account."""

    name: str
    part: str
    actual_wei: int
    specified_wei: int

    @property
    def is_equal(self) -> bool:
        """To the wei."""
        return self.actual_wei == self.specified_wei


@dataclass(frozen=True, slots=True)
class Comparison:
    """A scenario as it was played, beside the specification."""

    scenario: Scenario
    inputs: Inputs
    played: Played
    specified: Specified
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def is_as_specified(self) -> bool:
        """Same path, same outcome, same wei."""
        return not self.problems

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it; amounts are decimal strings of wei."""
        played, specified, inputs = self.played, self.specified, self.inputs
        return {
            "scenario": self.scenario.name,
            "sentence": self.scenario.sentence,
            "is_as_specified": self.is_as_specified,
            "problems": list(self.problems),
            "parameters": {
                "reserve_wei": str(inputs.reserve_wei),
                "bond_wei": str(inputs.reserve_wei // 2),
                "fee_wei": str(inputs.fee_wei),
                "seat_stake_wei": str(inputs.seat_stake_wei),
                "seats": self.scenario.seats,
                "validators": self.scenario.validators,
                "bids_wei": {name: str(price) for name, price in inputs.prices_wei.items()},
            },
            "ended": list(played.ended),
            "pokes_of_the_testnet": [state.name for state in played.own_pokes],
            "winner": played.winner,
            "price_wei": {"actual": str(played.price_wei), "specified": str(specified.price_wei)},
            "outcome": {"actual": played.outcome.name, "specified": specified.outcome.name},
            "states": {
                "actual": [state.name for state in played.states],
                "specified": [state.name for state in specified.states],
            },
            "gains": {
                row.name: {
                    "part": row.part,
                    "actual_wei": str(row.actual_wei),
                    "specified_wei": str(row.specified_wei),
                }
                for row in self.rows
            },
            "rewards_wei": {
                "actual": {name: str(amount) for name, amount in _summed(played.rewards_wei).items()},
                "specified": [str(amount) for amount in specified.rewards_wei],
            },
            "burned_wei": {"actual": str(played.burned_wei), "specified": str(specified.burned_wei)},
            "audits_wei": {"actual": str(played.audits_wei), "specified": str(specified.audits_wei)},
            "seconds": round(played.seconds, 1),
        }


def compare(scenario: Scenario, inputs: Inputs, played: Played, specified: Specified) -> Comparison:
    """Hold what happened against the specification.

    The rewards of those who poked are added to what is specified for them: who is first is nobody's rule.
    """
    problems = []
    expected: dict[str, int] = defaultdict(int, specified.gains_wei)
    parts: dict[str, str] = {}
    for number, (names, gains) in enumerate(zip(played.rounds, specified.seats_wei, strict=False)):
        for seat, (name, gain) in enumerate(zip(names, gains, strict=False)):
            expected[name] += gain
            parts[name] = f"validator, round {number}, seat {seat}"
    for name, amount in played.rewards_wei:
        expected[name] += amount
    rows = tuple(
        Row(name, parts.get(name) or _part(name, played.winner), gain, expected[name])
        for name, gain in played.gains_wei.items()
    )
    pairs: tuple[tuple[str, object, object], ...] = (
        ("outcome", played.outcome.name, specified.outcome.name),
        ("winner", played.winner, specified.winner),
        ("price", played.price_wei, specified.price_wei),
        ("committees", [len(each) for each in played.rounds], [len(each) for each in specified.seats_wei]),
        ("way", _way(played.states), _way(specified.states)),
        ("rewards of pokers", sorted(amount for _, amount in played.rewards_wei), sorted(specified.rewards_wei)),
        ("burned amount", played.burned_wei, specified.burned_wei),
        ("audit pool's gain", played.audits_wei, specified.audits_wei),
        ("sum of all gains", sum(played.gains_wei.values()), -specified.burned_wei - specified.audits_wei),
    )
    problems += [f"The {what} is {actual} instead of {wanted}." for what, actual, wanted in pairs if actual != wanted]
    problems += [
        f"{row.name} gained {tokens(row.actual_wei)} instead of {tokens(row.specified_wei)} tokens."
        for row in rows
        if not row.is_equal
    ]
    return Comparison(scenario, inputs, played, specified, rows, tuple(problems))


# --- for people -----------------------------------------------------------------------------------------------------


def render(comparison: Comparison) -> RenderableType:
    """One scenario: what happened, and a table of everybody."""
    played, specified = comparison.played, comparison.specified
    is_good = comparison.is_as_specified
    head = Text(f"{comparison.scenario.name}: ", "bold").append(comparison.scenario.sentence, "not bold")
    head.append(f"\n{_way(played.states)}", "dim")
    if played.ended:
        head.append(f"\nended: {', '.join(played.ended)}", "not bold")
    if played.own_pokes:
        where = ", ".join(state.name for state in played.own_pokes)
        head.append(f"\nnobody of the living had an interest left, so the testnet poked in {where}", "not bold")
    head.append(f"\n{played.outcome.name}", "bold green" if is_good else "bold red")
    head.append(f" (specified: {specified.outcome.name})", "not bold")
    table = new_table("Who gained and lost what (MWT)", ("", False), ("", False), ("gained", True), ("specified", True))
    for row in comparison.rows:
        if row.actual_wei or row.specified_wei or row.name in (USER, played.winner):
            style = "" if row.is_equal else "bold red"
            table.add_row(row.name, row.part, _signed(row.actual_wei), _signed(row.specified_wei), style=style)
    table.add_section()
    is_same = played.burned_wei == specified.burned_wei
    table.add_row(
        "burned", "", tokens(played.burned_wei), tokens(specified.burned_wei), style="" if is_same else "bold red"
    )
    is_same = played.audits_wei == specified.audits_wei
    table.add_row(
        "audit pool", "", _signed(played.audits_wei), _signed(specified.audits_wei), style="" if is_same else "bold red"
    )
    lines = [Text(shown(problem, 400), "red") for problem in comparison.problems]
    last = Text("As specified, to the wei.", "green") if is_good else Text("Not as specified.", "bold red")
    return Group(head, Text(), table, Text(), *lines, last)


def render_all(comparisons: Sequence[Comparison]) -> Table:
    """Who loses what when somebody vanishes: a row for each scenario, as in PROTOCOL.md 5.3."""
    table = new_table(
        "Who loses what (MWT)",
        ("scenario", False), ("outcome", False), ("R", True), ("price", True), ("user", True), ("winner", True),
        ("validators", False), ("burned", True), ("audits", True), ("as specified", False),
    )  # fmt: skip
    for each in comparisons:
        played = each.played
        gains = dict(played.gains_wei)
        table.add_row(
            each.scenario.name,
            played.outcome.name,
            tokens(each.inputs.reserve_wei),
            tokens(played.price_wei) if played.winner else "-",
            _signed(gains.get(USER, 0)),
            _signed(gains.get(played.winner, 0)) if played.winner else "-",
            _validators(played),
            tokens(played.burned_wei),
            _signed(played.audits_wei),
            Text("yes", "green") if each.is_as_specified else Text("no", "bold red"),
        )
    return table


def _validators(played: Played) -> str:
    """How many of the drawn ones gained how much, round by round."""
    rounds = []
    for names in played.rounds:
        counts: dict[int, int] = defaultdict(int)
        for name in names:
            counts[played.gains_wei[name]] += 1
        rounds.append(", ".join(f"{_signed(gain)} x{count}" for gain, count in sorted(counts.items())))
    return "; ".join(rounds) or "-"


def _signed(amount_wei: int) -> str:
    return f"{'+' if amount_wei > 0 else ''}{tokens(amount_wei)}"


def _way(states: Sequence[State]) -> str:
    return " > ".join(state.name for state in states)


def _part(name: str, winner: str | None) -> str:
    if name == winner:
        return "winner"
    role = name.rpartition("-")[0]
    return {"user": "end user", "worker": "worker", "validator": "validator, not drawn"}.get(role, "stranger")


def _summed(amounts: Sequence[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for name, amount in amounts:
        total[name] += amount
    return dict(total)
