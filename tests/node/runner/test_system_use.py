"""What a job takes of this machine is seen as it is, and a GPU that is silent, slow or mad disturbs nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from morphware.node.ports import UsageSample
from morphware.node.runner import system_use
from morphware.node.runner.runner import SandboxRunner
from morphware.node.runner.sandbox import SandboxReport
from morphware.node.runner.system_use import MIB, Gpu, Sampler, cpu_seconds
from tests.node.runner.stranger import LIMITS, Stranger


class Samples(list[UsageSample]):
    def times(self) -> list[float]:
        return [sample.time_s for sample in self]


def test_a_sample_says_how_many_cores_were_at_work_since_the_last() -> None:
    samples = Samples()
    sampler = Sampler(samples.append)
    assert not sampler.is_due(0.9)
    sampler.take(1.0, 0.5, 10 * MIB, 20 * MIB)
    sampler.take(3.0, 4.5, 11 * MIB, 21 * MIB)
    sampler.take(5.0, 4.0, 12 * MIB, 22 * MIB)  # a process ended that nobody had waited for
    assert samples == [
        UsageSample(1.0, 50.0, 10 * MIB, 20 * MIB),
        UsageSample(3.0, 200.0, 11 * MIB, 21 * MIB),
        UsageSample(5.0, 0.0, 12 * MIB, 22 * MIB),
    ]


def test_a_month_has_a_bounded_number_of_samples() -> None:
    samples = Samples()
    sampler = Sampler(samples.append)
    now_s = 0.0
    while now_s < 30 * 24 * 3600:
        now_s += 0.5 if now_s < 1_000 else 10.0
        if sampler.is_due(now_s):
            sampler.take(now_s, now_s, 0, 0)
    assert len([time_s for time_s in samples.times() if time_s <= 60]) == 60
    assert 5 * len(samples) < 1_000_000


def test_processor_time_of_a_process_and_of_those_it_waited_for_is_found() -> None:
    before = cpu_seconds([os.getpid()])
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-I", "-c", burn], check=True)
    assert cpu_seconds([os.getpid()]) - before >= 0.4
    assert cpu_seconds([2**22 + 1]) == 0  # nobody


# --- a GPU ----------------------------------------------------------------------------------------------------------


def program(folder: Path, text: str) -> Path:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def heard(gpu: Gpu) -> tuple[float, int]:
    with trio.fail_after(60):
        while (found := gpu.now()) is None:  # noqa: ASYNC110 - another process speaks when it likes
            await trio.sleep(0.02)
    return found


async def test_gpus_are_heard_together(tmp_path: Path, nursery: trio.Nursery) -> None:
    speech = (
        'printf "0, 40, 1000\\n1, 60, 24\\ngarbage\\n2, [N/A], [N/A]\\n-1, 5, 5\\n3, nan, 1\\n4, 900, 1"; printf "\\n"'
    )
    gpu = Gpu(program(tmp_path, f'{speech}; echo "$@" > "{tmp_path}/asked"; exec sleep 1000'))
    assert gpu.now() is None
    nursery.start_soon(gpu.follow)
    await heard(gpu)
    with trio.fail_after(60):
        while gpu.now() != (50.0, 1024 * MIB):  # noqa: ASYNC110 - the second line may come later than the first
            await trio.sleep(0.02)
        while not (tmp_path / "asked").exists() or not (tmp_path / "asked").read_text():  # noqa: ASYNC110 - likewise
            await trio.sleep(0.02)
    assert "--query-gpu=index,utilization.gpu,memory.used" in (tmp_path / "asked").read_text()
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("text", ["exit 1", "exec /nowhere", "head -c 300000 /dev/zero", "echo; echo ,,; echo 1,2"])
async def test_a_program_that_fails_or_babbles_says_nothing(text: str, tmp_path: Path) -> None:
    gpu = Gpu(program(tmp_path, text))
    with trio.fail_after(60):
        await gpu.follow()
    assert gpu.now() is None


async def test_a_program_that_cannot_be_started_says_nothing(tmp_path: Path) -> None:
    gpu = Gpu(tmp_path / "missing")
    await gpu.follow()
    assert gpu.now() is None


async def test_a_program_that_never_speaks_is_ended_with_the_run(tmp_path: Path) -> None:
    gpu = Gpu(program(tmp_path, f'echo $$ > "{tmp_path}/pid"; exec sleep 1000'))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gpu.follow)
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():  # noqa: ASYNC110
                await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
    assert not Path(f"/proc/{int((tmp_path / 'pid').read_text())}").exists()


async def test_what_a_gpu_said_long_ago_is_not_its_use_now(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(program(tmp_path, "echo 0, 40, 1000; exec sleep 1000"))
    nursery.start_soon(gpu.follow)
    await heard(gpu)
    monkeypatch.setattr(system_use, "GPU_STALE_S", 0.0)
    assert gpu.now() is None
    nursery.cancel_scope.cancel()


def test_where_there_is_no_gpu_program_none_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Gpu.find() is None
    program(tmp_path, "exit")
    assert Gpu.find() is not None


# --- in the sandbox -------------------------------------------------------------------------------------------------


@pytest.mark.adapter
async def test_a_running_job_is_sampled(tmp_path: Path, report: SandboxReport) -> None:
    stranger = Stranger(SandboxRunner(tmp_path / "scratch", report=report), tmp_path)
    with trio.fail_after(120):
        result = await stranger.train(
            """
            import os, pathlib, time
            kept = bytearray(os.urandom(1 << 20)) * 64
            pathlib.Path(os.environ["MORPHWARE_MODEL_DIR"], "model").write_bytes(bytes(8 << 20))
            while time.process_time() < 2.5: pass
            time.sleep(1.5)
            """,
            LIMITS,
        )
    assert result.reason == "", result.log_tail
    usage = stranger.told.usage
    assert usage
    assert [sample.time_s for sample in usage] == sorted(sample.time_s for sample in usage)
    assert max(sample.memory_bytes for sample in usage) >= 64 * MIB
    assert max(sample.disk_bytes for sample in usage) >= 8 * MIB
    assert sum(sample.cpu_percent for sample in usage) > 10
    assert all(sample.gpu_percent is None and sample.gpu_memory_bytes is None for sample in usage)
