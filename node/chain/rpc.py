"""JSON-RPC over httpx under trio: every answer is bounded and typed, and a deaf endpoint is met with patience.

web3's providers are not used: their waiting, batching and subscriptions need asyncio.  What a method answers is decoded
straight into a type, where ``Quantity`` is a hexadecimal integer and ``Data`` hexadecimal bytes on the wire.
"""

import itertools
import random
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import httpx
import msgspec
import trio

from morphware.node.chain.errors import AnswerTooLarge, ChainUnreachable, MalformedAnswer, RpcRefusal

ANSWER_LIMIT_BYTES: Final = 64 << 20
"""A range of blocks full of specifications is a few MiB; more than this is an attack or a mistake."""
MESSAGE_LIMIT: Final = 500
"""Characters of an endpoint's own message that are shown."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
BUSY_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
BUSY_CODE: Final = frozenset({-32001, -32005})
"""Resource unavailable and limit exceeded: EIP-1474 says to try again."""


class Quantity(int):
    """An integer that JSON-RPC writes in hexadecimal."""


class Data(bytes):
    """Bytes that JSON-RPC writes in hexadecimal."""


class Header(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a node needs to know of a block."""

    number: Quantity
    hash: Data
    parent_hash: Data
    timestamp: Quantity
    base_fee_per_gas: Quantity | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event as the chain keeps it."""

    address: Data
    topics: list[Data]
    data: Data
    block_hash: Data
    block_number: Quantity
    log_index: Quantity
    transaction_hash: Data | None = None
    removed: bool = False


class TransactionReceipt(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a mined transaction; ``status`` 1 means carried out."""

    transaction_hash: Data
    block_hash: Data
    block_number: Quantity
    gas_used: Quantity
    effective_gas_price: Quantity = Quantity(0)
    status: Quantity = Quantity(1)
    contract_address: Data | None = None


class Failure(msgspec.Struct, frozen=True):
    """The error object of JSON-RPC."""

    code: int = 0
    message: str = ""
    data: Any = None


