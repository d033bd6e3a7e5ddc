"""What anybody can read of a market: balances, jobs, seats, parameters, final blocks. Needs no key."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from morphware.node.account_events import AccountEvent
from morphware.node.chain.abi import Interface
from morphware.node.chain.calldata import market_interface, token_interface
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.errors import NoMarket, RpcRefusal, WrongChain
from morphware.node.chain.follower import Follower, RawBlock
from morphware.node.chain.market_events import decode_account_event, decode_event, transaction_of
from morphware.node.chain.rpc import Data, Log, Quantity, Rpc
from morphware.node.ports import Block
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.parameters import Timing
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import Address, JobId, Timestamp, Wei

LAG_SAMPLE_BLOCKS: Final = 16
START_PATIENCE_S: Final = 10.0
"""At the start somebody is waiting: an endpoint that is deaf for longer is reported, not waited for."""


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """What was fixed when the market was deployed."""

    seat_stake_wei: Wei
    timing: Timing


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What the market keeps of a job; an unknown job is in state NONE."""

    user: Address
    state: State
    deadline: Timestamp
    outcome: Outcome
    verdict: Verdict
    seats: int
    round: int
    appeals: int
    redraws: int
    commitments: int
    unopened: int
    winner: Address
    price_wei: Wei
    reserve_wei: Wei
    fee_wei: Wei
    burned_wei: Wei
    draw_block: int
    is_user_keyed: bool
    is_worker_keyed: bool
    is_claimed: bool


class _PendingHeader(msgspec.Struct, frozen=True):
    timestamp: Quantity


