"""Questions on a terminal, with arrow keys; the only place that knows questionary."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

Complaint = Callable[[str], str]
"""What is wrong with an answer; empty if nothing is."""

ROLES: Final = {
    "user": "End user: submit jobs, and pay for models",
    "worker": "Worker: train other people's jobs, and be paid",
    "validator": "Validator: stake tokens, test models, and be paid",
}


def has_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class Terminal:
    """A person at a terminal. Every question raises ``KeyboardInterrupt`` at Ctrl-C, and ``EOFError`` at Ctrl-D."""

    def __init__(self) -> None:
        # imported by the first who asks: it takes a third of a second, which a script need not wait
        import questionary

        self._ask = questionary

    def roles(self) -> tuple[str, ...]:
        """Any of the three, at least one."""
        chosen: list[str] = self._ask.checkbox(
            "What shall this node do?",
            instruction="(space chooses, enter goes on)",
            choices=[self._ask.Choice(words, role, checked=role == "user") for role, words in ROLES.items()],
            validate=lambda chosen: bool(chosen) or "Choose at least one, with the space bar.",
        ).unsafe_ask()
        return tuple(chosen)

    def choice(self, prompt: str, places: Mapping[str, str]) -> str:
        """One of several."""
        choices = [self._ask.Choice(words, value) for value, words in places.items()]
        return str(self._ask.select(prompt, choices=choices).unsafe_ask())

    def text(self, prompt: str, default: str, complaint: Complaint) -> str:
        """A line that stands its check."""
        question = self._ask.text(prompt, default=default, validate=_validator(lambda text: complaint(text.strip())))
        return str(question.unsafe_ask()).strip()

    def new_password(self) -> str:
        """Typed twice, and shown never."""
        wanted = "Password for the new keys"
        first = str(self._ask.password(wanted, validate=_validator(_complain_of_no_password)).unsafe_ask())
        again = _validator(lambda text: "" if text == first else "It is not the same: try again, or Ctrl-C.")
        self._ask.password("The same again", validate=again).unsafe_ask()
        return first


def _complain_of_no_password(text: str) -> str:
    return "" if text else "Whoever gets at the files has the money then: type a password."


def _validator(complaint: Complaint) -> Any:
    """questionary wants truth, or the complaint."""
    return lambda text: complaint(text) or True
