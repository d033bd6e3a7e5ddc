"""What a validation rule says of a message from a peer, before anything acts on it and before it is forwarded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accept:
    """The message is well-formed, allowed and new: it is delivered and forwarded."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Not for us, not now, or not provable: neither delivered nor forwarded, and nobody is blamed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """No honest peer would have forwarded this: neither delivered nor forwarded, and the forwarder is blamed."""

    reason: str


Verdict = Accept | Ignore | Reject
