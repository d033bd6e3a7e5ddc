"""The sandbox, really started, and a small job in it that looks around: what it can see and do is what is judged."""

import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from morphware.node.config import Config
from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Finding, Tell, failure, faulty, fine
from morphware.node.errors import MorphwareError
from morphware.node.ports import Limits, RunResult
from morphware.node.runner.runner import SandboxRunner
from morphware.node.runner.sandbox import SandboxReport, probe

MIB: Final = 1 << 20
JOB_LIMIT_S: Final = 60.0
ANSWER_FILE: Final = "answer.json"
ANSWER_BYTES_MOST: Final = 64 << 10

LOOK_AROUND: Final = """\
import json, os, socket
with open("/proc/self/status") as file:
    status = file.read()
answer = {{
    "filtered": "Seccomp:\\t2" in status,
    "networks": sorted(name for _, name in socket.if_nameindex()),
    "sees_keys": os.path.exists({keys!r}),
    "is_root": os.getuid() == 0,
}}
with open(os.path.join(os.environ["MORPHWARE_MODEL_DIR"], "answer.json"), "w") as file:
    json.dump(answer, file)
"""


async def check_sandbox(config: Config, tell: Tell) -> None:
    """bubblewrap with the filter of system calls, and then a job as the node runs it."""
    report = await in_thread(probe)
    if not report.is_usable:
        tell(unusable(report))
        return
    tell(fine("sandbox", f"{report.version} starts ({report.program}, as {report.mode})."))
    began = time.monotonic()
    keys = str(config.node.data_folder / "keys")
    try:
        result, answer = await run_job(config, report, LOOK_AROUND.format(keys=keys))
    except (MorphwareError, OSError) as error:
        tell(_not_run(error))
        return
    tell(job_finding(result, answer, time.monotonic() - began))


def unusable(report: SandboxReport) -> Finding:
    """What the runner's own probe advises: a package, a profile, or a setting of the kernel."""
    # "… (what bwrap said). Do that", "It is so. Do that", or "It is so: do that"
    found, separator, advice = report.remedy.rpartition("). ")
    found += separator[:1]
    if not separator:
        found, separator, advice = report.remedy.partition(". ")
    if not separator:
        found, _, advice = report.remedy.partition(": ")
    return faulty("sandbox", found.rstrip(".") + ".", advice[:1].upper() + advice[1:])


def job_finding(result: RunResult, answer: dict[str, Any] | None, seconds: float) -> Finding:
    """A job that ran, and could neither see nor do what it must not."""
    if result.reason or answer is None:
        tail = result.log_tail.strip().splitlines()[-1:]
        why = "; ".join([result.reason or "it left no answer", *tail])[:500]
        advice = "Look at node/runner/README.md for what a sandbox needs, and report it if that is all there."
        return faulty("job", f"A small job does not run in the sandbox ({why}).", advice)
    wrong = [
        words
        for words, is_wrong in (
            ("its system calls are not filtered", answer.get("filtered") is not True),
            ("it has a network", answer.get("networks") not in ([], ["lo"])),
            ("it sees the node's keys", answer.get("sees_keys") is not False),
            ("it is root", answer.get("is_root") is not False),
        )
        if is_wrong
    ]
    if wrong:
        found = f"A job in the sandbox is not shut in: {', '.join(wrong)}."
        return faulty("job", found, "Take no jobs on this machine, and report it: it is our bug.")
    return fine("job", f"A small job ran in {seconds:.1f} s, shut in as it should be.")


async def run_job(
    config: Config, report: SandboxReport, code: str, *, has_gpu: bool = False, memory_bytes: int = 512 * MIB
) -> tuple[RunResult, dict[str, Any] | None]:
    """Run code of ours as a stranger's job, and return how it ended, and the answer that it left.

    Raises:
        MorphwareError, OSError: it could not be begun.
    """
    async with _scratch(config) as folder:
        for name in ("code", "train", "model"):
            (folder / name).mkdir()
        (folder / "code" / "train.py").write_text(code)
        (folder / "train" / "inputs.txt").write_text("1\n")
        runner = SandboxRunner(folder / "scratch", report=report)
        limits = Limits(wall_s=JOB_LIMIT_S, memory_bytes=memory_bytes, disk_bytes=64 * MIB, threads=1, has_gpu=has_gpu)
        result = await runner.train(
            code=folder / "code",
            entry="train.py",
            train=folder / "train",
            model=folder / "model",
            limits=limits,
            on_metric=lambda _: None,
            on_log=lambda _: None,
        )
        return result, await in_thread(lambda: _read(folder / "model" / ANSWER_FILE))


@asynccontextmanager
async def _scratch(config: Config) -> AsyncIterator[Path]:
    """A folder beside those of real jobs, so that it has their disk and their parents; else the system's own."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".doctor-", dir=config.node.data_folder, ignore_cleanup_errors=True)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="morphware-doctor-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            answer = json.loads(file.read(ANSWER_BYTES_MOST))
    except (OSError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _not_run(error: MorphwareError | OSError) -> Finding:
    if isinstance(error, MorphwareError):
        return failure("job", error)
    found = f"A small job could not be begun ({error.strerror or error})."
    return faulty("job", found, "See whether there is room on the disk, and whether this user may write there.")
