"""The contracts' own tests, run by forge against the committed artifacts."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from morphware.contracts import build

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PACKAGE = build.FOLDER / "node_modules" / "@foundry-rs" / f"forge-{platform.system().lower()}-{MACHINE}"
FORGE = PACKAGE / "bin" / "forge"


@pytest.mark.contracts
def test_the_contracts_pass_their_forge_tests(tmp_path: Path) -> None:
    assert FORGE.exists(), f"no {FORGE}: run `npm ci` in {build.FOLDER}"
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
