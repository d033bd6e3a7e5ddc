"""What every test shares."""

import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from morphware.node.recursion import recursion_limit_kept

with recursion_limit_kept():
    import eth_account  # noqa: F401 - py_ecc raises the recursion limit of the process that imports it first

NETWORKS = ("tests/browser/", "tests/e2e/")
FORGES = ("tests/contracts/test_forge.py", "tests/contracts/test_mutants.py")
"""They share what forge has compiled."""

# A shell leaves it ignored in what it starts in the background, and so it would be in every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


class OneNetworkAtATime(LoadScopeScheduling):  # type: ignore[misc]
    """With several processes, a file is one process's, for its fixtures' sake, and only one runs whole networks.

    It mostly waits, so that there is one process more than there are cores.
    By folders, as xdist 3.8 writes its groups where pytest 9.2 does not read them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(NETWORKS):
            return "networks"
        return "forge" if file in FORGES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneNetworkAtATime:
    """Distribute tests by ``OneNetworkAtATime``."""
    return OneNetworkAtATime(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Networks come first: they are the longest, and mostly wait."""
    items.sort(key=lambda item: not item.nodeid.startswith(NETWORKS))


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
