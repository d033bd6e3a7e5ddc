"""Requests about what a job logged and wrote: curves thinned out for a picture, a table of all, output."""

from dataclasses import dataclass
from typing import Final

from morphware.node.api.answers.jobs import Curve, Curves, Output, OutputAsked, OutputPiece, SeriesAsked
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.jobs import job_id_of
from morphware.node.api.routes import Call, Route
from morphware.node.api.streams import Streamed
from morphware.node.journal import Journal
from morphware.node.series import Series

PIECES_MOST: Final = 200
ALL_MOST: Final = 32
"""Without names so many series are answered: more make no picture."""


@dataclass(frozen=True, slots=True)
class CurveRequests:
    """Answers from the journal, computed in threads."""

    catalogue: Catalogue
    journal: Journal
    series: Series

    def routes(self) -> list[Route]:
        """What can be asked here."""
        one = "/jobs/{job_id}"
        return [
            Route("GET", f"{one}/series", "get_series", "Curves, thinned out so that they look the same.",
                  self.curves, Curves, query=SeriesAsked),
            Route("GET", f"{one}/series.csv", "get_series_table", "Every logged scalar, as comma-separated values.",
                  self.table, "text/csv"),
            Route("GET", f"{one}/output", "get_output", "What the job wrote to standard output and error, a page.",
                  self.output, Output, query=OutputAsked),
        ]  # fmt: skip

    async def curves(self, call: Call) -> Curves:
        """The window of the curves that are asked for."""
        asked: SeriesAsked = call.query
        job_id = job_id_of(call)
        self.catalogue.job(job_id)
        known = {facts.name: facts for facts in await self.series.names(job_id)}
        windows = await self.series.window(
            job_id,
            asked.name or list(known)[:ALL_MOST],
            asked.first,
            asked.last,
            axis=asked.axis,
            buckets=asked.buckets,
            has_neighbours=True,
        )
        return Curves(
            names=list(known),
            curves=[
                Curve(
                    name=name,
                    count=known[name].count,
                    last_value=known[name].last_value,
                    xs=[float(x) for x in window.x],
                    values=[float(value) for value in window.values],
                )
                for name, window in windows.items()
                if name in known
            ],
        )

    async def table(self, call: Call) -> Streamed:
        """A file to save."""
        job_id = job_id_of(call)
        self.catalogue.job(job_id)
        name = f'attachment; filename="morphware-{job_id.hex()[:8]}.csv"'
        return Streamed(self.series.csv(job_id), "text/csv", {"content-disposition": name})

    async def output(self, call: Call) -> Output:
        """The next pieces."""
        job_id = job_id_of(call)
        self.catalogue.job(job_id)
        pieces = self.journal.output(job_id, after=call.query.after, most=PIECES_MOST)
        return Output(
            pieces=[OutputPiece(sequence=sequence, time_s=time_s, text=text) for sequence, time_s, text in pieces],
            dropped_bytes=self.journal.output_sums(job_id).dropped_bytes,
        )
