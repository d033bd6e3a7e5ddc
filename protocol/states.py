"""The states, outcomes and verdicts of a job, numbered as in the contract."""

from enum import IntEnum


class State(IntEnum):
    """Where a job stands. The order is the order of an honest life, with each dispute after the state that it stops."""

    NONE = 0
    BIDDING = 1
    REVEALING = 2
    AWARDED = 3
    KEYED = 4
    KEY_DISPUTE = 5
    TRAINING = 6
    SEED = 7
    KEYING = 8
    X_DISPUTE = 9
    VCOMMIT = 10
    DISCLOSE = 11
    VREVEAL = 12
    TALLIED = 13
    DRAWING = 14
    CLAIMABLE = 15
    INSPECT = 16
    CLOSED = 17


class Outcome(IntEnum):
    """How a job ended."""

    NONE = 0
    CANCELLED = 1
    NO_BIDS = 2
    USER_FAULT = 3
    WORKER_FAULT = 4
    MUTUAL_ABORT = 5
    PAID = 6
    REJECTED = 7
    INCONCLUSIVE = 8


class Verdict(IntEnum):
    """What a committee's round found."""

    NONE = 0
    PASS = 1
    FAIL = 2
    NO_MODEL = 3
    NO_TEST = 4
