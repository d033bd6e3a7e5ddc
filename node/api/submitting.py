"""Requests that hand a job to the market."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from morphware.node.api.answers.submitting import Posted, WishAsked
from morphware.node.api.routes import Call, Door, Route
from morphware.node.api.running import Running
from morphware.node.errors import BadInput
from morphware.node.machines import Sources
from morphware.node.pricing import check_price, check_seats, least_fee_wei
from morphware.node.staging import stage
from morphware.node.wishes import JobWish
from morphware.protocol.units import JobId, Wei


@dataclass(frozen=True, slots=True)
class SubmitRequests:
    """Jobs on their way to the market."""

    node: Running

    def routes(self) -> list[Route]:
        """What can be asked here."""
        return [
            Route("POST", "/submissions", "submit", "Submit a job whose files lie on this machine.", self.submit, Posted,
                  body=WishAsked, door=Door.SOCKET),
        ]  # fmt: skip

    async def submit(self, call: Call) -> Posted:
        """Look at a job, lock its escrow's tokens, and hand it to the end user's brain."""
        return Posted(job_id=await self.post(JobWish.from_asked(call.body)))

    async def post(self, wish: JobWish, note: Callable[[JobId], None] = lambda _: None) -> str:
        """Post a job; its id, which ``note`` is told in a thread before the node knows it. Raises ``BadInput``."""
        node = self.node
        require_user(node)
        timing, stake_wei = node.parameters.timing, node.parameters.seat_stake_wei
        staged = await trio.to_thread.run_sync(lambda: stage(wish, timing, least_fee_wei(stake_wei)))
        check_price(wish.reserve_wei, wish.fee_wei, wish.seats, stake_wei)
        check_seats(wish.seats, free=await node.chain.free_seats(), busy=await node.chain.busy_seats())
        async with node.submitting:
            engine = node.engine
            needed = Wei(staged.submission.escrow_wei + engine.promised_wei())
            await engine.treasury.ensure_free(needed, "Posting this job (and those that wait to be posted)")

            def keep(job_id: JobId) -> Sources:
                note(job_id)
                return staged.keep(node.job_folder(job_id))

            job_id = await engine.submit(staged.submission, keep)
        return job_id.hex()


def require_user(node: Running) -> None:
    """Only an end user submits jobs."""
    if "user" not in node.config.node.roles:
        raise BadInput('This node is no end user: start it with the role "user" to submit jobs.')
