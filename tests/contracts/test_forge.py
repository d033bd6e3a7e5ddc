"""The contracts' own tests, run by forge against the committed artifacts."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from morphware.contracts import build

FORGE = build.FOLDER / "node_modules" / "@foundry-rs" / "forge-linux-amd64" / "bin" / "forge"


@pytest.mark.contracts
@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="npm's forge here is linux-amd64")
def test_the_contracts_pass_their_forge_tests(tmp_path: Path) -> None:
    assert FORGE.exists(), f"run `npm ci` in {build.FOLDER}"
    completed = subprocess.run(
        [str(FORGE), "test", "--root", str(build.FOLDER), "--color", "never"],
        cwd=build.FOLDER,
        env={
            "PATH": os.pathsep.join((str(Path(build.node()).parent), os.environ.get("PATH", os.defpath))),
            "HOME": str(tmp_path),  # no configuration and no cache of the machine's own
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert completed.returncode == 0, completed.stdout[-20_000:] + completed.stderr[-5_000:]
    assert " 0 failed" in completed.stdout
