"""What a look at one thing ends with: how it stands, one sentence of what was found, and one of what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from morphware.node.errors import MorphwareError


class Standing(StrEnum):
    """A warning is for the owner to judge; a problem keeps a node from starting or from earning."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, looked at. There is advice unless all is well."""

    subject: str
    standing: Standing
    found: str
    advice: str = ""


Tell = Callable[[Finding], None]
"""How a check says what it found; one check may find several things."""


def fine(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(subject, Standing.OK, _line(found))


def doubtful(subject: str, found: str, advice: str) -> Finding:
    """It may be meant so; the owner should know."""
    return Finding(subject, Standing.WARNING, _line(found), advice)


def faulty(subject: str, found: str, advice: str) -> Finding:
    """It has to be mended."""
    return Finding(subject, Standing.PROBLEM, _line(found), advice)


def _line(found: str) -> str:
    """What endpoints and drivers say of themselves may have lines; a finding is one sentence."""
    return " ".join(found.split())


def failure(subject: str, error: MorphwareError) -> Finding:
    """What a node would say of it: our errors' sentences name what is wrong, and after a colon what to do."""
    rule = " ".join((type(error).__doc__ or "").split()).removesuffix(".")
    if error.sentence.startswith(f"{rule} (") and ": " in rule:
        # the rule of its class, and the details behind it
        found, _, advice = rule.partition(": ")
        found, advice = f"{found} {error.sentence.removeprefix(rule).strip().removesuffix('.')}", f"{advice}."
    else:
        found, _, advice = error.sentence.rpartition(": ")
        if not found:
            found, advice = advice, "mend that, and ask again."
    return faulty(subject, found.rstrip(".") + ".", advice[:1].upper() + advice[1:])
