"""``morphware deploy``: put a token and a market on any EVM chain, and write the file that its nodes need."""

from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import connect as open_database
from typing import Final

import trio

from morphware.node import keys as node_keys
from morphware.node.chain.deploy import deploy, deployer
from morphware.node.chain.deployment import save_deployment
from morphware.node.chain.rpc import Rpc
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.chain.transactions import SenderSettings
from morphware.node.errors import BadInput
from morphware.protocol.parameters import Timing
from morphware.protocol.units import TOKEN, Wei

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400

USUAL_TIMING: Final = Timing(
    revealing_s=15 * MINUTE_S,
    keys_s=30 * MINUTE_S,
    acknowledge_s=2 * HOUR_S,
    dispute_s=30 * MINUTE_S,
    seed_s=30 * MINUTE_S,
    keying_s=30 * MINUTE_S,
    report_reveal_s=30 * MINUTE_S,
    appeal_s=2 * HOUR_S,
    claim_s=12 * HOUR_S,
    inspect_s=6 * HOUR_S,
    draw_s=5 * MINUTE_S,
    unbonding_s=45 * DAY_S,
    seed_blocks=10,
    audit_one_in=10,
)
"""The windows of PROTOCOL.md 5.1; un-bonding outlasts the longest training and the strikes of a seat, 30 days each.

One finding in ten is audited: guessing then costs more than testing where a test costs less than a twentieth of a seat.
"""
SUPPLY_WEI: Final = Wei(1_000_000_000 * TOKEN)


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """``morphware deploy``."""

    rpc_url: str
    data_folder: Path
    password: str
    output: Path
    seat_stake_wei: Wei
    finality_blocks: int
    audit_one_in: int


def deploy_market(options: DeployOptions) -> str:
    """Deploy and return the market's address; the deployer's account gets all tokens."""
    if options.output.exists():
        raise BadInput(f"{options.output} exists already: name another file with --output, or remove it.")
    return trio.run(_deploy, options)


async def _deploy(options: DeployOptions) -> str:
    keys = await node_keys.load(options.data_folder / "keys", options.password)
    connection = open_database(options.data_folder / "deployer.sqlite", isolation_level=None)
    settings = SenderSettings(finality_blocks=options.finality_blocks)
    async with Rpc(options.rpc_url, patience_s=30) as rpc, trio.open_nursery() as nursery:
        chain_id = await rpc.chain_id()
        sender = deployer(rpc, keys.private_key, chain_id, SqliteTransactionLog(connection), settings)
        await nursery.start(sender.run)
        timing = replace(USUAL_TIMING, audit_one_in=options.audit_one_in)
        deployment = await deploy(
            rpc, sender, timing=timing, seat_stake_wei=options.seat_stake_wei, supply_wei=SUPPLY_WEI
        )
        save_deployment(deployment, options.output)
        nursery.cancel_scope.cancel()
    return "0x" + deployment.market.hex()
