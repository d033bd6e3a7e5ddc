"""Broadcast and direct streams: the only place that knows libp2p."""
