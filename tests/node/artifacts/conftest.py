"""Nodes that move files on loopback."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
import trio

from morphware.node.artifacts.fetch import FetchPatience
from morphware.node.artifacts.torrents import LibtorrentArtifacts, TorrentSettings, serve_artifacts

StartNode = Callable[..., Awaitable[LibtorrentArtifacts]]


@pytest.fixture
def start_node(nursery: trio.Nursery) -> StartNode:
    """Start one BitTorrent side; it ends with the test."""

    async def start(**settings: object) -> LibtorrentArtifacts:
        node: LibtorrentArtifacts = await nursery.start(serve_artifacts, TorrentSettings(**settings))  # type: ignore[arg-type]
        return node

    return start


@pytest.fixture
def impatient() -> FetchPatience:
    """For tests in which nothing good will come."""
    return FetchPatience(stall_s=0.5, give_up_s=2)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged; not printed."""
    with structlog.testing.capture_logs() as entries:
        yield entries