class MarketReader:
    """Reads one market on one chain."""

    def __init__(self, rpc: Rpc, deployment: Deployment, *, finality_blocks: int = 0, poll_s: float = 0.2) -> None:
        self._rpc = rpc
        self._deployment = deployment
        self._market: Interface = market_interface()
        self._token: Interface = token_interface()
        self._followed: Address | None = None
        """Whose own deposits, withdrawals and seats are heard as well."""
        self._follower = Follower(rpc, deployment.market, finality_blocks=finality_blocks, poll_s=poll_s)

    @property
    def deployment(self) -> Deployment:
        """Where the market lives."""
        return self._deployment

    async def check(self) -> None:
        """Make sure that the endpoint serves the market's chain, and that the market is there.

        Raises:
            ChainUnreachable, WrongChain, NoMarket
        """
        known = self._deployment
        chain_id = await self._rpc.ask("eth_chainId", answer=Quantity, patience_s=START_PATIENCE_S)
        if chain_id != known.chain_id:
            raise WrongChain(f"its chain id is {chain_id} instead of {known.chain_id}")
        genesis = await self._rpc.header(0)
        if genesis is None or genesis.hash != known.genesis_hash:
            raise WrongChain("its chain id is right, but its first block is another")
        try:
            [token] = await self._read_market("token")
        except (ValueError, RpcRefusal):
            raise NoMarket(f"0x{known.market.hex()}") from None
        if token != known.token:
            raise NoMarket(f"the market 0x{known.market.hex()} has another token, 0x{token.hex()}")

    async def follow(self, after_block: int, *, after_hash: bytes | None = None) -> AsyncGenerator[Block, None]:
        """Final blocks, each once and in order, from ``after_block + 1`` on, for ever.

        While far behind, only blocks with events and now and then another one are handed out. Close it when done
        (``contextlib.aclosing``).

        Raises:
            DeepReorganisation: blocks that were handed out are no longer on the chain.
        """
        async with aclosing(self._follower.follow(after_block, after_hash=after_hash)) as blocks:
            async for raw in blocks:
                yield self._block(raw)

    def _block(self, raw: RawBlock) -> Block:
        events: list[ChainEvent] = []
        transactions: list[bytes | None] = []
        own: list[tuple[AccountEvent, bytes | None]] = []
        for entry in raw.logs:
            event = decode_event(self._market, entry)
            if event is not None:
                events.append(event)
                transactions.append(transaction_of(entry))
            elif self._followed is not None:
                about_us = decode_account_event(self._market, entry, self._followed)
                own += [] if about_us is None else [(about_us, transaction_of(entry))]
        return Block(raw.number, raw.hash, Timestamp(raw.timestamp), tuple(events), tuple(transactions), tuple(own))

    async def free_balance(self, account: Address) -> Wei:
        """The account's free balance in the market, at the last block."""
        return Wei((await self._read_market("freeBalance", account))[0])

    async def wallet_balance(self, account: Address) -> Wei:
        """Tokens in the account's wallet, outside of the market."""
        return Wei(self._token.decode("balanceOf", await self._read_token("balanceOf", account))[0])

    async def allowance(self, account: Address) -> Wei:
        """Tokens that the market may draw from the account's wallet."""
        data = await self._read_token("allowance", account, self._deployment.market)
        return Wei(self._token.decode("allowance", data)[0])

    async def coin_balance(self, account: Address) -> int:
        """The account's native coins, in wei, which pay for gas."""
        return await self._rpc.ask("eth_getBalance", Data(account), "latest", answer=Quantity)

    async def burned(self) -> Wei:
        """Everything that the market burned."""
        return Wei((await self._read_market("burned"))[0])

    async def audit_pool(self) -> Wei:
        """What there is for random audits."""
        return Wei((await self._read_market("auditPool"))[0])

    async def total(self) -> Wei:
        """Deposits minus withdrawals."""
        return Wei((await self._read_market("total"))[0])

    async def supply(self) -> Wei:
        """All tokens that there are."""
        return Wei(self._token.decode("totalSupply", await self._read_token("totalSupply"))[0])

    async def held_in_jobs(self) -> Wei:
        """What the market holds for jobs (reserves, fees, bonds); a closed job holds nothing."""
        topics = [Data(self._market.topic("JobPosted"))]
        where = {"address": self._deployment.market, "topics": topics, "fromBlock": hex(self._deployment.deploy_block)}
        logs = await self._rpc.ask("eth_getLogs", where, answer=list[Log])
        position = self._market.functions["job"].output_names[0].index("held")
        return Wei(sum([(await self._read_market("job", bytes(log.topics[1])))[0][position] for log in logs]))

    async def free_seats(self) -> int:
        """Seats that could be drawn now."""
        return int((await self._read_market("freeSeats"))[0])

    async def busy_seats(self) -> int:
        """Seats that sit in jobs."""
        return int((await self._read_market("busySeats"))[0])

    async def parameters(self) -> MarketParameters:
        """Seat stake and windows."""
        [stake] = await self._read_market("seatStake")
        [timing] = await self._read_market("timing")
        return MarketParameters(Wei(stake), Timing(*timing))

    async def job(self, job_id: JobId) -> JobRecord:
        """A job as the market has it at the last block."""
        [values] = await self._read_market("job", job_id)
        names = self._market.functions["job"].output_names[0]
        kept = dict(zip((_in_our_words(name) for name in names), values, strict=True))
        chosen = {each.name: kept[each.name] for each in fields(JobRecord)}
        chosen |= {
            "state": State(chosen["state"]),
            "outcome": Outcome(chosen["outcome"]),
            "verdict": Verdict(chosen["verdict"]),
        }
        return JobRecord(**chosen)

    async def seats(self, account: Address) -> tuple[int, ...]:
        """Numbers of the seats that the account has now, with those that it has given up and not yet been paid for."""
        return tuple(seat for seat, _ in await self._seats(account))

    async def staying_seats(self, account: Address) -> tuple[int, ...]:
        """Numbers of the seats that the account has now and has not given up."""
        return tuple(seat for seat, free_at in await self._seats(account) if free_at == 0)

    async def _seats(self, account: Address) -> list[tuple[int, int]]:
        """The account's seats by number, each with when its stake may be had back (0: it is not leaving)."""
        topics = [Data(self._market.topic("SeatsStaked")), Data(account.rjust(32, b"\0"))]
        where = {"address": self._deployment.market, "topics": topics, "fromBlock": hex(self._deployment.deploy_block)}
        logs = await self._rpc.ask("eth_getLogs", where, answer=list[Log])
        staked: set[int] = set()  # a dissolved seat's number may be staked again, by anybody
        for entry in logs:
            decoded = self._market.decode_log(entry.topics, entry.data)
            assert decoded is not None
            staked.update(decoded[1]["seats"])
        free_at = self._market.functions["seat"].output_names[0].index("freeAt")
        mine = []
        for seat in sorted(staked):
            [record] = await self._read_market("seat", seat)
            if record[0] == account:
                mine.append((seat, int(record[free_at])))
        return mine

    async def block_number(self) -> int:
        """Number of the newest block."""
        return await self._rpc.block_number()

    async def pending_timestamp(self) -> Timestamp:
        """The time that a transaction sent now would see; ``latest`` is old on an idle chain."""
        header: _PendingHeader = await self._rpc.ask("eth_getBlockByNumber", "pending", False, answer=_PendingHeader)
        return Timestamp(header.timestamp)

    async def lag_s(self, finality_blocks: int) -> int:
        """Seconds until a transaction is final and seen: so many blocks and one more, as the last ones went.

        A chain that has few blocks, or makes them only now and then, makes this large, which is right.
        """
        newest = await self._rpc.header("latest")
        past = None if newest is None else await self._rpc.header(max(0, newest.number - LAG_SAMPLE_BLOCKS))
        if newest is None or past is None or newest.number == past.number:
            return 0
        return -(-(newest.timestamp - past.timestamp) * (finality_blocks + 1) // (newest.number - past.number))

    async def _read_market(self, function: str, *values: object) -> tuple[Any, ...]:
        data = self._market.encode(function, *values)
        return self._market.decode(function, await self._read(self._deployment.market, data))

    async def _read_token(self, function: str, *values: object) -> bytes:
        return await self._read(self._deployment.token, self._token.encode(function, *values))

    async def _read(self, contract: bytes, data: bytes) -> bytes:
        request = {"to": Data(contract), "data": Data(data)}
        return bytes(await self._rpc.ask("eth_call", request, "latest", answer=Data))


UNITS: Final = {
    "price": "price_wei",
    "reserve": "reserve_wei",
    "fee": "fee_wei",
    "burned": "burned_wei",
}
"""The contract's names have no units."""


def _in_our_words(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0].lower(), name)
    return UNITS.get(snake, snake)
