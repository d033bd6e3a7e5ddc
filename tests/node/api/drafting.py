"""A node with journal, engine and a real sandbox on a market in memory, asked over real HTTP on a loopback port."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import trio

from morphware.node.api.drafts import DraftRequests
from morphware.node.api.estimates import EstimateRequests
from morphware.node.api.guard import SocketDoor
from morphware.node.api.http import serve_http
from morphware.node.api.running import Running
from morphware.node.api.server import Api, listen_on, origin_of
from morphware.node.api.submitting import SubmitRequests
from morphware.node.chain.market_reader import MarketParameters
from morphware.node.config import Config, NodeSection, WebSection
from morphware.node.drafts.shelf import Shelf
from morphware.node.ports import Runner
from morphware.node.series import Series
from tests.node.memory_ports import MemoryChain
from tests.node.world import RICH_WEI, SEAT_STAKE_WEI, TIMING, Node, World

SCRIPT = """
import json, os, pathlib, time

def train(folder, model):
    (model / "model.json").write_text(json.dumps({"answer": 1}))

def predict(model_dir, test_dir):
    return [json.loads((pathlib.Path(model_dir) / "model.json").read_text())["answer"]] * 4

if __name__ == "__main__":
    for step in range(5):
        print(f"step {step} loss {1 / (step + 1):.3f}", flush=True)
        time.sleep(0.05)
    train(None, pathlib.Path(os.environ["MORPHWARE_MODEL_DIR"]))
"""
CONFIG = (
    'title = "Ones"\nmetric = "accuracy"\nthreshold = 0.5\nreserve = "0.0000000000000001"\nestimated_seconds = 10\n'
)
"""The reserve is 100 wei, as the market in memory counts."""

File = tuple[str, tuple[str, bytes]]


def job_files(script: str = SCRIPT, config: str = CONFIG) -> list[File]:
    """An upload as a browser sends it: a picked program, and two picked folders."""
    return [
        ("program", ("ones/train.py", script.encode())),
        ("program", ("ones/morphware.toml", config.encode())),
        ("train", ("train/inputs.csv", b"1\n2\n3\n4\n")),
        ("test", ("test/inputs.csv", b"1\n2\n3\n4\n")),
        ("test", ("test/labels.csv", b"1\n1\n1\n0\n")),
    ]


@dataclass
class Drafting:
    """The node, and who asks it."""

    world: World
    node: Node
    running: Running
    client: httpx.AsyncClient

    @property
    def folder(self) -> Path:
        return self.node.folder / "drafts"

    async def upload(self, files: Sequence[File] | None = None) -> httpx.Response:
        return await self.client.post("/drafts", files=list(files if files is not None else job_files()))

    async def draft(self, files: Sequence[File] | None = None) -> str:
        response = await self.upload(files)
        assert response.status_code == 200, response.text
        return str(response.json()["draft_id"])

    async def review(self, draft_id: str, **terms: Any) -> Any:
        response = await self.client.post(f"/drafts/{draft_id}/review", json=terms)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, draft_id: str, request_id: str = "click", **terms: Any) -> httpx.Response:
        return await self.client.post(f"/drafts/{draft_id}/post", json=terms | {"request_id": request_id})

    def left(self) -> list[str]:
        """What lies in the drafts' folder, hidden leftovers with it."""
        return sorted(path.name for path in self.folder.iterdir())


class _SeatedChain(MemoryChain):
    """The chain with what a posting asks of seats."""

    async def free_seats(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.world.market.registry.free_seats

    async def busy_seats(self) -> int:
        await trio.lowlevel.checkpoint()
        return self.world.market.registry.busy_seats


def world_of(folder: Path) -> World:
    """A market with seats enough for one job."""
    world = World(folder)
    for index in range(11):
        Node(world, f"validator{index}", "validator").enrol(seats=2)
    return world


@asynccontextmanager
async def drafting(
    world: World,
    runner: Runner | None = None,
    *,
    roles: tuple[Any, ...] = ("user",),
    upload_mib: int = 64,
    free_wei: int = RICH_WEI,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[Drafting]:
    """Start the user's node (again, if it was there), and serve its drafts."""
    node = world.nodes.get("user") or Node(world, "user", *roles).enrol(free_wei=free_wei)
    if runner is not None:
        node.runner = cast(Any, runner)
    config = Config(node=NodeSection(data_folder=node.folder, roles=roles), web=WebSection(upload_mib=upload_mib))
    async with trio.open_nursery() as nursery:
        await node.start(nursery)
        chain = _SeatedChain(world, node.account, node.fuse)
        running = Running(
            config=config, account=node.account, deployment=cast(Any, None), chain=cast(Any, chain),
            engine=node.engine, gossip=cast(Any, None), artifacts=cast(Any, None),
            parameters=MarketParameters(SEAT_STAKE_WEI, TIMING), feed=node.feed,
            operating=cast(Any, None), series=Series(node.engine.journal), sign=lambda digest: digest,
        )  # fmt: skip
        submitting = SubmitRequests(running)
        shelf = Shelf(node.folder / "drafts", **(options or {}))
        routes = [*DraftRequests(running, submitting, shelf).routes(), *EstimateRequests(running).routes()]
        listener = await listen_on("127.0.0.1:0")
        origin = origin_of(listener)
        door = SocketDoor(Api([*submitting.routes(), *routes]).application(upload_mib << 20))
        await nursery.start(serve_http, door, listener)
        async with httpx.AsyncClient(base_url=f"{origin}/api/v1", timeout=120) as client:
            yield Drafting(world, node, running, client)
        await node.kill()
        nursery.cancel_scope.cancel()
