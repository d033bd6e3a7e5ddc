"""Where this node listens, and where others are told to find it.

A port that the configuration leaves open is remembered and asked for again at the next start, because peers have the
old one in their records.  A node that listens on every interface must be told the address that others reach it at.
"""

import ipaddress
import socket
from collections.abc import Sequence

from morphware.node.journal import Journal


def listening_address(journal: Journal, name: str, configured: str) -> str:
    """HOST:PORT to listen on, for a configured HOST:PORT or multiaddress."""
    host, port = split_address(configured)
    if port == 0:
        last = int(journal.get(f"{name} port") or 0)
        port = last if _is_free(host, last) else 0
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def remember_port(journal: Journal, name: str, port: int) -> None:
    """Ask for this port again at the next start, if the configuration leaves it open."""
    journal.put(f"{name} port", str(port))


def split_address(configured: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, [IPV6]:PORT, or a multiaddress /ip4/HOST/tcp/PORT/…"""
    if configured.startswith("/"):
        _, _, host, _, port, *_ = configured.split("/")
        return host, int(port)
    host, _, port = configured.rpartition(":")
    return host.strip("[]"), int(port)


def is_everywhere(configured: str) -> bool:
    """Whether an address means every interface, which is nowhere to be found at."""
    try:
        return ipaddress.ip_address(split_address(configured)[0]).is_unspecified
    except ValueError:
        return False


def reachable(addresses: Sequence[str], advertised: str) -> tuple[str, ...]:
    """Multiaddresses with the advertised host, where one is given, in the place of the one listened on."""
    if not advertised:
        return tuple(addresses)
    return tuple(_with_host(address, advertised) for address in addresses)


def _with_host(multiaddress: str, host: str) -> str:
    _, _, _, *rest = multiaddress.split("/")
    return "/".join(["", _family(host), host, *rest])


def _family(host: str) -> str:
    try:
        return "ip6" if ipaddress.ip_address(host).version == 6 else "ip4"
    except ValueError:
        return "dns"


def _is_free(host: str, port: int) -> bool:
    """Whether the port can be listened on now; somebody else may have taken it while we were away."""
    if port == 0:
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True
