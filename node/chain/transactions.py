"""Send each call once: one sender an account, which signs, journals, broadcasts, watches and replaces.

A call's way: estimated on the pending block (a revert is the answer, and no nonce is taken), signed under the next
nonce, **recorded, then broadcast**, watched until its block is final.  The watcher only compares what it holds with
what the chain says, so a restart, a reorganisation, a dropped pool and a deaf endpoint all heal in the same way:

* nonce used, one of our hashes has a receipt: done when the block is final;
* nonce used, no receipt of ours: somebody else has the key; once that is sure, the call goes out anew;
* nonce unused, transaction unknown to the endpoint: broadcast again;
* nonce unused and next in line for too many blocks or seconds: replaced with a higher fee, every hash remembered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
import trio

from morphware.node.chain.abi import revert_data
from morphware.node.chain.errors import ChainFailure, ChainUnreachable, NonceConflict, OutOfCoins, RpcRefusal
from morphware.node.chain.fees import FeeAdvisor
from morphware.node.chain.rpc import Data, Header, Quantity, Rpc, TransactionReceipt
from morphware.node.chain.signing import Draft, Signer, Transaction, draft_of
from morphware.node.chain.transaction_log import Signed, SqliteTransactionLog
from morphware.node.ports import Receipt, Refused

GAS_MARGIN: Final = 1.3
GAS_RESERVE: Final = 30_000
"""Between estimate and mining another account's call may make ours write one fresh slot more (22,100 gas)."""
MOST_ATTEMPTS: Final = 4
"""Nonces that one call may take, before a conflict over the key is an error."""
CONFLICT_BLOCKS: Final = 2
CONFLICT_S: Final = 10.0
"""A receipt may lag behind the nonce: so many blocks, or seconds on an idle chain, make a conflict sure."""
LOOK_AGAIN_S: Final = 5.0
BROADCAST_PATIENCE_S: Final = 5.0
"""A broadcast holds up the account's other calls; the watcher repeats it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How transactions are watched.

    A transaction is done ``finality_blocks`` after its block; one that waits longer than ``bump_blocks`` or ``bump_s``
    gets a higher fee, up to ``fee_limit_wei`` a unit of gas.
    """

    finality_blocks: int = 0
    poll_s: float = 0.2
    bump_blocks: int = 3
    bump_s: float = 30
    fee_limit_wei: int = 10**13


@dataclass(slots=True)
class _Flight:
    """One effect on its way."""

    effect_id: str
    kind: str
    draft: Draft
    gas_limit: int | None = None
    nonce: int | None = None
    signed: list[Signed] = field(default_factory=list)
    attempts: int = 0
    is_launching: bool = False
    is_heard: bool = False
    sent_block: int = 0
    sent_at: float = 0.0
    looked_at: float = 0.0
    conflict_since: tuple[int, float] | None = None
    gas_used: int = 0
    fee_wei: int = 0
    done: trio.Event = field(default_factory=trio.Event)
    outcome: Receipt | Refused | None = None
    error: ChainFailure | None = None


