"""Rates, blame and bans, with time as an argument."""

import pytest

from morphware.node.gossip import reputation
from morphware.node.gossip.reputation import Reputation, TokenBucket
from morphware.node.gossip.settings import GossipSettings

PEER, OTHER = b"p" * 32, b"o" * 32


def test_a_bucket_allows_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate_per_s=2, burst=3)
    assert [bucket.take(10) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s() == 0.5
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate_per_s=100, burst=2)
    bucket.take(0)
    assert [bucket.take(1e6) for _ in range(3)] == [True, True, False]


def test_each_peer_has_its_own_allowance() -> None:
    peers = Reputation(GossipSettings(messages_per_s=1, messages_burst=1, requests_per_s=1, requests_burst=1))
    assert peers.may_forward(PEER, 0)
    assert not peers.may_forward(PEER, 0)
    assert peers.may_forward(OTHER, 0)
    assert peers.may_request(PEER, 0)
    assert not peers.may_request(PEER, 0)


def test_rejects_ban_when_they_come_too_often() -> None:
    peers = Reputation(GossipSettings(reject_limit=3, blame_window_s=60, ban_s=100))
    assert [peers.blame_reject(PEER, now_s) for now_s in (0, 1, 2)] == [False, False, True]
    assert peers.is_banned(PEER, 101)
    assert not peers.is_banned(PEER, 102)
    assert not peers.is_banned(OTHER, 2)


def test_rejects_far_apart_are_forgiven() -> None:
    peers = Reputation(GossipSettings(reject_limit=2, blame_window_s=60))
    assert [peers.blame_reject(PEER, now_s) for now_s in (0, 61, 122)] == [False, False, False]


def test_a_ban_that_ended_leaves_a_clean_slate() -> None:
    peers = Reputation(GossipSettings(reject_limit=2, ban_s=1))
    assert [peers.blame_reject(PEER, 0), peers.blame_reject(PEER, 0)] == [False, True]
    assert not peers.blame_reject(PEER, 5)


def test_no_table_grows_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reputation, "PEERS_MAX", 10)
    peers = Reputation(GossipSettings())
    for number in range(100):
        key = number.to_bytes(32, "big")
        peers.may_forward(key, 0)
        peers.may_request(key, 0)
        peers.blame_flood(key, 0)
        peers.ban(key, 0)
    for table in (peers._messages, peers._requests, peers._blame, peers._banned_until_s):
        assert len(table) <= 10
