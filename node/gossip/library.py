"""The names of libp2p that gossip uses: imported slim, with the overrides applied. Nobody else imports libp2p."""

# ruff: noqa: E402  (the overrides must come first)

from morphware.node.gossip import overrides

assert overrides.is_applied

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.host.basic_host import BasicHost
from libp2p.network.config import ConnectionConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from libp2p.pubsub.gossipsub import PROTOCOL_ID as GOSSIPSUB_10
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11 as GOSSIPSUB_11
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.validators import signature_validator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

__all__ = [
    "GOSSIPSUB_10",
    "GOSSIPSUB_11",
    "ID",
    "NOISE_PROTOCOL",
    "TCP",
    "YAMUX_PROTOCOL",
    "BasicHost",
    "ConnectionConfig",
    "GossipSub",
    "KeyPair",
    "Multiaddr",
    "NoiseTransport",
    "PeerInfo",
    "PeerStore",
    "Pubsub",
    "RawConnection",
    "StreamEOF",
    "Swarm",
    "SwarmException",
    "TransportUpgrader",
    "Yamux",
    "background_trio_service",
    "create_new_key_pair",
    "create_x25519_key_pair",
    "signature_validator",
]
