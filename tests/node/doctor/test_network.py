"""Ports are really bound; whose they are, and whether others can come, is told apart."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from morphware.node.cli.answers import addresses_of_this_machine
from morphware.node.doctor.network import check_ports
from morphware.node.node import _alone
from tests.node.doctor.patient import OK, PROBLEM, WARNING, about, config, looked


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_free_ports_on_loopback_are_fine_with_a_chain_on_loopback(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    findings = await looked(partial(check_ports, config(node__data_folder=tmp_path, artifacts__listen=listen)))
    assert [finding.standing for finding in findings] == [OK, OK, OK, OK]
    assert listen.replace(":", " port ") in about(findings, "artifacts port").found


async def test_a_port_of_another_program_is_a_problem_and_of_our_node_is_not(tmp_path: Path) -> None:
    with taken_port() as port:
        patient = config(
            node__data_folder=tmp_path,
            gossip__listen=f"/ip4/127.0.0.1/tcp/{port}",
            artifacts__listen=f"127.0.0.1:{port}",
            web__listen=f"localhost:{port}",
        )
        findings = await looked(partial(check_ports, patient))
        for section in ("gossip", "artifacts", "web"):
            found = about(findings, f"{section} port")
            assert found.standing is PROBLEM
            assert f"port {port} is taken by another program" in found.found
            assert f"[{section}] listen" in found.advice
        with _alone(tmp_path):
            ours = about(await looked(partial(check_ports, patient)), "gossip port")
        assert (ours.standing, f"process {os.getpid()}" in ours.found) == (OK, True)


async def test_the_pages_port_is_looked_at_only_where_there_is_a_page(tmp_path: Path) -> None:
    with taken_port() as port:
        patient = config(node__data_folder=tmp_path, web__enabled=False, web__listen=f"127.0.0.1:{port}")
        assert [finding.subject for finding in await looked(partial(check_ports, patient))] == [
            "gossip port", "artifacts port", "reachability",
        ]  # fmt: skip
    open_to_others = config(node__data_folder=tmp_path, web__listen="0.0.0.0:0")
    page = about(await looked(partial(check_ports, open_to_others)), "web port")
    assert page.standing is OK, "who opens the page gets its address from the node"


@pytest.mark.parametrize(
    ("listen", "words"), [("203.0.113.77:4101", "cannot be listened on"), ("localhost:4102", "is no address")]
)
async def test_an_address_that_is_not_here_is_a_problem(tmp_path: Path, listen: str, words: str) -> None:
    findings = await looked(partial(check_ports, config(node__data_folder=tmp_path, artifacts__listen=listen)))
    found = about(findings, "artifacts port")
    assert (found.standing, words in found.found) == (PROBLEM, True)


async def reachability(folder: Path, **settings: str) -> tuple[str, str]:
    findings = await looked(partial(check_ports, config(node__data_folder=folder, **settings)))
    found = about(findings, "reachability")
    return found.standing, found.found + found.advice


async def test_a_node_that_strangers_cannot_reach_is_told(tmp_path: Path) -> None:
    standing, words = await reachability(tmp_path, chain__rpc_url="https://rpc.example")
    assert (standing, "its chain is elsewhere" in words, "--advertise" in words) == (WARNING, True, True)
    standing, words = await reachability(tmp_path, node__advertise="203.0.113.7")
    assert (standing, "listens on loopback" in words) == (PROBLEM, True)


async def test_an_advertised_address_is_held_against_the_machine(tmp_path: Path) -> None:
    everywhere = {"gossip__listen": "/ip4/0.0.0.0/tcp/0", "artifacts__listen": "0.0.0.0:0"}
    standing, words = await reachability(tmp_path, node__advertise="203.0.113.7", **everywhere)
    assert (standing, "Behind a router" in words) == (WARNING, True)
    standing, words = await reachability(tmp_path, node__advertise="no-such-host.invalid", **everywhere)
    assert (standing, "has no address" in words) == (PROBLEM, True)
    mine = [address for _, address in addresses_of_this_machine() if "." in address] or ["127.0.0.1"]
    standing, words = await reachability(tmp_path, node__advertise=mine[0], **everywhere)
    assert (standing, "this machine's own" in words) == (OK, True)
    findings = await looked(
        partial(check_ports, config(node__data_folder=tmp_path, node__advertise=mine[0], **everywhere))
    )
    assert about(findings, "gossip port").standing is WARNING, "an open port that changes cannot be let in"
