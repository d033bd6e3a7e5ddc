"""A small, typed client of a running node, for the command line, the testnet and people's own programs."""

from morphware.node.client.client import AsyncClient
from morphware.node.client.sync import Client

__all__ = ["AsyncClient", "Client"]
