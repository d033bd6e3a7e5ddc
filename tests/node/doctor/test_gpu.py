"""GPUs: what drivers say is read, and a job's torch is asked inside the sandbox."""

from pathlib import Path

import pytest

from morphware.node.doctor.gpu import ASK_TORCH, Found, check_gpu, look, torch_finding
from morphware.node.doctor.sandbox import run_job
from morphware.node.runner.sandbox import probe
from tests.node.doctor.patient import OK, WARNING, assert_well_formed, config, looked

H200 = "NVIDIA H200, 143771 MiB, 570.86.15"


def program(folder: Path, text: str) -> str:
    """A program that stands in for a driver's own, which no machine of ours has."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_nvidias_are_read_from_their_driver(tmp_path: Path) -> None:
    assert look(tmp_path, program(tmp_path, f"echo '{H200}'; echo '{H200}'")) == Found((H200, H200))


def test_a_driver_that_fails_is_a_complaint(tmp_path: Path) -> None:
    failed = look(
        tmp_path, program(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    )
    assert "version mismatch" in failed.complaint
    assert look(tmp_path, str(tmp_path / "absent")) == Found()
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert "no nvidia-smi" in look(tmp_path, str(tmp_path / "absent")).complaint


def test_amds_are_the_compute_nodes_with_vector_units(tmp_path: Path) -> None:
    for number, (name, units) in enumerate([("", 0), ("gfx1100", 192)]):
        node = tmp_path / "sys/class/kfd/kfd/topology/nodes" / str(number)
        node.mkdir(parents=True)
        (node / "properties").write_text(f"cpu_cores_count {16 - number}\nsimd_count {units}\n")
        (node / "name").write_text(name + "\n")
    assert look(tmp_path, str(tmp_path / "absent")) == Found(("AMD gfx1100",))


@pytest.mark.parametrize(
    ("answer", "standing", "words"),
    [
        (None, WARNING, "no job could be run"),
        ({"torch": "", "build": "", "usable": False}, WARNING, "no torch"),
        ({"torch": "2.13.0+cpu", "build": "", "usable": False}, WARNING, "for processors only"),
        ({"torch": "2.13.0", "build": "12.8", "usable": False}, WARNING, "cannot use it inside the sandbox"),
        ({"torch": "2.13.0", "build": "12.8", "usable": True}, OK, "can use it inside the sandbox"),
    ],
)
def test_what_torch_can_do_with_it_is_said(answer: dict[str, object] | None, standing: str, words: str) -> None:
    found = assert_well_formed(torch_finding((H200,), answer))
    assert (found.standing, words in found.found, H200 in found.found) == (standing, True, True)


@pytest.mark.adapter
async def test_a_jobs_torch_is_asked_in_the_sandbox(tmp_path: Path) -> None:
    result, answer = await run_job(
        config(node__data_folder=tmp_path), probe(), ASK_TORCH, has_gpu=True, memory_bytes=4 << 30
    )
    assert result.reason == ""
    assert answer is not None
    assert answer["torch"]
    assert_well_formed(torch_finding((H200,), answer))


async def test_no_gpu_is_fine_and_a_broken_driver_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = look(Path("/"))
    if not found.names and not found.complaint:
        [none] = await looked(lambda tell: check_gpu(config(), tell))
        assert (none.standing, "no GPU" in none.found) == (OK, True)
    program(tmp_path / "bin", "exit 9")
    broken = [each for each in await looked(lambda tell: check_gpu(config(), tell)) if "nvidia-smi" in each.found]
    assert [each.standing for each in broken] == [WARNING]
