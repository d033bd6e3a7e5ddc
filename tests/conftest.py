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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, a file is one process's, for its fixtures' sake, and only one runs whole networks.

    Those come first: they are the longest, and mostly wait.
    """
    items.sort(key=lambda item: not _is_network(item))
    for item in items:
        name = "networks" if _is_network(item) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(name))


def _is_network(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(marker) for marker in ("e2e", "browser"))


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
