"""What can be asked of a node: each route once, for the server and the OpenAPI document."""

import enum
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_origin, get_type_hints

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from morphware.node.api.answers.plain import PREFIX, Asked, Nothing, Shape
from morphware.node.api.problems import BAD_INPUT, FORBIDDEN, JSON, WRONG_TYPE, Refusal, encoded, response_to


@dataclass(frozen=True, slots=True)
class PathWord:
    """What may stand in a place of a path."""

    pattern: str
    sentence: str


PATH_WORDS: Final = {
    "job_id": PathWord("^[0-9a-f]{64}$", "A job id has 64 hexadecimal digits: copy it from `morphware jobs`."),
    "draft_id": PathWord("^[0-9a-f]{32}$", "A draft's name has 32 hexadecimal digits."),
}

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class Door(enum.Enum):
    """Who may ask: everybody who may ask at all, or only who can open the data folder's socket."""

    BOTH = "both"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was checked: the values of its path, query and body."""

    path: Mapping[str, str]
    query: Any
    body: Any
    request: Request


Handler = Callable[[Call], Awaitable[Shape | Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One thing to ask. ``answer`` is a shape, or a media type where the handler answers by itself."""

    method: Method
    path: str
    operation: str
    sentence: str
    handler: Handler
    answer: type[Shape] | str
    query: type[Asked] = Nothing
    body: type[Asked] | str | None = None
    door: Door = Door.BOTH

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    async def respond(self, request: Request) -> Response:
        """The answer to a request; every failure is answered in one form."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - the top of a request: whatever it is, it is answered
            return response_to(error, self.operation)

    async def _answer(self, request: Request) -> Response:
        if self.door is Door.SOCKET and request.scope.get("door") is not Door.SOCKET:
            raise Refusal(FORBIDDEN, "This can only be asked over the socket in the node's data folder.")
        for name, said in request.path_params.items():
            if not re.fullmatch(PATH_WORDS[name].pattern, said):
                raise Refusal(BAD_INPUT, PATH_WORDS[name].sentence, name)
        query = read_query(request, self.query)
        body = await self._body(request)
        answer = await self.handler(Call(request.path_params, query, body, request))
        if isinstance(answer, Response):
            return answer
        return Response(encoded(answer), media_type=JSON)

    async def _body(self, request: Request) -> Asked | None:
        if self.body is None or isinstance(self.body, str):
            return None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise Refusal(WRONG_TYPE, f"The body has to be JSON (content-type: {JSON}).")
        try:
            return msgspec.json.decode(await request.body(), type=self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _unusable(error) from error
        except ClientDisconnect:
            raise Refusal(BAD_INPUT, "The request broke off before its end.") from None


def served(routes: Iterable[Route]) -> list[StarletteRoute]:
    """The routes as Starlette serves them: one for each path, which knows all of its methods."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    return [_served(path, by_method) for path, by_method in by_path.items()]


def _served(path: str, by_method: Mapping[str, Route]) -> StarletteRoute:
    async def endpoint(request: Request) -> Response:
        return await by_method["GET" if request.method == "HEAD" else request.method].respond(request)

    return StarletteRoute(PREFIX + path, endpoint, methods=list(by_method))


def read_query(request: Request, kind: type[Asked]) -> Asked:
    """The query's values, each at most once but for lists."""
    values: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for name, value in request.query_params.multi_items():
        if name in hints and get_origin(hints[name]) is list:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Refusal(BAD_INPUT, f"The query names {name!r:.60} twice: give it once.", name[:60])
        else:
            values[name] = value
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _unusable(error) from error
    for name in values:
        if getattr(query, name) is None:  # the text "null", which msgspec takes for the value
            raise Refusal(BAD_INPUT, f"{name} has no value: leave it out.", name)
    return query


def _unusable(error: Exception) -> Refusal:
    """msgspec ends its sentences in the place: ``... - at `$.reserve_wei` ``."""
    text, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").lstrip(".") or None
    where = f" ({field})" if field else ""
    return Refusal(BAD_INPUT, f"The request cannot be used{where}: {text}.", field)
