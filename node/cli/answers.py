"""What ``morphware init`` wants to know: each answer comes from its flag, else from the person, else from a default.

Every answer is checked as the node will check it at its start, beside its question if there is one.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from morphware.node.chain.deployment import load_deployment
from morphware.node.cli.questions import Terminal
from morphware.node.config import ChainSection, Config, KeysSection, WorkerSection, keystore_password
from morphware.node.config_loading import load_config
from morphware.node.config_text import plain_setting
from morphware.node.errors import BadInput, MorphwareError

FLAG_NAMES: Final[Mapping[str, str]] = {
    "node.roles": "--role",
    "node.advertise": "--advertise",
    "chain.deployment": "--deployment",
    "chain.rpc_url": "--rpc-url",
    "gossip.listen": "--gossip-port",
    "artifacts.listen": "--artifacts-port",
    "worker.price_per_hour": "--price-per-hour",
    "worker.memory_gib": "--memory-gib",
    "worker.threads": "--threads",
    "validator.seats": "--seats",
    "keys.password_file": "--password-file",
}
"""How ``morphware init`` calls the settings that it knows."""
ROLE_OF: Final[Mapping[str, str]] = {
    "worker.price_per_hour": "worker",
    "worker.memory_gib": "worker",
    "worker.threads": "worker",
    "validator.seats": "validator",
}
"""Settings that mean something to one role only."""
GIB: Final = 1 << 30
SMALLEST_MEMORY_GIB: Final = 0.5
OTHER_ADDRESS: Final = "another"


@dataclass(frozen=True, slots=True)
class Given:
    """What the flags said; None means that nothing was."""

    roles: tuple[str, ...] | None
    deployment: Path | None
    rpc_url: str | None
    advertise: str | None
    """Empty: only programs on this machine shall reach the node."""
    gossip_port: int
    artifacts_port: int
    price_per_hour: str | None
    memory_gib: float | None
    threads: int | None
    seats: int | None
    password_file: Path | None


@dataclass(frozen=True, slots=True)
class Question:
    """One setting that is asked for."""

    key: str
    prompt: str
    given: object
    default: str | None
    """What a person is offered, and what a script gets; None: it must be given."""


def gather(given: Given, terminal: Terminal | None) -> dict[str, Any]:
    """All settings that the flags and the person decide, by ``section.field``, as the file can hold them.

    Raises:
        BadInput: an answer cannot be used, or is missing and there is nobody to ask; the sentence names the flags.
    """
    _checked(_told(given))  # before a person answers everything else
    roles = given.roles or (terminal.roles() if terminal else ("user",))
    for key, role in ROLE_OF.items():
        if key in _told(given) and role not in roles:
            raise BadInput(f"{FLAG_NAMES[key]} is for a {role}: add --role {role}, or leave it out.")
    settings: dict[str, object] = {"node.roles": list(roles)}
    missing = []
    for question in _questions(given, roles, is_asked=terminal is not None):
        if question.given is not None:
            settings[question.key] = question.given
        elif terminal is not None:
            settings[question.key] = terminal.text(question.prompt, question.default or "", _complaint_of(question.key))
        elif question.default is not None:
            settings[question.key] = question.default
        else:
            missing.append(FLAG_NAMES[question.key])
    if missing:
        raise BadInput(f"There is nobody to ask, and no default for {' and '.join(missing)}: give it.")
    advertise = given.advertise if given.advertise is not None or terminal is None else _where(terminal)
    if advertise:
        settings |= _listening(advertise, given)
    if given.password_file is not None:
        settings["keys.password_file"] = given.password_file
    return _checked(settings)


def password_for_new_keys(given: Given, terminal: Terminal | None) -> str:
    """From MORPHWARE_PASSWORD, else the password file, else the person."""
    password = keystore_password(KeysSection(password_file=given.password_file))
    if password is not None:
        return password
    if terminal is None:
        raise BadInput(
            "There is nobody to ask for the password of the new keys: set MORPHWARE_PASSWORD, or give --password-file."
        )
    return terminal.new_password()


def addresses_of_this_machine() -> Iterator[tuple[str, str]]:
    """Interface and address of wherever others could reach this machine directly."""
    for interface, addresses in sorted(psutil.net_if_addrs().items()):
        for each in addresses:
            if each.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ipaddress.ip_address(each.address.partition("%")[0])
            if not (address.is_loopback or address.is_link_local):
                yield interface, str(address)


def _told(given: Given) -> dict[str, object]:
    """What the flags say of single settings."""
    flags = {
        "node.advertise": given.advertise,
        "chain.deployment": given.deployment,
        "chain.rpc_url": given.rpc_url,
        "worker.price_per_hour": given.price_per_hour,
        "worker.memory_gib": given.memory_gib,
        "worker.threads": given.threads,
        "validator.seats": given.seats,
        "keys.password_file": given.password_file,
    }
    return {key: value for key, value in flags.items() if value is not None}


def _questions(given: Given, roles: tuple[str, ...], *, is_asked: bool) -> Iterator[Question]:
    here = Path("deployment.json")
    offered = str(here) if is_asked and here.is_file() else None
    yield Question("chain.deployment", "The market's deployment file", given.deployment, offered)
    yield Question("chain.rpc_url", "JSON-RPC address of a node of its chain", given.rpc_url, ChainSection().rpc_url)
    if "worker" in roles:
        price = WorkerSection().price_per_hour
        yield Question("worker.price_per_hour", "Tokens for one hour of training", given.price_per_hour, price)
        memory_gib = psutil.virtual_memory().total / GIB
        prompt = f"GiB of memory for one job (this machine has {memory_gib:.1f})"
        half = max(SMALLEST_MEMORY_GIB, memory_gib / 2 // SMALLEST_MEMORY_GIB * SMALLEST_MEMORY_GIB)
        yield Question("worker.memory_gib", prompt, given.memory_gib, f"{half:g}")
        threads = len(os.sched_getaffinity(0))
        prompt = f"Processor threads for one job (this machine has {threads}; 0: all)"
        yield Question("worker.threads", prompt, given.threads, str(max(1, threads - 1)))
    if "validator" in roles:
        yield Question("validator.seats", "Validator seats to hold (each binds a stake)", given.seats, "1")


def _where(terminal: Terminal) -> str:
    places = {"": "Only this machine: to try things out"}
    places |= {address: f"{address} ({interface})" for interface, address in addresses_of_this_machine()}
    places[OTHER_ADDRESS] = "Another address or host name, as behind a router"
    chosen = terminal.choice("Where shall others reach this node?", places)
    if chosen != OTHER_ADDRESS:
        return chosen
    return terminal.text("Address or host name that others reach this machine at", "", _complaint_of("node.advertise"))


def _listening(advertise: str, given: Given) -> dict[str, object]:
    """Settings to be found at an address: every interface of its family, and fixed ports, which routers can forward."""
    try:
        is_version_6 = ipaddress.ip_address(advertise).version == 6
    except ValueError:
        is_version_6 = False
    everywhere = ("/ip6/::", "[::]") if is_version_6 else ("/ip4/0.0.0.0", "0.0.0.0")  # noqa: S104 - chosen by the owner
    return {
        "node.advertise": advertise,
        "gossip.listen": f"{everywhere[0]}/tcp/{given.gossip_port}",
        "artifacts.listen": f"{everywhere[1]}:{given.artifacts_port}",
    }


def _complaint_of(key: str) -> Any:
    """For the terminal: what is wrong with an answer, or nothing."""

    def complaint(text: str) -> str:
        try:
            if not text:
                raise BadInput("An answer is needed here.")
            _checked({key: text})
        except MorphwareError as error:
            # which setting it is, and where it came from, is plain beside the question
            return error.sentence.rpartition(" is not usable: ")[2]
        return ""

    return complaint


def _checked(settings: Mapping[str, object]) -> dict[str, Any]:
    """The settings as the file can hold them.

    Raises:
        BadInput: the node would refuse one of them.
    """
    # an empty file: nothing else that lies around on this machine may count
    config = load_config(Path(os.devnull), environment={}, flags=settings, flag_names=FLAG_NAMES).config
    if config.chain.deployment is not None:
        load_deployment(config.chain.deployment)
    return {key: plain_setting(_value(config, key)) for key in settings}


def _value(config: Config, key: str) -> object:
    section, _, field = key.partition(".")
    return getattr(getattr(config, section), field)
