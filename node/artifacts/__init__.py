"""Sealed files over BitTorrent: the only place that knows libtorrent."""
