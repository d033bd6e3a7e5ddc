"""``morphware testnet`` as a newcomer runs it: the installed program, its receipt, its exit status, and its end."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from morphware.node.client.client import AsyncClient
from morphware.node.errors import ExitStatus, MorphwareError
from tests.e2e.market import JOBS, make_clouds
from tests.e2e.processes import Started, finish, started

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]
ENDING_S = 15
"""In which a testnet that was told to end is gone with all its processes."""
DYING_S = 20
"""In which everything ends by itself after the testnet was killed."""
CONFIG = 'title = "Three clouds"\nmetric = "accuracy"\nthreshold = 0.9\nestimated_seconds = 10\nmemory_mib = 512\n'
WINDOWS = (
    "--estimated-minutes", "0.2", "--bidding-seconds", "6", "--training-seconds", "90", "--testing-seconds", "60",
)  # fmt: skip
PHASES = {"BIDDING", "REVEALING", "AWARDED", "KEYED", "TRAINING", "SEED", "KEYING", "VCOMMIT", "VREVEAL", "TALLIED"}


def test_the_digits_are_paid_and_the_receipt_says_everything(tmp_path: Path) -> None:
    with started(tmp_path, "testnet", "--job", "digits", "--json", "--folder", tmp_path / "net") as testnet:
        testnet.until(lambda: (tmp_path / "net" / "nodes" / "worker-3" / "node.sock").exists())
        assert len(testnet.family()) >= 12, "a chain, an end user, three workers, seven validators"
        assert testnet.wait() == ExitStatus.SUCCESS, testnet.err.read_text()[-2000:]
        assert testnet.survivors() == []
        receipt = json.loads(testnet.out.read_text())  # and nothing else on standard output
    _check_paid(receipt, tmp_path / "net", workers=3, validators=7)
    assert receipt["threshold"] <= receipt["metric_value"] <= 1
    assert list((tmp_path / "net").rglob("crashes/*")) == []


def test_a_notebook_is_paid_with_as_many_nodes_as_asked(tmp_path: Path) -> None:
    arguments = ("--job", "tabular", "--workers", "2", "--validators", "3", "--seed", "5", "--json")
    with started(tmp_path, "testnet", *arguments, "--folder", tmp_path / "net") as testnet:
        assert testnet.wait() == ExitStatus.SUCCESS, testnet.err.read_text()[-2000:]
        assert testnet.survivors() == []
        receipt = json.loads(testnet.out.read_text())
    _check_paid(receipt, tmp_path / "net", workers=2, validators=3)


def test_a_strangers_job_is_paid_and_a_kept_market_takes_another_one(tmp_path: Path) -> None:
    """By path, with a committee of five; then ``submit`` and ``jobs`` from other processes, and Ctrl-C."""
    job = _clouds(tmp_path / "job")
    shape = ("--workers", "2", "--validators", "5")
    arguments = ("testnet", "--job", job, "--keep", "--json", *shape, "--folder", tmp_path / "net")
    with started(tmp_path, *arguments) as testnet:
        receipt = testnet.until(lambda: _json_in(testnet.out))
        _check_paid(receipt, tmp_path / "net", workers=2, validators=5)
        announced = testnet.until(lambda: _line_with(testnet.err, "--data-folder"))
        user = Path(announced.rpartition("--data-folder ")[2])
        assert user == tmp_path / "net" / "nodes" / "user-1"

        second = _submit_and_list(tmp_path, job, user)
        assert second["job_id"] != receipt["job_id"]
        _look_back(tmp_path, user, receipt["job_id"])
        _move_money_and_rest(user.parent)

        testnet.family()
        testnet.interrupt()
        assert testnet.wait(ENDING_S) == ExitStatus.SUCCESS, "ending a kept market is no failure: its job was paid"
        testnet.until_alone(ENDING_S)
        assert "Traceback" not in testnet.err.read_text()
        assert json.loads(testnet.out.read_text()) == receipt
    ended = finish("jobs", "--data-folder", user)
    assert (ended.returncode, ended.stdout) == (ExitStatus.WORLD_FAILED, "")
    assert ended.stderr.count("\n") == 1
    assert f"morphware run --data-folder {user}" in ended.stderr
    _open_again(tmp_path / "net", [second["job_id"], receipt["job_id"]])


def _open_again(net: Path, job_ids: list[str]) -> None:
    """A market that was closed: as many nodes as it had without being told, its jobs, and no new one."""
    with started(net.parent / "again", "testnet", "--job", "none", "--json", "--folder", net) as again:
        places = again.until(lambda: _json_in(again.out))
        again.until(lambda: _line_with(again.err, "open until Ctrl-C"))
        roles = [node["role"] for node in places["nodes"].values()]
        assert [roles.count(role) for role in ("user", "worker", "validator")] == [1, 2, 5]
        user = Path(places["nodes"]["user-1"]["data_folder"])
        listed = json.loads(finish("jobs", "--data-folder", user, "--json").stdout)["jobs"]
        assert [job["job_id"] for job in listed] == job_ids
        twice = finish("testnet", "--job", "none", "--folder", net)
        assert twice.returncode == ExitStatus.BAD_INPUT
        assert f"A testnet runs in {net} already" in twice.stderr
        again.family()
        again.interrupt()
        assert again.wait(ENDING_S) == ExitStatus.SUCCESS
        again.until_alone(ENDING_S)


def _submit_and_list(folder: Path, job: Path, user: Path) -> dict[str, Any]:
    script = folder / "stranger.py"
    shutil.copy(job / "train.py", script)
    data = ("--train", job / "train", "--test", job / "test")
    asked = ("--metric", "accuracy", "--threshold", "0.9", "--reserve", "100")
    arguments = ("submit", script, *data, *asked, *WINDOWS, "--data-folder", user, "--json")
    with started(folder / "submitting", *arguments) as submitting:
        job_id = submitting.until(lambda: _open_job(user))
        _watch(folder, user, job_id)
        assert submitting.wait() == ExitStatus.SUCCESS, submitting.err.read_text()
        receipt = dict(json.loads(submitting.out.read_text()))
    assert receipt["job_id"] == job_id
    assert receipt["outcome"] == "PAID"
    assert (Path(receipt["model_path"]) / "model.npz").is_file()

    listed = finish("jobs", "--data-folder", user, "--json")
    jobs = json.loads(listed.stdout)["jobs"]
    assert [each["outcome"] for each in jobs] == ["PAID", "PAID"]
    assert jobs[0]["job_id"] == receipt["job_id"], "the newest is first"
    table = finish("jobs", "--data-folder", user)
    assert table.stdout.count("PAID") == 2
    shown = finish("job", receipt["job_id"][:8], "--data-folder", user, "--json")
    assert json.loads(shown.stdout)["job_id"] == receipt["job_id"]
    return receipt


def _watch(folder: Path, user: Path, job_id: str) -> None:
    """Two more windows on the job: one that is closed, and one to the end; and its output meanwhile."""
    with started(folder / "closed", "watch", job_id[:10], "--data-folder", user) as window:
        window.until(lambda: _line_with(window.out, "bids are taken"))
        window.interrupt()
        assert window.wait() == ExitStatus.INTERRUPTED
        assert "The job goes on without this window" in window.err.read_text()
    with started(folder / "tail", "logs", job_id[:10], "--follow", "--data-folder", user) as tail:
        watched = finish("watch", job_id[:10], "--data-folder", user)
        assert watched.returncode == ExitStatus.SUCCESS, watched.stderr
        for words in ("BIDDING", "bids are taken", "the winner trains", "loss", "was paid", "user/model"):
            assert words in watched.stdout
        assert tail.wait() == ExitStatus.SUCCESS, tail.err.read_text()
        logs = finish("logs", job_id, "--data-folder", user)
        assert tail.out.read_text() == logs.stdout != ""


def _look_back(folder: Path, user: Path, job_id: str) -> None:
    """What is kept of a paid job."""
    model, record = folder / "fetched", folder / "record.json"
    fetched = finish("fetch", job_id[:10], "--output", model, "--record", record, "--data-folder", user)
    assert fetched.returncode == ExitStatus.SUCCESS, fetched.stderr
    kept = user / "jobs" / job_id / "user" / "model" / "model.npz"
    assert (model / "model.npz").read_bytes() == kept.read_bytes()
    again = finish("fetch", job_id[:10], "--output", model, "--data-folder", user)
    assert (again.returncode, again.stdout) == (ExitStatus.BAD_INPUT, "")
    said = finish("record", record)
    assert said.returncode == ExitStatus.SUCCESS, said.stderr
    for words in (job_id, "PAID", "whose signature is good"):
        assert words in said.stdout
    record.write_text(record.read_text().replace("PAID", "FREE"))
    assert finish("record", record).returncode == ExitStatus.BAD_INPUT


def _move_money_and_rest(nodes: Path) -> None:
    """The account's money, a validator's seats, and a worker that is paused."""
    before = _json("wallet", nodes / "user-1")
    for way in ("deposit", "withdraw"):
        moved = finish("wallet", way, "1.5", "--data-folder", nodes / "user-1")
        assert moved.returncode == ExitStatus.SUCCESS, moved.stderr
        assert "1.5 tokens" in moved.stdout
    after = _json("wallet", nodes / "user-1")
    assert after | {"coin_wei": ""} == before | {"coin_wei": ""}, "but for gas"
    history = _json("wallet --history", nodes / "user-1")["entries"]
    assert {"escrow locked", "price paid"} <= {entry["kind"] for entry in history}

    validator = nodes / "validator-1"
    seats = _json("wallet", validator)["seats"]
    assert finish("stake", "1", "--data-folder", validator).returncode == ExitStatus.SUCCESS
    assert _json("wallet", validator)["seats"] == seats + 1
    left = finish("unstake", "1", "--data-folder", validator)
    assert left.returncode == ExitStatus.SUCCESS, left.stderr
    assert "1 seat leaves" in left.stdout

    worker = nodes / "worker-1"
    assert _json("status", worker)["operator"]["is_available"]
    assert finish("pause", "--data-folder", worker).returncode == ExitStatus.SUCCESS
    assert "Paused" in finish("status", "--data-folder", worker).stdout
    assert "jobs again" in finish("resume", "--data-folder", worker).stdout
    offers = {offer["name"]: offer for offer in _json("offers worker.capacity=2", worker)}
    assert offers["worker.capacity"]["value"] == "2"
    offers = {offer["name"]: offer for offer in _json("offers --reset worker.capacity", worker)}
    assert offers["worker.capacity"]["origin"] == "the configuration"
    refused = finish("pause", "--data-folder", nodes / "user-1")
    assert (refused.returncode, refused.stderr.count("\n")) == (ExitStatus.BAD_INPUT, 1)


def _json(asked: str, node: Path) -> Any:
    done = finish(*asked.split(), "--data-folder", node, "--json")
    assert done.returncode == ExitStatus.SUCCESS, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_nothing_outlives_a_testnet_that_ends_during_training(tmp_path: Path, number: signal.Signals) -> None:
    job = _clouds(tmp_path / "job")
    (job / "train.py").write_text((job / "train.py").read_text().replace("import os", "import os\nimport time", 1))
    slow = (job / "train.py").read_text().replace("def train(", "def train_for_ever(", 1)
    (job / "train.py").write_text(slow.replace("    train(os.", "    time.sleep(3600)\n    train_for_ever(os.", 1))
    shape = ("--workers", "1", "--validators", "1")
    arguments = ("testnet", "--job", job, "--json", *shape, "--folder", tmp_path / "net")
    with started(tmp_path, *arguments) as testnet:
        testnet.until(lambda: _is_training(tmp_path / "net" / "nodes" / "user-1"))
        testnet.until(lambda: _sandboxed(testnet))
        if number is signal.SIGINT:
            testnet.interrupt()
            assert testnet.wait(ENDING_S) == ExitStatus.INTERRUPTED
        else:
            testnet.process.kill()
            testnet.wait()
        testnet.until_alone(DYING_S)
        assert testnet.out.read_text() == "", "no receipt of what did not end"
        assert "Traceback" not in testnet.err.read_text()
    assert list((tmp_path / "net").rglob("crashes/*")) == []


def test_nothing_outlives_a_testnet_that_is_interrupted_while_it_starts(tmp_path: Path) -> None:
    with started(tmp_path, "testnet", "--json", "--folder", tmp_path / "net") as testnet:
        testnet.until(lambda: (tmp_path / "net" / "nodes" / "user-1" / "node.log").exists())
        testnet.family()
        testnet.interrupt()
        assert testnet.wait(ENDING_S) == ExitStatus.INTERRUPTED
        testnet.until_alone(DYING_S)
        assert "Traceback" not in testnet.err.read_text()
    assert list((tmp_path / "net").rglob("crashes/*")) == []


# --- what a receipt must say ----------------------------------------------------------------------------------------


def _check_paid(receipt: dict[str, Any], folder: Path, *, workers: int, validators: int) -> None:
    assert receipt["outcome"] == "PAID"
    authentic = [bid for bid in receipt["bids"] if bid["is_authentic"]]
    prices = sorted(int(bid["price_wei"]) for bid in authentic)
    assert len({bid["account"] for bid in authentic}) == len(prices) == workers
    assert int(receipt["winner"]["bid_wei"]) == prices[0]
    assert int(receipt["price_wei"]) == prices[1] <= int(receipt["reserve_wei"])
    [cheapest] = [bid for bid in authentic if int(bid["price_wei"]) == prices[0]]
    assert receipt["winner"]["account"] == cheapest["account"]

    seats = min(5, validators)
    metrics = [report["metric"] for report in receipt["reports"]]
    assert len(metrics) == seats
    assert receipt["metric_value"] == sorted(metrics)[(seats - 1) // 2], "the lower median"
    assert receipt["model_metric"] == receipt["metric_value"], "the model was loaded again and keeps its word"
    assert len({report["fingerprint_e9"] for report in receipt["reports"]}) == 1

    _check_balances(receipt, workers, validators)
    _check_gas(receipt["gas"])
    seconds = receipt["seconds"]
    assert set(seconds["phases"]) >= PHASES
    assert seconds["total"] == pytest.approx(sum(seconds["phases"].values()), abs=0.1)
    assert seconds["overhead"] == pytest.approx(seconds["total"] - seconds["training"] - seconds["evaluation"], abs=0.1)
    model = Path(receipt["model_path"])
    assert model.is_relative_to(folder / "nodes" / "user-1")
    assert any(path.is_file() for path in model.rglob("*"))
    _check_amounts(receipt)


def _check_balances(receipt: dict[str, Any], workers: int, validators: int) -> None:
    before, after = receipt["balances"]["before"], receipt["balances"]["after"]
    names = ["user-1", *(f"worker-{i + 1}" for i in range(workers)), *(f"validator-{i + 1}" for i in range(validators))]
    assert set(before) == set(after) == {*names, "deployer", "contract", "audits", "burned"}
    assert sum(map(int, before.values())) == sum(map(int, after.values())) == 10**9 * 10**18
    winner, price = receipt["winner"]["name"], int(receipt["price_wei"])
    assert int(after[winner]) - int(before[winner]) == price
    fees = sum(int(report["fee_wei"]) for report in receipt["reports"])
    for_audits = int(after["audits"]) - int(before["audits"])
    assert for_audits == price // 100, "the end user pays it on top"
    assert int(before["user-1"]) - int(after["user-1"]) == price + for_audits + fees


def _check_gas(gas: dict[str, Any]) -> None:
    roles = gas["by_role"].values()
    assert set(gas["by_role"]) == {"user", "worker", "validator"}
    assert gas["transactions"] == sum(role["transactions"] for role in roles) > 0
    assert gas["gas"] == sum(role["gas"] for role in roles) > 0


def _check_amounts(value: Any, key: str = "") -> None:
    """Amounts of wei are decimal strings, wherever they stand: JSON's numbers do not hold them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_amounts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            _check_amounts(inner, key)
    elif key.endswith("_wei"):
        assert isinstance(value, str), key
        assert value.isdecimal(), key


# --- looking at a running testnet -----------------------------------------------------------------------------------


def _clouds(folder: Path) -> Path:
    """The centroids job as a stranger would lay it out: program, settings and data in one folder."""
    make_clouds(folder)
    shutil.copy(JOBS / "centroids" / "train.py", folder)
    (folder / "morphware.toml").write_text(CONFIG)
    return folder


def _json_in(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None


def _line_with(path: Path, words: str) -> str | None:
    return next((line for line in path.read_text().splitlines() if words in line), None)


def _is_training(user: Path) -> bool:
    if not user.exists():
        return False
    try:
        return any(job.state == "TRAINING" for job in trio.run(AsyncClient(user).all_jobs))
    except MorphwareError:
        return False  # not yet


def _open_job(user: Path) -> str | None:
    jobs = trio.run(AsyncClient(user).all_jobs)
    return next((job.job_id for job in jobs if job.state == "BIDDING"), None)


def _sandboxed(testnet: Started) -> bool:
    """Whether the job's own process is there: nothing but it runs what the sandbox shows as /morphware."""
    return any(" /morphware" in each.command and "bwrap" not in each.command for each in testnet.family())
