"""Nodes that share transactions, killed at every edge of it: between signing, storing, saying, sending and seeing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import Commit, CommitBatch, CommitReport, CommitReportBatch, Multicall
from morphware.protocol.states import Outcome
from morphware.protocol.units import JobId
from tests.node.engine_runs import all_ended, assert_nothing_was_sent_twice, run_to_end
from tests.node.world import BLOCK_S, World, market_of, no_threads

__all__ = ["no_threads"]
pytestmark = pytest.mark.usefixtures("no_threads")


def bids_on_chain(world: World) -> Counter[bytes]:
    events = [event for block in world.blocks for event in block.events]
    return Counter(event.bidder for event in events if isinstance(event, ce.BidCommitted))


def reports_on_chain(world: World) -> Counter[bytes]:
    events = [event for block in world.blocks for event in block.events]
    return Counter(event.validator for event in events if isinstance(event, ce.ReportCommitted))


def assert_everybody_once(world: World, job_id: JobId) -> None:
    """Each worker has one bid on chain and each validator one report, whoever brought them, and the job is paid."""
    assert world.outcome(job_id) is Outcome.PAID
    workers = {node.account for name, node in world.nodes.items() if name.startswith("worker")}
    assert bids_on_chain(world) == dict.fromkeys(workers, 1)
    assert set(reports_on_chain(world).values()) == {1}
    assert len(reports_on_chain(world)) == 5
    assert_nothing_was_sent_twice(world)


def senders(world: World, kind: type) -> list[str]:
    by_account = {node.account: name for name, node in world.nodes.items()}
    return [by_account[sent.account] for sent in world.sent if isinstance(sent.call, kind)]


async def test_nodes_bring_each_other_s_commitments(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, workers=(30, 40, 50), validators=5)
    job_id = await run_to_end(world)
    assert_everybody_once(world, job_id)
    assert senders(world, CommitBatch) == ["user"]
    assert len(senders(world, CommitReportBatch)) == 1
    assert senders(world, Commit) == senders(world, CommitReport) == []
    assert sorted(senders(world, Multicall)) == ["user", "worker0"]
    assert {call["call"] for call in world.nodes["user"].costs()} >= {"CommitBatch", "Poke+RevealBids"}


async def test_whoever_does_not_want_to_share_sends_its_own(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = market_of(tmp_path, workers=(30, 40, 50), validators=5)
    for name in ("worker1", "validator2"):
        world.nodes[name].does_relay = False
    job_id = await run_to_end(world)
    assert_everybody_once(world, job_id)
    assert senders(world, Commit) == ["worker1"]
    assert senders(world, CommitReport) == ["validator2"]


@pytest.mark.parametrize("name", ["user", "worker1"])
async def test_who_is_off_line_while_bids_are_taken_takes_nothing_from_the_others(
    name: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The user dies before it has brought any bid; a worker dies once it has signed, and is back for the opening."""
    world = market_of(tmp_path, workers=(30, 40, 50), validators=5)
    victim = world.nodes[name]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.tick)
        for node in world.nodes.values():
            await node.start(nursery)
        job_id = await world.nodes["user"].submit()
        await world.until(lambda: any("signed" in place for place in world.nodes["worker1"].fuse.places))
        await victim.kill()
        await trio.sleep(8 * BLOCK_S)
        await victim.start(nursery)
        await world.until(lambda: all_ended(world))
        nursery.cancel_scope.cancel()
    assert_everybody_once(world, job_id)
    assert bool(senders(world, CommitBatch)) is (name != "user")


def concerns_bids(place: str) -> bool:
    return any(word in place for word in ("signed", "appraise", "relay", "commit|", "early|", "poke+"))


def edges(places: list[str], is_wanted: Callable[[str], bool], around: int) -> list[int]:
    """The instants at, and so many before and after, each place that is wanted; counted from 1."""
    found = {
        index + offset + 1
        for index, place in enumerate(places)
        if is_wanted(place)
        for offset in range(-around, around + 1)
        if 0 <= index + offset < len(places)
    }
    return sorted(found)


@pytest.mark.parametrize("name", ["user", "worker0", "worker1", "validator0"])
async def test_a_node_killed_at_an_edge_of_sharing_bids_and_reports_exactly_once(
    name: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Every statement around the signing, saying, asking, sending and seeing may be the last that the process did."""
    reference = market_of(tmp_path / "reference", validators=5)
    await run_to_end(reference)
    instants = edges(reference.nodes[name].fuse.places, concerns_bids, around=3)
    assert len(instants) >= 8, reference.nodes[name].fuse.places
    step = max(1, len(instants) // 10)
    for kill_at in instants[::step]:
        world = market_of(tmp_path / str(kill_at), validators=5)
        world.nodes[name].fuse.kill_at = kill_at
        job_id = await run_to_end(world)
        assert world.nodes[name].starts == 2, kill_at
        assert_everybody_once(world, job_id)
