"""What peers may spend, and who is shut out: token buckets, blame and bans. Time is an argument; nothing here waits."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from morphware.node.gossip.settings import GossipSettings

PEERS_MAX = 4_096
"""Peers remembered at one time; the longest unseen are forgotten first."""

T = TypeVar("T")


@dataclass(slots=True)
class TokenBucket:
    """Allows ``rate_per_s`` in the long run, and ``burst`` at once."""

    rate_per_s: float
    burst: float
    tokens: float = field(init=False)
    updated_s: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now_s: float) -> bool:
        """Take one token, if there is one."""
        if self.updated_s is not None:
            self.tokens = min(self.burst, self.tokens + (now_s - self.updated_s) * self.rate_per_s)
        self.updated_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def wait_s(self) -> float:
        """How long after the last ``take`` the next token comes."""
        return max(0.0, (1 - self.tokens) / self.rate_per_s)


@dataclass(slots=True)
class _Blame:
    rejects: int = 0
    floods: int = 0
    since_s: float = 0


class Reputation:
    """Counts what each peer did wrong, and bans it for a while when that is too much."""

    def __init__(self, settings: GossipSettings) -> None:
        self._settings = settings
        self._messages: dict[bytes, TokenBucket] = {}
        self._requests: dict[bytes, TokenBucket] = {}
        self._blame: dict[bytes, _Blame] = {}
        self._banned_until_s: dict[bytes, float] = {}
        self.counters: Counter[str] = Counter()

    def may_forward(self, peer_key: bytes, now_s: float) -> bool:
        """Take one message from a forwarding peer's allowance."""
        settings = self._settings
        fresh = TokenBucket(settings.messages_per_s, settings.messages_burst)
        return _remembered(self._messages, peer_key, fresh).take(now_s)

    def may_request(self, peer_key: bytes, now_s: float) -> bool:
        """Take one direct stream from a peer's allowance."""
        settings = self._settings
        fresh = TokenBucket(settings.requests_per_s, settings.requests_burst)
        return _remembered(self._requests, peer_key, fresh).take(now_s)

    def blame_reject(self, peer_key: bytes, now_s: float) -> bool:
        """Blame a peer for what no honest peer sends; True when that was once too often, and it is banned."""
        blame = self._blame_of(peer_key, now_s)
        blame.rejects += 1
        return blame.rejects >= self._settings.reject_limit and self.ban(peer_key, now_s)

    def blame_flood(self, peer_key: bytes, now_s: float) -> bool:
        """Blame a peer for a message over its rate; True when it is banned for it."""
        blame = self._blame_of(peer_key, now_s)
        blame.floods += 1
        return blame.floods >= self._settings.flood_limit and self.ban(peer_key, now_s)

    def ban(self, peer_key: bytes, now_s: float) -> bool:
        """Shut a peer out for ``ban_s``."""
        self._blame.pop(peer_key, None)
        _remembered(self._banned_until_s, peer_key, 0.0)
        self._banned_until_s[peer_key] = now_s + self._settings.ban_s
        self.counters["banned"] += 1
        return True

    def is_banned(self, peer_key: bytes, now_s: float) -> bool:
        """Whether a peer is shut out now."""
        until_s = self._banned_until_s.get(peer_key)
        if until_s is None:
            return False
        if until_s > now_s:
            return True
        del self._banned_until_s[peer_key]
        return False

    def _blame_of(self, peer_key: bytes, now_s: float) -> _Blame:
        blame = _remembered(self._blame, peer_key, _Blame(since_s=now_s))
        if now_s - blame.since_s > self._settings.blame_window_s:
            blame.rejects, blame.floods, blame.since_s = 0, 0, now_s
        return blame


def _remembered(table: dict[bytes, T], peer_key: bytes, fresh: T) -> T:
    """The peer's entry, moved to the end of a bounded table, so that the front is the longest unseen."""
    entry = table.pop(peer_key, fresh)
    if len(table) >= PEERS_MAX:
        del table[next(iter(table))]
    table[peer_key] = entry
    return entry
