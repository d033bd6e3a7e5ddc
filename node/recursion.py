"""Python's recursion limit guards the C stack: whoever raises it lets a stranger's nested JSON end the process.

py_ecc, which eth_account imports, raises it to 100,000 for the whole process.  A decoder written in C then runs out of
stack before it runs out of permission, and a message of brackets is a segmentation fault instead of an error.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Import inside what would raise the limit; it is as before when the block ends."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
