"""Solidity sources, their compiled artifacts, and the loader that reads them."""
