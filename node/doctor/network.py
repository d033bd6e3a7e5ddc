"""Ports: can they be listened on, and can others find the way to them?"""

import errno
import ipaddress
import socket
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import psutil
import trio

from morphware.node.addresses import is_everywhere, split_address
from morphware.node.config import Config
from morphware.node.doctor.examination import in_thread
from morphware.node.doctor.findings import Finding, Tell, doubtful, faulty, fine
from morphware.node.doctor.folder import holder, is_locked

PURPOSES: Final = {
    "gossip": "announcements",
    "artifacts": "data sets and models",
    "web": "the page and the API",
}
LOCALHOST: Final = "127.0.0.1"
"""What a node takes the name ``localhost`` for, which only the page's address may be."""
RESOLVE_LIMIT_S: Final = 5.0


async def check_ports(config: Config, tell: Tell) -> None:
    """All listening ports, and the address that others are told."""
    listens = [("gossip", config.gossip.listen), ("artifacts", config.artifacts.listen)]
    if config.web.enabled:
        listens.append(("web", config.web.listen))
    for section, listen in listens:
        tell(await in_thread(partial(_look_at_port, config, section, listen)))
    tell(await _reachability(config))


def _look_at_port(config: Config, section: str, listen: str) -> Finding:
    subject = f"{section} port"
    try:
        host, port = split_address(listen)
        host = LOCALHOST if (section, host) == ("web", "localhost") else host
        address = ipaddress.ip_address(host)
    except ValueError:
        advice = f"Write an address of this machine and a port in [{section}] listen; `morphware config` shows how."
        return faulty(subject, f"{listen} is no address that can be listened on.", advice)
    where = f"{host} port {port}" if port else f"{host}"
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return _unusable_port(config, section, where, port, error)
    if port == 0 and not address.is_loopback and section != "web":  # the node prints it
        found = f"Any free port of {where} is taken for {PURPOSES[section]}, another one on each machine."
        return doubtful(subject, found, f"Choose a port in [{section}] listen, which routers and firewalls can let in.")
    free = f"{where} is free" if port else f"A free port of {where} will be taken"
    return fine(subject, f"{free} for {PURPOSES[section]}.")


def _unusable_port(config: Config, section: str, where: str, port: int, error: OSError) -> Finding:
    subject, folder = f"{section} port", config.node.data_folder
    if error.errno == errno.EADDRINUSE:
        if is_locked(folder) and (process := holder(folder)) is not None and _listens(process, port):
            return fine(subject, f"{where} is held by this node, which is running (process {process}).")
        found = f"{where} is taken by another program, and {PURPOSES[section]} need it."
        return faulty(
            subject, found, f"Stop that program (`ss -ltnp` names it), or choose another port in [{section}] listen."
        )
    if error.errno == errno.EACCES:
        found = f"{where} cannot be listened on by this user ({error.strerror})."
        return faulty(subject, found, f"Choose a port above 1023 in [{section}] listen.")
    found = f"{where} cannot be listened on ({error.strerror})."
    return faulty(subject, found, f"Write an address of this machine in [{section}] listen; `ip address` lists them.")


def _listens(process: int, port: int) -> bool:
    try:
        connections = psutil.Process(process).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)


async def _reachability(config: Config) -> Finding:
    """Whether others can find this node, as far as this machine alone can tell."""
    subject, advertise = "reachability", config.node.advertise
    listens = (config.gossip.listen, config.artifacts.listen)
    if not advertise:
        if not any(_is_loopback(split_address(listen)[0]) for listen in listens):
            return fine(subject, f"Others are told the addresses that this node listens on, {' and '.join(listens)}.")
        found = "Only programs on this machine can reach this node"
        if _is_loopback(urlsplit(config.chain.rpc_url).hostname or ""):
            return fine(subject, f"{found}, which fits a chain on this machine.")
        advice = "Set [node] advertise, and listen on 0.0.0.0, as `morphware init --advertise ADDRESS` does."
        return doubtful(subject, f"{found}, and its chain is elsewhere.", advice)
    if not all(is_everywhere(listen) or not _is_loopback(split_address(listen)[0]) for listen in listens):
        found = f"Others are told {advertise}, and this node listens on loopback, where they cannot come."
        return faulty(subject, found, "Listen on 0.0.0.0 in [gossip] and [artifacts], or leave [node] advertise empty.")
    try:
        with trio.fail_after(RESOLVE_LIMIT_S):
            answers = await trio.socket.getaddrinfo(advertise, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, trio.TooSlowError):
        found = f"Others are told {advertise}, and that name has no address here."
        return faulty(subject, found, "Correct [node] advertise, or the name's entry in the DNS.")
    addresses = {str(answer[4][0]) for answer in answers}
    mine = {each.address.partition("%")[0] for every in psutil.net_if_addrs().values() for each in every}
    ports = " and ".join(str(split_address(listen)[1]) for listen in listens)
    if addresses & mine:
        return fine(
            subject, f"Others are told {advertise}, this machine's own; a firewall must let TCP ports {ports} in."
        )
    found = f"Others are told {advertise}, which is no address of this machine itself."
    return doubtful(subject, found, f"Behind a router this is right, if it forwards TCP ports {ports} to this machine.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
