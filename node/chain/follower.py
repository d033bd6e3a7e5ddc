"""Hear the chain: final blocks, each once and in order, with the logs of one contract.

A block is final when ``finality_blocks`` lie upon it.  Only final blocks are handed out, so an ordinary reorganisation
is never seen; each block must name the one before it as its parent, and one that does not is a reorganisation deeper
than the finality that the node was configured with: that stops it.  Logs are asked for by block hash, since endpoints
do not say which logs a reorganisation took back.  Far behind the head, logs are fetched by ranges, and of the blocks
without logs only the newest of a range is handed out.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from morphware.node.chain.errors import AnswerTooLarge, ChainFailure, ChainUnreachable, DeepReorganisation, RpcRefusal
from morphware.node.chain.rpc import Data, Header, Log, Rpc

CATCH_UP_BLOCKS: Final = 32
"""So far behind the newest final block, blocks are fetched by ranges."""
RANGE_BLOCKS: Final = 2000
"""Most blocks in a range; endpoints that refuse so many are asked for half."""
LAST_BLOCKS: Final = 4
"""Ranges end so far below the newest final block: what is nearest is read one by one."""
SURE_AFTER_LOOKS: Final = 3
"""Behind a balanced address sit several nodes; one that lags is no reorganisation, so look again."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A final block with the contract's logs, in order."""

    number: int
    hash: bytes
    timestamp: int
    logs: tuple[Log, ...]


class Follower:
    """Reads one contract's logs.

    Args:
        address: the contract.
        finality_blocks: blocks upon a final block; 0 makes the head final.
        poll_s: pause between two looks at the head.
    """

    def __init__(self, rpc: Rpc, address: bytes, *, finality_blocks: int = 0, poll_s: float = 0.2) -> None:
        self._rpc = rpc
        self._address = Data(address)
        self._finality_blocks = finality_blocks
        self._poll_s = poll_s
        self._range_blocks = RANGE_BLOCKS

    async def follow(self, after_block: int, *, after_hash: bytes | None = None) -> AsyncGenerator[RawBlock, None]:
        """Final blocks from ``after_block + 1`` on, for ever; waits out an endpoint that is deaf or errs.

        Args:
            after_hash: the last handled block's hash, if known: then a reorganisation during the node's absence shows.

        Raises:
            DeepReorganisation: blocks that were handed out are no longer on the chain.
        """
        last_number, last_hash = after_block, after_hash
        doubts = 0
        while True:
            try:
                blocks, fits = await self._next(last_number, last_hash)
            except ChainFailure as error:
                log.warning("chain_not_followed", reason=str(error), after_block=last_number)
                blocks, fits = [], True
            if fits:
                doubts = 0
            else:
                doubts += 1
                if doubts >= SURE_AFTER_LOOKS:
                    raise DeepReorganisation(f"block {last_number} is no longer 0x{(last_hash or b'').hex()}")
            for block in blocks:
                last_number, last_hash = block.number, block.hash
                yield block
            if not blocks:
                await trio.sleep(self._poll_s)

    async def _next(self, last_number: int, last_hash: bytes | None) -> tuple[list[RawBlock], bool]:
        """The next final blocks, and whether they continue what was handed out."""
        head = await self._rpc.header("latest")
        if head is None:
            return [], True
        final = head.number - self._finality_blocks
        if final < last_number:
            # an endpoint that lags, or a chain that was set back
            return [], last_hash is None or await self._is_still_there(last_number, last_hash)
        if final == last_number:
            return [], last_hash is None or self._finality_blocks > 0 or head.hash == last_hash
        if final - last_number > CATCH_UP_BLOCKS:
            if last_hash is not None and not await self._is_still_there(last_number, last_hash):
                return [], False
            return await self._range(last_number + 1, final - LAST_BLOCKS), True
        header = head if head.number == last_number + 1 else await self._rpc.header(last_number + 1)
        if header is None:
            return [], True
        if last_hash is not None and header.parent_hash != last_hash:
            return [], False
        try:
            logs = await self._logs({"blockHash": header.hash})
        except RpcRefusal:
            return [], True  # the block vanished between the two questions, or is not indexed yet
        return [_block(header, logs)], True

    async def _is_still_there(self, number: int, block_hash: bytes) -> bool:
        header = await self._rpc.header(number)
        return header is not None and header.hash == block_hash

    async def _range(self, first: int, last: int) -> list[RawBlock]:
        """Blocks with logs from ``first`` on, and the newest of the range in any case."""
        last = min(last, first + self._range_blocks - 1)
        try:
            logs = await self._logs({"fromBlock": hex(first), "toBlock": hex(last)})
        except (RpcRefusal, AnswerTooLarge):
            if self._range_blocks == 1:
                raise
            self._range_blocks = max(1, self._range_blocks // 2)
            return []
        self._range_blocks = min(RANGE_BLOCKS, self._range_blocks * 2)
        by_number: dict[int, list[Log]] = {last: []}
        for entry in logs:
            by_number.setdefault(entry.block_number, []).append(entry)
        headers = await self._headers(sorted(by_number))
        blocks = []
        for header in headers:
            found = by_number[header.number]
            if any(entry.block_hash != header.hash for entry in found) or not first <= header.number <= last:
                return []  # a reorganisation between the questions, or nodes of different minds: ask again
            blocks.append(_block(header, found))
        return blocks

    async def _headers(self, numbers: list[int]) -> list[Header]:
        """Headers of these blocks, asked for side by side."""
        headers: dict[int, Header] = {}
        failures: list[ChainFailure] = []

        async def fetch(number: int) -> None:
            try:
                header = await self._rpc.header(number)
            except ChainFailure as error:
                failures.append(error)
                return
            if header is not None:
                headers[number] = header

        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(fetch, number)
        if failures:
            raise failures[0]
        if len(headers) != len(numbers):
            raise ChainUnreachable("the endpoint does not know blocks that it has logs of")
        return [headers[number] for number in numbers]

    async def _logs(self, where: dict[str, object]) -> list[Log]:
        logs = await self._rpc.ask("eth_getLogs", {"address": self._address, **where}, answer=list[Log])
        kept = [entry for entry in logs if entry.address == self._address and not entry.removed]
        return sorted(kept, key=lambda entry: (entry.block_number, entry.log_index))


def _block(header: Header, logs: list[Log]) -> RawBlock:
    return RawBlock(header.number, bytes(header.hash), header.timestamp, tuple(logs))
