"""What happens to draws while seats are scarce, by name: tests ask whether the lives that they look at reach it all."""

from collections.abc import Iterator, Sequence

from morphware.protocol import calls
from morphware.protocol.chain_events import AppealUnheard, CommitteeDrawn, JobClosed, StateChanged
from morphware.protocol.job import NOBODY
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import JobId

SCARCITY = frozenset(
    {
        "a first draw fails, and waits",
        "a draw fails again, and waits",
        "an unlucky draw is made again",
        "an unlucky draw finds a committee",
        "a late first committee is drawn",
        "a late further committee is drawn",
        "a first committee is given up at once",
        "a first committee is given up in the end",
        "an appeal is not heard",
        "an appeal is not heard, and keeps nothing back",
        "an appeal after the claim is not heard",
        "an audit is not heard",
    }
)


def scarcity(market: Market, call: object, said: Sequence[object]) -> Iterator[str]:
    """What of it a call has brought about."""
    is_poke = isinstance(call, calls.Poke)
    for event in said:
        match event:
            case StateChanged(state=State.DRAWING) if isinstance(call, calls.RevealSeed):
                yield "a first draw fails, and waits"
                yield from _luck(market, event.job_id, "is made again")
            case StateChanged(state=State.DRAWING) if is_poke and market.jobs[event.job_id].waits:
                yield "a draw fails again, and waits"
                yield from _luck(market, event.job_id, "is made again")
            case CommitteeDrawn(round=0) if is_poke:
                yield "a late first committee is drawn"
                if len(market.jobs) == 1:
                    yield from _luck(market, event.job_id, "finds a committee")
            case CommitteeDrawn() if event.round and market.jobs[event.job_id].waits:
                yield "a late further committee is drawn"
            case AppealUnheard(appellant=appellant) if appellant == NOBODY:
                yield "an audit is not heard"
            case AppealUnheard():
                is_claimed = market.jobs[event.job_id].y is not None
                yield f"an appeal{' after the claim' if is_claimed else ''} is not heard"
                if event.kept_wei == event.bond_wei:
                    yield "an appeal is not heard, and keeps nothing back"
            case JobClosed(outcome=Outcome.MUTUAL_ABORT):
                job = market.jobs[event.job_id]
                if job.model is not None and not job.rounds:
                    yield f"a first committee is given up {'in the end' if is_poke else 'at once'}"
            case _:
                pass


def _luck(market: Market, job_id: JobId, became: str) -> Iterator[str]:
    """Something that became of a draw where no other job held a seat, so that nothing but luck was missing."""
    if market.registry.busy_seats == market.jobs[job_id].seats_drawn:
        yield f"an unlucky draw {became}"
