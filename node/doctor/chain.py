"""The chain behind the configured address: the right one, awake, with the market on it and enough in the account.

Everything comes over one connection and in order, as each thing means nothing without the one before it.
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from morphware.node.chain.deployment import Deployment, deployment_of
from morphware.node.chain.errors import ChainFailure, RpcRefusal
from morphware.node.chain.market_reader import LAG_SAMPLE_BLOCKS, MarketReader
from morphware.node.chain.rpc import Header, Quantity, Rpc, host_of
from morphware.node.config import Config
from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Finding, Tell, doubtful, failure, faulty, fine
from morphware.node.errors import MorphwareError
from morphware.node.journal import Journal
from morphware.node.keys import read_account
from morphware.node.seats import seats_wanted
from morphware.node.wording import tokens
from morphware.protocol.gossip import CLOCK_SKEW_S
from morphware.protocol.units import Address

PATIENCE_S: Final = 5.0
"""An endpoint that is deaf for longer is reported; a node would be more patient."""
SLOW_ANSWER_S: Final = 2.0
BLOCKS_UNTIL_STALE: Final = 10
"""So many usual pauses between blocks without one: the endpoint has lost touch, or the chain sleeps."""
JOB_GAS: Final = {"user": 800_000, "worker": 400_000, "validator": 250_000}
"""What one usual job takes each role, rounded up. Source: the table of calls in contracts/README.md."""
FEW_JOBS: Final = 10


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the account has, beside what its roles want."""

    account: Address
    coins_wei: int
    gas_price_wei: int
    tokens_wei: int
    seat_stake_wei: int
    seats: int | None
    """Seats that it holds and has not given up; None: not asked, or not told."""
    seats_wanted: int


async def check_chain(config: Config, tell: Tell) -> None:
    """Endpoint, chain, market, newest block, clock, coins and tokens."""
    deployment = await _check_deployment(config, tell)
    host = host_of(config.chain.rpc_url)
    async with Rpc(config.chain.rpc_url, patience_s=PATIENCE_S, timeout_s=PATIENCE_S) as rpc:
        try:
            asked_at = time.monotonic()
            chain_id = await rpc.chain_id()
            latency_s = time.monotonic() - asked_at
            tell(latency_finding(host, chain_id, latency_s))
            await _check_head(rpc, tell)
            if deployment is not None and await _check_market(rpc, deployment, tell):
                await _check_account(config, rpc, deployment, tell)
        except ChainFailure as error:
            tell(failure("chain", error))
        except (ValueError, OverflowError) as error:
            # numbers beyond all bounds, and answers of a contract that are none
            found = f"The endpoint's answers make no sense ({type(error).__name__}: {str(error)[:200]})."
            tell(faulty("chain", found, "Check that the address is an Ethereum JSON-RPC endpoint, or use another one."))


async def _check_deployment(config: Config, tell: Tell) -> Deployment | None:
    try:
        return await in_thread(lambda: deployment_of(config.chain))
    except MorphwareError as error:
        tell(failure("market", error))
        return None


def latency_finding(host: str, chain_id: int, latency_s: float) -> Finding:
    """An endpoint that answers late makes a node act late."""
    found = f"{host} serves chain {chain_id}, and answered in {latency_s * 1000:.0f} ms."
    if latency_s > SLOW_ANSWER_S:
        return doubtful("chain", found, "Take an endpoint that is nearer or less busy: late calls miss deadlines.")
    return fine("chain", found)


async def _check_head(rpc: Rpc, tell: Tell) -> None:
    """Whether the endpoint has the chain's newest block, and whether this machine's clock agrees with it."""
    try:
        syncing: Any = await rpc.ask("eth_syncing", answer=Any)
    except RpcRefusal:
        syncing = False  # some public endpoints do not say
    newest = await rpc.header("latest")
    if newest is None:
        tell(faulty("head", "The endpoint has no block at all.", "Wait until it has synchronised, or use another one."))
        return
    if syncing:
        found = f"The endpoint is still synchronising, and has come to block {newest.number}."
        tell(faulty("head", found, "Wait until it has the newest block, or use another endpoint."))
        return
    past = await rpc.header(max(0, newest.number - LAG_SAMPLE_BLOCKS))
    tell(head_finding(newest, past, time.time()))
    tell(clock_finding(newest, time.time()))


def head_finding(newest: Header, past: Header | None, now: float) -> Finding:
    """A head that has stood still for far longer than blocks usually take."""
    age_s = now - newest.timestamp
    blocks = newest.number - past.number if past is not None else 0
    usual_s = (newest.timestamp - past.timestamp) / blocks if past is not None and blocks else 0.0
    at = f"The newest block is {newest.number}"
    if age_s > max(CLOCK_SKEW_S, BLOCKS_UNTIL_STALE * usual_s):
        found = f"{at}, made {_span(age_s)} ago, and blocks came every {_span(usual_s)}."
        advice = "See whether the endpoint follows its chain, and this clock is right; a test chain may be idle."
        return doubtful("head", found, advice)
    return fine("head", f"{at}, made {_span(max(0.0, age_s))} ago.")


