"""The pure market with the ears of everybody's node: what each account's journal would hold of it."""

from collections import defaultdict
from typing import Any

from morphware.node.account_events import (
    AccountEvent,
    AuditsFunded,
    Deposited,
    SeatLeaving,
    SeatReleased,
    SeatsStaked,
    Withdrawn,
)
from morphware.node.journal import Journal
from morphware.protocol import calls
from morphware.protocol.chain_events import ChainEvent, NodePublished
from morphware.protocol.commitments import keccak
from morphware.protocol.events import Moment
from morphware.protocol.market import Market
from morphware.protocol.refusals import Refusal
from morphware.protocol.units import Address, Timestamp


class RecordingMarket(Market):
    """Every event with its moment and transaction; the accounts' own as the contract would say them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.job_events: list[tuple[ChainEvent, Moment, bytes]] = []
        self.account_events: defaultdict[Address, list[tuple[AccountEvent, Moment, bytes]]] = defaultdict(list)
        self._calls = 0

    def execute(
        self, caller: Address, call: calls.Call | calls.Multicall, now: Timestamp, block: int
    ) -> list[ChainEvent] | Refusal:
        before = {number: seat.owner for number, seat in self.registry.seats.items()}
        result = super().execute(caller, call, now, block)
        if isinstance(result, list):
            self._calls += 1
            at = Moment(now, block), keccak(self._calls.to_bytes(8, "big"))
            self.job_events += [(event, *at) for event in result if not isinstance(event, NodePublished)]
            for account, event in self.own_events(caller, call, before):
                self.account_events[account].append((event, *at))
        return result

    def own_events(
        self, caller: Address, call: calls.Call | calls.Multicall, before: dict[int, Address]
    ) -> list[tuple[Address, AccountEvent]]:
        """What the contract would say of accounts' money and seats after a call that was carried out."""
        told: list[tuple[Address, AccountEvent]] = []
        match call:
            case calls.Deposit(amount_wei=amount_wei):
                told.append((caller, Deposited(caller, amount_wei)))
            case calls.Withdraw(amount_wei=amount_wei):
                told.append((caller, Withdrawn(caller, amount_wei)))
            case calls.FundAudits(amount_wei=amount_wei):
                told.append((caller, AuditsFunded(caller, amount_wei)))
            case calls.RequestUnstake(seat=seat):
                told.append((caller, SeatLeaving(caller, seat, self.registry.seats[seat].free_at)))
        seats = {number: seat.owner for number, seat in self.registry.seats.items()}
        if new := tuple(number for number in seats if number not in before):
            told.append((caller, SeatsStaked(caller, new)))
        told += [(owner, SeatReleased(owner, number)) for number, owner in before.items() if number not in seats]
        return told

    def journal_of(self, account: Address, journal: Journal) -> Journal:
        """Write down what the account's node would have written down."""
        with journal.transaction():
            for event, now, known in self.job_events:
                assert not isinstance(event, NodePublished)
                journal.add_event(event.job_id, None, event, now, is_behind=False, transaction_hash=known)
            journal.connection.execute("DELETE FROM account_events")
            for about_us, now, known in self.account_events[account]:
                journal.add_account_event(about_us, now, known)
        self.job_events.clear()
        return journal
