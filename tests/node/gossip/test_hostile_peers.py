"""What hostile peers send ends at worst their own connection; the attacks were found against stock libp2p."""

import socket
from typing import Any

import pytest
import trio

from morphware.node.gossip.addresses import library_id_of
from morphware.node.gossip.library import GOSSIPSUB_11
from morphware.node.gossip.settings import GossipSettings

TOPIC = "/mw/1/test"
PATIENCE_S = 60
pytestmark = pytest.mark.adapter


def host_of(node: Any) -> Any:
    return node.gossip._running.host


def pubsub_of(node: Any) -> Any:
    return node.gossip._running.pubsub


async def assert_hears(node: Any, speaker: Any, data: bytes = b"are you there?") -> None:
    await speaker.gossip.publish(TOPIC, data)
    assert await node.hear() == data


async def test_a_message_too_long_is_refused_and_its_sender_blamed(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, evil = await start(1), await start(2)
        await link(evil, victim)
        await pubsub_of(evil).publish(TOPIC, bytes(8193))
        await victim.until_counted("rejected")
        await assert_hears(victim, evil)


async def test_a_message_of_two_topics_is_refused(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, evil = await start(1), await start(2)
        await link(evil, victim)
        await pubsub_of(evil).publish([TOPIC, "/mw/1/other"], b"twice")
        await victim.until_counted("rejected")
        await assert_hears(victim, evil)


async def test_a_forged_author_is_refused_and_does_not_suppress_the_true_message(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, evil, author = await start(1), await start(2), await start(3)
        await link(evil, victim)
        await link(author, victim)
        pubsub_of(author).counter = 77  # the sequence number that the forger foresees
        pubsub_of(evil).counter = 77
        pubsub_of(evil).push_msg = forge_as(author.key, pubsub_of(evil))
        await pubsub_of(evil).publish(TOPIC, b"pay the forger")
        await victim.until_counted("rejected")
        await assert_hears(victim, author, b"pay the author")


def forge_as(author_key: bytes, pubsub: Any) -> Any:
    async def push(forwarder: Any, message: Any) -> None:
        message.from_id = library_id_of(author_key).to_bytes()
        await pubsub.router.publish(forwarder, message)

    return push


async def test_frames_of_garbage_do_not_end_the_host(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, evil, friend = await start(1), await start(2), await start(3)
        await link(evil, victim)
        await link(friend, victim)
        for garbage in (
            b"\x05\xff\xff\xff\xff\xff",
            b"\xff" * 64,
            b"\x00" * 16,
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        ):
            stream = await host_of(evil).new_stream(library_id_of(victim.key), [GOSSIPSUB_11])
            await stream.write(garbage)
            await stream.close()
        with socket.create_connection(("127.0.0.1", int(victim.gossip.addresses[0].split("/")[4]))) as raw:
            raw.sendall(b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff" * 4096)
        await victim.until_counted("rejected")
        await assert_hears(victim, friend)
        assert "rebuilt" not in victim.gossip.counters


async def test_a_flooding_peer_is_held_to_its_rate_and_then_banned(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        settings = GossipSettings(messages_per_s=1, messages_burst=20, flood_limit=100, ban_s=3600)
        victim, evil, friend = await start(1, settings=settings), await start(2), await start(3)
        await link(evil, victim)
        await link(friend, victim)
        for number in range(130):
            await evil.gossip.publish(TOPIC, b"flood %d" % number)
        await victim.until_counted("banned")
        assert 20 <= victim.gossip.counters["delivered"] <= 100
        while victim.received.statistics().current_buffer_used:
            victim.received.receive_nowait()
        await assert_hears(victim, friend)


async def test_messages_that_nobody_takes_are_counted_and_cost_no_memory(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, speaker = await start(1), await start(2)
        await link(speaker, victim)
        victim.received.close()
        await speaker.gossip.publish(TOPIC, b"unread")
        await victim.until_counted("undelivered")


async def test_idle_sockets_of_one_address_do_not_keep_others_out(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim = await start(1, settings=GossipSettings(inbound_per_ip_max=4, dial_timeout_s=3))
        friend = await start(2)
        port = int(victim.gossip.addresses[0].split("/")[4])
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        try:
            await victim.until_counted("inbound_refused", 16)
            # The others hang until the handshake's deadline; then the friend, who keeps dialling, is let in.
            await friend.gossip.connect(victim.gossip.addresses)
            await friend.gossip.until_connected(victim.key)
        finally:
            for connection in idle:
                connection.close()


async def test_inbound_slots_come_back_when_connections_end(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim = await start(1, settings=GossipSettings(inbound_per_ip_max=2))
        for number in range(2, 7):
            visitor = await start(number)
            await visitor.gossip.connect(victim.gossip.addresses)
            await visitor.gossip.until_connected(victim.key)
            await visitor.stop()


async def test_a_peer_that_ignores_flow_control_is_banned(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, evil = await start(1, settings=GossipSettings(ban_s=3600)), await start(2)
        await link(evil, victim)
        (connection,) = host_of(evil).get_network().get_connections()
        for stream in connection.get_streams():  # streams that the victim opened to write, and never reads
            muxed = stream.muxed_stream
            muxed.send_window = 1 << 40
            with trio.move_on_after(5):
                try:
                    await muxed.write(bytes(3 << 20))
                except Exception:  # noqa: BLE001  the victim may hang up at any byte
                    break
        await victim.until_counted("banned")


async def test_a_host_that_dies_is_built_again_on_its_port_and_found_again(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        victim, friend = await start(1), await start(2)
        await link(friend, victim)
        before = victim.gossip.addresses

        async def defect() -> None:
            raise RuntimeError("a defect of the library")

        host_of(victim).get_network().manager.run_task(defect)
        await victim.until_counted("rebuilt")
        await friend.until(lambda: not friend.gossip.peers)
        await friend.gossip.until_connected(victim.key, TOPIC)
        await victim.gossip.until_connected(friend.key, TOPIC)

        assert victim.gossip.addresses == before
        await assert_hears(victim, friend)
        await assert_hears(friend, victim)


async def test_addresses_that_are_none_are_passed_over(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        one, other = await start(1), await start(2)
        await one.gossip.connect(["", "/ip4/300.0.0.1/tcp/1/p2p/x", "\x00" * 9999, *other.gossip.addresses])
        await one.gossip.until_connected(other.key)
