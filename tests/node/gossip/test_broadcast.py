"""Topics: who hears what, and what rules keep from being heard."""

from typing import Any

import pytest
import trio

from morphware.node.gossip.errors import PortTaken
from morphware.node.gossip.settings import GossipSettings
from morphware.protocol.verdicts import Accept, Ignore, Reject, Verdict

TOPIC = "/mw/1/test"
PATIENCE_S = 60
pytestmark = pytest.mark.adapter


def accept_what_starts_well(_author_key: bytes, data: bytes) -> Verdict:
    if data.startswith(b"ignore"):
        return Ignore("told to")
    if data.startswith(b"reject"):
        return Reject("told to")
    if data.startswith(b"raise"):
        raise RuntimeError("a rule with a defect")
    return Accept()


async def test_a_message_crosses_a_line_of_three(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        left, middle, right = [await start(number) for number in (1, 2, 3)]
        await link(left, middle)
        await link(middle, right)

        await left.gossip.publish(TOPIC, b"hello")

        assert await middle.hear() == b"hello"
        message = await right.received.receive()
        assert (message.topic, message.author_key, message.data) == (TOPIC, left.key, b"hello")


async def test_an_author_is_not_delivered_its_own_message(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        author, other = await start(1), await start(2)
        await link(author, other)
        await author.gossip.publish(TOPIC, b"mine")
        await other.hear()
        await other.gossip.publish(TOPIC, b"yours")
        assert await author.hear() == b"yours"


@pytest.mark.parametrize("word", [b"ignore", b"reject", b"raise"])
async def test_what_the_middle_does_not_accept_reaches_nobody_behind_it(start: Any, link: Any, word: bytes) -> None:
    with trio.fail_after(PATIENCE_S):
        left = await start(1)
        middle = await start(2, topics={TOPIC: accept_what_starts_well})
        right = await start(3)
        await link(left, middle)
        await link(middle, right)

        await left.gossip.publish(TOPIC, word + b" this")
        await left.gossip.publish(TOPIC, b"accept this")

        assert await middle.hear() == b"accept this"
        assert await right.hear() == b"accept this"
        assert right.received.statistics().current_buffer_used == 0
        counter = {b"ignore": "ignored", b"reject": "rejected", b"raise": "failed"}[word]
        # What was not accepted is not remembered as seen: its announcement at a heartbeat may fetch it again.
        assert middle.gossip.counters[counter] >= 1


async def test_a_peer_that_goes_on_being_rejected_is_banned_and_one_that_is_ignored_is_not(
    start: Any, link: Any
) -> None:
    with trio.fail_after(PATIENCE_S):
        settings = GossipSettings(reject_limit=3, ban_s=3600)
        judge = await start(1, topics={TOPIC: accept_what_starts_well}, settings=settings)
        dull, evil = await start(2), await start(3)
        await link(dull, judge)
        await link(evil, judge)

        for number in range(6):
            await dull.gossip.publish(TOPIC, b"ignore %d" % number)
        for number in range(3):
            await evil.gossip.publish(TOPIC, b"reject %d" % number)

        await judge.until_counted("banned")
        await judge.until_counted("ignored", 6)
        await judge.until(lambda: evil.key not in {peer.key for peer in judge.gossip.peers})
        assert [peer.key for peer in judge.gossip.peers] == [dull.key]

        # The evil one redials all the while, and is not let in again.
        await evil.gossip.publish(TOPIC, b"let me in")
        await dull.gossip.publish(TOPIC, b"still here")
        assert await judge.hear() == b"still here"
        assert judge.gossip.counters["banned"] == 1


async def test_a_ban_ends(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        settings = GossipSettings(reject_limit=1, ban_s=1)
        judge = await start(1, topics={TOPIC: accept_what_starts_well}, settings=settings)
        evil = await start(2)
        await link(evil, judge)
        await evil.gossip.publish(TOPIC, b"reject this")
        await judge.until_counted("banned")
        await judge.until(lambda: not judge.gossip.peers)
        await link(evil, judge)
        await evil.gossip.publish(TOPIC, b"sorry")
        assert await judge.hear() == b"sorry"


async def test_a_late_subscriber_hears_what_comes_after(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        speaker, listener = await start(1), await start(2)
        await link(speaker, listener)
        await listener.gossip.subscribe("/mw/1/late", accept_what_starts_well)
        await speaker.gossip.until_connected(listener.key, "/mw/1/late")

        await speaker.gossip.publish("/mw/1/late", b"not subscribed myself")

        assert await listener.hear() == b"not subscribed myself"


async def test_an_unsubscribed_topic_is_heard_no_more(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        speaker, listener = await start(1), await start(2)
        await link(speaker, listener)
        await listener.gossip.subscribe("/mw/1/other", accept_what_starts_well)
        await speaker.gossip.until_connected(listener.key, "/mw/1/other")
        await listener.gossip.unsubscribe("/mw/1/other")
        await speaker.gossip.publish("/mw/1/other", b"unheard")
        await speaker.gossip.publish(TOPIC, b"heard")
        assert await listener.hear() == b"heard"


async def test_a_message_too_long_is_not_sent(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        node = await start(1)
        await node.gossip.publish(TOPIC, bytes(8192))
        with pytest.raises(ValueError, match="8192 bytes, not 8193"):
            await node.gossip.publish(TOPIC, bytes(8193))


async def test_a_peer_restarted_with_its_identity_is_dialled_and_heard_again(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        listener, speaker = await start(1), await start(2)
        await link(listener, speaker)
        await speaker.gossip.publish(TOPIC, b"first life")
        assert await listener.hear() == b"first life"
        port = speaker.gossip.addresses[0].split("/")[4]

        await speaker.stop()
        speaker = await start(2, listen=f"127.0.0.1:{port}")
        await speaker.gossip.until_connected(listener.key, TOPIC)  # nobody told the listener: it redials by itself
        await speaker.gossip.publish(TOPIC, b"second life")

        assert await listener.hear() == b"second life"


async def test_a_taken_port_is_said_to_be_taken(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        first = await start(1)
        port = first.gossip.addresses[0].split("/")[4]
        with pytest.raises(ExceptionGroup) as caught:
            await start(2, listen=f"127.0.0.1:{port}")
        assert caught.group_contains(PortTaken, match=f"port {port} is taken")


async def test_peers_are_shown_with_key_address_and_topics(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        one, other = await start(1), await start(2)
        await link(one, other)
        (peer,) = one.gossip.peers
        assert (peer.key, peer.addresses, peer.topics) == (other.key, other.gossip.addresses, (TOPIC,))
        assert peer.connected_since > 1_700_000_000


async def test_what_is_published_before_the_mesh_has_formed_is_heard_by_everyone(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        hub, *leaves = [await start(number) for number in range(1, 8)]
        for leaf in leaves:
            await link(leaf, hub)
        for leaf in leaves:
            await leaf.gossip.publish(TOPIC, leaf.key)
        for node in (hub, *leaves):
            heard = {await node.hear() for _ in range(len(leaves) - (node is not hub))}
            assert heard == {leaf.key for leaf in leaves} - {node.key}
