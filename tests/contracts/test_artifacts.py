"""The committed artifacts are what the sources compile to, and everything that a caller needs is in them."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from morphware.contracts import build
from morphware.contracts.loader import Contract, Name, load

EIP_170_MOST_BYTES = 24_576
EIP_3860_MOST_BYTES = 49_152
NAMES: tuple[Name, ...] = ("MorphwareToken", "Market")


@pytest.mark.contracts
def test_the_artifacts_are_what_the_sources_compile_to() -> None:
    for name, artifact in build.compile_all(build.FOLDER).items():
        committed = json.loads((build.FOLDER / "artifacts" / f"{name}.json").read_text("utf-8"))
        stale = [key for key in artifact if artifact[key] != committed.get(key)]
        assert not stale, f"{name}: {stale} differ; run `python -m morphware.contracts.build` and commit the result"
        assert committed.keys() == artifact.keys()


@pytest.mark.contracts
def test_forge_and_the_build_use_the_same_compiler_settings() -> None:
    profile = tomllib.loads((build.FOLDER / "foundry.toml").read_text("utf-8"))["profile"]["default"]
    assert profile["evm_version"] == build.SETTINGS["evmVersion"]
    assert profile["optimizer_runs"] == build.SETTINGS["optimizer"]["runs"]


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_fits_the_size_limits_of_the_evm(name: Name) -> None:
    artifact = json.loads((build.FOLDER / "artifacts" / f"{name}.json").read_text("utf-8"))
    assert len(bytes.fromhex(artifact["deployedBytecode"][2:])) <= EIP_170_MOST_BYTES
    assert len(bytes.fromhex(artifact["bytecode"][2:])) <= EIP_3860_MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_names_no_place_on_the_machine_that_built_it(name: Name) -> None:
    text = (build.FOLDER / "artifacts" / f"{name}.json").read_text("utf-8")
    assert str(Path.home()) not in text
    assert str(build.FOLDER) not in text


def test_every_call_event_and_error_of_the_interface_is_in_the_markets_abi() -> None:
    source = (build.FOLDER / "src" / "IMarket.sol").read_text("utf-8")
    for kind in ("function", "event", "error"):
        declared = set(re.findall(rf"^    {kind} (\w+)\(", source, re.MULTILINE))
        assert declared <= _names(load("Market"), kind), kind
        assert declared


def test_the_market_has_no_owner_and_no_switch() -> None:
    suspects = {"owner", "transferOwnership", "pause", "upgradeTo", "upgradeToAndCall", "initialize", "mint"}
    for name in NAMES:
        assert not suspects & _names(load(name), "function")


def test_the_loader_gives_abi_and_deployable_bytes() -> None:
    contract = load("Market")
    assert len(contract.bytecode) > EIP_170_MOST_BYTES // 2
    constructor = next(entry for entry in contract.abi if entry["type"] == "constructor")
    assert [argument["name"] for argument in constructor["inputs"]] == ["token_", "seatStake_", "timing_"]


def _names(contract: Contract, kind: str) -> set[str]:
    return {entry["name"] for entry in contract.abi if entry["type"] == kind}
