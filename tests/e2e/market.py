"""Real networks of real processes, and a job that is over in a moment."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trio
from msgspec import to_builtins

from morphware.node.testnet.network import Network, running_network
from morphware.node.testnet.shape import Shape
from morphware.node.wishes import JobWish
from morphware.protocol.units import TOKEN, Wei

JOBS = Path(__file__).parent / "jobs"
PATIENCE_S = 240
"""Far more than a job takes here: a busy machine must not fail a test."""


def make_clouds(folder: Path, *, is_learnable: bool = True) -> tuple[Path, Path]:
    """Training and testing data: three clouds of points, whose labels can be learned, or not at all."""
    chance = np.random.default_rng(7)
    for name, count in (("train", 300), ("test", 120)):
        labels = chance.integers(0, 3, count)
        inputs = chance.normal(size=(count, 4)) * 0.3 + (labels[:, None] if is_learnable else 0)
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "inputs.npy", inputs)
        np.save(folder / name / "labels.npy", labels)
    return folder / "train", folder / "test"


def clouds_wish(folder: Path, *, is_learnable: bool = True, **changes: Any) -> JobWish:
    """A wish for the centroids job on fresh data; any field may be changed."""
    train, test = make_clouds(folder, is_learnable=is_learnable)
    wish: dict[str, Any] = {
        "program": JOBS / "centroids" / "train.py",
        "train": train,
        "test": test,
        "metric": "accuracy",
        "threshold": 0.9,
        "reserve_wei": Wei(100 * TOKEN),
        "estimated_s": 10,
        "training_s": 60,
        "testing_s": 40,
        "bidding_s": 6,
    }
    return JobWish(**(wish | changes))


@dataclass
class Market:
    """A running network with the questions that tests ask of it."""

    network: Network
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def submit(self, wish: JobWish) -> str:
        """Submit through the end user's node."""
        return await self.network.nodes["user-1"].client.submit(wish)

    async def until(self, job_id: str, is_so: Callable[[dict[str, Any]], bool], node: str = "user-1") -> dict[str, Any]:
        """Wait until a node's description of the job is so."""
        with trio.fail_after(PATIENCE_S):
            while True:
                job = dict(to_builtins(await self.network.nodes[node].client.job(job_id)))
                if is_so(job):
                    return job
                await trio.sleep(0.05)

    async def until_over(self, job_id: str) -> dict[str, Any]:
        """Wait until the end user's node is done with the job, the model included if there is one."""
        return await self.until(
            job_id,
            lambda job: job["outcome"] not in ("NONE", "PAID") or job.get("model_path") is not None,
        )

    async def restart(self, name: str) -> None:
        """Kill a node without a warning, and start it again on the same folder."""
        await self.network.end(name, signal.SIGKILL)
        await self.network.start(name)

    def name(self, account: str) -> str:
        """The node's name of an account in text."""
        return next(name for known, name in self.network.names.items() if "0x" + known.hex() == account)

    async def tokens(self) -> dict[str, int]:
        """Everything that each account has: wallet, free balance and seats, in wei; and the pool for random audits."""
        reader = self.network.reader
        stake = (await reader.parameters()).seat_stake_wei
        return {"audits": await reader.audit_pool()} | {
            node.name: await reader.wallet_balance(node.account)
            + await reader.free_balance(node.account)
            + stake * len(await reader.seats(node.account))
            for node in self.network.nodes.values()
        }


@asynccontextmanager
async def open_market(folder: Path, *, workers: int = 2, validators: int = 5, **settings: str) -> AsyncIterator[Market]:
    """A market for one test."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    shape = Shape(workers=workers, validators=validators)
    async with running_network(folder, shape, settings=named) as network:
        yield Market(network)
