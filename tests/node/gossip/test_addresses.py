"""Keys and their spelling as peer ids and multiaddresses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.gossip.addresses import (
    PeerAddress,
    full_address,
    key_of,
    library_id_of,
    parse_address,
    parse_listen,
    peer_id_of,
    public_key_of,
)
from morphware.node.gossip.library import ID, create_new_key_pair

KEY = public_key_of(bytes([1]) * 32)
PEER_ID = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"


def test_a_key_is_spelled_as_libp2p_spells_it() -> None:
    assert peer_id_of(KEY) == PEER_ID
    assert key_of(PEER_ID) == KEY
    assert library_id_of(KEY) == ID.from_pubkey(create_new_key_pair(bytes([1]) * 32).public_key)


@given(st.binary(min_size=32, max_size=32))
def test_every_key_survives_its_spelling(key: bytes) -> None:
    assert key_of(peer_id_of(key)) == key


@pytest.mark.parametrize("text", ["", "x", "Qm" + "1" * 44, PEER_ID[:-1], "z" * 300, "12D3KooW\x00"])
def test_what_is_no_peer_id_of_an_ed25519_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="peer id"):
        key_of(text)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "/ip4/127.0.0.1/tcp/4001"),
        ("::1", "/ip6/::1/tcp/4001"),
        ("node.example", "/dns/node.example/tcp/4001"),
    ],
)
def test_an_address_survives_its_spelling(host: str, text: str) -> None:
    assert full_address(PeerAddress(host, 4001), KEY) == f"{text}/p2p/{PEER_ID}"
    assert parse_address(f"{text}/p2p/{PEER_ID}") == (KEY, PeerAddress(host, 4001))


@pytest.mark.parametrize(
    "text",
    [
        "/ip4/127.0.0.1/tcp/4001",
        f"/ip4/127.0.0.1/udp/4001/p2p/{PEER_ID}",
        f"/ip4/127.0.0.1/tcp/0/p2p/{PEER_ID}",
        f"/ip4/127.0.0.1/tcp/65536/p2p/{PEER_ID}",
        f"/ip4/127.0.0.1/tcp/+1/p2p/{PEER_ID}",
        f"/ip4/::1/tcp/1/p2p/{PEER_ID}",
        f"/dns4/a b/tcp/1/p2p/{PEER_ID}",
        f"/unix/x/tcp/1/p2p/{PEER_ID}",
        f"x/ip4/127.0.0.1/tcp/1/p2p/{PEER_ID}",
        f"/ip4/127.0.0.1/tcp/1/p2p/{PEER_ID}/p2p-circuit",
    ],
)
def test_every_other_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@given(st.text(max_size=300))
def test_no_text_makes_parsing_fail_otherwise(text: str) -> None:
    for parse in (parse_address, parse_listen, key_of):
        with contextlib.suppress(ValueError):
            parse(text)


def test_a_listening_address_is_a_local_ip_and_a_port() -> None:
    assert parse_listen("127.0.0.1:0") == PeerAddress("127.0.0.1", 0)
    assert parse_listen("[::1]:4001") == PeerAddress("::1", 4001)
    for text in ("127.0.0.1", "localhost:1", "127.0.0.1:99999", ":1"):
        with pytest.raises(ValueError):
            parse_listen(text)
