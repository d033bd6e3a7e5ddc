"""Predicting without the labels, scoring outside: honest answers count, malicious ones are a bad model."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from morphware.node.ports import Limits, Score
from morphware.protocol.units import BAD_MODEL, NO_TEST, Address
from tests.node.runner.stranger import LIMITS, Stranger

pytestmark = pytest.mark.adapter

VALIDATOR = Address(b"v" * 20)
LABELS = np.array([0, 1, 2, 1, 0, 2])


@pytest.fixture
def test_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "test"
    (folder / "more").mkdir(parents=True)
    np.save(folder / "inputs.npy", LABELS * 10)
    np.save(folder / "labels.npy", LABELS)
    (folder / "more" / "labels_too.txt").write_text("hidden")
    (folder / "more" / "notes.txt").write_text("shown")
    (folder / "link").symlink_to("/etc/passwd")
    return folder


async def evaluate(
    stranger: Stranger,
    test: Path,
    source: str,
    metric: str = "accuracy",
    files: Mapping[str, bytes] | None = None,
    limits: Limits = LIMITS,
) -> Score:
    stranger.model.mkdir(exist_ok=True)
    for name, data in (files or {"model.json": b"{}"}).items():
        (stranger.model / name).write_bytes(data)
    with trio.fail_after(60):
        return await stranger.runner.evaluate(
            code=stranger.code(source),
            entry="train.py",
            model=stranger.model,
            test=test,
            metric=metric,
            validator=VALIDATOR,
            limits=limits,
        )


HONEST = """
import numpy as np
raise_if_trained = 1
print("training again")  # a call: left out when evaluating
def predict(model_dir, test_dir):
    return np.load(test_dir + "/inputs.npy") // 10
"""


async def test_an_honest_answer_is_scored_and_twice_the_same(stranger: Stranger, test_folder: Path) -> None:
    first = await evaluate(stranger, test_folder, HONEST)
    second = await evaluate(stranger, test_folder, HONEST)
    assert (first.metric_e6, first.fingerprint_e9, first.reason) == (1_000_000, 0, "")
    assert first == second
    assert first.run is not None
    assert "training again" not in first.run.log_tail


async def test_the_model_never_sees_the_labels(stranger: Stranger, test_folder: Path) -> None:
    source = """
        import os, json
        import numpy as np
        def predict(model_dir, test_dir):
            seen = sorted(f"{f}/{n}"[len(test_dir) + 1:] for f, _, ns in os.walk(test_dir) for n in ns)
            print(json.dumps(seen))
            return np.zeros(6)
    """
    found = await evaluate(stranger, test_folder, source)
    assert found.run is not None
    assert json.loads(found.run.log_tail) == ["inputs.npy", "more/notes.txt"]


async def test_a_guarded_script_is_imported_whole(stranger: Stranger, test_folder: Path) -> None:
    source = """
        import numpy as np
        TABLE = np.arange(60) // 10
        def predict(model_dir, test_dir):
            return TABLE[np.load(test_dir + "/inputs.npy")]
        if __name__ == "__main__":
            raise SystemExit("trained again")
    """
    assert (await evaluate(stranger, test_folder, source)).metric_e6 == 1_000_000


MALICIOUS = {
    "a crash": "raise ValueError('no')",
    "the wrong length": "return np.zeros(5)",
    "the wrong shape": "return np.zeros((6, 2, 2))",
    "no numbers": "return np.full((6, 3), np.nan)",
    "infinities": "return np.full(6, np.inf)",
    "nothing": "return None",
    "text for numbers": "return ['a'] * 6",
    "a pickle": "return answer(lambda p: np.save(p, np.array([print] * 6, dtype=object), allow_pickle=True))",
    "a link": "return answer(lambda p: os.symlink('/job/model/model.json', p))",
    "a pipe": "return answer(lambda p: os.mkfifo(p))",
    "a folder": "return answer(lambda p: os.mkdir(p))",
    "a lying header": "return answer(lambda p: open(p, 'wb').write(header(10 ** 15)))",
    "a negative header": "return answer(lambda p: open(p, 'wb').write(header(-1)))",
    "a sparse file": "return answer(lambda p: (open(p, 'wb').close(), os.truncate(p, 1 << 26)))",
    "no file": "return answer(lambda p: None)",
    "an early exit": "os._exit(0)",
}
PRELUDE = """
import io, os
import numpy as np
def header(count):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, dict(descr="<f8", fortran_order=False, shape=(6,)))
    return stream.getvalue().replace(b"(6,), }", b"(%d,)}" % count) + b"x" * 48
