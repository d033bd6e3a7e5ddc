"""What happens to draws while seats are scarce, by name: tests ask whether the lives that they look at reach it all."""

from collections.abc import Iterator, Sequence

from morphware.protocol import calls
from morphware.protocol.chain_events import AppealUnheard, CommitteeDrawn, JobClosed, StateChanged
from morphware.protocol.job import NOBODY
from morphware.protocol.market import Market
from morphware.protocol.states import Outcome, State

SCARCITY = frozenset(
    {
        "a first draw fails, and waits",
        "a draw fails again, and waits",
        "a late first committee is drawn",
        "a late further committee is drawn",
        "a first committee is given up at once",
        "a first committee is given up in the end",
        "an appeal is not heard",
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
            case StateChanged(state=State.DRAWING) if is_poke and market.jobs[event.job_id].waits:
                yield "a draw fails again, and waits"
            case CommitteeDrawn(round=0) if is_poke:
                yield "a late first committee is drawn"
            case CommitteeDrawn() if event.round and market.jobs[event.job_id].waits:
                yield "a late further committee is drawn"
            case AppealUnheard(appellant=appellant) if appellant == NOBODY:
                yield "an audit is not heard"
            case AppealUnheard():
                is_claimed = market.jobs[event.job_id].y is not None
                yield f"an appeal{' after the claim' if is_claimed else ''} is not heard"
            case JobClosed(outcome=Outcome.MUTUAL_ABORT):
                job = market.jobs[event.job_id]
                if job.model is not None and not job.rounds:
                    yield f"a first committee is given up {'in the end' if is_poke else 'at once'}"
            case _:
                pass
