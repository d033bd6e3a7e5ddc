"""Three sources make one configuration, and every mistake is one sentence that names its source and key."""

import json
import tomllib
from pathlib import Path

import pytest

from morphware.node.config import Config, KeysSection, keystore_password, redact_url
from morphware.node.config_loading import SECTIONS, Loaded, load_config
from morphware.node.config_text import example_text, printed_config, printed_config_json, write_example
from morphware.node.errors import BadInput, ExitStatus

SECRET_URL = "https://user:pass@rpc.example:8443/v3/API-KEY?token=T"


@pytest.fixture(autouse=True)
def no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def load(tmp_path: Path, text: str, **variables: str) -> Loaded:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, environment=variables)


def test_without_sources_everything_has_its_default() -> None:
    loaded = load_config(environment={})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}


def test_later_sources_win_and_each_value_remembers_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[chain]\npoll_s = 2\nfinality_blocks = 5\n[node]\nname = "file"\n')
    variables = {"MORPHWARE_CHAIN_POLL_S": "3", "MORPHWARE_NODE_NAME": "variable"}
    loaded = load_config(file, environment=variables, flags={"node.name": "flag", "node.roles": None})
    assert (loaded.config.chain.finality_blocks, loaded.config.chain.poll_s, loaded.config.node.name) == (
        5,
        3.0,
        "flag",
    )
    assert loaded.origins["chain.finality_blocks"] == f"file {file}"
    assert loaded.origins["chain.poll_s"] == "environment MORPHWARE_CHAIN_POLL_S"
    assert loaded.origins["node.name"] == "flag --name"
    assert loaded.origins["node.roles"] == "default"


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    config = load_config(environment={"MORPHWARE_NODE_ROLES": "worker, validator"}).config
    assert config.node.roles == ("worker", "validator")


def test_when_the_machine_is_its_owners_can_be_said_in_the_environment() -> None:
    variables = {
        "MORPHWARE_IDLE_WORK_HOURS": "22:00-08:00, 12:00-13:00",
        "MORPHWARE_IDLE_PROGRAMS": "Elden Ring.exe,blender",
        "MORPHWARE_IDLE_OTHER_LOAD_PERCENT": "40",
    }
    idle = load_config(environment=variables).config.idle
    assert idle.work_hours == ("22:00-08:00", "12:00-13:00")
    assert (idle.programs, idle.other_load_percent, idle.on_busy) == (
        ("Elden Ring.exe", "blender"),
        40.0,
        "no new jobs",
    )


def test_variables_of_others_are_left_alone() -> None:
    load_config(environment={"MORPHWARE_PASSWORD": "x", "MORPHWARE_TRAIN_DIR": "y", "NODE_NAME": "z"})


def test_a_path_in_the_file_is_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, '[node]\ndata_folder = "data"\n[keys]\npassword_file = "~/p"').config
    assert config.node.data_folder == tmp_path / "data"
    assert config.keys.password_file == Path.home() / "p"


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[validator]\nseats = 9\n")
    assert load_config(environment={"MORPHWARE_CONFIG": str(tmp_path / "c.toml")}).config.validator.seats == 9


def test_a_data_folder_brings_its_own_configuration_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    folder.mkdir()
    (folder / "morphware.toml").write_text('[node]\ndata_folder = "."\n[validator]\nseats = 9\n')
    by_flag = load_config(environment={}, flags={"node.data_folder": folder})
    assert by_flag.config.validator.seats == 9
    assert by_flag.origins["validator.seats"] == f"file {folder / 'morphware.toml'}"
    assert by_flag.origins["node.data_folder"] == "flag --data-folder"
    by_variable = load_config(environment={"MORPHWARE_NODE_DATA_FOLDER": str(folder)})
    assert by_variable.config == by_flag.config
    assert by_variable.origins["node.data_folder"] == "environment MORPHWARE_NODE_DATA_FOLDER"
    by_name = load_config(folder / "morphware.toml", environment={})
    assert by_name.config == by_flag.config
    assert by_name.origins["node.data_folder"] == f"file {folder / 'morphware.toml'}"


