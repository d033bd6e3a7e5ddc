"""GPUs are lent to trainings alone, where there are any."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from morphware.node.runner.environment import job_environment
from morphware.node.runner.sandbox import View, bubblewrap_arguments, has_gpus, probe
from tests.node.runner.stranger import LIMITS, Stranger

SAYS_GPUS = """
import os
print(os.environ['SM_NUM_GPUS'])
open(os.environ['MORPHWARE_MODEL_DIR'] + '/enough', 'w').write('x')
"""
LOOKS = "import os; print(os.environ['SM_NUM_GPUS'], os.path.isdir('/sys/devices/system'), os.path.exists('/dev/sda'))"


@pytest.mark.parametrize(
    ("devices", "is_there"),
    [
        (("null", "dri"), False),  # what draws a desktop only does not compute
        (("nvidiactl", "nvidia0"), True),
        (("nvidia3",), True),
        (("kfd", "dri"), True),
        (("dxg",), True),
    ],
)
def test_a_gpu_is_found_by_the_device_that_computes(tmp_path: Path, devices: tuple[str, ...], is_there: bool) -> None:
    for name in devices:
        (tmp_path / name).touch()
    assert has_gpus(tmp_path) is is_there


@pytest.mark.adapter
@pytest.mark.parametrize("is_lent", [False, True])
async def test_a_training_knows_whether_it_has_a_gpu(stranger: Stranger, is_lent: bool) -> None:
    result = await stranger.train(SAYS_GPUS, replace(LIMITS, has_gpu=is_lent))
    assert result.reason == ""
    assert stranger.told.lines == ["1" if is_lent and has_gpus() else "0"]


@pytest.mark.adapter
def test_a_sandbox_starts_with_a_gpus_devices_and_facts_whichever_of_them_exist() -> None:
    report = probe()
    assert report.program is not None
    view = View(bindings=(), environment=job_environment(1, has_gpu=True), has_gpu=True)
    started = subprocess.run(
        [report.program, *bubblewrap_arguments(view, Path(sys.executable)), "--", sys.executable, "-I", "-c", LOOKS],
        capture_output=True,
        text=True,
        check=True,
    )
    assert started.stdout == "1 True False\n"
