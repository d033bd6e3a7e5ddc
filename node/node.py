"""The whole node on one screen: what it opens, in which order, and what runs beside what.

Everything is a service in one nursery.  The order matters: keys before the chain (which signs), the journal before
anything that it must remember, artifacts and gossip before the engine that uses them, and the API last, so that
whoever can talk to the node finds it whole.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import connect as open_database

import structlog
import trio

from morphware.node.addresses import listening_address, reachable, remember_port, split_address
from morphware.node.api.running import Running
from morphware.node.api.service import serve_api
from morphware.node.artifacts.errors import ArtifactError
from morphware.node.artifacts.torrents import LibtorrentArtifacts, TorrentSettings, serve_artifacts
from morphware.node.brake import Brakes
from morphware.node.chain.deployment import deployment_of
from morphware.node.chain.market import ChainSettings, MarketChain, serve_market_chain
from morphware.node.chain.transaction_log import SqliteTransactionLog
from morphware.node.config import Config, keystore_password
from morphware.node.curve import PROTOCOL as PROGRESS
from morphware.node.curve import ProgressReceiver
from morphware.node.data_folder import NodeRunning
from morphware.node.directory import Directory, published_addresses
from morphware.node.engine import Engine, Roles
from morphware.node.errors import BadInput
from morphware.node.feed import Feed
from morphware.node.gossip.pubsub import GossipMessage
from morphware.node.gossip.service import Libp2pGossip, serve_gossip
from morphware.node.journal import Journal
from morphware.node.keys import Keys, load, read_account
from morphware.node.offers import offer_of
from morphware.node.operating import Operating
from morphware.node.performer import Performer
from morphware.node.retention import Retention
from morphware.node.runner.runner import SandboxRunner
from morphware.node.seats import fetch_stakes, seats_wanted, take_seats
from morphware.node.series import Series
from morphware.node.speech import Listener, Speaker
from morphware.node.treasury import Treasury
from morphware.node.watching import watch_machine
from morphware.protocol.brain import Identity, Relaying
from morphware.protocol.calls import PublishNode
from morphware.protocol.chain_events import NodePublished
from morphware.protocol.commitments import Domain
from morphware.protocol.gossip import Knowledge, net_of
from morphware.protocol.signatures import sign_digest

log = structlog.get_logger()

ROLE_BITS = {"user": 1, "worker": 2, "validator": 4}


def run_node(config: Config, password: str | None = None) -> None:
    """Run a node until it is interrupted or asked to end; the password opens its keys, or else the configured one."""
    trio.run(_until_told, config, password)


async def _until_told(config: Config, password: str | None) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_node, config, password)
            async for _ in signals:
                nursery.cancel_scope.cancel()


async def serve_node(
    config: Config, password: str | None = None, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve all roles of one account until cancelled; started once the node takes part in the market."""
    folder = config.node.data_folder
    with _alone(folder):
        read_account(folder / "keys")  # that there are no keys is said before their password is asked for
        keys = await load(folder / "keys", _password(config) if password is None else password)
        deployment = deployment_of(config.chain)
        transactions = SqliteTransactionLog(open_database(folder / "transactions.sqlite", isolation_level=None))
        journal = Journal(folder / "journal.sqlite")
        network = f"chain {deployment.chain_id}, market 0x{deployment.market.hex()}, 0x{keys.account.hex()}"
        if journal.get("network") is not None:
            journal.belongs_to(network)
        domain = Domain(deployment.chain_id, deployment.market_address)
        directory, feed, runner = Directory(journal.nodes()), Feed(), SandboxRunner(_made(folder / "scratch"))

        async with trio.open_nursery() as nursery:
            settings = ChainSettings(finality_blocks=config.chain.finality_blocks, poll_s=config.chain.poll_s)
            connect = partial(serve_market_chain, settings=settings)
            chain: MarketChain = await nursery.start(
                connect, config.chain.rpc_url, deployment, keys.private_key, transactions
            )
            parameters = await chain.parameters()
            journal.belongs_to(network)  # a new folder becomes this network's once chain and market are there
            torrents = TorrentSettings(
                listen=listening_address(journal, "artifacts", config.artifacts.listen),
                advertise=config.node.advertise or None,
                max_size_bytes=config.artifacts.max_size_bytes,
            )
            artifacts: LibtorrentArtifacts = await nursery.start(serve_artifacts, torrents)
            remember_port(journal, "artifacts", artifacts.address[1])

            relaying = Relaying(partial(sign_digest, keys.private_key), await chain.lag_s(config.chain.finality_blocks))
            engine = Engine(
                journal=journal,
                chain=chain,
                entropy=SystemEntropy(),
                identity=Identity(
                    domain=domain,
                    timing=parameters.timing,
                    account=keys.account,
                    encryption_secret=keys.encryption_secret,
                    encryption_keys=directory,
                    patience_s=config.chain.patience_s,
                    torrent=artifacts.address,
                    seat_stake_wei=parameters.seat_stake_wei,
                    relaying=relaying if config.chain.relay else None,
                ),
                roles=Roles(frozenset(config.node.roles), offer_of(config.worker), config.worker.capacity),
                feed=feed,
                directory=directory,
                treasury=Treasury(chain),
            )
            brakes = Brakes()
            knowledge = Knowledge(domain, net_of(domain, deployment.genesis_hash), directory.peer_keys, engine.views)
            listener = Listener(knowledge, engine.hear, engine.note_node, directory.move)
            receiver = ProgressReceiver(journal, feed, directory, engine.views, keys.account)
            heard, hearing = trio.open_memory_channel[GossipMessage](1_000)
            speak = partial(
                serve_gossip,
                peer_seed=keys.peer_seed,
                listen=listening_address(journal, "gossip", config.gossip.listen),
                topics={topic: listener.rule(topic) for topic in listener.topics()},
                streams={PROGRESS: receiver.receive},
                deliver=heard,
            )
            gossip: Libp2pGossip = await nursery.start(speak)
            remember_port(journal, "gossip", split_address(gossip.addresses[0])[1])
            multiaddresses = reachable(gossip.addresses, config.node.advertise)
            nursery.start_soon(listener.listen, hearing)
            await gossip.connect([*config.gossip.bootstrap, *directory.all_addresses()])

            speaker = Speaker(knowledge, keys.account, keys.private_key, keys.peer_seed, gossip)
            engine.performer = Performer(
                folder / "jobs", keys.account, journal, chain, artifacts, gossip, speaker, runner, directory, feed,
                engine.treasury, engine.promised_wei, engine.limits, brakes,
            )  # fmt: skip
            engine.connect = gossip.connect
            operating = Operating(engine, brakes, config, partial(_count_seats, chain))
            if "worker" in config.node.roles:
                nursery.start_soon(watch_machine, operating)
            nursery.start_soon(_serve_old_files, journal, artifacts)
            head = max(0, await chain.block_number() - config.chain.finality_blocks)
            await nursery.start(engine.run, deployment.deploy_block, head)
            nursery.start_soon(listener.keep_time, feed)
            nursery.start_soon(fetch_stakes, journal, engine.treasury, lambda: engine.now.timestamp)
            nursery.start_soon(Retention(engine, artifacts, folder / "jobs", config.artifacts.retention_s).serve)

            addresses = published_addresses(multiaddresses, artifacts.address)
            async with trio.open_nursery() as joining:
                joining.start_soon(_publish, engine.treasury, directory, keys, addresses)
                if "validator" in config.node.roles and not operating.is_paused:
                    wanted = seats_wanted(journal, config.validator.seats)
                    joining.start_soon(take_seats, engine.treasury, chain, wanted, parameters.seat_stake_wei)
            roles, every_s = _role_bits(config), config.gossip.announce_s
            nursery.start_soon(speaker.announce_self, keys, roles, artifacts.address, every_s, multiaddresses)
            running = Running(
                config, keys.account, deployment, chain, engine, gossip, artifacts, parameters, feed, operating,
                Series(journal), partial(sign_digest, keys.private_key),
            )  # fmt: skip
            await nursery.start(serve_api, running)
            log.info("node_ready", account="0x" + keys.account.hex(), roles=list(config.node.roles))
            task_status.started()


