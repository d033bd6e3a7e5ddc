"""Gossip and direct streams over libp2p; nothing of libp2p leaks past this package.

Import from the modules: ``service.serve_gossip`` serves it, ``addresses`` names peers, ``errors`` says how it fails.
Nothing is imported here, so that a program pays for libp2p (0.7 s) only where it is used.
"""
