"""How much a test run did, for the campaign: ``pytest -p tests.counting --junitxml=FILE`` tells worlds and calls.

Counting is not the tests' business, so it is wrapped around the world from outside, and only when it is asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from tests.protocol.market_world import World

COUNTS: Counter[str] = Counter()


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which counts its calls under this name."""

    @wraps(function)
    def count(*args: Any, **kwargs: Any) -> Any:
        COUNTS[name] += 1
        return function(*args, **kwargs)

    return count


def pytest_configure() -> None:
    """A run is a world, which begins with an empty market; a call is one transaction in it."""
    World.__init__ = counted("runs", World.__init__)  # type: ignore[method-assign]
    World.ask = counted("calls", World.ask)  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _told(record_testsuite_property: Callable[[str, object], None]) -> Iterator[None]:
    yield
    for name in ("runs", "calls"):
        record_testsuite_property(name, COUNTS[name])