class Sender:
    """Sends one account's transactions; ``run`` must run in a nursery beside it.

    Args:
        private_key: 32 bytes, secp256k1.
        transaction_log: holds what was sent before; what it has pending is taken up at once.
        explain: turns a revert's bytes into a refusal.
    """

    def __init__(
        self,
        rpc: Rpc,
        private_key: bytes,
        chain_id: int,
        transaction_log: SqliteTransactionLog,
        *,
        explain: Callable[[bytes], Refused],
        settings: SenderSettings | None = None,
    ) -> None:
        self._rpc = rpc
        self._signer = Signer(private_key, chain_id)
        self._log = transaction_log
        self._explain = explain
        self._settings = settings or SenderSettings()
        self._fees = FeeAdvisor(rpc, self._settings.fee_limit_wei)
        self._lock = trio.Lock()
        self._next_nonce: int | None = None
        self._flights: dict[str, _Flight] = {}
        self._wake = trio.Event()
        for signed in transaction_log.pending():
            self._take_up(signed)

    @property
    def address(self) -> bytes:
        """The account, as 20 bytes."""
        return self._signer.address

    def __repr__(self) -> str:
        return f"Sender({self._name})"

    @property
    def _name(self) -> str:
        return "0x" + self.address.hex()

    async def send(self, transaction: Transaction, *, effect_id: str, kind: str) -> Receipt | Refused:
        """Carry out a transaction once, however often it is asked for under this id, and wait until that is final.

        Raises:
            ChainUnreachable: the endpoint is deaf; ask again under the same id.
            OutOfCoins: the account cannot pay the gas; ask again when it can.
            NonceConflict: another program uses the key.
        """
        while True:
            known = self._log.outcome(effect_id)
            if known is not None:
                return known
            flight = self._flights.get(effect_id) or await self._launch_first(effect_id, kind, transaction)
            await flight.done.wait()
            if flight.error is not None:
                raise flight.error
            if flight.outcome is not None:
                return flight.outcome

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch all transactions on their way, for ever."""
        task_status.started()
        while True:
            if not self._flights:
                self._wake = trio.Event()
                await self._wake.wait()
            try:
                await self._look()
            except ChainFailure as error:
                log.warning("transactions_not_watched", reason=str(error))
            await trio.sleep(self._settings.poll_s)

    # --- launching ---

    async def _launch_first(self, effect_id: str, kind: str, transaction: Transaction) -> _Flight:
        flight = self._flights[effect_id] = _Flight(effect_id, kind, Draft.of(transaction), transaction.gas_limit)
        try:
            await self._launch(flight)
        except ChainFailure as error:
            flight.error = error
            raise
        finally:
            if flight.nonce is None:  # refused, failed or cancelled before anything was sent
                self._land(flight)
            self._wake.set()
        return flight

    async def _launch(self, flight: _Flight) -> None:
        """Estimate, take a nonce, sign, record, broadcast. Sets the outcome instead where the call would revert."""
        gas = flight.gas_limit or await self._estimate(flight.draft)
        if isinstance(gas, Refused):
            flight.outcome = gas
            return
        gas *= flight.attempts + 1  # what ran out of gas gets more
        flight.draft = await self._fees.with_fee(msgspec.structs.replace(flight.draft, gas=Quantity(gas)))
        async with self._lock:
            flight.is_launching = True  # the watcher leaves it alone meanwhile
            try:
                while not await self._broadcast_first(flight):
                    pass
            finally:
                flight.is_launching = False

    async def _broadcast_first(self, flight: _Flight) -> bool:
        """Send under the next nonce; False where the nonce turned out to be taken."""
        flight.attempts += 1
        if flight.attempts > MOST_ATTEMPTS:
            raise NonceConflict(f"{flight.kind}, {MOST_ATTEMPTS} nonces were taken")
        if self._next_nonce is None:
            self._next_nonce = await self._find_nonce()
        previous_nonce = flight.nonce
        flight.nonce, self._next_nonce = self._next_nonce, self._next_nonce + 1
        flight.is_heard, flight.conflict_since, flight.sent_at = False, None, 0.0
        self._sign(flight)
        try:
            await self._broadcast(flight, patience_s=BROADCAST_PATIENCE_S)
        except ChainUnreachable:
            log.warning("transaction_not_yet_broadcast", kind=flight.kind, nonce=flight.nonce)
        except RpcRefusal as refusal:
            if _says(refusal, "nonce too low"):
                # the first try may have been mined before its repetition: the watcher finds out
                self._next_nonce = None
                return True
            self._log.discard(flight.signed.pop().hash)
            taken, flight.nonce = flight.nonce, previous_nonce
            if _says(refusal, "underpriced"):
                log.warning("nonce_conflict", kind=flight.kind, nonce=taken, account=self._name)
                self._next_nonce = max(taken + 1, await self._rpc.nonce(self.address, "pending"))
                return False
            self._next_nonce = taken
            if _says(refusal, "insufficient funds"):
                raise OutOfCoins(self._name) from None
            raise
        return True

    async def _find_nonce(self) -> int:
        on_chain = await self._rpc.nonce(self.address, "pending")
        ours = [flight.nonce + 1 for flight in self._flights.values() if flight.nonce is not None]
        return max([on_chain, *ours])

    async def estimate(self, transaction: Transaction) -> int | Refused:
        """Gas limit for a transaction, with a margin; or why it would revert."""
        return await self._estimate(Draft.of(transaction))

    async def _estimate(self, draft: Draft) -> int | Refused:
        """Gas for the call on the pending block, since ``latest`` has an old timestamp on an idle chain."""
        try:
            used = await self._rpc.ask("eth_estimateGas", draft.request(self.address), "pending", answer=Quantity)
        except RpcRefusal as refusal:
            refused = self._refused(refusal)
            if refused is not None:
                return refused
            if _says(refusal, "insufficient funds"):
                raise OutOfCoins(self._name) from None
            raise
        return int(used * GAS_MARGIN) + GAS_RESERVE

    def _refused(self, refusal: RpcRefusal) -> Refused | None:
        """Read an endpoint's error as the contract's refusal, if it is one."""
        data = revert_data(refusal.data)
        if data is None and not _says(refusal, "revert"):
            return None
        return self._explain(data or b"")

    def _sign(self, flight: _Flight) -> None:
        """Sign the draft and record it: nothing is broadcast that is not on disk."""
        assert flight.nonce is not None
        signed = self._signer.sign(flight.effect_id, flight.kind, flight.nonce, flight.draft)
        self._log.record(signed)
        flight.signed.append(signed)

    async def _broadcast(self, flight: _Flight, *, patience_s: float | None = None) -> None:
        raw = Data(flight.signed[-1].raw)
        try:
            await self._rpc.ask("eth_sendRawTransaction", raw, answer=Data, patience_s=patience_s)
        except RpcRefusal as refusal:
            if not _says(refusal, "already known", "already imported", "known transaction", "alreadyknown"):
                raise
        flight.is_heard = True

    def _take_up(self, signed: Signed) -> None:
        """Take up a transaction that was signed before a restart; a later row of the same effect is the live one."""
        flight = self._flights.get(signed.effect_id)
        draft = draft_of(signed)
        if flight is None:
            flight = self._flights[signed.effect_id] = _Flight(signed.effect_id, signed.kind, draft)
        flight.draft, flight.nonce = draft, signed.nonce
        flight.signed.append(signed)
        flight.attempts = 1

    def _land(self, flight: _Flight) -> None:
        if self._flights.get(flight.effect_id) is flight:
            del self._flights[flight.effect_id]
        flight.done.set()

    # --- watching ---

    async def _look(self) -> None:
        """Compare every transaction on its way with the chain, in the order of nonces."""
        flights = [
            (flight.nonce, flight)
            for flight in self._flights.values()
            if flight.nonce is not None and not flight.is_launching
        ]
        if not flights:
            return
        head = await self._rpc.header("latest")
        mined = await self._rpc.nonce(self.address, "latest")
        if head is None:
            return
        for nonce, flight in sorted(flights, key=lambda pair: pair[0]):
            if nonce < mined:
                await self._settle(flight, head)
            else:
                await self._push(flight, head, is_next=nonce == mined)

    async def _settle(self, flight: _Flight, head: Header) -> None:
        """The nonce is used: by us, if one of our hashes has a receipt."""
        for signed in reversed(flight.signed):
            receipt = await self._rpc.receipt(signed.hash)
            if receipt is None:
                continue
            if head.number - receipt.block_number >= self._settings.finality_blocks:
                await self._conclude(flight, receipt)
            return
        now = trio.current_time()
        block, since = flight.conflict_since = flight.conflict_since or (head.number, now)
        is_deep = head.number - block >= CONFLICT_BLOCKS + self._settings.finality_blocks
        if is_deep or (self._settings.finality_blocks == 0 and now - since >= CONFLICT_S):
            log.warning("nonce_conflict", kind=flight.kind, nonce=flight.nonce, account=self._name)
            await self._launch_anew(flight)

    async def _conclude(self, flight: _Flight, receipt: TransactionReceipt) -> None:
        fee_wei = receipt.gas_used * receipt.effective_gas_price
        flight.gas_used += receipt.gas_used
        flight.fee_wei += fee_wei
        if receipt.status == 1:
            flight.outcome = Receipt(
                bytes(receipt.transaction_hash), int(receipt.block_number), int(receipt.gas_used), fee_wei
            )
        else:
            refused = await self._reason(flight, receipt)
            if refused is None and flight.attempts < MOST_ATTEMPTS:
                log.warning("transaction_out_of_gas", kind=flight.kind, gas_used=receipt.gas_used)
                await self._launch_anew(flight)
                return
            flight.outcome = refused or Refused("OutOfGas", {}, "The call used up its gas each time it was sent.")
        self._finish(flight)

    def _finish(self, flight: _Flight) -> None:
        assert flight.outcome is not None
        self._log.finished(
            flight.effect_id, flight.kind, flight.outcome, gas_used=flight.gas_used, fee_wei=flight.fee_wei
        )
        self._land(flight)

    async def _reason(self, flight: _Flight, receipt: TransactionReceipt) -> Refused | None:
        """Why a mined transaction failed, found by replaying it; None where all that lacked was gas."""
        for block in (receipt.block_number, receipt.block_number - 1):
            try:
                await self._rpc.ask("eth_call", flight.draft.request(self.address), hex(block), answer=Data)
            except RpcRefusal as refusal:
                refused = self._refused(refusal)
                if refused is not None:
                    return refused
        # a call gets 63/64 of what is left, so a failure deep down leaves a little
        if receipt.gas_used >= flight.draft.gas * 9 // 10:
            return None
        return self._explain(b"")

    async def _launch_anew(self, flight: _Flight) -> None:
        """Send the call under a fresh nonce: nothing that was sent for it can be carried out any more."""
        try:
            await self._launch(flight)
        except (NonceConflict, OutOfCoins) as error:
            flight.error = error
            self._land(flight)
            return
        if flight.outcome is not None:
            self._finish(flight)

    async def _push(self, flight: _Flight, head: Header, *, is_next: bool) -> None:
        """The nonce is unused: make sure that the endpoint knows the transaction, and raise its fee if it is stuck."""
        now = trio.current_time()
        flight.conflict_since = None
        if not flight.sent_at:  # first look at it
            flight.sent_block, flight.sent_at, flight.looked_at = head.number, now, now
        waited_blocks = head.number - flight.sent_block
        is_stuck = waited_blocks >= self._settings.bump_blocks or now - flight.sent_at >= self._settings.bump_s
        try:
            if not flight.is_heard:
                await self._broadcast(flight)
            elif is_next and is_stuck:
                flight.sent_block, flight.sent_at = head.number, now
                await self._raise_fee(flight)
            elif now - flight.looked_at >= LOOK_AGAIN_S:
                flight.looked_at = now
                known = await self._rpc.ask("eth_getTransactionByHash", Data(flight.signed[-1].hash), answer=Any)
                if known is None:
                    await self._broadcast(flight)
        except RpcRefusal as refusal:
            if _says(refusal, "nonce too low"):
                return  # mined just now: the next look finds the receipt
            flight.is_heard = True  # or another hash of ours is; the stuck rule goes on from here
            log.warning("transaction_not_taken", kind=flight.kind, nonce=flight.nonce, reason=refusal.message)

    async def _raise_fee(self, flight: _Flight) -> None:
        """Replace the transaction, or send it once more where that would cost more than the limit."""
        draft = await self._fees.with_higher_fee(flight.draft)
        if draft is None:
            log.warning("fee_limit_reached", kind=flight.kind, nonce=flight.nonce, fee_wei=int(flight.draft.fee))
            await self._broadcast(flight)
            return
        flight.draft = draft
        self._sign(flight)
        log.info("transaction_replaced", kind=flight.kind, nonce=flight.nonce, fee_wei=int(draft.fee))
        await self._broadcast(flight)


def _says(refusal: RpcRefusal, *phrases: str) -> bool:
    """Endpoints have no common error codes: their messages must do."""
    message = refusal.message.lower()
    return any(phrase in message for phrase in phrases)
