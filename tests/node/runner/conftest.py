"""One runner on the real sandbox, and a stranger whose jobs it runs."""

from pathlib import Path

import pytest

from morphware.node.runner.runner import SandboxRunner, Settings
from morphware.node.runner.sandbox import SandboxReport, probe
from morphware.node.runner.supervise import LogBounds
from tests.node.runner.stranger import Stranger


@pytest.fixture(scope="session")
def report() -> SandboxReport:
    found = probe()
    assert found.is_usable, found.remedy
    return found


@pytest.fixture
def runner(tmp_path: Path, report: SandboxReport) -> SandboxRunner:
    settings = Settings(log_bounds=LogBounds(kill_bytes=4 << 20))
    return SandboxRunner(tmp_path / "scratch", report=report, settings=settings)


@pytest.fixture
def stranger(runner: SandboxRunner, tmp_path: Path) -> Stranger:
    return Stranger(runner, tmp_path)
