"""What every test shares."""

from morphware.node.recursion import recursion_limit_kept

with recursion_limit_kept():
    import eth_account  # noqa: F401 - py_ecc raises the recursion limit of the process that imports it first
