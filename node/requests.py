"""What a running node answers to programs on the same machine: one method a request of the control socket."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from morphware.node.artifacts.torrents import LibtorrentArtifacts
from morphware.node.chain.market import MarketChain
from morphware.node.chain.market_reader import MarketParameters
from morphware.node.config import Config
from morphware.node.control import Command
from morphware.node.describe import address_text, describe, describe_unposted
from morphware.node.engine import Engine
from morphware.node.errors import BadInput
from morphware.node.gossip.service import Libp2pGossip
from morphware.node.machines import USER
from morphware.node.pricing import check_price, check_seats, least_fee_wei
from morphware.node.staging import stage
from morphware.node.wishes import JobWish
from morphware.protocol.states import Outcome
from morphware.protocol.units import Address, JobId, Wei

POINTS_A_PAGE: Final = 10_000
"""So many points are sent at once; reading and writing them takes some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Answers from the engine's memory and, for balances, from the chain."""

    config: Config
    account: Address
    chain: MarketChain
    engine: Engine
    gossip: Libp2pGossip
    artifacts: LibtorrentArtifacts
    parameters: MarketParameters
    _one_by_one: trio.Lock = field(default_factory=trio.Lock)

    def commands(self) -> dict[str, Command]:
        """Requests by name."""
        return {
            "status": self.status,
            "known_nodes": self.known_nodes,
            "submit": self.submit,
            "jobs": self.jobs,
            "job": self.job,
            "points": self.points,
            "costs": self.costs,
        }

    async def status(self, _: dict[str, Any]) -> dict[str, Any]:
        """Who and where the node is, what it has, whom it knows."""
        host, port = self.artifacts.address
        return {
            "account": address_text(self.account),
            "roles": list(self.config.node.roles),
            "addresses": list(self.gossip.addresses),
            "artifacts": f"{host}:{port}",
            "free_wei": str(await self.chain.free_balance(self.account)),
            "wallet_wei": str(await self.chain.wallet_balance(self.account)),
            "seats": len(await self.chain.seats(self.account)),
            "block": self.engine.now.block,
            "peers": len(self.gossip.peers),
            "known_nodes": len(self.engine.directory),
        }

    async def known_nodes(self, _: dict[str, Any]) -> int:
        """How many accounts' keys and addresses this node knows; unlike the status, it asks the chain for nothing."""
        return len(self.engine.directory)

    async def submit(self, request: dict[str, Any]) -> str:
        """Look at a job, lock its escrow's tokens, and hand it to the end user's brain."""
        if "user" not in self.config.node.roles:
            raise BadInput('This node is no end user: start it with the role "user" to submit jobs.')
        wish = JobWish.from_plain(request["wish"])
        timing, stake_wei = self.parameters.timing, self.parameters.seat_stake_wei
        staged = await trio.to_thread.run_sync(lambda: stage(wish, timing, least_fee_wei(stake_wei)))
        check_price(wish.reserve_wei, wish.fee_wei, wish.seats, stake_wei)
        check_seats(wish.seats, free=await self.chain.free_seats(), busy=await self.chain.busy_seats())
        async with self._one_by_one:  # two submissions must not count the same tokens
            needed = Wei(staged.submission.escrow_wei + self.engine.promised_wei())
            await self.engine.treasury.ensure_free(needed, "Posting this job (and those that wait to be posted)")
            job_id = await self.engine.submit(staged.submission, lambda job_id: staged.keep(self._job_folder(job_id)))
        return job_id.hex()

    async def jobs(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        """Every job that this node knows."""
        posted = [self._describe(job_id) for job_id in self.engine.views]
        waiting = [
            describe_unposted(machine.job_id, is_given_up=machine.is_finished, problem=machine.problem)
            for machine in self.engine.machines.values()
            if machine.role == USER and machine.job_id not in self.engine.views
        ]
        return [*posted, *waiting]

    async def job(self, request: dict[str, Any]) -> dict[str, Any]:
        """One job."""
        job_id = _job_id(request)
        if job_id in self.engine.views:
            return self._describe(job_id)
        machine = self.engine.machines.get((job_id, USER))
        if machine is None:
            raise BadInput(f"This node knows no job {job_id.hex()}: list its jobs with `morphware jobs`.")
        return describe_unposted(job_id, is_given_up=machine.is_finished, problem=machine.problem)

    async def points(self, request: dict[str, Any]) -> list[tuple[int, float, str, float]]:
        """A page of a job's logged scalars, after so many."""
        after = request.get("after", 0)
        if not isinstance(after, int) or not 0 <= after < 2**53:
            raise BadInput('"after" counts the points that are known already.')
        return self.engine.journal.points(_job_id(request), after=after, most=POINTS_A_PAGE)

    async def costs(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        """What this node's transactions cost."""
        return self.engine.journal.costs()

    def _describe(self, job_id: JobId) -> dict[str, Any]:
        view = self.engine.views[job_id]
        problems = [machine.problem for (known, _), machine in self.engine.machines.items() if known == job_id]
        model = self._job_folder(job_id) / USER / "model"
        has_model = view.outcome is Outcome.PAID and model.is_dir()
        return describe(
            view,
            account=self.account,
            problem=next(filter(None, problems), ""),
            model=model if has_model else None,
        )

    def _job_folder(self, job_id: JobId) -> Path:
        return self.config.node.data_folder / "jobs" / job_id.hex()


def _job_id(request: dict[str, Any]) -> JobId:
    """The job id of a request. Raises ``BadInput`` if it is none."""
    try:
        job_id = bytes.fromhex(str(request["job_id"]).removeprefix("0x"))
    except (KeyError, ValueError):
        job_id = b""
    if len(job_id) != 32:
        raise BadInput("A job id has 64 hexadecimal digits: copy it from `morphware jobs`.")
    return JobId(job_id)
