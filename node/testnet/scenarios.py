"""The ways in which a job can go wrong, by name: who vanishes when, whose boxes are garbage, whose tests are lies.

    vanish:STATE:PARTY    a party's process is ended when the chain enters the state, and never comes back
    bad-keys[:WHICH]      sealed boxes hold garbage: the end user's for the winner (user), the winner's for the end user
                          (winner), the end user's (test) or the winner's (model) for the validators; without a word all
    captured-committee[:pass|:fail]
                          the majority of the first committee passes a bad model, or fails a good one; the honest member
                          appeals, and the next committee says so
    appeal[:mistaken]     the whole first committee passes a bad model, and the end user, who opens it, appeals; or the
                          end user is the one who is wrong
    audit                 a random audit tests again what an honest committee found
    lazy-committee        the whole first committee guesses the same number; a random audit finds the truth

A scenario says what the parties do, never what comes of it: that is what the pure market says (``rehearsal.py``), and
what the chain must say as well (``stage.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from morphware.node.errors import BadInput
from morphware.protocol.states import State

WORKERS: Final = 2
"""A winner, and somebody who sets its price."""


class Party(Enum):
    """Who may vanish. Before the award "the winner" is who will win: the cheapest worker."""

    USER = "user"
    WINNER = "winner"
    BOTH = "both"
    VALIDATOR = "validator"
    """The first member of the committee that was drawn last."""
    VALIDATORS = "validators"
    """All that there are, drawn or not."""


class Box(Enum):
    """A sealed box that one party hands to another."""

    DATA = "user"
    """The training and code keys, for the winner."""
    X = "winner"
    """The end user's half of the model's key, for the end user."""
    TEST = "test"
    """The testing and code keys, for the validators."""
    MODEL = "model"
    """Both halves of the model's key, for the validators."""


@dataclass(frozen=True, slots=True)
class Vanishing:
    """A party ends when the job enters a state for the first time."""

    state: State
    party: Party


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is going to happen. ``liars`` are the first seats of the first committee, who report another model.

    ``seats`` is the first committee's size, and ``validators`` how many there are to draw from: as few as the path
    needs, so that it is played quickly on a small machine.
    """

    name: str
    sentence: str
    seats: int = 1
    validators: int = 4
    is_model_good: bool = True
    garbage: frozenset[Box] = frozenset()
    liars: int = 0
    is_user_mistaken: bool = False
    is_audited: bool = False
    vanishing: Vanishing | None = None

    @property
    def may_appeal_in(self) -> State | None:
        """Where somebody is going to appeal: its window has to be long enough for it."""
        if self.is_audited:
            return None
        if self.is_user_mistaken or 0 < self.liars == self.seats:
            return State.INSPECT
        return State.TALLIED if self.liars else None


def find(name: str) -> Scenario:
    """The scenario of this name.

    Raises:
        BadInput: there is none; says which there are.
    """
    kind, *words = name.split(":")
    match kind, words:
        case "vanish", [state, party]:
            return _vanish(state.upper(), party)
        case "bad-keys", []:
            return Scenario(name, "every sealed box holds garbage", garbage=frozenset(Box))
        case "bad-keys", [word] if word in {box.value for box in Box}:
            return _bad_keys(Box(word), name)
        case "captured-committee", [] | ["pass"]:
            return _captured(name, is_model_good=False)
        case "captured-committee", ["fail"]:
            return _captured(name, is_model_good=True)
        case "appeal", []:
            sentence = "the whole committee passes a bad model; the end user finds it in INSPECT, and appeals"
            return Scenario(name, sentence, is_model_good=False, liars=1)
        case "appeal", ["mistaken"]:
            sentence = "the end user takes a good model for a bad one in INSPECT, and appeals"
            return Scenario(name, sentence, is_user_mistaken=True)
        case "audit", []:
            return Scenario(name, "a random audit finds what the committee found", is_audited=True)
        case "lazy-committee", []:
            sentence = "the whole committee guesses that a bad model passes; a random audit tests it"
            return Scenario(name, sentence, is_model_good=False, liars=1, is_audited=True)
        case _:
            raise BadInput(
                f"There is no scenario {name[:60]!r}: it is one of vanish:STATE:PARTY, bad-keys, bad-keys:WHICH, "
                "captured-committee, captured-committee:fail, appeal, appeal:mistaken, audit, lazy-committee, "
                "or all."
            )


def all_names() -> Iterator[str]:
    """Every scenario that there is, in the order of a job's life."""
    for state in list(State)[State.BIDDING : State.CLOSED]:
        for party in Party:
            if _may_vanish(state, party):
                yield f"vanish:{state.name}:{party.value}"
    yield from ("bad-keys", *(f"bad-keys:{box.value}" for box in Box))
    yield from ("captured-committee", "captured-committee:fail", "appeal", "appeal:mistaken", "audit", "lazy-committee")


