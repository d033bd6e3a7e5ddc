"""Graphics processors: what is there, whether its driver answers, and whether a job's torch can use it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from morphware.node.config import Config
from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Finding, Tell, doubtful, fine
from morphware.node.doctor.sandbox import run_job
from morphware.node.errors import MorphwareError
from morphware.node.runner.sandbox import probe

GIB: Final = 1 << 30
DRIVER_LIMIT_S: Final = 20
SHOWN_MOST: Final = 16
ASK_TORCH: Final = """\
import json, os
try:
    import torch
    answer = {"torch": torch.__version__, "build": torch.version.cuda or torch.version.hip or "",
              "usable": torch.cuda.is_available(), "count": torch.cuda.device_count()}
except ImportError:
    answer = {"torch": "", "build": "", "usable": False, "count": 0}
with open(os.path.join(os.environ["MORPHWARE_MODEL_DIR"], "answer.json"), "w") as file:
    json.dump(answer, file)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The machine's GPUs in words, or what is wrong with their driver."""

    names: tuple[str, ...] = ()
    complaint: str = ""


async def check_gpu(config: Config, tell: Tell) -> None:
    """None is fine; one that a job could not use is said."""
    found = await in_thread(lambda: look(Path("/")))
    if found.complaint:
        tell(doubtful("gpu", found.complaint, "Mend its driver, or ignore this: trainings run on the processor."))
    if not found.names:
        if not found.complaint:
            tell(fine("gpu", "There is no GPU: trainings run on the processor."))
        return
    if not config.worker.gpu:
        tell(fine("gpu", f"{_here(found.names)}, and trainings do not get it: [worker] gpu is false."))
        return
    report = await in_thread(probe)
    answer = None
    if report.is_usable:
        try:
            _, answer = await run_job(config, report, ASK_TORCH, has_gpu=True, memory_bytes=4 * GIB)
        except (MorphwareError, OSError):
            answer = None  # the check of the sandbox says why
    tell(torch_finding(found.names, answer))


def look(root: Path, nvidia_smi: str = "nvidia-smi") -> Found:
    """NVIDIA's through its own program, AMD's through the kernel's list of compute nodes."""
    amd = tuple(_amd(root / "sys/class/kfd/kfd/topology/nodes"))
    try:
        asked = subprocess.run(
            [nvidia_smi, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DRIVER_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        is_there = (root / "dev/nvidiactl").exists()
        return Found(amd, "There is an NVIDIA GPU, and no nvidia-smi to ask about it." if is_there else "")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(amd, f"nvidia-smi does not answer ({type(error).__name__}).")
    lines = [line.strip() for line in asked.stdout.splitlines() if line.strip()]
    if asked.returncode:
        said = (lines or asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[0][:200]
        return Found(amd, f"nvidia-smi finds no usable GPU ({said.rstrip('.')}).")
    return Found((*(line[:200] for line in lines[:SHOWN_MOST]), *amd))


def _amd(nodes: Path) -> list[str]:
    """Compute nodes with vector units; the others are processors."""
    found = []
    for node in sorted(nodes.glob("*"))[:SHOWN_MOST]:
        try:
            properties = dict(line.split(maxsplit=1) for line in (node / "properties").read_text().splitlines() if line)
            name = (node / "name").read_text().strip()
        except (OSError, ValueError):
            continue
        if properties.get("simd_count", "0").strip() not in ("", "0"):
            found.append(f"AMD {name[:100]}" if name else "AMD GPU")
    return found


def torch_finding(names: tuple[str, ...], answer: dict[str, Any] | None) -> Finding:
    """Whether torch, as a job has it, can compute on what is there."""
    here = _here(names)
    if answer is None:
        advice = "Mend the sandbox first, and ask again."
        return doubtful("gpu", f"{here}, and no job could be run to see whether it can be used.", advice)
    if not answer.get("torch"):
        return doubtful("gpu", f"{here}, and there is no torch for jobs.", "Install a build of torch for this GPU.")
    torch = f"torch {answer['torch']}"
    if not answer.get("usable"):
        if not answer.get("build"):
            advice = "Install a build of the same version for this GPU: https://pytorch.org/get-started names it."
            return doubtful("gpu", f"{here}, and {torch} is a build for processors only.", advice)
        advice = "See whether the driver is new enough for that build, and whether this user may open the devices."
        return doubtful("gpu", f"{here}, and {torch} (for {answer['build']}) cannot use it inside the sandbox.", advice)
    return fine("gpu", f"{here}, and {torch} can use it inside the sandbox.")


def _here(names: tuple[str, ...]) -> str:
    return f"There {'is' if len(names) == 1 else 'are'} {'; '.join(names)}"
