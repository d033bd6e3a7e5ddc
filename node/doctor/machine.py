"""Memory and processors, against what the configuration promises to jobs."""

import os
from typing import Final

import psutil

from morphware.node.config import Config
from morphware.node.doctor.findings import Finding, Tell, doubtful, faulty, fine

GIB: Final = 1 << 30


async def check_machine(config: Config, tell: Tell) -> None:
    """Memory and processors."""
    memory = psutil.virtual_memory()
    tell(memory_finding(config, memory.total, memory.available))
    tell(processors_finding(config, len(os.sched_getaffinity(0))))


def memory_finding(config: Config, total_bytes: int, free_bytes: int) -> Finding:
    """A promise beyond the machine loses bonds; one beyond what is free now may."""
    jobs = _jobs(config)
    wanted_bytes = int(config.worker.memory_gib * GIB) * jobs
    wanted = f"{_many(jobs)} may use {wanted_bytes / GIB:.1f} GiB of memory"
    advice = f"Lower [worker] memory_gib{' or capacity' if jobs > 1 else ''}."
    if wanted_bytes > total_bytes:
        return faulty("memory", f"{wanted}, and this machine has {total_bytes / GIB:.1f} GiB.", advice)
    if wanted_bytes > free_bytes:
        found = f"{wanted}, and {free_bytes / GIB:.1f} GiB of {total_bytes / GIB:.1f} are free now."
        return doubtful("memory", found, f"End other programs while jobs run, or: l{advice[1:]}")
    return fine("memory", f"{wanted}; {free_bytes / GIB:.1f} GiB of {total_bytes / GIB:.1f} are free now.")


def processors_finding(config: Config, processors: int) -> Finding:
    """Threads beyond the processors are slow, and slow is late."""
    jobs, threads = _jobs(config), config.worker.threads
    wanted = (threads or processors) * jobs
    if threads > processors or wanted > processors:
        found = f"{_many(jobs)} may use {wanted} processor threads, and this machine has {processors}."
        return doubtful("processors", found, f"Lower [worker] threads{' or capacity' if jobs > 1 else ''}.")
    return fine("processors", f"{_many(jobs)} may use {wanted} of {processors} processor threads.")


def _jobs(config: Config) -> int:
    return config.worker.capacity if "worker" in config.node.roles else 1


def _many(jobs: int) -> str:
    return "A job" if jobs == 1 else f"{jobs} jobs"
