"""One form for everything that goes wrong with a request: a status, a kind, and one sentence that says what to do."""

from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from starlette.responses import Response

from morphware.node.api.answers.plain import Problem
from morphware.node.errors import BadInput, MorphwareError

log = structlog.get_logger()

JSON: Final = "application/json"


def encoded(answer: object) -> bytes:
    """As JSON; numbers of the chain are integers of a kind of their own."""
    return msgspec.json.encode(answer, enc_hook=_plain)


def _plain(value: object) -> int:
    if isinstance(value, int):
        return int(value)
    msg = f"{type(value).__name__} has no place in an answer"
    raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem with its HTTP status."""

    name: str
    status: int
    sentence: str


BAD_INPUT: Final = Kind("bad_input", 400, "The request cannot be used as it is.")
NO_TOKEN: Final = Kind("no_token", 401, "This node asks for its token: open the page with `morphware dashboard`.")
FORBIDDEN: Final = Kind("forbidden", 403, "This cannot be asked from here.")
NOT_FOUND: Final = Kind("not_found", 404, "There is no such thing here: look at /api/v1/openapi.json.")
WRONG_METHOD: Final = Kind("wrong_method", 405, "This address does not know that method.")
CONFLICT: Final = Kind("conflict", 409, "This cannot be done in the present state.")
TOO_LARGE: Final = Kind("too_large", 413, "The request is larger than this node takes.")
WRONG_TYPE: Final = Kind("wrong_type", 415, "The request's body has a type that is not taken here.")
WRONG_HOST: Final = Kind("wrong_host", 421, "This node is not called so: use the address that it prints.")
FAILED: Final = Kind("failed", 500, "The node failed at the request: please report it with the node's log.")
UNAVAILABLE: Final = Kind("unavailable", 503, "The node cannot do this now.")

KINDS: Final = (
    BAD_INPUT, NO_TOKEN, FORBIDDEN, NOT_FOUND, WRONG_METHOD, CONFLICT, TOO_LARGE, WRONG_TYPE, WRONG_HOST, FAILED,
    UNAVAILABLE,
)  # fmt: skip


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(self, kind: Kind, sentence: str = "", field: str | None = None) -> None:
        super().__init__(sentence or kind.sentence)
        self.kind = kind
        self.sentence = sentence or kind.sentence
        self.field = field


def problem_response(kind: Kind, sentence: str = "", field: str | None = None) -> Response:
    """The answer that tells of a problem."""
    body = encoded(Problem(kind=kind.name, sentence=sentence or kind.sentence, field=field))
    return Response(body, kind.status, media_type=JSON)


def response_to(error: Exception, operation: str) -> Response:
    """The answer to a request that ended in an exception; what is our bug is logged whole."""
    if isinstance(error, Refusal):
        return problem_response(error.kind, error.sentence, error.field)
    if isinstance(error, BadInput):
        return problem_response(BAD_INPUT, error.sentence, error.field or None)
    if isinstance(error, MorphwareError):
        return problem_response(UNAVAILABLE, error.sentence)
    if isinstance(error, OSError):
        return problem_response(UNAVAILABLE, f"The node cannot do this now: {error}.")
    log.error("request_failed", request=operation, exc_info=error)
    sentence = f"The node failed at the request {operation!r} ({error!r}): please report it with the node's log."
    return problem_response(FAILED, sentence)
