"""Where a node listens, and what it tells others."""

import socket
from pathlib import Path

import pytest

from morphware.node.addresses import (
    is_everywhere,
    listening_address,
    reachable,
    remember_port,
    split_address,
)
from morphware.node.config_loading import load_config
from morphware.node.errors import BadInput
from morphware.node.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.mark.parametrize(
    ("configured", "split"),
    [
        ("127.0.0.1:4102", ("127.0.0.1", 4102)),
        ("[::1]:0", ("::1", 0)),
        ("/ip4/127.0.0.1/tcp/4101/p2p/12D3", ("127.0.0.1", 4101)),
        ("/ip6/::1/tcp/0", ("::1", 0)),
    ],
)
def test_addresses_are_read_in_both_spellings(configured: str, split: tuple[str, int]) -> None:
    assert split_address(configured) == split


def test_an_open_port_is_the_last_one_again_unless_somebody_took_it(journal: Journal) -> None:
    assert listening_address(journal, "gossip", "/ip4/127.0.0.1/tcp/0") == "127.0.0.1:0"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        remember_port(journal, "gossip", port)
        probe.listen()
        assert listening_address(journal, "gossip", "127.0.0.1:0") == "127.0.0.1:0"
    assert listening_address(journal, "gossip", "127.0.0.1:0") == f"127.0.0.1:{port}"
    assert listening_address(journal, "gossip", "127.0.0.1:4101") == "127.0.0.1:4101"
    journal.close()


def test_others_are_told_the_advertised_host() -> None:
    listened = ["/ip4/0.0.0.0/tcp/4101/p2p/12D3"]
    assert reachable(listened, "") == tuple(listened)
    assert reachable(listened, "203.0.113.7") == ("/ip4/203.0.113.7/tcp/4101/p2p/12D3",)
    assert reachable(listened, "2001:db8::7") == ("/ip6/2001:db8::7/tcp/4101/p2p/12D3",)
    assert reachable(listened, "worker.example") == ("/dns/worker.example/tcp/4101/p2p/12D3",)


@pytest.mark.parametrize("key", ["gossip.listen", "artifacts.listen"])
def test_listening_everywhere_needs_an_address_to_advertise(key: str) -> None:
    everywhere = {"gossip.listen": "/ip4/0.0.0.0/tcp/4101", "artifacts.listen": "0.0.0.0:4102"}[key]
    assert is_everywhere(everywhere)
    with pytest.raises(BadInput, match="advertise"):
        load_config(flags={key: everywhere}, environment={})
    told = load_config(flags={key: everywhere, "node.advertise": "203.0.113.7"}, environment={})
    assert told.config.node.advertise == "203.0.113.7"
