"""Sealed files over BitTorrent: the only place that knows libtorrent.

``bundles`` is what the node calls: a folder is packed (``packing``) into one deterministic archive, sealed
(``sealing``) with its one-time key, and served (``torrents``); and back again on the other side.
"""