class Answer(msgspec.Struct, frozen=True):
    """The envelope of JSON-RPC; exactly one of the two is meant to be there."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Failure | None = None


Result = TypeVar("Result")


class Rpc:
    """One JSON-RPC endpoint.

    Args:
        url: address of the endpoint; never shown, as it may hold a key.
        patience_s: how long a request is tried again while the endpoint is deaf or busy.
        timeout_s: how long one try may take.
        connections: most requests at a time.
    """

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = 60,
        timeout_s: float = 15,
        connections: int = 8,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> None:
        self._url = url
        self.patience_s = patience_s
        self._answer_limit_bytes = answer_limit_bytes
        self._numbers = itertools.count(1)
        # identity: a compressed answer could grow beyond the limit inside the decoder before we count it
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5), pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers=headers,
            trust_env=False,
            # reading the certificate store takes a third of a second; an endpoint without TLS has no use for it
            verify=not url.startswith("http://"),
        )

    def __repr__(self) -> str:
        return f"Rpc({host_of(self._url)})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        with trio.CancelScope(shield=True):
            await self._client.aclose()

    @overload
    async def ask(
        self, method: str, *params: object, answer: type[Result], patience_s: float | None = None
    ) -> Result: ...

    @overload
    async def ask(self, method: str, *params: object, answer: Any, patience_s: float | None = None) -> Any: ...

    async def ask(self, method: str, *params: object, answer: Any, patience_s: float | None = None) -> Any:
        """Call a method and decode its result into the type ``answer``.

        Raises:
            ChainUnreachable: no usable answer within the patience.
            RpcRefusal: the endpoint answered with an error.
            MalformedAnswer, AnswerTooLarge: the endpoint is broken.
        """
        request = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        body = msgspec.json.encode(request, enc_hook=to_hexadecimal)
        patience_s = self.patience_s if patience_s is None else patience_s
        give_up_at = trio.current_time() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with trio.fail_after(max(give_up_at - trio.current_time(), 1)):
                    return await self._try(method, body, answer)
            except (httpx.TransportError, trio.TooSlowError, _BusyError) as error:
                reason = f"{method} at {host_of(self._url)}: {str(error) or type(error).__name__}"
                if trio.current_time() + pause_s > give_up_at:
                    raise ChainUnreachable(reason) from None  # the cause may show the URL
            # jitter, so that many nodes do not come back in step after an outage
            await trio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _try(self, method: str, body: bytes, answer: Any) -> Any:
        content = bytearray()
        await trio.lowlevel.checkpoint_if_cancelled()  # at a node's end the client may be closed before its users stop
        try:
            async with self._client.stream("POST", self._url, content=body) as response:
                # cancelled, not left: leaving the loop would leave httpx's inner generators to the garbage collector
                with trio.CancelScope() as overflow:
                    async for part in response.aiter_raw():
                        content += part
                        if len(content) > self._answer_limit_bytes:
                            overflow.cancel()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ChainUnreachable(f"not a usable address: {type(error).__name__}") from None
        if len(content) > self._answer_limit_bytes:
            raise AnswerTooLarge(f"{method}: more than {self._answer_limit_bytes} bytes")
        if response.status_code in BUSY_STATUS and not content.startswith(b"{"):
            raise _BusyError(f"HTTP status {response.status_code}")
        try:
            envelope = msgspec.json.decode(content, type=Answer)
            if envelope.error is None:
                return msgspec.json.decode(envelope.result, type=answer, dec_hook=from_hexadecimal)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            status = f"HTTP status {response.status_code}, " if response.status_code != httpx.codes.OK else ""
            raise MalformedAnswer(f"{method}: {status}{str(error)[:MESSAGE_LIMIT]}") from None
        failure = envelope.error
        if failure.code in BUSY_CODE and "nonce" not in failure.message:
            raise _BusyError(failure.message[:MESSAGE_LIMIT])
        raise RpcRefusal(failure.code, failure.message[:MESSAGE_LIMIT], failure.data)

    # --- the few methods that several modules need ---

    async def block_number(self) -> int:
        """Number of the newest block."""
        return await self.ask("eth_blockNumber", answer=Quantity)

    async def header(self, block: int | str) -> Header | None:
        """Header of a block by number or tag, or None where there is none."""
        where = block if isinstance(block, str) else hex(block)
        header: Header | None = await self.ask("eth_getBlockByNumber", where, False, answer=Header | None)
        return header

    async def chain_id(self) -> int:
        """The chain's EIP-155 number."""
        return await self.ask("eth_chainId", answer=Quantity)

    async def nonce(self, account: bytes, block: int | str) -> int:
        """How many transactions of the account the chain has as of a block."""
        where = block if isinstance(block, str) else hex(block)
        return await self.ask("eth_getTransactionCount", Data(account), where, answer=Quantity)

    async def receipt(self, transaction_hash: bytes) -> TransactionReceipt | None:
        """The receipt of a mined transaction, or None while there is none."""
        kind = TransactionReceipt | None
        receipt: TransactionReceipt | None = await self.ask(
            "eth_getTransactionReceipt", Data(transaction_hash), answer=kind
        )
        return receipt


class _BusyError(Exception):
    """The endpoint wants to be asked again later."""


def host_of(url: str) -> str:
    """Scheme, host and port of a URL: the part that holds no secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an invalid address"
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


def to_hexadecimal(value: object) -> str:
    """Write our own types as JSON-RPC wants them."""
    match value:
        case bytes():
            return "0x" + value.hex()
        case Quantity():
            return hex(value)
    raise TypeError(type(value).__name__)


def from_hexadecimal(kind: type, value: object) -> object:
    """Read our own types as JSON-RPC writes them."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("expected hexadecimal digits after 0x")
    if kind is Quantity:
        return Quantity(value, 16)
    if kind is Data:
        return Data(bytes.fromhex(value[2:]))
    raise TypeError(kind.__name__)
