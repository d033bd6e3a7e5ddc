"""Who watches one job hears all that is said of it, and nothing of another."""

import pytest

from morphware.node.api.events import _concerns
from morphware.node.plain import to_plain
from morphware.protocol.chain_events import StateChanged
from morphware.protocol.states import State
from morphware.protocol.units import JobId, Timestamp

OURS, OTHER = JobId(b"\1" * 32), JobId(b"\2" * 32)


@pytest.mark.parametrize(("job_id", "is_heard"), [(OURS, True), (OTHER, False)])
def test_what_the_chain_says_of_a_job_is_heard_by_who_watches_it(job_id: JobId, is_heard: bool) -> None:
    event = StateChanged(job_id, State.TRAINING, Timestamp(7))
    assert _concerns({"kind": "chain", "event": to_plain(event)}, OURS.hex()) is is_heard


@pytest.mark.parametrize(("job_id", "is_heard"), [(OURS, True), (OTHER, False)])
def test_what_the_node_says_of_a_job_is_heard_by_who_watches_it(job_id: JobId, is_heard: bool) -> None:
    assert _concerns({"kind": "points", "job_id": job_id.hex()}, OURS.hex()) is is_heard


def test_what_is_about_no_job_is_heard_by_everybody() -> None:
    assert _concerns({"kind": "block", "number": 1}, OURS.hex())