# --- pieces of the screen above -------------------------------------------------------------------------------------


async def _serve_old_files(journal: Journal, artifacts: LibtorrentArtifacts) -> None:
    """Serve again what was served before the restart; a file that is gone or no longer allowed is let go."""
    for job_id, name, _, path in journal.files():
        try:
            await artifacts.seed(path)
        except (ArtifactError, OSError) as error:
            log.warning("file_not_served", path=str(path), reason=str(error))
            journal.drop_file(job_id, name)


async def _count_seats(chain: MarketChain) -> int:
    return len(await chain.staying_seats(chain.account))


async def _publish(treasury: Treasury, directory: Directory, keys: Keys, addresses: tuple[str, ...]) -> None:
    """Put keys and addresses on chain if the chain does not say the same already."""
    record = PublishNode(keys.encryption_key, keys.peer_key, addresses)
    known = directory.published(keys.account)
    if known is None or known != NodePublished(keys.account, record.encryption_key, record.peer_key, record.addresses):
        await treasury.publish(record)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise BadInput(
            f"The data folder {folder} cannot be used ({error.strerror}): name another --data-folder."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NodeRunning(
                f"A node is running on the data folder {folder} already: stop it, or use another --data-folder."
            ) from None
        yield


class SystemEntropy:
    """Chance from the operating system."""

    def token(self, size_bytes: int) -> bytes:
        """So many random bytes."""
        return os.urandom(size_bytes)


def _password(config: Config) -> str:
    password = keystore_password(config.keys)
    if password is None:
        raise BadInput("The keystore needs its password: set MORPHWARE_PASSWORD, or [keys] password_file.")
    return password


def _role_bits(config: Config) -> int:
    return sum(ROLE_BITS[role] for role in set(config.node.roles))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
