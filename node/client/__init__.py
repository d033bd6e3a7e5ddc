"""A small, typed client of a running node, for the command line, the testnet and people's own programs."""

from morphware.node.client.client import NodeClient

__all__ = ["NodeClient"]
