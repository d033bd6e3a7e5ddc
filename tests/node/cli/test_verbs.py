"""The commands that ask a running node: what they print, for people and programs, and how they end."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from morphware.node.cli.main import app
from morphware.node.errors import ExitStatus
from morphware.protocol.units import TOKEN
from tests.node.recorded_node import EVIL, HASH, ID, KEYS_ACCOUNT, UNPOSTED, RecordedNode, serving, zip_of

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What must not reach a terminal from a stranger (tests have no terminal, so nothing else writes it either)."""
VERBS = {
    "status": (), "jobs": (), "job": (ID[:6],), "watch": (ID[:6],), "logs": (ID[:6],), "wallet": (),
    "wallet --history": (), "wallet deposit": ("1",), "wallet withdraw": ("1",), "stake": ("2",), "unstake": ("1",),
    "pause": (), "resume": (), "offers": (),
}  # fmt: skip
"""All that ask a node, and what they are given."""


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def node(tmp_path: Path, wide: None) -> Iterator[RecordedNode]:
    with serving(tmp_path / "node", RecordedNode()) as node:
        yield node


def invoke(tmp_path: Path, *arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--data-folder", str(tmp_path / "node")])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def done(tmp_path: Path, *arguments: object) -> str:
    status, out, err = invoke(tmp_path, *arguments)
    assert status == 0, err
    return out


def told(tmp_path: Path, *arguments: object) -> Any:
    return json.loads(done(tmp_path, *arguments, "--json"))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_prints_and_no_text_of_a_stranger_steers_the_terminal(
    tmp_path: Path, node: RecordedNode, verb: str
) -> None:
    out = done(tmp_path, *verb.split(), *VERBS[verb])
    assert out.strip()
    assert not STEERING.search(out), repr(STEERING.search(out))
    if verb != "wallet":
        assert "evil" in out, "or the test tests nothing"
        assert "[red]evil[/red]" in out, "it is text, not markup"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "logs"])
def test_every_verb_speaks_json(tmp_path: Path, node: RecordedNode, verb: str) -> None:
    assert told(tmp_path, *verb.split(), *VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_that_no_node_runs(tmp_path: Path, verb: str) -> None:
    status, out, err = invoke(tmp_path, *verb.split(), *VERBS[verb])
    assert (status, out, err.count("\n")) == (ExitStatus.WORLD_FAILED, "", 1)
    assert "morphware run" in err


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "--" not in verb] + ["fetch", "record"])
def test_every_verb_explains_itself_with_an_example(wide: None, verb: str) -> None:
    result = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: morphware {verb}" in " ".join(result.stdout.split())
    assert "--json" in result.stdout


# --- the node -------------------------------------------------------------------------------------------------------


def test_the_status_tells_balances_chain_peers_and_why_no_jobs_are_taken(tmp_path: Path, node: RecordedNode) -> None:
    out = done(tmp_path, "status")
    for words in (
        "node (user, worker)", "4 connected, 6 accounts known", "31337", "block 11", "12 MWT free",
        "160 locked in jobs", "949 in the wallet", "Paused: no new jobs are taken.", "1 of 2 taken", "41 on 1 day",
        f"{ID[:12]}", "trains",
    ):  # fmt: skip
        assert words in out
    plain = told(tmp_path, "status")
    assert set(plain) == {"status", "wallet", "network", "operator"}
    assert plain["wallet"]["free_wei"] == str(12 * TOKEN)


def test_pausing_is_asked_as_it_was_typed(tmp_path: Path, node: RecordedNode) -> None:
    done(tmp_path, "pause")
    done(tmp_path, "pause", "--freeze")
    done(tmp_path, "resume")
    assert node.asked == [
        ("/operator/pause", {"freeze": False}), ("/operator/pause", {"freeze": True}), ("/operator/resume", {}),
    ]  # fmt: skip


def test_offers_are_shown_and_changed(tmp_path: Path, node: RecordedNode) -> None:
    out = done(tmp_path, "offers")
    assert "worker.price_per_hour" in out
    assert "1.5 tokens" in out
    assert node.asked == []
    told(tmp_path, "offers", "worker.price_per_hour=2.5", "idle.programs=", "--reset", "worker.capacity")
    [(_, said)] = node.asked
    assert said["offers"] == {"worker.price_per_hour": "2.5", "idle.programs": "", "worker.capacity": None}


@pytest.mark.parametrize(
    "wrong", [["worker.capacity"], ["=2"], ["a.b=1", "a.b=2"], ["a.b=1", "--reset", "a.b"]], ids=" ".join
)
def test_a_change_that_makes_no_sense_changes_nothing(tmp_path: Path, node: RecordedNode, wrong: list[str]) -> None:
    status, out, err = invoke(tmp_path, "offers", *wrong)
    assert (status, out, err.count("\n"), node.asked) == (ExitStatus.BAD_INPUT, "", 1, [])


