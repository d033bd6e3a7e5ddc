"""Simulations over the protocol's own machines (a later issue fills this package)."""
