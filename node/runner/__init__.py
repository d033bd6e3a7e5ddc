"""Strangers' code in a sandbox, and the trusted scorer outside of it."""
