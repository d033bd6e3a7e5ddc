"""The limits of one gossip node: what a peer may cost us, each with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """Bounds on everything that a stranger can make this node spend."""

    message_max_bytes: int = 8 << 10
    """A gossip message; larger things travel as artifacts or over direct streams."""
    messages_per_s: float = 50
    """Messages taken from one forwarding peer, copies of known ones included."""
    messages_burst: float = 100
    flood_limit: int = 2_000
    """Messages over the rate, from one peer within ``blame_window_s``, that make it a flooder: it is banned."""
    reject_limit: int = 8
    """Rejected messages, from one peer within ``blame_window_s``, after which it is banned. More than one, because an
    honest forwarder of another version, or one chain fork away, must not lose its connection for a single message."""
    blame_window_s: float = 60
    ban_s: float = 600
    seen_ttl_s: float = 700
    """Longer than the longest time to live of a message that is announced again (600 s): see PROTOCOL.md 6.1."""
    seen_max: int = 200_000

    frame_timeout_s: float = 20
    """A peer that opened a direct stream sends its request, or takes its answer, within this time."""
    answer_timeout_s: float = 30
    """What our own handler may take for one answer."""
    request_max_bytes: int = 1 << 20
    requests_per_s: float = 20
    requests_burst: float = 40
    frame_max_bytes: int = 64 << 10
    frames_per_s: float = 100
    """Frames read from one incoming stream; a faster sender waits (flow control), and is not blamed."""
    frames_burst: float = 200
    stream_idle_s: float = 900
    """Between two frames: a loss curve may be silent for an epoch, and not for ever."""
    streams_per_peer_max: int = 16
    streams_max: int = 128
    """Direct streams served at one time: bounds memory to this many requests and answers."""

    connections_max: int = 128
    inbound_per_ip_max: int = 32
    """Sockets from one address, counted from the first byte: idle sockets must not exhaust the inbound slots."""
    outbound_target: int = 24
    """The node dials known peers while it has fewer connections than this."""
    dial_timeout_s: float = 10
    """Handshakes included; on a busy machine one of many takes seconds."""
    redial_min_s: float = 0.5
    redial_max_s: float = 30
    known_peers_max: int = 512
    addresses_per_peer_max: int = 8

    ping_interval_s: float = 15
    """A peer that vanished without a word is noticed by ping alone."""
    unread_max_bytes: int = 1 << 20
    """Bytes that a connection may have buffered on one stream: four times the flow-control window, which py-libp2p
    announces and does not enforce."""
    rebuild_delay_s: float = 1
