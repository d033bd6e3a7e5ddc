"""Whose fault a shortage is: neither is an innocent job blamed, nor does a greedy one silence a validator."""

import pytest

from morphware.node.runner.errors import SandboxFailed
from morphware.node.runner.watchdog import Floors, Offer, Usage, offer_disk, offer_memory

GIB = 1 << 30
FLOORS = Floors(memory_bytes=GIB)


def offered(promised: int, free: int, total: int = 16 * GIB) -> Offer:
    return offer_memory(promised, FLOORS, free_bytes=free, total_bytes=total)


def judged(used: int, offered: Offer, free: int) -> Usage:
    usage = Usage()
    usage.judge_memory(used, offered, free, FLOORS)
    return usage


def test_a_job_is_offered_what_it_was_promised_where_that_is_there() -> None:
    assert offered(4 * GIB, free=16 * GIB) == Offer(4 * GIB, is_fair=True)


def test_a_job_is_never_offered_what_would_break_the_floor() -> None:
    found = offered(1 << 60, free=13 * GIB)
    assert found == Offer(8 * GIB, is_fair=True)
    assert found.size_bytes * 3 // 2 + FLOORS.memory_bytes <= 13 * GIB


def test_a_busy_machine_makes_no_fair_offer_and_a_full_one_none() -> None:
    assert not offered(4 * GIB, free=4 * GIB).is_fair
    with pytest.raises(SandboxFailed):
        offered(4 * GIB, free=GIB)


def test_within_its_offer_on_a_machine_with_room_a_job_goes_on() -> None:
    usage = judged(4 * GIB, Offer(4 * GIB), free=2 * GIB)
    assert (usage.verdict, usage.host_verdict, usage.peak_memory_bytes) == ("", "", 4 * GIB)


def test_more_than_a_fair_offer_is_the_jobs_own_failure() -> None:
    assert judged(4 * GIB + 1, Offer(4 * GIB), free=8 * GIB).verdict.startswith("memory")


def test_more_than_an_unfair_offer_is_this_machines_failure() -> None:
    usage = judged(GIB + 1, Offer(GIB, is_fair=False), free=8 * GIB)
    assert not usage.verdict
    with pytest.raises(SandboxFailed):
        usage.raise_for_host()


def test_a_small_job_is_not_blamed_for_a_machine_that_others_have_filled() -> None:
    usage = judged(GIB, Offer(4 * GIB), free=GIB - 1)
    assert not usage.verdict
    assert usage.host_verdict


def test_a_job_that_holds_most_of_its_offer_when_the_machine_is_dry_has_failed() -> None:
    usage = judged(3 * GIB, Offer(4 * GIB), free=GIB - 1)
    assert usage.verdict.startswith("memory")
    assert not usage.host_verdict


def test_disk_is_judged_as_memory_is() -> None:
    assert offer_disk(4 * GIB, FLOORS, 16 * GIB) == Offer(4 * GIB)
    assert offer_disk(1 << 60, FLOORS, 16 * GIB) == Offer(16 * GIB - FLOORS.disk_bytes)
    assert not offer_disk(4 * GIB, FLOORS, GIB).is_fair
    with pytest.raises(SandboxFailed):
        offer_disk(4 * GIB, FLOORS, FLOORS.disk_bytes)
    greedy, innocent = Usage(), Usage()
    greedy.judge_disk(3 * GIB, Offer(4 * GIB), 0, FLOORS)
    innocent.judge_disk(GIB, Offer(4 * GIB), 0, FLOORS)
    assert greedy.verdict.startswith("disk")
    assert innocent.host_verdict