def test_the_usual_data_folder_brings_its_configuration_without_a_flag(tmp_path: Path) -> None:
    usual = tmp_path / "home" / "morphware"
    usual.mkdir(parents=True)
    (usual / "morphware.toml").write_text("[validator]\nseats = 9\n")
    assert load_config(environment={}).config.validator.seats == 9
    elsewhere = load_config(environment={}, flags={"node.data_folder": tmp_path / "other"})
    assert elsewhere.config.validator.seats == 1, "another folder is another node"


def test_a_named_file_goes_before_the_data_folders(tmp_path: Path) -> None:
    (tmp_path / "morphware.toml").write_text("[validator]\nseats = 9\n")
    (tmp_path / "other.toml").write_text("[validator]\nseats = 3\n")
    flags = {"node.data_folder": tmp_path}
    assert load_config(tmp_path / "other.toml", environment={}, flags=flags).config.validator.seats == 3
    variables = {"MORPHWARE_CONFIG": str(tmp_path / "other.toml")}
    assert load_config(environment=variables, flags=flags).config.validator.seats == 3


def test_values_stand_in_the_example_and_load_again(tmp_path: Path) -> None:
    values = {
        "node.roles": ["worker", "user"],
        "worker.price_per_hour": "2.5",
        "chain.deployment": '/a "b"\\\x7f/ü.json',
    }
    write_example(tmp_path / "c.toml", values)
    loaded = load_config(tmp_path / "c.toml", environment={})
    assert {key for key, origin in loaded.origins.items() if origin != "default"} == set(values)
    assert loaded.config.node.roles == ("worker", "user")
    assert loaded.config.chain.deployment == Path('/a "b"\\\x7f/ü.json')
    assert (tmp_path / "c.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[chian]\n", "no section [chian]: did you mean chain?"),
        ("[chain]\npol_s = 1", "no key pol_s in [chain]: did you mean poll_s?"),
        ("[chain]\npoll_s = 'x'", "poll_s in [chain] is not usable: it must be a number, not text."),
        ("[chain]\npoll_s = '1'", "it must be a number, not text."),
        ("[chain]\npoll_s = 0", "it must be a number > 0"),
        ("[chain]\npoll_s = nan", "must be"),
        ("[artifacts]\nretention_s = inf", "retention_s in [artifacts] is not usable: it must be a finite number."),
        ("[chain]\nchain_id = 0", "it must be a positive integer"),
        ("[chain]\nrpc_url = 'ftp://x'", "it must begin with http://"),
        ("[chain]\nrpc_url = 'http://[::1'", "it must begin with http://"),
        ("[node]\nroles = ['wrker']", "'wrker' is none of user, worker, validator."),
        ("[node]\nroles = []", "at least one of user, worker, validator"),
        ("[node]\nroles = ['user', 'user']", "each role once"),
        ("[node]\nname = 'a b'", "name in [node] is not usable"),
        ("[node]\ndata_folder = 3", "it must be a path"),
        ("[worker]\nprice_per_hour = '1e5'", "price_per_hour in [worker] is not usable: '1e5' is not an amount"),
        ("[worker]\nprice_per_hour = 10", "it must be text, not a whole number."),
        ("[worker]\ndecoy_probability = 1.5", "it must be a number <= 1.0"),
        ("[worker]\ncapacity = 99999999999999999999999", "capacity in [worker] is not usable"),
        ("[artifacts]\nlisten = 'localhost'", "write host:port"),
        ("[artifacts]\nlisten = '127.0.0.1:65536'", "write host:port"),
        ("[web]\nlisten = '127.0.0.1:65536'", "with a port up to 65535"),
        ("[gossip]\nlisten = '0.0.0.0:1'", "write a multiaddress"),
        ("[gossip]\nlisten = '/ip4/1'", "write a multiaddress"),
        ("[gossip]\nlisten = '/ip4/localhost/tcp/1'", "write a multiaddress"),
        ("[gossip]\nlisten = '/ip6/127.0.0.1/tcp/1'", "write a multiaddress"),
        ("[gossip]\nlisten = '/ip4/127.0.0.1/tcp/65536'", "write a multiaddress"),
        ("[gossip]\nbootstrap = ['/ip4/1.2.3.4/tcp/1']", "ends in /p2p/PEER"),
        ("[idle]\nwork_hours = ['22:00']", "work_hours in [idle] is not usable"),
        (
            "[idle]\nwork_hours = ['08:00-08:00']",
            "work_hours in [idle] is not usable: '08:00-08:00' begins when it ends",
        ),
        ("[idle]\nprograms = ['bin/game']", "programs in [idle] is not usable"),
        ("[idle]\nother_load_percent = 101", "it must be a number <= 100.0"),
        ("[idle]\non_busy = 'sleep'", "'sleep' is none of no new jobs, freeze."),
        ("[worker]\nmemory_gib = inf", "memory_gib in [worker] is not usable: it must be a number <= 1048576"),
        ("[worker]\nwall_limit_s = 1e300", "it must be a number <= 2592000"),
        ("chain = 3", "chain must be a table"),
        ("[chain\n", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text)
    assert expected in caught.value.sentence
    assert str(tmp_path / "config.toml") in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert caught.value.exit_status is ExitStatus.BAD_INPUT


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"MORPHWARE_CHAIN_POL_S": "1"},
            "MORPHWARE_CHAIN_POL_S names no setting: did you mean MORPHWARE_CHAIN_POLL_S?",
        ),
        ({"MORPHWARE_CHAIN_POLL_S": "x"}, "chain.poll_s (environment MORPHWARE_CHAIN_POLL_S) is not usable"),
        ({"MORPHWARE_CONFIG": "/nowhere.toml"}, "/nowhere.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(variables: dict[str, str], expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_config(environment=variables)
    assert expected in caught.value.sentence


def test_an_unknown_flag_key_is_refused() -> None:
    with pytest.raises(BadInput, match=r"did you mean worker\.capacity"):
        load_config(environment={}, flags={"worker.capasity": "2"})


def test_secrets_of_the_rpc_address_are_never_shown() -> None:
    loaded = load_config(environment={}, flags={"chain.rpc_url": SECRET_URL})
    for shown in (repr(loaded), repr(loaded.config), printed_config(loaded), printed_config_json(loaded)):
        assert "rpc.example:8443" in shown
        for secret in ("user", "pass", "API-KEY", "token"):
            assert secret not in shown.replace("password_file", "").replace('"user"', "").replace("'user'", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET_URL, "https://rpc.example:8443/…"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://[::1]:1/", "http://[::1]:1"),
        ("http://x:99999/", "…"),
        ("secret", "…"),
    ],
)
def test_an_address_is_shown_as_scheme_host_and_port(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_printed_config_is_the_whole_config_with_origins() -> None:
    loaded = load_config(environment={}, flags={"worker.capacity": "3"})
    settings = json.loads(printed_config_json(loaded))
    assert len(settings) == sum(len(section.__struct_fields__) for section in SECTIONS.values())
    assert settings["worker.capacity"] == {"value": 3, "origin": "flag --set"}
    assert "capacity = 3" in printed_config(loaded)


def test_the_example_loads_as_it_is_and_with_every_key_uncommented(tmp_path: Path) -> None:
    example = tmp_path / "config.toml"
    write_example(example)
    assert load_config(example, environment={}).config == Config()
    keys = [line.removeprefix("# ") for line in example_text().splitlines() if " = " in line or line.startswith("[")]
    assert {section: set(table) for section, table in tomllib.loads("\n".join(keys)).items()} == {
        name: set(section.__struct_fields__) for name, section in SECTIONS.items()
    }
    example.write_text("\n".join(keys), encoding="utf-8")
    assert load_config(example, environment={}).config.worker == Config().worker


def test_an_example_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    with pytest.raises(BadInput, match="there already"):
        write_example(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == "mine"


def test_the_password_comes_from_the_environment_then_the_file(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("from file\nrest\n")
    keys = KeysSection(password_file=tmp_path / "p")
    assert keystore_password(keys, {"MORPHWARE_PASSWORD": "given"}) == "given"
    assert keystore_password(keys, {}) == "from file"
    assert keystore_password(KeysSection(), {}) is None
    with pytest.raises(BadInput, match="cannot be read"):
        keystore_password(KeysSection(password_file=tmp_path / "absent"), {})


def test_a_node_shares_transactions_unless_its_owner_says_no(tmp_path: Path) -> None:
    assert load_config(environment={}).config.chain.relay is True
    assert load(tmp_path, "[chain]\nrelay = false").config.chain.relay is False
    assert load_config(environment={"MORPHWARE_CHAIN_RELAY": "false"}).config.chain.relay is False
    with pytest.raises(BadInput, match="true or false"):
        load(tmp_path, '[chain]\nrelay = "perhaps"')
