"""What both clients share: the way to the socket, and what an answer or a hang-up means."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from morphware.node.api.answers.plain import Problem
from morphware.node.client.asks import Ask
from morphware.node.data_folder import SOCKET_NAME, NodeNotRunning, NotYourNode, short_path
from morphware.node.errors import BadInput, MorphwareError

ANSWER_S: Final = 120.0
"""A submission copies the job's folders before it is answered."""
SILENCE_S: Final = 60.0
"""A node that watches with us says at least every 15 s that it is there."""
MODEL_S: Final = 1800.0
"""A model is packed before its first byte is sent; one of several gigabytes takes minutes."""
JSON: Final = {"content-type": "application/json"}


class NodeRefused(MorphwareError):
    """The node could not do what it was asked; its own sentence says why."""


def checked(response: httpx.Response, ask: Ask[Any]) -> Any:
    """The answer. Raises ``BadInput`` for what whoever asked has to mend, ``NodeRefused`` for what the node met."""
    if response.is_success:
        return ask.read(response.content)
    raise refusal(response.status_code, response.content)


def refusal(status: int, content: bytes) -> MorphwareError:
    """What an answer that is none says."""
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        return NodeRefused(f"The node answered with the status {status}: look at its log.")
    if status < 500:
        return BadInput(problem.sentence, field=problem.field or "")
    return NodeRefused(problem.sentence)


@contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """A short path to the node's socket. Raises ``NodeNotRunning``."""
    with ExitStack() as held:
        try:
            path = held.enter_context(short_path(folder))
        except OSError as error:
            raise not_running(folder, error) from error
        yield path


@contextmanager
def answering_path(folder: Path) -> Iterator[str]:
    """The same for the synchronous client, once somebody listens: httpcore forgets a socket that nobody answers."""
    with socket_path(folder) as path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            try:
                trial.connect(path)
            except OSError as error:
                raise not_running(folder, error) from error
        yield path


@contextmanager
def hanging_up(folder: Path) -> Iterator[None]:
    """A node may be away, or end at any time; that is one sentence."""
    try:
        yield
    except httpx.ConnectError as error:
        raise not_running(folder, error) from error
    except httpx.TransportError as error:
        raise NodeNotRunning(f"The node on {folder} hung up: look at its log.") from error


def not_running(folder: Path, error: Exception) -> MorphwareError:
    """Nobody answers on the socket, or not to us."""
    if isinstance(error, PermissionError) or _is_forbidden(folder):
        return NotYourNode(
            f"The node on the data folder {folder} belongs to another user of this machine: ask as that user."
        )
    return NodeNotRunning(
        f"No node is running on the data folder {folder}: start one with `morphware run --data-folder {folder}`."
    )


def _is_forbidden(folder: Path) -> bool:
    try:
        return (folder / SOCKET_NAME).exists() and not os.access(folder / SOCKET_NAME, os.W_OK)
    except OSError:
        return True
