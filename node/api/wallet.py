"""Requests about the account's money: what it has, and to move it between wallet, market and seats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.node import History, HistoryAsked, MoveAsked, StakeAsked, Wallet
from morphware.node.api.answers.plain import Done
from morphware.node.api.ledger import LedgerBook
from morphware.node.api.once import Named, Plan
from morphware.node.api.problems import BAD_INPUT, Refusal
from morphware.node.api.routes import Call, Route
from morphware.node.api.running import Running
from morphware.node.doing import bond_of, busy_seats
from morphware.node.machines import USER, VALIDATOR, WORKER
from morphware.node.ports import Receipt
from morphware.node.seats import leaving_seats, want_seats
from morphware.node.wording import counted, duration
from morphware.protocol.calls import RequestUnstake, Stake, Withdraw
from morphware.protocol.units import Wei
from morphware.protocol.view import JobView

SEATS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class WalletRequests:
    """Answers from the chain; what moves money is done once for each request's name."""

    node: Running
    ledger: LedgerBook
    named: Named

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
            leaving_seats=len(leaving_seats(engine.journal.seat_events())),
            seat_stake_wei=str(int(stake_wei)),
            unbonding_s=node.parameters.timing.unbonding_s,
            is_validator=VALIDATOR in node.config.node.roles,
        )

    async def history(self, call: Call) -> History:
        """One page."""
        return await self.ledger.page(call.query)

    async def deposit(self, call: Call) -> Done:
        """An approval first, where there is none that covers it."""
        amount = _amount(call.body)

        async def decide() -> Plan:
            has = await self.node.chain.wallet_balance(self.node.account)
            if has < amount:
                sentence = f"The wallet has {format_tokens(has)} tokens: deposit at most as many."
                raise Refusal(BAD_INPUT, sentence, "amount_wei")
            return Plan()

        async def carry_out(_: Plan, name: str) -> Done:
            receipt = await self.node.engine.treasury.deposit(amount, name)
            return _done(f"Deposited {format_tokens(amount)} tokens.", receipt)

        return await self.named.once("deposit", call.body, decide, carry_out)

    async def withdraw(self, call: Call) -> Done:
        """What jobs are about to lock stays."""
        amount = _amount(call.body)

        async def decide() -> Plan:
            free = await self.node.chain.free_balance(self.node.account)
            most = max(0, free - self.node.engine.promised_wei())
            if amount > most:
                tokens = format_tokens(Wei(most))
                sentence = f"{tokens} tokens are free and promised to no job: withdraw at most as many."
                raise Refusal(BAD_INPUT, sentence, "amount_wei")
            return Plan()

        async def carry_out(_: Plan, name: str) -> Done:
            receipt = await self.node.engine.treasury.do(Withdraw(amount), f"{name}/Withdraw")
            return _done(f"Withdrew {format_tokens(amount)} tokens.", receipt)

        return await self.named.once("withdraw", call.body, decide, carry_out)

    async def stake(self, call: Call) -> Done:
        """The tokens come from the free balance, and from the wallet as far as that lacks them."""
        asked: StakeAsked = call.body
        treasury = self.node.engine.treasury
        if VALIDATOR not in self.node.config.node.roles:
            sentence = (
                'This node lacks the role "validator": it would not work for its seats, which costs their stakes.'
            )
            raise Refusal(BAD_INPUT, sentence, "seats")

        async def decide() -> Plan:
            cost = Wei(asked.seats * self.node.parameters.seat_stake_wei)
            return Plan(deposit_wei=str(int(await treasury.missing_wei(cost, f"Staking {asked.seats} seats"))))

        async def carry_out(plan: Plan, name: str) -> Done:
            if missing := int(plan.deposit_wei):
                await treasury.deposit(Wei(missing), name)
            receipt = await treasury.do(Stake(asked.seats), f"{name}/Stake")
            self._want(await self._staying())  # not before: a start in between would stake for them once more
            return _done(f"This account has {counted(asked.seats, 'more seat')}.", receipt)

        return await self.named.once("stake", asked, decide, carry_out)

    async def unstake(self, call: Call) -> Done:
        """The highest numbers leave first; each is announced by a transaction of its own."""
        asked: StakeAsked = call.body

        async def decide() -> Plan:
            seats = await self._staying()
            most = min(len(seats), SEATS_AT_ONCE)
            if asked.seats > most:
                sentence = f"This account has {len(seats)} seats: give up at most {most} at once."
                raise Refusal(BAD_INPUT, sentence, "seats")
            return Plan(seats=tuple(sorted(seats, reverse=True)[: asked.seats]))

        async def carry_out(plan: Plan, name: str) -> Done:
            # not after: a start in between would stake again for the seats that have left
            self._want([seat for seat in await self._staying() if seat not in plan.seats])
            for seat in plan.seats:
                receipt = await self.node.engine.treasury.do(RequestUnstake(seat), f"{name}/unstake {seat}")
            wait = duration(self.node.parameters.timing.unbonding_s)
            what = "1 seat leaves" if asked.seats == 1 else f"{asked.seats} seats leave"
            return _done(f"{what}; this node fetches what was staked in {wait}, or after their jobs.", receipt)

        return await self.named.once("unstake", asked, decide, carry_out)

    async def _staying(self) -> tuple[int, ...]:
        return await self.node.chain.staying_seats(self.node.account)

    def _want(self, seats: Sequence[int]) -> None:
        want_seats(self.node.engine.journal, self.node.config.validator.seats, len(seats))


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


def _done(sentence: str, receipt: Receipt) -> Done:
    return Done(sentence=sentence, transaction="0x" + receipt.transaction_hash.hex())
