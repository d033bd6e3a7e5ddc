"""Memory and processors, against what the configuration promises to jobs."""

from functools import partial

import pytest

from morphware.node.doctor.machine import check_machine, memory_finding, processors_finding
from tests.node.doctor.patient import OK, PROBLEM, WARNING, about, assert_well_formed, config, looked

GIB = 1 << 30


async def test_this_machine_is_looked_at_for_real() -> None:
    modest = await looked(partial(check_machine, config(worker__memory_gib=0.001, worker__threads=1)))
    assert [finding.standing for finding in modest] == [OK, OK]
    greedy = await looked(partial(check_machine, config(worker__memory_gib=1e6, worker__threads=1024)))
    assert about(greedy, "memory").standing is PROBLEM
    assert about(greedy, "processors").standing is WARNING


@pytest.mark.parametrize(
    ("capacity", "total", "free", "standing"),
    [(1, 16, 8, OK), (2, 16, 6, WARNING), (1, 3, 3, PROBLEM), (5, 16, 16, PROBLEM)],
)
def test_memory_for_all_jobs_at_a_time(capacity: int, total: int, free: int, standing: str) -> None:
    patient = config(node__roles="worker", worker__capacity=capacity, worker__memory_gib=4)
    assert assert_well_formed(memory_finding(patient, total * GIB, free * GIB)).standing == standing


@pytest.mark.parametrize(
    ("capacity", "threads", "standing"),
    [(1, 0, OK), (1, 4, OK), (1, 5, WARNING), (2, 0, WARNING), (2, 2, OK), (3, 2, WARNING)],
)
def test_processors_for_all_jobs_at_a_time(capacity: int, threads: int, standing: str) -> None:
    patient = config(node__roles="worker", worker__capacity=capacity, worker__threads=threads)
    assert assert_well_formed(processors_finding(patient, 4)).standing == standing