def answer(make):
    make("/job/output/predictions.npy")
    os._exit(0)
def predict(model_dir, test_dir):
"""


@pytest.mark.parametrize("name", MALICIOUS)
async def test_a_malicious_answer_is_a_bad_model_with_its_reason(
    stranger: Stranger, test_folder: Path, name: str
) -> None:
    found = await evaluate(stranger, test_folder, PRELUDE + "    " + MALICIOUS[name])
    assert found.metric_e6 == BAD_MODEL
    assert found.reason


async def test_a_testing_set_without_labels_is_the_users_fault(stranger: Stranger, test_folder: Path) -> None:
    (test_folder / "labels.npy").unlink()
    found = await evaluate(stranger, test_folder, HONEST)
    assert found.metric_e6 == NO_TEST
    assert "labels" in found.reason


TEST_ONLY = """
def test(model_dir, test_dir):
    import os
    assert os.path.exists(test_dir + "/labels.npy")
    return {"smoothness": 0.75, "loss": 0.5}
"""


async def test_a_test_function_may_judge_a_model_of_plain_data(stranger: Stranger, test_folder: Path) -> None:
    found = await evaluate(stranger, test_folder, TEST_ONLY, "smoothness")
    assert (found.metric_e6, found.fingerprint_e9, found.reason) == (750_000, 500_000_000, "")


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "weights.bin", "fake.safetensors", "fake.npz"])
async def test_a_test_function_never_meets_a_model_that_could_carry_code(
    stranger: Stranger, test_folder: Path, name: str
) -> None:
    found = await evaluate(stranger, test_folder, TEST_ONLY, "smoothness", {name: b"\x80\x04K\x01."})
    assert found.metric_e6 == BAD_MODEL
    assert name in found.reason


async def test_a_loss_that_no_report_can_carry_is_a_bad_model(stranger: Stranger, test_folder: Path) -> None:
    source = TEST_ONLY.replace("0.5}", "1e300}")
    found = await evaluate(stranger, test_folder, source, "smoothness")
    assert found.metric_e6 == BAD_MODEL
    assert found.reason


@pytest.mark.parametrize("step", ["collect", "scorer.score"])
async def test_collecting_and_scoring_end_with_the_evaluations_time(
    stranger: Stranger, test_folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def never_done(*arguments: Any, checkpoint: Callable[[], None] | None = None, **_: Any) -> None:
        while True:
            (checkpoint or arguments[-1])()
            time.sleep(0.01)

    monkeypatch.setattr(f"morphware.node.runner.runner.{step}", never_done)
    found = await evaluate(stranger, test_folder, HONEST, limits=replace(LIMITS, wall_s=8))
    assert found.metric_e6 == BAD_MODEL
    assert "within 8 s" in found.reason


async def test_a_metric_that_test_does_not_return_is_a_bad_model(stranger: Stranger, test_folder: Path) -> None:
    found = await evaluate(stranger, test_folder, TEST_ONLY, "roughness")
    assert found.metric_e6 == BAD_MODEL
    assert "roughness" in found.reason


HIDDEN = {
    "a link": "os.symlink('/etc/passwd', m + '/model.txt')",
    "a hard link": "open('/tmp/x', 'w').close(); open(m + '/a', 'w').close(); os.link(m + '/a', m + '/b')",
    "a pipe": "os.mkfifo(m + '/model.txt')",
    "an odd name": "open(m + '/\\n.txt', 'w').close()",
}


@pytest.mark.parametrize("name", HIDDEN)
async def test_only_regular_files_leave_the_sandbox(stranger: Stranger, name: str) -> None:
    result = await stranger.train(f"import os; m = os.environ['MORPHWARE_MODEL_DIR']\n{HIDDEN[name]}")
    assert "left no file" in result.reason, result.log_tail
    assert not any(stranger.model.rglob("*"))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_folder_that_the_job_closed_is_still_collected(stranger: Stranger) -> None:
    source = "import os; m = os.environ['MORPHWARE_MODEL_DIR']; open(m + '/a.txt', 'w').close(); os.chmod(m, 0)"
    result = await stranger.train(source)
    assert result.reason == "", result.log_tail
    assert names_in(stranger.model) == ["a.txt"]


def close_to_others(folder: Path) -> None:
    (folder / "inputs.npy").chmod(0o600)
    folder.chmod(0o700)


async def test_data_that_only_the_node_may_read_is_shown_to_the_job(stranger: Stranger, test_folder: Path) -> None:
    close_to_others(test_folder)
    assert (await evaluate(stranger, test_folder, HONEST)).metric_e6 == 1_000_000
