"""Requests about jobs: lists, one job, its history, its points and output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from morphware.node.api.answers.jobs import (
    AllJobs,
    Cost,
    Costs,
    Job,
    JobPage,
    JobsAsked,
    Points,
    PointsAsked,
)
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.routes import Call, Door, Route
from morphware.node.api.running import Running
from morphware.node.journal import Journal
from morphware.protocol.units import JobId

POINTS_A_PAGE: Final = 10_000
"""So many points are sent at once; reading and writing them takes some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class JobRequests:
    """Answers from the engine's memory and the journal."""

    node: Running
    catalogue: Catalogue

    def routes(self) -> list[Route]:
        """What can be asked here."""
        one = "/jobs/{job_id}"
        return [
            Route("GET", "/jobs", "list_jobs", "A page of jobs, newest first.", self.jobs, JobPage, query=JobsAsked),
            Route("GET", one, "get_job", "Everything about one job.", self.job, Job),
            Route(
                "GET", f"{one}/points", "get_points", "Logged scalars as they came, a page.", self.points, Points,
                query=PointsAsked,
            ),
            Route("GET", "/costs", "get_costs", "What this node's transactions for jobs cost.", self.costs, Costs),
            Route("GET", "/all-jobs", "list_all_jobs", "Every job, oldest first.", self.all_jobs, AllJobs,
                  door=Door.SOCKET),
        ]  # fmt: skip

    async def jobs(self, call: Call) -> JobPage:
        """A page of jobs."""
        if call.query.q:
            await self.catalogue.learn_names()
        return self.catalogue.page(call.query)

    async def all_jobs(self, _: Call) -> AllJobs:
        """For the command line, which shows all there are."""
        return AllJobs(jobs=self.catalogue.rows())

    async def job(self, call: Call) -> Job:
        """One job."""
        return self.catalogue.job(job_id_of(call))

    async def points(self, call: Call) -> Points:
        """A page of a job's logged scalars."""
        job_id = job_id_of(call)
        self.catalogue.job(job_id)
        points = self.node.engine.journal.points(job_id, after=call.query.after, most=POINTS_A_PAGE)
        columns = [list(column) for column in zip(*points, strict=True)] or [[], [], [], []]
        return Points(**dict(zip(("steps", "times_s", "series", "values"), columns, strict=True)))

    async def costs(self, _: Call) -> Costs:
        """What this node's transactions cost."""
        return Costs(costs=[cost_of(row) for row in await self.node.read(Journal.costs)])


def cost_of(row: Mapping[str, Any]) -> Cost:
    """What a transaction cost, as the journal has it."""
    transaction = row.get("transaction_hash")
    plain = {key: value for key, value in row.items() if key != "transaction_hash"}
    return Cost(**plain, transaction=None if transaction is None else "0x" + transaction.removeprefix("0x"))


def job_id_of(call: Call) -> JobId:
    """The job that the path names."""
    return JobId(bytes.fromhex(call.path["job_id"]))
