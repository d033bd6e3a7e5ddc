"""What tests look at in a marketplace: where its job stands, who did what, who gained and lost."""

from morphware.protocol import calls
from morphware.protocol import effects as fx
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId
from morphware.protocol.view import JobView
from tests.protocol.marketplace_nodes import SEAT_STAKE_WEI, account_of


class Observed:
    """A marketplace of one job, as it is seen from outside."""

    market: Market
    job_id: JobId
    names: list[str]
    before: dict[str, int]
    views: dict[JobId, JobView]
    sent: list[tuple[str, fx.Send, object]]

    @property
    def outcome(self) -> Outcome:
        return self.market.jobs[self.job_id].outcome if self.job_id in self.market.jobs else Outcome.NONE

    @property
    def state(self) -> State:
        return self.market.jobs[self.job_id].state if self.job_id in self.market.jobs else State.NONE

    @property
    def view(self) -> JobView:
        return self.views[self.job_id]

    def worth(self, name: str) -> int:
        seats = sum(seat.owner == account_of(name) for seat in self.market.registry.seats.values())
        return self.market.ledger.free(account_of(name)) + seats * SEAT_STAKE_WEI

    def gains(self) -> dict[str, int]:
        """What each account gained or lost; only what is not 0."""
        change = {name: self.worth(name) - self.before[name] for name in self.names}
        return {name: gain for name, gain in change.items() if gain}

    @property
    def burned(self) -> int:
        return self.market.ledger.burned()

    @property
    def committee(self) -> list[str]:
        by_account = {account_of(name): name for name in self.names}
        return [by_account[account] for account in self.view.validators]

    @property
    def winner(self) -> str:
        return next(name for name in self.names if account_of(name) == self.view.winner)

    def calls_of(self, name: str) -> list[str]:
        """The calls that a node sent, in the order in which they were carried out."""
        return [
            type(call).__name__
            for sender, send, _ in self.sent
            if sender == name
            for call in (send.call.calls if isinstance(send.call, calls.Multicall) else (send.call,))
        ]

    def transactions_of(self, name: str) -> list[str]:
        """What a node paid gas for: calls that share a transaction are one."""
        return [type(send.call).__name__ for sender, send, _ in self.sent if sender == name]