# --- money ----------------------------------------------------------------------------------------------------------


def test_the_wallet_tells_where_the_money_is(tmp_path: Path, node: RecordedNode) -> None:
    out = done(tmp_path, "wallet")
    for words in ("12 MWT", "949 MWT, outside", "160 MWT", "600 MWT in 2 seats, of which 1 sit", "7 days"):
        assert words in out
    history = done(tmp_path, "wallet", "--history")
    assert "+172" in history
    assert "-160" in history
    assert ID[:8] in history


def test_tokens_and_seats_move_as_much_as_was_typed_each_time_by_another_name(
    tmp_path: Path, node: RecordedNode
) -> None:
    assert HASH in done(tmp_path, "wallet", "deposit", "12.5")
    done(tmp_path, "wallet", "--data-folder", tmp_path / "node", "withdraw", "0.000000000000000001")
    done(tmp_path, "stake", "2")
    done(tmp_path, "unstake", "1")
    names = [said.pop("request_id") for _, said in node.asked]
    assert len(set(names)) == 4
    assert node.asked == [
        ("/wallet/deposit", {"amount_wei": str(25 * TOKEN // 2)}), ("/wallet/withdraw", {"amount_wei": "1"}),
        ("/seats/stake", {"seats": 2}), ("/seats/unstake", {"seats": 1}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [("wallet", "deposit", "0"), ("wallet", "deposit", "1,5"), ("wallet", "withdraw", "1e3"), ("stake", "1000")],
    ids=" ".join,
)
def test_what_cannot_be_moved_is_one_sentence_and_status_2(
    tmp_path: Path, node: RecordedNode, arguments: tuple[str, ...]
) -> None:
    status, out, err = invoke(tmp_path, *arguments)
    assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
    assert not STEERING.search(err)


@pytest.mark.parametrize("arguments", [("stake", "0"), ("unstake", "-1"), ("wallet", "--history", "deposit", "1")])
def test_what_is_no_request_is_status_2(tmp_path: Path, node: RecordedNode, arguments: tuple[str, ...]) -> None:
    assert invoke(tmp_path, *arguments)[0] == ExitStatus.BAD_INPUT
    assert node.asked == []


# --- jobs -----------------------------------------------------------------------------------------------------------


def test_jobs_are_searched_on_the_node_and_counted(tmp_path: Path, node: RecordedNode) -> None:
    page = told(tmp_path, "jobs", "--search", "3f", "--role", "user", "--state", "paid", "--page", "1")
    assert node.asked == [("/jobs", {"q": "3f", "role": "user", "state": "paid", "page": 1})]
    assert (page["total"], [job["job_id"] for job in page["jobs"]]) == (1, [ID])
    out = done(tmp_path, "jobs", "--size", "1")
    assert "Page 1 of 2, 2 jobs" in out
    assert "waits for" in out, "the problem stands where the reason would"
    assert "No job is like that" in done(tmp_path, "jobs", "--search", "nothing")


@pytest.mark.parametrize(
    ("start", "sentence"), [("zz", "64 hexadecimal"), ("0f", "no job"), ("cd" * 32, "no such job")]
)
def test_a_job_that_is_not_there_is_one_sentence(tmp_path: Path, node: RecordedNode, start: str, sentence: str) -> None:
    for verb in ("job", "watch", "logs", "fetch"):
        status, out, err = invoke(tmp_path, verb, start)
        assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
        assert sentence in err


def test_logs_are_all_pieces_in_order(tmp_path: Path, node: RecordedNode) -> None:
    status, out, err = invoke(tmp_path, "logs", ID[:6])
    assert (status, len(out.splitlines()), out.splitlines()[:1]) == (0, 251, ["epoch 0 \\u202e"])
    assert "7 bytes" in err
    pieces = [json.loads(line) for line in done(tmp_path, "logs", ID[:6], "--json").splitlines()]
    assert [piece["sequence"] for piece in pieces] == list(range(251))
    assert done(tmp_path, "logs", ID[:6], "--follow") == out, "it is over"


def test_logs_follow_a_job_to_its_end(tmp_path: Path, wide: None) -> None:
    with serving(tmp_path / "node", RecordedNode("training", is_live=True)):
        out = done(tmp_path, "logs", ID[:6], "--follow")
    assert out.count("epoch 19: loss") == 1
    assert not STEERING.search(out)


def test_a_job_is_watched_from_its_middle_to_its_end(tmp_path: Path, wide: None) -> None:
    with serving(tmp_path / "node", RecordedNode("training", is_live=True)):
        out = done(tmp_path, "watch", ID[:6])
    assert not STEERING.search(out)
    for words in ("BIDDING", "wins at 38 MWT", "the winner trains", "Without a model", "was paid 41 MWT", "/models/1"):
        assert words in out
    assert out.count("wins at 38 MWT") == 1, "what was told and heard counts once"


def test_watching_ends_with_the_jobs_status(tmp_path: Path, wide: None) -> None:
    with serving(tmp_path / "node", RecordedNode("training", is_live=True, outcome="REJECTED")):
        status, out, err = invoke(tmp_path, "watch", ID, "--json")
    assert status == ExitStatus.NOT_PAID
    assert json.loads(out)["outcome"] == "REJECTED"
    assert "wins at 38 MWT" in err
    assert not STEERING.search(err)


@pytest.mark.parametrize("job_id", [ID, UNPOSTED.hex()], ids=["training", "unposted"])
def test_ctrl_c_says_that_the_job_goes_on(tmp_path: Path, job_id: str) -> None:
    program = [sys.executable, "-m", "morphware.node.cli.main", "watch", job_id]
    with serving(tmp_path / "node", RecordedNode("training")):
        process = subprocess.Popen(
            [*program, "--data-folder", str(tmp_path / "node")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        for line in process.stdout:
            if b"loss" in line or b"waits for" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == ExitStatus.INTERRUPTED
    assert b"The job goes on without this window" in err
    assert b"Traceback" not in err


# --- models and records ---------------------------------------------------------------------------------------------


def test_a_model_and_its_record_are_saved_once(tmp_path: Path, node: RecordedNode) -> None:
    folder, record = tmp_path / "model", tmp_path / "record.json"
    said = told(tmp_path, "fetch", ID[:6], "--output", folder, "--record", record)
    assert said == {"job_id": ID, "model": str(folder), "record": str(record)}
    assert (folder / "model.npz").read_bytes() == b"weights"
    checked = CliRunner().invoke(app, ["record", str(record)])
    assert checked.exit_code == 0, checked.stderr
    assert not STEERING.search(checked.stdout)
    for words in (f"{KEYS_ACCOUNT}, whose signature is good", "PAID", "the job is posted", "41 MWT"):
        assert words in checked.stdout
    as_json = json.loads(CliRunner().invoke(app, ["record", str(record), "--json"]).stdout)
    assert (as_json["is_signed"], as_json["job"]["job_id"]) == (True, ID)
    for more in (("--output", folder), ("--output", tmp_path / "other", "--record", record)):
        status, out, err = invoke(tmp_path, "fetch", ID[:6], *more)
        assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
        assert "nothing is overwritten" in err
    assert not (tmp_path / "other").exists()


def test_the_usual_folder_is_named_like_the_job(
    tmp_path: Path, node: RecordedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"model-{ID[:8]}" in done(tmp_path, "fetch", ID[:6])
    assert (tmp_path / f"model-{ID[:8]}" / "model.npz").is_file()


def test_there_is_no_model_of_an_open_or_failed_job_or_a_bad_archive(tmp_path: Path) -> None:
    escaping = RecordedNode()
    escaping.archive = zip_of({"../escaped": b""})
    for recorded, status in (
        (RecordedNode("training"), ExitStatus.BAD_INPUT),
        (RecordedNode(outcome="REJECTED"), ExitStatus.NOT_PAID),
        (escaping, ExitStatus.WORLD_FAILED),
    ):
        with serving(tmp_path / "node", recorded):
            found, out, err = invoke(tmp_path, "fetch", ID[:6], "--output", tmp_path / "model")
        assert (found, out, err.count("\n")) == (status, "", 1)
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[" * 100_000, b"{}", b"\xff", b'{"account": "x", "record": "{}", "signature": "0x"}',
        msgspec.json.encode(RecordedNode().record(signature="0x" + "11" * 65)),
        msgspec.json.encode(RecordedNode().record(account="0x" + "22" * 20)),
        msgspec.json.encode(RecordedNode().record(record="[" * 100_000)),
        msgspec.json.encode(RecordedNode().record(record=RecordedNode().record().record.replace("PAID", "FREE"))),
    ],
    ids=["empty", "nested", "bare", "bytes", "short", "forged", "another's", "nested inside", "changed"],
)  # fmt: skip
def test_what_is_no_record_or_was_changed_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    result = CliRunner().invoke(app, ["record", str(tmp_path / "record.json")])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
    assert "bug" not in result.stderr


def test_evil_is_what_the_tests_hold_it_for() -> None:
    assert STEERING.search(EVIL)
