"""No library may lift the limit that keeps nested input from ending the process."""

import subprocess
import sys

import pytest

SIGN = "from morphware.node.chain.signing import Signer; Signer(bytes([7]) * 32, 1)"
KEEP = """
import pathlib, tempfile, trio
from morphware.node import keys
trio.run(keys.create, pathlib.Path(tempfile.mkdtemp()) / "keys", "secret")
"""
NODE = "import morphware.node.node"


@pytest.mark.parametrize("code", [SIGN, KEEP, NODE])
def test_the_recursion_limit_stays_what_python_set(code: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(sys.getrecursionlimit())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "1000"


def test_deeply_nested_json_is_an_error_and_not_a_crash() -> None:
    nested = "'[' * 100_000"
    code = f"{SIGN}\nimport json\ntry:\n    json.loads({nested})\nexcept RecursionError:\n    print('refused')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "refused"
