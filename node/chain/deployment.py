"""Where a market lives: one small file, which every node of a network has."""

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from morphware.node.chain.errors import BadDeployment
from morphware.node.chain.rpc import Data, from_hexadecimal, to_hexadecimal
from morphware.node.config import ChainSection
from morphware.node.errors import BadInput
from morphware.protocol.units import ADDRESS_BYTES, HASH_BYTES, Address

FILE_LIMIT_BYTES: Final = 64 << 10


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market on a chain; ``deploy_block`` is the first block worth reading."""

    chain_id: int
    genesis_hash: Data
    token: Data
    market: Data
    deploy_block: int

    def __post_init__(self) -> None:
        for name, value, size_bytes in (
            ("genesis_hash", self.genesis_hash, HASH_BYTES),
            ("token", self.token, ADDRESS_BYTES),
            ("market", self.market, ADDRESS_BYTES),
        ):
            if len(value) != size_bytes:
                raise ValueError(f"{name} has {len(value)} bytes instead of {size_bytes}")
        if self.chain_id <= 0 or self.deploy_block < 0:
            raise ValueError("chain_id or deploy_block is negative")

    @property
    def market_address(self) -> Address:
        """The market."""
        return Address(bytes(self.market))

    @property
    def token_address(self) -> Address:
        """The market's token."""
        return Address(bytes(self.token))


def save_deployment(deployment: Deployment, path: Path) -> None:
    """Write the file, wholly or not at all."""
    content = msgspec.json.format(msgspec.json.encode(deployment, enc_hook=to_hexadecimal), indent=2) + b"\n"
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_deployment(path: Path) -> Deployment:
    """Read the file.

    Raises:
        BadDeployment: it is not there, or not what it should be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
        if len(content) > FILE_LIMIT_BYTES:
            raise BadDeployment(f"{path}: more than {FILE_LIMIT_BYTES} bytes")
        return msgspec.json.decode(content, type=Deployment, dec_hook=from_hexadecimal)
    except OSError as error:
        raise BadDeployment(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise BadDeployment(f"{path}: {error}") from error


def deployment_of(section: ChainSection) -> Deployment:
    """The market that the configuration names; its chain must be the one that the configuration names, if it does.

    Raises:
        BadDeployment: its file is not there, or not what it should be.
        BadInput: it names none, or one on another chain.
    """
    if section.deployment is None:
        raise BadInput(
            "The configuration names no market: set [chain] deployment to the network's deployment file, or begin anew "
            "with `morphware init`."
        )
    deployment = load_deployment(section.deployment)
    if section.chain_id not in (None, deployment.chain_id):
        raise BadInput(
            f"The configuration wants chain {section.chain_id}, and the market of {section.deployment} is on chain "
            f"{deployment.chain_id}: correct chain_id or deployment in [chain]."
        )
    return deployment
