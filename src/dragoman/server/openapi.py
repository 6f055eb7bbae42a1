"""The OpenAPI 3.1 document of a face, made from its route table and its pydantic models.

Knows nothing of the operations it describes but what `Operation` says, so document and routes
cannot drift apart: both are made from the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dragoman.server.http import Route

_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter; `schema` is its JSON Schema."""

    name: str
    schema: dict[str, Any]
    description: str
    source: str = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """A route and what the document says of it.

    `answers` maps a status to the model of its JSON body (None: no body); `streams` says that the
    answer is an event stream when the client accepts one.
    """

    route: Route
    id: str
    summary: str
    answers: dict[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    query: tuple[Query, ...] = ()
    errors: tuple[int, ...] = ()
    streams: bool = False


def document(
    operations: Iterable[Operation], *, title: str, version: str, error: type[BaseModel], prefix: str, cookie: str
) -> dict[str, Any]:
    """The whole document. Paths are given without `prefix`, which becomes the server's URL; `cookie` signs browsers in."""
    listed = list(operations)
    models: set[type[BaseModel]] = {error}
    for operation in listed:
        models |= {model for model in (operation.body, *operation.answers.values()) if model is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    references, definitions = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[type[BaseModel], Any] = {model: references[(model, "validation")] for model in ordered}
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        path = operation.route.path.removeprefix(prefix) or "/"
        paths.setdefault(path, {})[operation.route.method.lower()] = _operation(operation, path, schemas, error)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": prefix or "/"}],
        "security": [{"bearer": []}, {"browser": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "browser": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
        },
    }


def _operation(
    operation: Operation, path: str, schemas: dict[type[BaseModel], Any], error: type[BaseModel]
) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if operation.route.auth == "none":
        made["security"] = []
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _NAME.findall(path)
    ]
    parameters += [
        {"name": query.name, "in": query.source, "schema": query.schema, "description": query.description}
        for query in operation.query
    ]
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[operation.body]}}}
    responses: dict[str, Any] = {}
    for status, model in operation.answers.items():
        content = {} if model is None else {"application/json": {"schema": schemas[model]}}
        if operation.streams and status == 200:
            content["text/event-stream"] = {"schema": {"type": "string"}}
        responses[str(status)] = {
            "description": _REASONS.get(status, "Success"),
            **({"content": content} if content else {}),
        }
    unauthorized = () if operation.route.auth == "none" else (401,)
    for status in sorted({*operation.errors, *unauthorized}):
        responses[str(status)] = {
            "description": _REASONS.get(status, "Error"),
            "content": {"application/json": {"schema": schemas[error]}},
        }
    made["responses"] = responses
    return made


_REASONS = {
    200: "Success",
    201: "Started",
    204: "Nothing more to send",
    400: "The request is not valid",
    401: "Credentials are missing or not valid",
    402: "No credits are left",
    403: "Visible, but not the caller's to change",
    404: "No such thing, or none that the caller may know of",
    409: "It contradicts what is stored or under way",
    410: "It was there and has expired",
    413: "The body is too large",
    429: "Too much; see Retry-After",
    503: "Not now; see Retry-After",
}
