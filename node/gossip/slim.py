"""Import libp2p without the parts that this node never uses.

``import libp2p`` loads QUIC, WebSocket, WebRTC, TLS certificates, mDNS, UPnP, relays and their dependencies, and takes
more than twice the time and 26 MB more memory than what is needed. A testnet starts a dozen processes on two cores, so
that is worth this file.

While libp2p is imported for the first time, the submodules named in ``UNUSED`` are answered with empty placeholders.
Their every attribute is an exception class that nobody raises (libp2p uses some as bases, in ``isinstance`` and in
``except``), and its every method refuses to work: an RSA key of a stranger, say, does not deserialize. Only submodules
of libp2p, and multiaddr's DNS resolver (``addresses.py`` resolves names through trio), are ever replaced: nobody else
in the process can meet a placeholder.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

UNUSED = (
    "libp2p.crypto.keystore",
    "libp2p.crypto.rsa",
    "libp2p.crypto.secp256k1",
    "libp2p.discovery.bootstrap",
    "libp2p.discovery.mdns",
    "libp2p.discovery.upnp",
    "libp2p.metrics",
    "libp2p.peer.persistent",
    "libp2p.rcmgr.prometheus_exporter",
    "libp2p.relay",
    "libp2p.security.insecure",
    "libp2p.security.pnet",
    "libp2p.security.secio",
    "libp2p.security.tls",
    "libp2p.stream_muxer.mplex",
    "libp2p.transport.quic",
    "libp2p.transport.webrtc",
    "libp2p.transport.websocket",
    "libp2p.transport.webtransport",
    "multiaddr.resolvers",
)


class _StandIn(type):
    """The class of classes that were left out: they can be named, and not used."""

    def __getattr__(cls, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> None:
            raise ValueError(f"{cls.__module__}.{cls.__name__} is left out of this node")

        return refuse


class Placeholder(ModuleType):
    """A module that was left out."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        stand_in = _StandIn(name, (Exception,), {"__module__": self.__name__})
        setattr(self, name, stand_in)
        return stand_in


class _LeaveOut(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(fullname == unused or fullname.startswith(unused + ".") for unused in UNUSED):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """A placeholder has nothing to run."""


def import_libp2p() -> None:
    """Import what gossip needs of libp2p; a second call, or a libp2p that someone imported whole, is left as it is."""
    if "libp2p" in sys.modules:
        return
    leave_out = _LeaveOut()
    sys.meta_path.insert(0, leave_out)
    try:
        import libp2p.host.basic_host
        import libp2p.network.connection.swarm_connection
        import libp2p.network.health.monitor
        import libp2p.network.swarm
        import libp2p.pubsub.gossipsub
        import libp2p.pubsub.pubsub  # noqa: F401
    finally:
        sys.meta_path.remove(leave_out)
