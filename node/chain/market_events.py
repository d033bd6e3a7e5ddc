"""Every log of the market as the event that the brains know.

The classes of ``chain_events.py`` are named and ordered as the contract's events.  Of those without a class there
(deposits, seats) only the node's own are heard, as ``account_events.py`` has them; other accounts' are skipped.
Strangers choose much of what events say, so a log that makes no sense is skipped as well, loudly: it can hurt only
those who caused it, and stopping for it would hurt everybody.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

import structlog

from morphware.node.account_events import AccountEvent
from morphware.node.chain.abi import WORD_BYTES, Interface
from morphware.node.chain.rpc import Log
from morphware.protocol import chain_events
from morphware.protocol.calls import Terms
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import HASH_BYTES

CLASSES: Final[dict[str, type[ChainEvent]]] = {
    each.__name__: each for each in (chain_events.NodePublished, *get_args(chain_events.JobEvent))
}
CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "terms": lambda values: Terms(*values),
    "state": State,
    "outcome": Outcome,
    "verdict": Verdict,
}
"""By the name of the event's value; all others are already what the classes hold."""

ACCOUNT_CLASSES: Final[dict[str, type[AccountEvent]]] = {each.__name__: each for each in get_args(AccountEvent)}

log = structlog.get_logger()


def decode_event(interface: Interface, entry: Log) -> ChainEvent | None:
    """The event of a log, or None where it has no class or makes no sense."""
    try:
        decoded = interface.decode_log(entry.topics, entry.data)
        if decoded is None or decoded[0] not in CLASSES:
            return None
        name, values = decoded
        converted = [CONVERSIONS[key](value) if key in CONVERSIONS else value for key, value in values.items()]
        return CLASSES[name](*converted)
    except (ValueError, TypeError) as error:
        log.warning("event_skipped", block=entry.block_number, log_index=entry.log_index, reason=str(error))
        return None


def decode_account_event(interface: Interface, entry: Log, account: bytes) -> AccountEvent | None:
    """What a log says of this account's own money and seats; None for all others."""
    if len(entry.topics) < 2 or bytes(entry.topics[1]) != account.rjust(WORD_BYTES, b"\0"):
        return None
    try:
        decoded = interface.decode_log(entry.topics, entry.data)
        if decoded is None or decoded[0] not in ACCOUNT_CLASSES:
            return None
        name, values = decoded
        return ACCOUNT_CLASSES[name](*values.values())
    except (ValueError, TypeError) as error:
        log.warning("event_skipped", block=entry.block_number, log_index=entry.log_index, reason=str(error))
        return None


def transaction_of(entry: Log) -> bytes | None:
    """The hash of the transaction that a log comes from, where the endpoint says so as it should."""
    known = entry.transaction_hash
    return bytes(known) if known is not None and len(known) == HASH_BYTES else None


def decode_events(interface: Interface, entries: Iterable[Log]) -> tuple[ChainEvent, ...]:
    """The events of a block's logs, in order."""
    decoded = (decode_event(interface, entry) for entry in entries)
    return tuple(event for event in decoded if event is not None)
