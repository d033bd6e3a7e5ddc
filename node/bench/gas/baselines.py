"""The same bids in two other auctions, which are contracts of our own for comparison (``contracts/src/baselines``).

Both run to the point at which the winner is known and every loser has his money back.  The blind auction's last call,
which pays the winner, is measured but counted apart: the market pays at the end of the job.
"""

from collections.abc import Sequence
from typing import Final

from morphware.node.bench.gas.accounts import Cast, noise
from morphware.node.bench.gas.chain import BenchChain, BenchFailed, Created
from morphware.node.bench.gas.honest_job import RESERVE_WEI, bid_prices
from morphware.node.bench.gas.measured import Run, Spent
from morphware.node.chain.abi import encode_values
from morphware.node.testnet.anvil import CHAIN_ID
from morphware.protocol.commitments import keccak
from morphware.protocol.units import Address

BIDDING_S: Final = 3600
REVEAL_S: Final = 900
BOND_WEI: Final = RESERVE_WEI // 2


class _Auction:
    """A baseline contract in use; ``spent`` grows with each transaction."""

    def __init__(self, chain: BenchChain, contract: Created, name: str, number: int) -> None:
        self.spent: list[Spent] = []
        self.number = number
        """Of the auction in its contract, from 0."""
        self._chain = chain
        self._contract = contract
        self._name = name

    async def send(self, function: str, sender: Address, *values: object, value_wei: int = 0) -> None:
        data = self._contract.interface.encode(function, *values)
        mined = await self._chain.send(f"{self._name}: {function}", sender, self._contract.address, data, value_wei)
        self.spent.append(Spent(function, int(mined.gas_used)))

    async def require(self, function: str, *wanted: object) -> None:
        actual = await self._chain.ask(self._contract, function, self.number)
        if actual != wanted:
            raise BenchFailed(f"{self._name}: {function} is {actual}, not {wanted}")


async def run_blind_auction(chain: BenchChain, contract: Created, cast: Cast, bids: int, number: int) -> Run:
    """Run the ``number``-th auction of the contract, with so many bids.

    Raises:
        BenchFailed: a transaction was refused, or another bid won.
    """
    auction = _Auction(chain, contract, f"blind auction of {bids}", number)
    prices = bid_prices(bids)
    secrets = [noise(f"blind secret {number} {bidder}") for bidder in range(bids)]
    await auction.send("open", cast.user.address, BIDDING_S, REVEAL_S, value_wei=RESERVE_WEI)
    for party, price, secret in zip(cast.bidders, prices, secrets, strict=False):
        seal = keccak(price.to_bytes(12, "big") + bytes(1) + secret)
        await auction.send("bid", party.address, number, seal, value_wei=BOND_WEI)
    await chain.pass_time(BIDDING_S)
    for party, price, secret in zip(cast.bidders, prices, secrets, strict=False):
        await auction.send("reveal", party.address, number, [price], [False], [secret])
    for outbid in _outbid(prices):
        await auction.send("withdraw", cast.bidders[outbid].address, number)
    await auction.require("leader", cast.bidders[prices.index(min(prices))].address, min(prices))
    await chain.pass_time(REVEAL_S)
    await auction.send("end", cast.user.address, number)
    return Run(bids, tuple(auction.spent))


async def run_naive_auction(chain: BenchChain, contract: Created, cast: Cast, bids: int, number: int) -> Run:
    """Run the ``number``-th auction of the contract, with so many bids.

    Raises:
        BenchFailed: a transaction was refused, or another bid won.
    """
    auction = _Auction(chain, contract, f"naive auction of {bids}", number)
    prices = bid_prices(bids)
    openings = [
        (price, True, 3600 + index, noise(f"naive salt {number} {index}")) for index, price in enumerate(prices)
    ]
    await auction.send("post", cast.user.address, RESERVE_WEI, BIDDING_S, REVEAL_S)
    for party, opening in zip(cast.bidders, openings, strict=False):
        commitment = keccak(
            encode_values(
                ("uint256", "address", "uint256", "address", "uint96", "bool", "uint32", "bytes32"),
                (CHAIN_ID, contract.address, number, party.address, *opening),
            )
        )
        await auction.send("commit", party.address, number, commitment)
    await chain.pass_time(BIDDING_S)
    for index, (party, opening) in enumerate(zip(cast.bidders, openings, strict=False)):
        await auction.send("reveal", party.address, number, index, *opening)
    await chain.pass_time(REVEAL_S)
    await auction.send("award", cast.user.address, number)
    second = sorted([*prices, RESERVE_WEI])[1]
    await auction.require("result", cast.bidders[prices.index(min(prices))].address, second)
    return Run(bids, tuple(auction.spent))


def _outbid(prices: Sequence[int]) -> list[int]:
    """Who led for a while when the bids were opened in their order, and was outbid."""
    leaders: list[int] = []
    for index, price in enumerate(prices):
        if not leaders or price < prices[leaders[-1]]:
            leaders.append(index)
    return leaders[:-1]
