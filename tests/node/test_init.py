"""``morphware init``: asked or told, it begins a node wholly or not at all."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
import trio
from typer.testing import CliRunner

from morphware.node import keys
from morphware.node.chain.deployment import Deployment, save_deployment
from morphware.node.chain.rpc import Data
from morphware.node.cli import answers, founding
from morphware.node.cli.main import app
from morphware.node.config_loading import load_config
from morphware.node.errors import ExitStatus
from tests.node.terminal import CTRL_C, DOWN, ENTER, SPACE, typing

PASSWORD = "correct horse"
WORK = 2**10


@pytest.fixture(autouse=True)
def a_person_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys cost little, and nothing that this machine's owner has counts."""
    assert founding.found.__kwdefaults__ is not None
    monkeypatch.setitem(founding.found.__kwdefaults__, "work", WORK)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MORPHWARE_PASSWORD", PASSWORD)


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.json"
    save_deployment(
        Deployment(
            chain_id=31337,
            genesis_hash=Data(bytes(32)),
            token=Data(bytes(20)),
            market=Data(b"\1" * 20),
            deploy_block=1,
        ),
        path,
    )
    return path


def init(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["init", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def refusal(ended: tuple[int, str, str], *words: object) -> None:
    """One sentence, and the status of bad input."""
    status, out, err = ended
    assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1), err
    assert err.rstrip().endswith(".") and ". " not in err, err
    for word in words:
        assert str(word) in err


def changed(file: Path) -> dict[str, object]:
    """The settings that a configuration changes."""
    loaded = load_config(file, environment={})
    return {
        key: getattr(getattr(loaded.config, key.partition(".")[0]), key.partition(".")[2])
        for key, origin in loaded.origins.items()
        if origin != "default"
    }


def test_a_script_says_all_and_run_finds_it(tmp_path: Path, deployment: Path) -> None:
    folder = tmp_path / "node"
    status, out, err = init(
        *("--data-folder", folder, "--role", "worker", "--role", "validator", "--deployment", deployment),
        *("--rpc-url", "http://127.0.0.1:9", "--price-per-hour", "2.5", "--memory-gib", 3, "--threads", 2),
        *("--seats", 4, "--advertise", "203.0.113.7", "--gossip-port", 5001, "--yes", "--json"),
    )
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert said["account"] == "0x" + keys.read_account(folder / "keys").hex()
    assert (said["keys"], said["roles"]) == ("made", ["worker", "validator"])
    assert said["next"] == [f"morphware doctor --data-folder {folder}", f"morphware run --data-folder {folder}"]
    assert Path(said["config"]).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert changed(folder / "morphware.toml") == {
        "node.data_folder": folder,
        "node.roles": ("worker", "validator"),
        "node.advertise": "203.0.113.7",
        "chain.deployment": deployment,
        "chain.rpc_url": "http://127.0.0.1:9",
        "gossip.listen": "/ip4/0.0.0.0/tcp/5001",
        "artifacts.listen": "0.0.0.0:4102",
        "worker.price_per_hour": "2.5",
        "worker.memory_gib": 3.0,
        "worker.threads": 2,
        "validator.seats": 4,
    }
    assert trio.run(keys.load, folder / "keys", PASSWORD).account == keys.read_account(folder / "keys")
    shown = CliRunner().invoke(app, ["run", "--data-folder", str(folder), "--print-config", "--json"]).stdout
    assert json.loads(shown)["validator.seats"] == {"value": 4, "origin": f"file {folder / 'morphware.toml'}"}


def test_defaults_serve_a_user_in_the_usual_folder(tmp_path: Path, deployment: Path) -> None:
    status, out, _ = init("--deployment", deployment)
    folder = tmp_path / "home" / "morphware"
    assert status == 0
    assert out.count("\n") == 3
    assert "`morphware doctor`" in out and "`morphware run`" in out
    assert f"0x{keys.read_account(folder / 'keys').hex()}" in out
    assert set(changed(folder / "morphware.toml")) == {
        "node.data_folder",
        "node.roles",
        "chain.deployment",
        "chain.rpc_url",
    }
    moved = folder.rename(tmp_path / "moved")
    assert load_config(moved / "morphware.toml", environment={}).config.node.data_folder == moved


def test_a_workers_defaults_fit_the_machine(tmp_path: Path, deployment: Path) -> None:
    assert init("--role", "worker", "--deployment", deployment, "--data-folder", tmp_path / "n")[0] == 0
    worker = load_config(tmp_path / "n" / "morphware.toml", environment={}).config.worker
    assert worker.memory_gib >= 0.5
    assert 1 <= worker.threads <= len(os.sched_getaffinity(0))


def test_an_ipv6_address_listens_with_ipv6(tmp_path: Path, deployment: Path) -> None:
    folder = tmp_path / "n"
    assert init("--deployment", deployment, "--advertise", "2001:db8::1", "--data-folder", folder)[0] == 0
    config = load_config(folder / "morphware.toml", environment={}).config
    assert (config.gossip.listen, config.artifacts.listen) == ("/ip6/::/tcp/4101", "[::]:4102")


def test_existing_keys_are_kept_and_need_no_password(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trio.run(partial(keys.create, tmp_path / "keys", "another", work=WORK))
    monkeypatch.delenv("MORPHWARE_PASSWORD")
    status, out, _ = init("--deployment", deployment, "--data-folder", tmp_path, "--json")
    assert status == 0
    assert json.loads(out)["keys"] == "kept"
    assert json.loads(out)["account"] == f"0x{made.account.hex()}"
    assert trio.run(keys.load, tmp_path / "keys", "another") == made


def test_a_configuration_is_never_overwritten(tmp_path: Path, deployment: Path) -> None:
    (tmp_path / "morphware.toml").write_text("mine")
    refusal(init("--deployment", deployment, "--data-folder", tmp_path), tmp_path / "morphware.toml", "there already")
    assert (tmp_path / "morphware.toml").read_text() == "mine"
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--deployment", "nobody to ask"]),
        (["--deployment", "absent.json"], ["deployment file", "absent.json"]),
        (["--deployment", "D", "--rpc-url", "ftp://x"], ["--rpc-url", "http://"]),
        (["--deployment", "D", "--role", "worker", "--price-per-hour", "1e5"], ["--price-per-hour", "amount"]),
        (["--deployment", "D", "--role", "worker", "--memory-gib", "inf"], ["--memory-gib", "<= 1048576"]),
        (["--deployment", "D", "--role", "worker", "--threads", "-1"], ["--threads", ">= 0"]),
        (["--deployment", "D", "--role", "validator", "--seats", "0"], ["--seats", ">= 1"]),
        (["--deployment", "D", "--advertise", "a b"], ["--advertise"]),
        (["--deployment", "D", "--seats", "3"], ["--seats is for a validator", "--role validator"]),
        (["--deployment", "D", "--role", "validator", "--threads", "3"], ["--threads is for a worker"]),
        (["--deployment", "D", "--password-file", "absent"], ["absent", "password"]),
    ],
)
def test_a_wrong_answer_is_one_sentence_and_writes_nothing(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    if "--password-file" in arguments:
        monkeypatch.delenv("MORPHWARE_PASSWORD")
    told = [str(deployment) if each == "D" else each for each in arguments]
    refusal(init(*told, "--data-folder", tmp_path / "node", "--yes"), *words)
    assert not (tmp_path / "node").exists()


def test_without_a_password_nobody_can_be_asked(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MORPHWARE_PASSWORD")
    refusal(init("--deployment", deployment, "--data-folder", tmp_path / "n"), "--password-file", "MORPHWARE_PASSWORD")
    (tmp_path / "p").write_text(PASSWORD + "\n")
    done = init("--deployment", deployment, "--data-folder", tmp_path / "n", "--password-file", tmp_path / "p")
    assert done[0] == 0
    assert changed(tmp_path / "n" / "morphware.toml")["keys.password_file"] == tmp_path / "p"


def test_a_path_that_is_no_text_cannot_stand_in_the_file(tmp_path: Path, deployment: Path) -> None:
    odd = deployment.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")))
    status, out, err = init("--deployment", odd, "--data-folder", tmp_path / "n")
    assert (status, out, err.count("\n")) == (ExitStatus.BAD_INPUT, "", 1)
    assert "is no text" in err
    assert not (tmp_path / "n").exists()


def test_the_steps_name_the_file_where_a_variable_names_another(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHWARE_CONFIG", "/elsewhere.toml")
    _, out, _ = init("--deployment", deployment, "--data-folder", tmp_path / "n", "--json")
    assert json.loads(out)["next"][1].endswith(f"--config {tmp_path / 'n' / 'morphware.toml'}")


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path, deployment: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal(init("--deployment", deployment, "--data-folder", tmp_path / "file"), tmp_path / "file", "--data-folder")


def test_ctrl_c_while_keys_are_made_leaves_nothing(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(folder: Path, password: str, *, work: int) -> keys.Keys:
        await create(folder, password, work=work)
        raise KeyboardInterrupt

    create = keys.create
    monkeypatch.setattr(keys, "create", interrupted)
    status, out, _ = init("--deployment", deployment, "--data-folder", tmp_path / "node")
    assert (status, out) == (ExitStatus.INTERRUPTED, "")
    assert not (tmp_path / "node").exists()


def test_addresses_of_this_machine_are_no_loopback() -> None:
    assert not [address for _, address in answers.addresses_of_this_machine() if address.startswith(("127.", "::1"))]


# --- on a terminal --------------------------------------------------------------------------------------------------


def test_a_person_is_asked_and_wrong_answers_are_asked_again(tmp_path: Path, deployment: Path) -> None:
    folder = tmp_path / "node"
    with typing("init", "--data-folder", folder, folder=tmp_path, environment={}) as person:
        person.after("What shall this node do?", DOWN, SPACE, ENTER)
        person.after("deployment file", ENTER)  # the one that lies here is offered
        person.after("JSON-RPC address", "x", ENTER).after("it must begin with http://", "\x7f", ENTER)
        person.after("Tokens for one hour", "\x7f\x7f", "12,5", ENTER).after("amount", *["\x7f"] * 4, "12.5", ENTER)
        person.after("GiB of memory", ENTER)
        person.after("Processor threads", ENTER)
        person.after("Where shall others reach this node?", ENTER)
        person.after("Password for the new keys", "secret", ENTER)
        person.after("The same again", "other", ENTER).after("not the same", *["\x7f"] * 5, "secret", ENTER)
        person.after("morphware run")
        assert person.ended() == 0
        assert "secret" not in person.everything
    settings = changed(folder / "morphware.toml")
    assert settings["node.roles"] == ("user", "worker")
    assert settings["worker.price_per_hour"] == "12.5"
    assert settings["chain.deployment"] == deployment
    assert "node.advertise" not in settings
    assert trio.run(keys.load, folder / "keys", "secret").account


@pytest.mark.parametrize("answered", [0, 2, 4])
def test_ctrl_c_at_any_question_writes_nothing(tmp_path: Path, deployment: Path, answered: int) -> None:
    folder = tmp_path / "node"
    prompts = ["What shall this node do?", "deployment file", "JSON-RPC", "Where shall", "Password"]
    with typing("init", "--data-folder", folder, folder=tmp_path, environment={}) as person:
        for prompt in prompts[:answered]:
            person.after(prompt, ENTER)
        person.after(prompts[answered], CTRL_C).after("nothing was written")
        assert person.ended() == ExitStatus.INTERRUPTED
        assert "Traceback" not in person.everything
    assert not folder.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deployment.json"]


def test_a_wrong_flag_is_refused_before_anything_is_asked(tmp_path: Path, deployment: Path) -> None:
    arguments = ("init", "--data-folder", tmp_path / "n", "--deployment", deployment, "--rpc-url", "ftp://x")
    with typing(*arguments, folder=tmp_path, environment={}) as person:
        assert person.after("it must begin with http://").ended() == ExitStatus.BAD_INPUT
        assert "What shall this node do?" not in person.everything


def test_run_asks_a_person_for_the_password(tmp_path: Path, deployment: Path) -> None:
    assert init("--deployment", deployment, "--data-folder", tmp_path)[0] == 0
    with typing("run", "--data-folder", tmp_path, folder=tmp_path, environment={}) as person:
        person.after("Password for the keys of 0x", "wrong", ENTER).after("The password does not open")
        assert person.ended() == ExitStatus.BAD_INPUT
