"""What every end-to-end test shares."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def show_logs(tmp_path: Path) -> Any:
    """Print the nodes' last log lines if the test fails: pytest shows them then."""
    yield
    for log in sorted(tmp_path.rglob("node.log")):
        lines = log.read_text(errors="replace").splitlines()
        notable = [line for line in lines if '"level": "info"' not in line]
        print(log.parent.name, *notable[-8:], sep="\n  ")
