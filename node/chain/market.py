"""The market behind the Chain port: one account's calls, on top of what anybody can read."""

from dataclasses import dataclass
from functools import partial

import trio

from morphware.node.chain.calldata import Target, encode_call, market_interface, name_of
from morphware.node.chain.deployment import Deployment
from morphware.node.chain.market_reader import MarketReader
from morphware.node.chain.rpc import Rpc
from morphware.node.chain.sentences import refuse
from morphware.node.chain.signing import Transaction
from morphware.node.chain.transaction_log import GasUse, SqliteTransactionLog
from morphware.node.chain.transactions import Sender, SenderSettings
from morphware.node.ports import Receipt, Refused
from morphware.protocol.calls import Call, Multicall
from morphware.protocol.units import Address


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How a node uses its chain: ``finality_blocks`` upon a block make it final, 0 trusts the head (test chains)."""

    finality_blocks: int = 0
    poll_s: float = 0.2
    patience_s: float = 60
    bump_blocks: int = 3
    bump_s: float = 30


class MarketChain(MarketReader):
    """The Chain port for one account; its ``run`` must run beside it."""

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        private_key: bytes,
        transaction_log: SqliteTransactionLog,
        settings: ChainSettings | None = None,
    ) -> None:
        settings = settings or ChainSettings()
        super().__init__(rpc, deployment, finality_blocks=settings.finality_blocks, poll_s=settings.poll_s)
        self._log = transaction_log
        sender_settings = SenderSettings(
            finality_blocks=settings.finality_blocks,
            poll_s=settings.poll_s,
            bump_blocks=settings.bump_blocks,
            bump_s=settings.bump_s,
        )
        self._sender = Sender(
            rpc,
            private_key,
            deployment.chain_id,
            transaction_log,
            explain=partial(refuse, market_interface()),
            settings=sender_settings,
        )
        self._followed = self.account

    @property
    def account(self) -> Address:
        """The account that sends."""
        return Address(self._sender.address)

    async def send(self, call: Call | Multicall, *, effect_id: str) -> Receipt | Refused:
        """Carry out a call once: under an id that was used before, the call of then is awaited.

        Raises:
            ChainUnreachable, OutOfCoins, NonceConflict: nothing was carried out; ask again under the same id.
        """
        target, data = encode_call(call, market=self._deployment.market)
        contract = self._deployment.market if target is Target.MARKET else self._deployment.token
        return await self._sender.send(Transaction(bytes(contract), data), effect_id=effect_id, kind=name_of(call))

    def gas(self) -> dict[str, GasUse]:
        """Gas and fees of all mined calls of this account, ever, by the calls' names."""
        return self._log.gas()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch the account's transactions, for ever."""
        await self._sender.run(task_status=task_status)


async def serve_market_chain(
    url: str,
    deployment: Deployment,
    private_key: bytes,
    transaction_log: SqliteTransactionLog,
    *,
    settings: ChainSettings | None = None,
    task_status: trio.TaskStatus[MarketChain] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Connect an account to a market until cancelled; started once chain and market are known to be the right ones.

    Raises:
        ChainUnreachable, WrongChain, NoMarket: at the start.
    """
    settings = settings or ChainSettings()
    async with Rpc(url, patience_s=settings.patience_s) as rpc:
        market = MarketChain(rpc, deployment, private_key, transaction_log, settings)
        await market.check()
        task_status.started(market)
        await market.run()
