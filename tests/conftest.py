"""What every test shares."""

import logging
import signal
from collections.abc import Iterator

import pytest
import structlog

from morphware.node.recursion import recursion_limit_kept

with recursion_limit_kept():
    import eth_account  # noqa: F401 - py_ecc raises the recursion limit of the process that imports it first

# A shell leaves it ignored in what it starts in the background, and so it would be in every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test configures ends with it: else a command run in this process leaves logs bound to a closed stream."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)
