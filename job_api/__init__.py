"""What a training script may import: ``morphware.log(step=…, loss=…)`` shows numbers live to the one who pays.

Inside the sandbox the node puts its own module of this name in front of this one. Everywhere else ``log`` does nothing,
so that a script runs unchanged on your own machine.
"""

__all__ = ["log"]


def log(*, step: int | None = None, **values: float) -> None:
    """Report numbers of a training step, like ``morphware.log(step=1, loss=0.5)``; outside the sandbox, do nothing."""
