"""Closing leaves nothing behind: in one process, and as a program that is interrupted."""

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.gossip.service import serve_gossip
from morphware.protocol.verdicts import Accept

TOPIC = "/mw/1/test"
PATIENCE_S = 60
pytestmark = pytest.mark.adapter

PROGRAM = """
import sys, trio
from morphware.node.gossip.service import serve_gossip
from morphware.protocol.verdicts import Accept

async def main():
    send, received = trio.open_memory_channel(100)
    async with trio.open_nursery() as nursery:
        gossip = await nursery.start(lambda task_status: serve_gossip(
            peer_seed=bytes([int(sys.argv[1])]) * 32, listen="127.0.0.1:0", topics={"t": lambda key, data: Accept()},
            deliver=send, task_status=task_status))
        print(*gossip.addresses, file=sys.stderr, flush=True)
        await gossip.connect(sys.argv[2:])
        async for message in received:
            await gossip.publish("t", message.data[::-1])

try:
    trio.run(main)
except* KeyboardInterrupt:
    sys.exit(130)
"""


def open_sockets() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            links.add(target)
    return links


async def test_closing_leaves_no_socket_no_thread_and_no_port(start: Any, link: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        before, threads = open_sockets(), set(threading.enumerate())
        nodes = [await start(number) for number in range(1, 5)]
        for node in nodes[1:]:
            await link(node, nodes[0])
        await nodes[0].gossip.publish(TOPIC, b"bye")
        ports = [int(node.gossip.addresses[0].split("/")[4]) for node in nodes]
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(node.stop)
        assert open_sockets() == before
        assert {thread for thread in threading.enumerate() if thread.name.startswith("Thread-")} <= threads
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))


async def test_cancelling_in_the_middle_of_a_dial_leaves_no_socket() -> None:
    with trio.fail_after(PATIENCE_S):
        before = open_sockets()
        send, _ = trio.open_memory_channel[Any](10)
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never shakes hands
            port = silent.getsockname()[1]
            peer = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
            async with trio.open_nursery() as nursery:
                gossip = await nursery.start(
                    lambda task_status: serve_gossip(
                        peer_seed=bytes([2]) * 32,
                        listen="127.0.0.1:0",
                        topics={TOPIC: lambda _key, _data: Accept()},
                        deliver=send,
                        task_status=task_status,
                    )
                )
                await gossip.connect([f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer}"])
                connection, _ = await trio.to_thread.run_sync(silent.accept)
                nursery.cancel_scope.cancel()
            connection.close()
        assert open_sockets() == before


def start_program(command: list[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, **options)


async def test_real_processes_talk_and_are_quiet_when_interrupted(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        here = await start(1, topics={"t": lambda _key, _data: Accept()})
        command = [sys.executable, "-W", "error", "-c", PROGRAM, "2", *here.gossip.addresses]
        program = start_program(command, stderr=subprocess.PIPE)
        try:
            assert program.stderr is not None
            address = (await trio.to_thread.run_sync(program.stderr.readline)).strip()
            assert address.startswith("/ip4/127.0.0.1/tcp/")
            await here.until(lambda: any("t" in peer.topics for peer in here.gossip.peers))
            await here.gossip.publish("t", b"abc")
            assert await here.hear() == b"cba"
            program.send_signal(signal.SIGINT)
            assert await trio.to_thread.run_sync(program.wait) == 130
            assert await trio.to_thread.run_sync(program.stderr.read) == ""
            await here.until(lambda: not here.gossip.peers)
        finally:
            program.kill()
            program.wait()
            if program.stderr is not None:
                program.stderr.close()


async def test_a_killed_process_is_noticed(start: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        here = await start(1, topics={"t": lambda _key, _data: Accept()})
        command = [sys.executable, "-c", PROGRAM, "2", *here.gossip.addresses]
        program = start_program(command, stderr=subprocess.DEVNULL)
        try:
            await here.until(lambda: bool(here.gossip.peers))
        finally:
            program.kill()
            program.wait()
        await here.until(lambda: not here.gossip.peers)