def _vanish(state_name: str, party_name: str) -> Scenario:
    """The shortest way into the state that leaves somebody there to vanish."""
    states = {state.name for state in State} - {"NONE", "CLOSED"}
    parties = {party.value for party in Party}
    if state_name not in states or party_name not in parties:
        raise BadInput(
            f"Nobody vanishes like vanish:{state_name[:30]}:{party_name[:30]}: the state is one of "
            f"{', '.join(sorted(states))}, and the party one of {', '.join(sorted(parties))}."
        )
    state, party = State[state_name], Party(party_name)
    if not _may_vanish(state, party):
        raise BadInput(f"No validator is drawn yet in {state_name}: name a state from KEYING on, or another party.")
    name = f"vanish:{state_name}:{party_name}"
    sentence = f"{_WORDS[party]} when the job enters {state_name}"
    vanishing = Vanishing(state, party)
    match state:
        case State.DRAWING:
            return _captured(name, is_model_good=False, sentence=sentence, vanishing=vanishing)
        case State.KEY_DISPUTE | State.X_DISPUTE | State.DISCLOSE:
            box = {State.KEY_DISPUTE: Box.DATA, State.X_DISPUTE: Box.X}.get(state)
            if box is None:
                box = Box.MODEL if party is Party.WINNER else Box.TEST
            seats, validators = _committee(party)
            return Scenario(name, sentence, seats, validators, garbage=frozenset({box}), vanishing=vanishing)
        case _:
            seats, validators = _committee(party)
            return Scenario(name, sentence, seats, validators, vanishing=vanishing)


_WORDS: Final = {
    Party.USER: "the end user vanishes",
    Party.WINNER: "the winner vanishes",
    Party.BOTH: "the end user and the winner vanish",
    Party.VALIDATOR: "one of the drawn validators vanishes",
    Party.VALIDATORS: "all validators vanish",
}


def _may_vanish(state: State, party: Party) -> bool:
    return party is not Party.VALIDATOR or state >= State.KEYING


def _committee(party: Party) -> tuple[int, int]:
    """One member shall not be the whole committee if it alone vanishes. The market wants 3k + 1 seats for k."""
    return (3, 10) if party is Party.VALIDATOR else (1, 4)


def _bad_keys(box: Box, name: str) -> Scenario:
    words = {
        Box.DATA: "the end user's box for the winner holds garbage",
        Box.X: "the winner's box for the end user holds garbage",
        Box.TEST: "the end user's boxes for the validators hold garbage",
        Box.MODEL: "the winner's boxes for the validators hold garbage",
    }
    return Scenario(name, words[box], garbage=frozenset({box}))


def _captured(name: str, *, is_model_good: bool, sentence: str = "", vanishing: Vanishing | None = None) -> Scenario:
    """A bare majority of three lies; seven more judge it."""
    lie = "fails a good model" if is_model_good else "passes a bad model"
    first = f"the majority of the first committee {lie}; its honest member appeals"
    return Scenario(
        name,
        f"{first}; {sentence}" if sentence else first,
        seats=3,
        validators=10,
        is_model_good=is_model_good,
        liars=2,
        vanishing=vanishing,
    )
