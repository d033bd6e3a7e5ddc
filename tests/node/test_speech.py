"""What a node says by gossip is taken by others as its own, and what it hears changes only what it may change."""

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from morphware.node.keys import Keys
from morphware.protocol.calls import SignedBid, SignedReport
from morphware.protocol.codec import decode
from morphware.protocol.crypto import encryption_public_key
from morphware.protocol.events import ReportHeard, SignedBidsHeard, SignedReportHeard
from morphware.protocol.gossip import judge
from morphware.protocol.messages import (
    BidKey,
    BidsSigned,
    Envelope,
    ModelReady,
    NodeRecord,
    ReportOpening,
    ReportSigned,
    SignedCommitment,
)
from morphware.protocol.units import NO_MODEL, JobId
from morphware.protocol.verdicts import Accept, Ignore, Reject
from morphware.protocol.view import report_of
from tests.node.world import Node, World

JOB = JobId(b"j" * 32)


class Pair:
    """A speaker and a listener who knows it from the chain; the messages in between lie in ``said``."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.speaker = Node(self.world, "speaker", "user").enrol()
        self.listener = Node(self.world, "listener", "user").enrol()
        self.said: list[tuple[str, bytes]] = []
        for node in (self.speaker, self.listener):
            node._open()
            for block in self.world.blocks:
                for event in block.events:
                    node.directory.note(event)  # type: ignore[arg-type]

        async def publish(topic: str, data: bytes) -> None:
            self.said.append((topic, data))

        self.speaker.gossip.publish = publish  # type: ignore[method-assign]

    @property
    def speech(self) -> Any:
        assert self.speaker.engine.performer is not None
        return self.speaker.engine.performer.speaker

    def keys(self) -> Keys:
        class Known:
            encryption_key = encryption_public_key(self.speaker.encryption_secret)
            peer_key = self.speaker.peer_key

        return Known()  # type: ignore[return-value]

    def close(self) -> None:
        for node in (self.speaker, self.listener):
            node.journal.close()

    async def announce(self, times: int = 1) -> None:
        with trio.move_on_after(30 * times - 15):
            await self.speech.announce_self(self.keys(), 1, ("127.0.0.1", 4102), 30.0)


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


async def test_a_nodes_record_is_taken_by_others(pair: Pair, autojump_clock: MockClock) -> None:
    await pair.announce()
    ((topic, data),) = pair.said
    assert judge(topic, data, pair.listener.knowledge, time.time()) == Accept()
    assert isinstance(judge(topic, data, pair.listener.knowledge, time.time()), Ignore)  # told again


async def test_a_record_is_told_again_and_again_with_growing_numbers(pair: Pair, autojump_clock: MockClock) -> None:
    await pair.announce(times=3)
    numbers = [decode(data, Envelope).sequence for _, data in pair.said]
    assert len(numbers) == 3
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= time.time_ns() - 60 * 10**9  # greater than those before any restart


async def test_a_record_that_another_hand_touched_is_refused(pair: Pair, autojump_clock: MockClock) -> None:
    await pair.announce()
    ((topic, data),) = pair.said
    broken = bytes([*data[:-1], data[-1] ^ 1])
    assert isinstance(judge(topic, broken, pair.listener.knowledge, time.time()), Reject)
    body = decode(decode(data, Envelope).body, NodeRecord)
    assert body.peer_key == pair.speaker.peer_key


async def test_what_others_may_not_know_yet_is_ignored(pair: Pair) -> None:
    await pair.speech.say(JOB, BidKey(commitment=bytes(32), key=bytes(32)))
    ((topic, data),) = pair.said
    assert isinstance(judge(topic, data, pair.listener.knowledge, time.time()), Ignore)


async def test_a_record_that_was_heard_moves_hints_and_no_keys(pair: Pair, autojump_clock: MockClock) -> None:
    listener = pair.listener
    before = listener.directory[pair.speaker.account]
    await pair.announce()
    ((_, data),) = pair.said
    envelope = decode(data, Envelope)
    listener.listener._act(JOB, pair.speaker.account, decode(envelope.body, NodeRecord))
    entry = listener.directory.entry(pair.speaker.account)
    assert entry is not None
    assert entry.torrent == ("127.0.0.1", 4102)
    forged = NodeRecord(
        encryption_key=bytes(32), peer_key=bytes(32), roles=1, addresses=("/ip4/6.6.6.6/tcp/6",),
        torrent_host="6.6.6.6", torrent_port=6666, expires_at=0, signature=bytes(65),
    )  # fmt: skip
    listener.listener._act(JOB, pair.speaker.account, forged)
    assert listener.directory[pair.speaker.account] == before
    assert listener.knowledge.peer_keys[pair.speaker.account] == pair.speaker.peer_key
    assert "/ip4/6.6.6.6/tcp/6" not in listener.directory.all_addresses()


async def test_the_opening_of_a_report_reaches_whoever_may_use_it(pair: Pair) -> None:
    heard: list[object] = []
    object.__setattr__(pair.listener.listener, "on_said", lambda job_id, event: heard.append((job_id, event)))
    opening = ReportOpening(round=1, metric_e6=NO_MODEL, fingerprint_e9=-5, prediction_root=b"p" * 32, salt=b"s" * 32)
    await pair.speech.say(JOB, opening)
    ((_, data),) = pair.said
    body = decode(decode(data, Envelope).body, ReportOpening)
    pair.listener.listener._act(JOB, pair.speaker.account, body)
    report = report_of(pair.speaker.account, NO_MODEL, -5, b"p" * 32, b"s" * 32)
    assert heard == [(JOB, ReportHeard(1, report))]


async def test_a_notice_says_where_its_author_serves_now(pair: Pair) -> None:
    file: Any = None
    for host, port, expected in (("10.0.0.5", 5005, ("10.0.0.5", 5005)), ("example.org", 1, ("10.0.0.5", 5005))):
        ready = ModelReady(file=file, torrent_host=host, torrent_port=port)
        pair.listener.listener._act(JOB, pair.speaker.account, ready)
        entry = pair.listener.directory.entry(pair.speaker.account)
        assert entry is not None
        assert entry.torrent == expected


async def test_the_rules_learn_the_chains_time_from_its_blocks(
    pair: Pair, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    node = pair.listener
    assert node.knowledge.chain_time(100.0) is None
    nursery.start_soon(node.listener.keep_time, node.feed)
    await trio.testing.wait_all_tasks_blocked()
    now = time.time()
    node.feed.say("output", text="no block")
    node.feed.say("block", number=5, timestamp=now + 500)
    await trio.testing.wait_all_tasks_blocked()
    chain_time = node.knowledge.chain_time(now)
    assert chain_time is not None
    assert 440 < chain_time - now <= 500


async def test_what_is_signed_reaches_whoever_may_bring_it_on_chain(pair: Pair) -> None:
    heard: list[object] = []
    object.__setattr__(pair.listener.listener, "on_said", lambda job_id, event: heard.append((job_id, event)))
    account, one = pair.speaker.account, SignedCommitment(commitment=b"c" * 32, signature=b"s" * 65)
    for body in (BidsSigned(bids=(one, one)), ReportSigned(round=2, restarts=1, sealed=one)):
        await pair.speech.say(JOB, body)
        _, data = pair.said[-1]
        pair.listener.listener._act(JOB, account, decode(decode(data, Envelope).body, type(body)))
    bid = SignedBid(account, b"c" * 32, b"s" * 65)
    report = SignedReport(account, b"c" * 32, b"s" * 65)
    assert heard == [(JOB, SignedBidsHeard((bid, bid))), (JOB, SignedReportHeard(2, 1, report))]
