"""The OpenAPI document of the own face is complete and sound."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from dragoman.server import own
from dragoman.server.own import models as own_models
from dragoman.server.own.handlers import OwnFace

Start = Callable[..., Awaitable[Any]]
HTTP = {"get", "post", "put", "patch", "delete"}


async def described(start_inside: Start) -> tuple[dict[str, Any], Any]:
    inside = await start_inside()
    answer = await inside.ask("GET", "/dragoman/v1/openapi.json", token=None)
    document: dict[str, Any] = answer.json()
    return document, inside


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_the_document_has_what_the_standard_asks_for(start_inside: Start) -> None:
    document, _ = await described(start_inside)
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert {"title", "version"} <= set(document["info"])
    assert document["servers"] == [{"url": "/dragoman/v1"}]
    ids = []
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert set(item) <= HTTP
        for operation in item.values():
            ids.append(operation["operationId"])
            assert operation["responses"]
            assert all(re.fullmatch(r"[1-5]\d\d", code) for code in operation["responses"])
            assert all("description" in response for response in operation["responses"].values())
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert all(
                p["in"] in ("path", "query", "header") and "schema" in p for p in operation.get("parameters", [])
            )
    assert len(ids) == len(set(ids))


async def test_every_reference_leads_somewhere(start_inside: Start) -> None:
    document, _ = await described(start_inside)
    found = set(references(document))
    assert found
    for reference in found:
        here: Any = document
        for key in reference.removeprefix("#/").split("/"):
            here = here[key]


async def test_document_and_routes_say_the_same(start_inside: Start) -> None:
    document, inside = await described(start_inside)
    shown = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    table = own.operations(OwnFace(inside.services))
    assert shown == {(entry.route.method, entry.route.path.removeprefix("/dragoman/v1")) for entry in table}


async def test_every_model_that_goes_out_refuses_what_it_does_not_describe(start_inside: Start) -> None:
    document, _ = await described(start_inside)
    schemas = document["components"]["schemas"]
    for name in ("RunOut", "ThreadOut", "ItemOut", "AgentOut", "ErrorOut"):
        assert schemas[name]["additionalProperties"] is False
        assert getattr(own_models, name).model_config["extra"] == "forbid"
