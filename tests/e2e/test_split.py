"""Real processes, a real chain: the protocol chooses what tests the model, and the worker never had a row of it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from msgspec import to_builtins

from morphware.node.errors import ExitStatus
from morphware.protocol.chunks import chunk_name
from morphware.protocol.split import drawn_chunks
from tests.e2e.market import JOBS, Market, open_market
from tests.e2e.processes import finish

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]
ROWS, CHUNKS, TESTS = 320, 6, 2
ASKED = ("--metric", "accuracy", "--threshold", "0.9", "--reserve", "100", "--estimated-minutes", "0.2")
WINDOWS = ("--bidding-seconds", "6", "--training-seconds", "90", "--testing-seconds", "60")


def make_table(folder: Path) -> Path:
    """Three clouds, one after the other: were the rows not put into another order, chunks would differ."""
    folder.mkdir()
    chance = np.random.default_rng(7)
    labels = np.sort(chance.integers(0, 3, ROWS))
    np.save(folder / "inputs.npy", chance.normal(size=(ROWS, 4)) * 0.3 + labels[:, None])
    (folder / "labels.csv").write_text("label\n" + "".join(f"{label}\n" for label in labels))
    return folder


def make_script(folder: Path) -> Path:
    """The centroids job, for labels in a table; it knows nothing of chunks."""
    source = (JOBS / "centroids" / "train.py").read_text()
    script = folder / "train.py"
    script.write_text(
        source.replace(
            'np.load(Path(train_dir) / "labels.npy")',
            'np.loadtxt(Path(train_dir) / "labels.csv", skiprows=1)',
        )
    )
    return script


async def test_the_chain_chooses_what_tests_the_model_and_no_row_of_it_reaches_the_worker(tmp_path: Path) -> None:
    data, script = make_table(tmp_path / "data"), make_script(tmp_path)
    async with open_market(tmp_path / "net") as market:
        user = tmp_path / "net" / "nodes" / "user-1"
        split = ("--split", "protocol", "--data", data, "--chunks", CHUNKS, "--test-chunks", TESTS)
        submit = partial(finish, "submit", script, *split, *ASKED, *WINDOWS, "--data-folder", user, "--json")
        submitted = await trio.to_thread.run_sync(submit)
        assert submitted.returncode == ExitStatus.SUCCESS, submitted.stderr
        receipt = json.loads(submitted.stdout)
        assert receipt["outcome"] == "PAID"
        job = to_builtins(await market.network.nodes["user-1"].client.job(receipt["job_id"]))
        assert [cost["call"] for cost in receipt["costs"]].count("DrawSplit") == 1, receipt["costs"]

        tested = drawn_chunks(bytes.fromhex(job["split"]["seed"]), CHUNKS, TESTS)
        testing = {chunk_name(chunk) for chunk in tested}
        training = {chunk_name(chunk) for chunk in range(CHUNKS)} - testing
        assert job["split"]["tested"] == list(tested)

        mine = user / "jobs" / job["job_id"] / "user"
        rows = {name: np.load(mine / name / "inputs.npy") for name in training | testing}
        assert sorted(map(len, rows.values())) == [53] * 4 + [54] * 2, "equal to within one row"
        assert sorted(map(bytes, np.concatenate([*rows.values()]))) == sorted(map(bytes, np.load(data / "inputs.npy")))

        winner = market.name(job["winner"]["account"])
        theirs = _folder(market, winner, job) / "worker"
        assert {path.name for path in theirs.glob("chunk-*")} == training
        assert len(np.load(theirs / "train" / "inputs.npy")) == sum(len(rows[name]) for name in training)
        for validator in map(market.name, job["committee"]):
            folder = _folder(market, validator, job) / "validator"
            assert {path.name for path in folder.glob("chunk-*")} == testing
            assert sorted(map(bytes, np.load(folder / "test" / "inputs.npy"))) == sorted(
                bytes(row) for name in testing for row in rows[name]
            )
        held = b"".join(_files(market.network.folder / "nodes" / winner))
        assert all(bytes(row) in held for name in training for row in rows[name]), "else the search finds nothing"
        assert not any(bytes(row) in held for name in testing for row in rows[name])


def _folder(market: Market, name: str, job: dict[str, Any]) -> Path:
    return market.network.folder / "nodes" / name / "jobs" / str(job["job_id"])


def _files(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes()
