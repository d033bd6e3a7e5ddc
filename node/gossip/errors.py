"""How gossip fails: each docstring is the sentence that the user reads."""

from morphware.node.errors import MorphwareError


class GossipError(MorphwareError):
    """The gossip network could not do what was asked."""


class PeerUnreachable(GossipError):
    """The peer did not answer; it may be offline, behind a firewall, or busy: the node keeps trying."""


class PortTaken(GossipError):
    """Another program listens on the gossip port: stop it, or choose another port in [gossip] listen."""

    def __init__(self, detail: str = "") -> None:
        sentence = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{sentence.removesuffix('.')} ({detail})." if detail else sentence)


class LibraryMismatch(GossipError):
    """The installed libp2p is not the one that this node was measured with: install libp2p==0.8.1."""