def clock_finding(newest: Header, now: float) -> Finding:
    """Peers drop what was said more than a minute ahead of their clocks, and a block cannot come from the future."""
    ahead_s = newest.timestamp - now
    limit = f"peers bear {CLOCK_SKEW_S} s"
    if ahead_s > CLOCK_SKEW_S:
        found = f"This machine's clock is {_span(ahead_s)} behind the newest block's time ({limit})."
        return faulty("clock", found, "Set the clock, best by NTP: `sudo timedatectl set-ntp true`.")
    if ahead_s < -CLOCK_SKEW_S:
        found = f"This machine's clock is {_span(-ahead_s)} ahead of the newest block's time ({limit})."
        return doubtful("clock", found, "Compare the clock with `timedatectl`; if it is right, the block is just old.")
    return fine("clock", f"This machine's clock and the newest block's time are {_span(abs(ahead_s))} apart ({limit}).")


async def _check_market(rpc: Rpc, deployment: Deployment, tell: Tell) -> bool:
    try:
        await MarketReader(rpc, deployment).check()
    except ChainFailure as error:
        tell(failure("market", error))
        return False
    tell(fine("market", f"The market 0x{deployment.market.hex()} is on this chain, with its token."))
    return True


async def _check_account(config: Config, rpc: Rpc, deployment: Deployment, tell: Tell) -> None:
    folder = config.node.data_folder / "keys"
    try:
        account = await in_thread(lambda: read_account(folder))
    except (MorphwareError, OSError):
        return  # the check of the keys says so
    reader = MarketReader(rpc, deployment)
    seats = None
    if "validator" in config.node.roles:
        try:
            seats = len(await reader.staying_seats(account))
        except RpcRefusal as error:
            found = f"The endpoint does not tell which seats the account holds ({error.message})."
            tell(doubtful("tokens", found, "Use an endpoint that answers eth_getLogs for the market's whole life."))
    holdings = Holdings(
        account=account,
        coins_wei=await reader.coin_balance(account),
        gas_price_wei=await rpc.ask("eth_gasPrice", answer=Quantity),
        tokens_wei=await reader.free_balance(account) + await reader.wallet_balance(account),
        seat_stake_wei=(await reader.parameters()).seat_stake_wei,
        seats=seats,
        seats_wanted=await in_thread(lambda: _seats_wanted(config)),
    )
    tell(coins_finding(config, holdings))
    for finding in tokens_findings(config, holdings):
        tell(finding)


def _seats_wanted(config: Config) -> int:
    """How many seats the node would hold: its owner's newest word, which a running node may have heard."""
    try:
        with closing(Journal.reader_of(config.node.data_folder / "journal.sqlite")) as journal:
            return seats_wanted(journal, config.validator.seats)
    except sqlite3.Error:
        return config.validator.seats  # there is no journal yet, or another check says what is wrong with the folder


def coins_finding(config: Config, holdings: Holdings) -> Finding:
    """Coins for the gas of some jobs to come, at the price of the day."""
    who = f"0x{holdings.account.hex()}"
    job_gas = max(JOB_GAS[role] for role in config.node.roles)
    jobs = holdings.coins_wei // max(1, job_gas * holdings.gas_price_wei)
    if holdings.gas_price_wei == 0:
        return fine("coins", f"{who} has {tokens(holdings.coins_wei)} coins, and gas costs nothing on this chain.")
    found = f"{who} has {tokens(holdings.coins_wei)} coins, which pay the gas of about {jobs:,} jobs"
    found += f" ({job_gas:,} gas each, at {holdings.gas_price_wei / 10**9:.3g} gwei)."
    advice = f"Send the chain's native coins to {who}."
    if holdings.coins_wei == 0:
        return faulty("coins", f"{who} has no coins, and every call costs gas.", advice)
    if jobs < 1:
        return faulty("coins", found.replace("about 0 jobs", "no whole job"), advice)
    return doubtful("coins", found, advice) if jobs < FEW_JOBS else fine("coins", found)


def tokens_findings(config: Config, holdings: Holdings) -> list[Finding]:
    """Tokens for what each role has to lay down."""
    who, has = f"0x{holdings.account.hex()}", holdings.tokens_wei
    findings = []
    if holdings.seats is not None:
        missing = max(0, holdings.seats_wanted - holdings.seats)
        needed_wei = missing * holdings.seat_stake_wei
        if needed_wei > has:
            found = f"Staking {missing} more seats needs {tokens(needed_wei)} tokens, and {who} has {tokens(has)}."
            advice = f"Send tokens to {who}, or lower [validator] seats."
            findings.append(faulty("tokens", found, advice))
        else:
            held = f"A validator holds {holdings.seats} of {holdings.seats_wanted} seats"
            findings.append(
                fine("tokens", f"{held}, and {who} has {tokens(has)} tokens for {tokens(needed_wei)} of stake.")
            )
        has -= min(has, needed_wei)
    if "worker" in config.node.roles:
        if has == 0:
            found = f"{who} has no tokens left for bonds, so this worker can bid for nothing."
            findings.append(faulty("tokens", found, f"Send tokens to {who}: a bid binds half of its job's reserve."))
        else:
            findings.append(
                fine("tokens", f"A worker has {tokens(has)} tokens for bonds: half of a job's reserve a bid.")
            )
    if "user" in config.node.roles:
        if has == 0:
            found = f"{who} has no tokens, so this end user can pay for no job."
            findings.append(doubtful("tokens", found, f"Send tokens to {who} before you submit a job."))
        elif "worker" not in config.node.roles:
            findings.append(fine("tokens", f"An end user has {tokens(has)} tokens for jobs."))
    return findings


def _span(seconds: float) -> str:
    """A length of time in its natural unit."""
    for unit, size_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"
