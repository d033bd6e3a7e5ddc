"""The contracts' own tests, run by forge against the committed artifacts.

In the folder in which mutants are tried, too (test_mutants.py): forge compiles the tests once for both.
"""

import subprocess

import pytest

from morphware.contracts import build
from morphware.contracts.checks import mutation, workbench


@pytest.mark.contracts
def test_the_contracts_pass_their_forge_tests() -> None:
    assert workbench.FORGE.exists(), f"no {workbench.FORGE}: run `npm ci` in {build.FOLDER}"
    bench = workbench.lay(mutation.bench_name(0), mutation.FOLDERS)
    completed = subprocess.run(
        [str(workbench.FORGE), "test", "--root", str(bench), "--color", "never"],
        cwd=bench,
        env=workbench.environment(bench),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert completed.returncode == 0, completed.stdout[-20_000:] + completed.stderr[-5_000:]
    assert " 0 failed" in completed.stdout
