"""The whole measurement: a fresh chain, the market and both baselines on it, and every kind of auction in turn."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple
from importlib import resources
from pathlib import Path
from typing import Final

from morphware.node.bench.gas.accounts import Cast, cast
from morphware.node.bench.gas.baselines import run_blind_auction, run_naive_auction
from morphware.node.bench.gas.chain import BenchChain, Created, bench_chain
from morphware.node.bench.gas.honest_job import MOST_BATCH, SEATS, TIMING, Scene, run_job
from morphware.node.bench.gas.measured import BATCH_BIDS, Auctions, Measurement
from morphware.node.testnet.anvil import CHAIN_ID, HARDFORK
from morphware.protocol.commitments import Domain
from morphware.protocol.units import TOKEN, WEI_MAX

MOST_BIDS: Final = MOST_BATCH
"""A job's bids come on chain in one batch here."""
VALIDATORS: Final = 3 * SEATS + 1
"""Somewhat more than a posting asks for, which is twice a committee and one."""
SEAT_STAKE_WEI: Final = 100 * TOKEN
SUPPLY_WEI: Final = 10**9 * TOKEN
WALLET_WEI: Final = 10_000 * TOKEN
"""What each party has in its wallet, and as much again in the market: no balance ever begins or ends at zero, as a new
account's first slot would be counted as the auction's."""
WARM_UP_BIDS: Final = 2
MOST_WARM_UPS: Final = 100
"""Ten or so are enough for all seats to have served; draws are at random."""


async def measure(bids: Sequence[int], say: Callable[[str], None]) -> Measurement:
    """Run everything for each number of bids, on a local chain that ends with it.

    Args:
        bids: between 1 and 64, each once.
        say: is told what is going on.

    Raises:
        AnvilMissing, AnvilFailed: there is no local chain.
        BenchFailed: something did not go as it must.
    """
    with tempfile.TemporaryDirectory(prefix="morphware-bench-") as folder:
        async with bench_chain(Path(folder)) as chain:
            return await _measure(chain, bids, say)


async def _measure(chain: BenchChain, bids: Sequence[int], say: Callable[[str], None]) -> Measurement:
    people = cast(bidders=max(*bids, WARM_UP_BIDS), validators=VALIDATORS)
    for party in people.everybody:
        await chain.give_coins(party.address)
    deployer = people.deployer.address
    token = await chain.create(deployer, "MorphwareToken", deployer, SUPPLY_WEI)
    market = await chain.create(deployer, "Market", token.address, SEAT_STAKE_WEI, astuple(TIMING))
    blind = await chain.create(deployer, "BlindAuction")
    naive = await chain.create(deployer, "NaiveAuction", token.address)
    say(f"Deployed. Giving {len(people.everybody)} accounts tokens, and {VALIDATORS} of them seats.")
    await _furnish(chain, people, token, market, naive)
    scene = Scene(chain, market, Domain(CHAIN_ID, market.address), people)

    async def run_all(count: int, number: int) -> Auctions:
        return Auctions(
            relayed=await run_job(scene, f"relayed job {number}", count, is_relayed=True),
            self_sent=await run_job(scene, f"self-sent job {number}", count, is_relayed=False),
            blind=await run_blind_auction(chain, blind, people, count, number),
            naive=await run_naive_auction(chain, naive, people, count, number),
        )

    say("The first job of all, by seats that have never served.")
    first = await run_job(scene, "first job", bids[0], is_relayed=True)
    # not counted: whatever is first in a contract, or by a seat, pays for slots that all later ones share
    await run_all(WARM_UP_BIDS, 0)
    for number in range(MOST_WARM_UPS):
        if len(scene.served) == VALIDATORS:
            break
        await run_job(scene, f"warm-up job {number}", WARM_UP_BIDS, is_relayed=True)
    by_bids = {}
    for number, count in enumerate(bids, start=1):
        say(f"{count} bids: relayed, self-sent, blind auction, naive auction.")
        by_bids[count] = await run_all(count, number)
    batch = None
    if BATCH_BIDS in bids:
        say(f"{BATCH_BIDS} bids once more: their openings alone in a transaction.")
        batch = await run_job(scene, "batch job", BATCH_BIDS, is_relayed=True, is_poke_apart=True)
    batches = None
    if MOST_BIDS in bids:
        say(f"{MOST_BIDS} bids once more: their openings in batches of {BATCH_BIDS}.")
        batches = await run_job(
            scene, "job of batches", MOST_BIDS, is_relayed=True, is_poke_apart=True, batch=BATCH_BIDS
        )
    return Measurement(
        seats=SEATS,
        by_bids=by_bids,
        first=first,
        batch=batch,
        batches=batches,
        deployments={
            "MorphwareToken": token.gas,
            "Market": market.gas,
            "BlindAuction": blind.gas,
            "NaiveAuction": naive.gas,
        },
        chain=await chain.version(),
        compiler=_compiler(),
        hardfork=HARDFORK,
    )


async def _furnish(chain: BenchChain, people: Cast, token: Created, market: Created, naive: Created) -> None:
    """Tokens and allowances for all, deposits, and one seat for each validator."""
    deployer = people.deployer.address
    for party in people.everybody:
        who = f"for 0x{party.address.hex()}"
        steps = [
            (deployer, token, "transfer", (party.address, 2 * WALLET_WEI)),
            (party.address, token, "approve", (market.address, WEI_MAX)),
            # unlimited: an allowance that shrinks would cost the naive auction another slot a bid
            (party.address, token, "approve", (naive.address, 2**256 - 1)),
            (party.address, market, "deposit", (WALLET_WEI,)),
        ]
        if party in people.validators:
            steps.append((party.address, market, "stake", (1,)))
        for sender, contract, function, values in steps:
            data = contract.interface.encode(function, *values)
            await chain.send(f"{function} {who}", sender, contract.address, data)
    await chain.pass_time(60)


def _compiler() -> str:
    artifact = resources.files("morphware.contracts") / "artifacts" / "Market.json"
    return f"solc {json.loads(artifact.read_text('utf-8'))['compiler']}"
