"""What a node is told: a TOML file, then the environment, then flags; each value remembers where it came from.

The sections below are the whole list. A field's description is its only documentation: the example file and the
messages are made from it. ``config_loading`` merges the three sources, ``config_text`` writes them for people.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from platformdirs import user_data_path

from morphware.node.errors import BadInput

Role = Literal["user", "worker", "validator"]
OnBusy = Literal["no new jobs", "freeze"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class NodeSection(_Section, frozen=True, kw_only=True):
    """Who this node is."""

    data_folder: Annotated[
        Path, Meta(description="Keys, journal and artifacts are kept here; one folder serves one node on one network.")
    ] = msgspec.field(default_factory=lambda: user_data_path("morphware"))
    roles: Annotated[tuple[Role, ...], Meta(description='Any of "user", "worker", "validator".')] = ("user",)
    name: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,32}\Z", description="What this node calls itself in its own logs.")
    ] = "node"
    advertise: Annotated[
        str,
        Meta(
            pattern=r"\A[A-Za-z0-9.:-]{0,253}\Z",
            description="Address or host name that others reach this machine at; needed to listen on 0.0.0.0.",
        ),
    ] = ""


class ChainSection(_Section, frozen=True, kw_only=True):
    """The chain that holds the market."""

    rpc_url: Annotated[
        str, Meta(description="JSON-RPC address of a node of the chain; may hold a key, so it is never printed whole.")
    ] = "http://127.0.0.1:8545"
    deployment: Annotated[
        Path | None,
        Meta(
            description="JSON file with the addresses of the market's contracts and its genesis.",
            examples=["deployment.json"],
        ),
    ] = None
    chain_id: Annotated[
        int | None,
        Meta(description="The chain's number; the node refuses any other. Unset: the deployment's.", examples=[31337]),
    ] = None
    finality_blocks: Annotated[
        int, Meta(ge=0, le=10_000, description="A block is final when this many blocks lie on top of it.")
    ] = 2
    poll_s: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds between two looks at the chain for new blocks.")
    ] = 1.0
    explorer: Annotated[
        str,
        Meta(
            pattern=r"\A(https?://[^\s<>\"']{1,200})?\Z",
            description="Web address of an explorer of the chain, for links to transactions (…/tx/0x…).",
        ),
    ] = ""
    patience_s: Annotated[
        int, Meta(ge=0, le=86_400, description="Seconds for which a late job is left to those with more at stake.")
    ] = 30

    relay: Annotated[
        bool,
        Meta(description="Share transactions: others may bring what this node signs on chain, and it theirs."),
    ] = True

    def __repr__(self) -> str:
        return f"ChainSection(rpc_url={redact_url(self.rpc_url)!r}, chain_id={self.chain_id!r}, …)"


class GossipSection(_Section, frozen=True, kw_only=True):
    """The peer-to-peer network for announcements."""

    listen: Annotated[
        str, Meta(description="Multiaddress to listen on; to be reached from elsewhere: /ip4/0.0.0.0/tcp/4101.")
    ] = "/ip4/127.0.0.1/tcp/0"
    bootstrap: Annotated[
        tuple[str, ...], Meta(max_length=64, description="Multiaddresses of peers to meet first, ending in /p2p/….")
    ] = ()
    announce_s: Annotated[
        float, Meta(ge=1, le=3600, description="Seconds between two announcements of this node's keys and addresses.")
    ] = 15.0


class ArtifactsSection(_Section, frozen=True, kw_only=True):
    """Data sets and models, as BitTorrent transfers of ciphertexts."""

    listen: Annotated[
        str,
        Meta(description="Host and TCP port for transfers (port 0: any); to be reached from elsewhere: 0.0.0.0:4102."),
    ] = "127.0.0.1:0"
    max_size_bytes: Annotated[
        int, Meta(ge=1 << 20, description="A larger artifact is refused before anything is fetched.")
    ] = 2 << 30
    retention_s: Annotated[
        float, Meta(ge=0, description="Seconds for which artifacts are kept and served after their job has closed.")
    ] = 7 * 86_400.0


class WorkerSection(_Section, frozen=True, kw_only=True):
    """What a worker asks for its time, and how much of the machine a job may use."""

    price_per_hour: Annotated[str, Meta(description="Tokens for one hour of training.")] = "10"
    minimum_price: Annotated[str, Meta(description="Tokens below which no job is worth taking.")] = "1"
    decoy_probability: Annotated[
        float,
        Meta(ge=0, le=1, description="How often to place a decoy beside a bid (it hides how many bidders there are)."),
    ] = 0.25
    capacity: Annotated[int, Meta(ge=1, le=64, description="Jobs at the same time.")] = 1
    memory_gib: Annotated[float, Meta(gt=0, le=1 << 20, description="GiB of memory that one job may use.")] = 4.0
    disk_gib: Annotated[float, Meta(gt=0, le=1 << 20, description="GiB that one job may write.")] = 10.0
    threads: Annotated[int, Meta(ge=0, le=1024, description="Processor threads for one job; 0: all of them.")] = 0
    gpu: Annotated[
        bool, Meta(description="Lend the machine's GPUs to trainings, if there are any; models are tested without.")
    ] = True
    wall_limit_s: Annotated[
        float,
        Meta(
            gt=0,
            le=30 * 86_400,
            description="Seconds of running after which a job is stopped, whatever its contract allows.",
        ),
    ] = 86_400.0


class IdleSection(_Section, frozen=True, kw_only=True):
    """When a worker leaves the machine to its owner: "not while I play"."""

    work_hours: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}\Z")], ...],
        Meta(max_length=32, description='Local times for jobs, like "22:00-08:00" (over midnight); none: always.'),
    ] = ()
    programs: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[^/\\\x00-\x1f]{1,64}\Z")], ...],
        Meta(max_length=64, description='No jobs while one of these programs runs, like "eldenring.exe" or "blender".'),
    ] = ()
    other_load_percent: Annotated[
        float, Meta(ge=0, le=100, description="No jobs while others take more of all processors; 0: does not matter.")
    ] = 0.0
    gpu_load_percent: Annotated[
        float, Meta(ge=0, le=100, description="No jobs while others take more of an NVIDIA GPU; 0: does not matter.")
    ] = 0.0
    busy_after_s: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds of such a load after which the machine counts as busy.")
    ] = 15.0
    quiet_s: Annotated[
        float, Meta(ge=0, le=86_400, description="Seconds of quiet after which a busy machine is free again.")
    ] = 60.0
    on_busy: Annotated[
        OnBusy,
        Meta(description='"no new jobs", or "freeze": what runs stands still, too, as long as the time allows.'),
    ] = "no new jobs"


class ValidatorSection(_Section, frozen=True, kw_only=True):
    """How much of the validating this node takes on."""

    seats: Annotated[
        int, Meta(ge=1, le=1024, description="Seats to hold; each binds a stake, and committees are drawn from seats.")
    ] = 1


class WebSection(_Section, frozen=True, kw_only=True):
    """The web page and the API that programs use."""

    enabled: Annotated[
        bool, Meta(description="Serve the page and the API on a port; the command line works without.")
    ] = True
    listen: Annotated[
        str,
        Meta(
            pattern=r"\A(\[[0-9a-fA-F:]+\]|[0-9.]+|localhost):[0-9]{1,5}\Z",
            description="Host and port; any other host than loopback shows the page, unencrypted, to that network.",
        ),
    ] = "127.0.0.1:0"
    hosts: Annotated[
        tuple[str, ...],
        Meta(max_length=16, description="Other names with which browsers may call this machine, without the port."),
    ] = ()
    upload_mib: Annotated[int, Meta(ge=1, le=1 << 20, description="MiB that one upload through the page may have.")] = (
        2048
    )


class KeysSection(_Section, frozen=True, kw_only=True):
    """How the keys are unlocked."""

    password_file: Annotated[
        Path | None,
        Meta(
            description="File whose first line unlocks the keystore; the variable MORPHWARE_PASSWORD goes before it.",
            examples=["password.txt"],
        ),
    ] = None


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration; every section has usable defaults for one machine."""

    node: NodeSection = msgspec.field(default_factory=NodeSection)
    chain: ChainSection = ChainSection()
    gossip: GossipSection = GossipSection()
    artifacts: ArtifactsSection = ArtifactsSection()
    worker: WorkerSection = WorkerSection()
    idle: IdleSection = IdleSection()
    validator: ValidatorSection = ValidatorSection()
    web: WebSection = WebSection()
    keys: KeysSection = KeysSection()


def redact_url(url: str) -> str:
    """Scheme, host and port of an address: paths, users and queries of JSON-RPC addresses hold secrets."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "…"
    if not parts.scheme or not host:
        return "…"
    shown = f"[{host}]" if ":" in host else host
    hidden = parts.path not in ("", "/") or parts.query or parts.username
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{'/…' if hidden else ''}"


def keystore_password(keys: KeysSection, environment: Mapping[str, str] = os.environ) -> str | None:
    """The password from MORPHWARE_PASSWORD, else from the first line of the password file; None: ask the user."""
    if (password := environment.get("MORPHWARE_PASSWORD")) is not None:
        return password
    if keys.password_file is None:
        return None
    try:
        with keys.password_file.open(encoding="utf-8") as file:
            return file.readline(4096).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(
            f"The password file {keys.password_file} cannot be read ({reason}): check [keys] password_file."
        ) from error
