"""The OpenAPI document of the node's API, made from the routes."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

import msgspec

from morphware.node.api.answers.plain import PREFIX, Nothing, Problem
from morphware.node.api.problems import JSON, KINDS
from morphware.node.api.routes import PATH_WORDS, Door, Route
from morphware.node.drafts.receiving import FIELDS

REFERENCE: Final = "#/components/schemas/{name}"


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """OpenAPI 3.1, for the routes that a program with the token may ask."""
    shown = [route for route in routes if route.door is Door.BOTH]
    kinds: list[Any] = [Problem]
    for route in shown:
        kinds += [kind for kind in (route.body, route.answer, route.query) if isinstance(kind, type)]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(unique, ref_template=REFERENCE)
    by_kind = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, by_kind, components)
    asked = {route.query.__name__ for route in shown}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Morphware node",
            "version": version("morphware"),
            "description": "Everything that a node can be asked. Amounts are decimal strings of wei (10^18 are one "
            "token), times are seconds since the epoch.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in asked},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, by_kind: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    content = (
        {route.answer: {"schema": {"type": "string"}}}
        if isinstance(route.answer, str)
        else {JSON: {"schema": by_kind[route.answer]}}
    )
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.sentence,
        "parameters": [*map(_path_parameter, route.parameters), *_query_parameters(route, by_kind, components)],
        "responses": {
            "200": {"description": route.sentence, "content": content},
            "default": {
                "description": "Problems: " + "; ".join(f"{kind.status} {kind.name}" for kind in KINDS),
                "content": {JSON: {"schema": by_kind[Problem]}},
            },
        },
    }
    if isinstance(route.body, str):
        upload = {"type": "string", "format": "binary"}
        properties = {name: {"type": "array", "items": upload} for name in FIELDS}
        operation["requestBody"] = {
            "required": True,
            "content": {route.body: {"schema": {"type": "object", "properties": properties, "required": ["program"]}}},
        }
    elif route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": by_kind[route.body]}}}
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": PATH_WORDS[name].pattern}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route, by_kind: dict[Any, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    schema = components[by_kind[route.query]["$ref"].rpartition("/")[2]]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", []),
            "schema": _without_null(each),
            "description": each.get("description", ""),
        }
        for name, each in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: it leaves the parameter out."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    plain = choices[0] if len(choices) == 1 else schema
    return {key: value for key, value in plain.items() if not (key == "default" and value is None)}
