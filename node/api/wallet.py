"""Requests about the account's money: what it has, and to move it between wallet, market and seats."""

from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.node import History, HistoryAsked, MoveAsked, StakeAsked, Wallet
from morphware.node.api.answers.plain import Done
from morphware.node.api.ledger import LedgerBook
from morphware.node.api.problems import BAD_INPUT, Refusal
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.doing import bond_of, busy_seats
from morphware.node.machines import USER, WORKER
from morphware.node.ports import Receipt, Refused
from morphware.node.seats import leaving_seats, want_seats
from morphware.node.treasury import APPROVAL_WEI
from morphware.node.wording import duration
from morphware.protocol.calls import Approve, Deposit, RequestUnstake, Stake, Withdraw
from morphware.protocol.calls import Call as ChainCall
from morphware.protocol.units import Timestamp, Wei
from morphware.protocol.view import JobView

SEATS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class WalletRequests:
    """Answers from the chain; what moves money is done once for each request's name."""

    node: Running
    ledger: LedgerBook

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("GET", "/wallet", "get_wallet", "Where this account's money is.", self.wallet, Wallet),
            Route("GET", "/wallet/history", "get_history", "What moved this account's money, newest first.",
                  self.history, History, query=HistoryAsked),
            Route("POST", "/wallet/deposit", "deposit", "Move tokens from the wallet into the market.",
                  self.deposit, Done, body=MoveAsked),
            Route("POST", "/wallet/withdraw", "withdraw", "Move free tokens from the market to the wallet.",
                  self.withdraw, Done, body=MoveAsked),
            Route("POST", "/seats/stake", "stake", "Stake for more validator seats.", self.stake, Done,
                  body=StakeAsked),
            Route("POST", "/seats/unstake", "unstake", "Give up seats; their stakes come back after a while.",
                  self.unstake, Done, body=StakeAsked),
        ]  # fmt: skip

    async def wallet(self, _: Call) -> Wallet:
        """Balances at the newest block."""
        node = self.node
        engine, chain, account = node.engine, node.chain, node.account
        seats = await chain.seats(account)
        stake_wei = node.parameters.seat_stake_wei
        locked = sum(
            _locked_wei(machine.role, machine.brain.view, bond_of(machine))
            for machine in engine.machines.values()
            if not machine.is_finished
        )
        return Wallet(
            account="0x" + account.hex(),
            coin_wei=str(int(await chain.coin_balance(account))),
            wallet_wei=str(int(await chain.wallet_balance(account))),
            free_wei=str(int(await chain.free_balance(account))),
            promised_wei=str(int(engine.promised_wei())),
            escrow_wei=str(locked),
            staked_wei=str(len(seats) * stake_wei),
            seats=len(seats),
            busy_seats=busy_seats(engine, account),
            leaving_seats=len(self._leaving()),
            seat_stake_wei=str(int(stake_wei)),
            unbonding_s=node.parameters.timing.unbonding_s,
        )

    async def history(self, call: Call) -> History:
        """One page."""
        return await self.ledger.page(call.query)

    async def deposit(self, call: Call) -> Done:
        """An approval first, where there is none that covers it."""
        amount = _amount(call.body)
        has = await self.node.chain.wallet_balance(self.node.account)
        if has < amount:
            raise Refusal(
                BAD_INPUT, f"The wallet has {format_tokens(has)} tokens: deposit at most as many.", "amount_wei"
            )
        if await self.node.chain.allowance(self.node.account) < amount:
            await self._do(Approve(APPROVAL_WEI), call.body.request_id, "approve")
        return await self._done(Deposit(amount), call.body.request_id, f"Deposited {format_tokens(amount)} tokens.")

    async def withdraw(self, call: Call) -> Done:
        """What jobs are about to lock stays."""
        amount = _amount(call.body)
        free = await self.node.chain.free_balance(self.node.account)
        most = max(0, free - self.node.engine.promised_wei())
        if amount > most:
            raise Refusal(
                BAD_INPUT,
                f"{format_tokens(Wei(most))} tokens are free and promised to no job: withdraw at most as many.",
                "amount_wei",
            )
        return await self._done(Withdraw(amount), call.body.request_id, f"Withdrew {format_tokens(amount)} tokens.")

    async def stake(self, call: Call) -> Done:
        """The tokens come from the free balance, and from the wallet as far as that lacks them."""
        asked: StakeAsked = call.body
        cost = Wei(asked.seats * self.node.parameters.seat_stake_wei)
        await self.node.engine.treasury.ensure_free(cost, f"Staking {asked.seats} seats")
        held = len(await self.node.chain.seats(self.node.account))
        done = await self._done(Stake(asked.seats), asked.request_id, f"This account has {asked.seats} more seats.")
        want_seats(self.node.engine.journal, self.node.config.validator.seats, held + asked.seats)
        return done

    async def unstake(self, call: Call) -> Done:
        """The highest numbers leave first; each is announced by a transaction of its own."""
        asked: StakeAsked = call.body
        leaving = self._leaving()
        seats = [seat for seat in await self.node.chain.seats(self.node.account) if seat not in leaving]
        if asked.seats > min(len(seats), SEATS_AT_ONCE):
            most = min(len(seats), SEATS_AT_ONCE)
            raise Refusal(BAD_INPUT, f"This account has {len(seats)} seats: give up at most {most} at once.", "seats")
        name = asked.request_id or token_hex(16)
        receipt: Receipt | None = None
        for seat in sorted(seats, reverse=True)[: asked.seats]:
            receipt = await self._do(RequestUnstake(seat), name, f"unstake {seat}")
        want_seats(self.node.engine.journal, self.node.config.validator.seats, len(seats) - asked.seats)
        wait = duration(self.node.parameters.timing.unbonding_s)
        what = "1 seat leaves" if asked.seats == 1 else f"{asked.seats} seats leave"
        sentence = f"{what}; this node fetches what was staked in {wait}, or after their jobs."
        return Done(sentence=sentence, transaction=_hash(receipt))

    def _leaving(self) -> dict[int, Timestamp]:
        return leaving_seats(event for event, _, _ in self.node.engine.journal.account_events())

    async def _done(self, call: ChainCall, request_id: str | None, sentence: str) -> Done:
        return Done(sentence=sentence, transaction=_hash(await self._do(call, request_id, type(call).__name__)))

    async def _do(self, call: ChainCall, request_id: str | None, part: str) -> Receipt:
        """Carry out a call once under its request's name."""
        result = await self.node.chain.send(call, effect_id=f"request/{request_id or token_hex(16)}/{part}")
        if isinstance(result, Refused):
            raise Refusal(BAD_INPUT, result.sentence)
        return result


def _locked_wei(role: str, view: JobView | None, bond_wei: Wei) -> int:
    """What a role has locked in an open job; a validator's stakes are counted with its seats."""
    if view is None or view.is_over:
        return 0
    if role == USER:
        terms = view.terms
        return terms.reserve_wei + terms.seats * terms.fee_wei + terms.reserve_wei // 2
    return bond_wei if role == WORKER else 0


def _amount(asked: MoveAsked) -> Wei:
    amount = Wei(int(asked.amount_wei))
    if amount == 0:
        raise Refusal(BAD_INPUT, "Name more than 0 tokens.", "amount_wei")
    return amount


def _hash(receipt: Receipt | None) -> str | None:
    return None if receipt is None else "0x" + receipt.transaction_hash.hex()
