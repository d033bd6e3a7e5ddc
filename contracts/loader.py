"""The compiled contracts, as data: nobody needs a compiler to use them."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

Name = Literal["MorphwareToken", "Market", "Trial", "BlindAuction", "NaiveAuction"]


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract's ABI as solc writes it, and the bytecode that deploys it (constructor arguments go behind it)."""

    abi: tuple[dict[str, Any], ...]
    bytecode: bytes


def load(name: Name) -> Contract:
    """The committed artifact of a contract; tests/contracts proves that it is what the sources compile to."""
    file = resources.files("morphware.contracts") / "artifacts" / f"{name}.json"
    artifact = json.loads(file.read_text("utf-8"))
    return Contract(abi=tuple(artifact["abi"]), bytecode=bytes.fromhex(artifact["bytecode"].removeprefix("0x")))
