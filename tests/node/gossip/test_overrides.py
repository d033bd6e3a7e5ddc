"""What is changed in libp2p exists there, in the version that was measured; and what is left out stays out."""

import logging
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from morphware.node.gossip import library, overrides, slim

IMPORT_AND_LIST = """
import logging, sys
import morphware.node.gossip.service
from morphware.node.gossip.slim import Placeholder
print(*(name for name, module in sys.modules.items() if isinstance(module, Placeholder)))
print(*sys.modules)
print(logging.getLogger().handlers)
import httpx, ssl
print(httpx.Client)
"""


def test_libp2p_is_the_version_that_was_measured() -> None:
    assert version("libp2p") == overrides.LIBP2P_VERSION == "0.8.1"


@pytest.mark.parametrize(
    ("owner", "name"), overrides.PATCHED, ids=[f"{owner.__name__}.{name}" for owner, name in overrides.PATCHED]
)
def test_every_patched_name_exists(owner: Any, name: str) -> None:
    assert hasattr(owner, name)


def test_patches_are_in_place() -> None:
    assert overrides.pubsub.RpcQueue().max_message_size
    assert overrides.pubsub.LastSeenCache is overrides.SeenMessages
    assert overrides.swarm._HAPPY_EYEBALLS_DELAY == overrides.HAPPY_EYEBALLS_DELAY_S
    assert library.Pubsub is overrides.pubsub.Pubsub


def test_the_library_is_quiet() -> None:
    noisy = [
        name
        for name in logging.root.manager.loggerDict
        if name.startswith("libp2p") and logging.getLogger(name).isEnabledFor(logging.ERROR)
    ]
    assert noisy == []


def test_what_is_not_used_is_not_imported_and_nobody_else_meets_a_placeholder() -> None:
    listed = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_AND_LIST], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    placeholders, modules = listed[0].split(), set(listed[1].split())
    assert placeholders
    for name in placeholders:
        assert any(name == unused or name.startswith(unused + ".") for unused in slim.UNUSED)
    assert not modules & {"aioquic", "zeroconf", "miniupnpc", "trio_websocket", "httpx", "requests", "dns", "web3"}
    assert listed[2] == "[]", "libp2p must not install a handler on the root logger"
    assert listed[3] == "<class 'httpx.Client'>"


def test_keys_of_kinds_that_are_left_out_do_not_deserialize() -> None:
    from libp2p.crypto.serialization import deserialize_public_key

    for kind in (0, 2):  # RSA, secp256k1
        with pytest.raises(ValueError, match="left out"):
            deserialize_public_key(bytes([8, kind, 18, 3]) + b"key")


def test_seen_messages_are_remembered_for_their_time_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("morphware.node.gossip.overrides.time.monotonic", lambda: now)
    seen = overrides.SeenMessages(ttl=10)
    assert seen.add(b"a")
    assert not seen.add(b"a")
    now += 9
    assert seen.has(b"a")
    now += 2
    assert not seen.has(b"a")
    monkeypatch.setattr(overrides.SeenMessages, "SEEN_MAX", 3)
    for number in range(10):
        seen.add(bytes([number]))
    assert seen.length() == 3
    assert seen.has(bytes([9]))
    assert not seen.has(bytes([6]))
