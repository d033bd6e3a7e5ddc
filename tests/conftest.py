"""What every test shares."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from morphware.node.recursion import recursion_limit_kept

with recursion_limit_kept():
    import eth_account  # noqa: F401 - py_ecc raises the recursion limit of the process that imports it first


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
