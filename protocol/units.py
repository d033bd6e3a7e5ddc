"""Every quantity has one unit and one type: nouns that the rest of the protocol counts in.

Money is integer wei of the Morphware token (at most ``2**96 - 1``, as in the contract).  Time is whole seconds since
the epoch.  A metric is an integer in millionths, higher is better (a loss is negated before it gets here).  A
fingerprint is the mean per-example loss in billionths.
"""

from typing import Final, NewType

Wei = NewType("Wei", int)
Timestamp = NewType("Timestamp", int)
Address = NewType("Address", bytes)
JobId = NewType("JobId", bytes)

ADDRESS_BYTES: Final = 20
HASH_BYTES: Final = 32
WEI_BYTES: Final = 12
WEI_MAX: Final = 2**96 - 1
TOKEN: Final = Wei(10**18)
"""One whole token."""

BPS: Final = 10_000
"""Shares are basis points; divisions round down and the remainder is burned."""

METRIC_SCALE: Final = 10**6
FINGERPRINT_SCALE: Final = 10**9
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

NO_MODEL: Final = INT64_MIN
"""Report code: the model's ciphertext or key could not be had, so there is no model to test."""
NO_TEST: Final = INT64_MIN + 1
"""Report code: the testing set's ciphertext or key could not be had."""
BAD_MODEL: Final = INT64_MIN + 2
"""The worst metric: the model was there, and did not answer with usable numbers."""


def is_code(metric_e6: int) -> bool:
    """A report carries a code instead of a metric iff its metric is one of the two lowest integers."""
    return metric_e6 in (NO_MODEL, NO_TEST)
