"""Pages of other origins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman.server.cors import CorsPolicy
from dragoman.server.http import Cors

Start = Callable[..., Awaitable[Any]]
PAGE = "https://page.example"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

pytestmark = pytest.mark.requirement("KAI-71")


def cors(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


async def test_it_is_off_by_default(start_inside: Start) -> None:
    inside = await start_inside()
    answer = await inside.ask("GET", "/api/history", headers={"Origin": PAGE})
    preflight = await inside.ask("OPTIONS", "/api/chat", token=None, headers=PREFLIGHT)
    assert (answer.status, cors(answer.headers), cors(preflight.headers)) == (200, {}, {})


async def test_a_listed_origin_may_call(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": [PAGE]})
    answer = await inside.ask("GET", "/api/history", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "origin"
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert "x-vercel-ai-ui-message-stream" in answer.headers["access-control-expose-headers"]


async def test_a_preflight_names_methods_and_headers(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": [PAGE]})
    answer = await inside.ask("OPTIONS", "/api/chat", token=None, headers=PREFLIGHT)
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE"
    names = answer.headers["access-control-allow-headers"].split(", ")
    assert names == ["content-type", "authorization", "x-storageapi-token", "x-storageapi-url"]


def test_a_face_may_let_pages_send_headers_of_their_own() -> None:
    policy, wanted = CorsPolicy([PAGE]), "X-My-App, content-type,\tx-other, of_mine,, bad name;, bad/one"
    free, listed = Cors(headers=("content-type",), any_headers=True), Cors(headers=("content-type",))
    told = dict(policy.preflight(PAGE, free, wanted))[b"access-control-allow-headers"]
    assert told == b"content-type, x-my-app, x-other, of_mine"
    assert dict(policy.preflight(PAGE, listed, wanted))[b"access-control-allow-headers"] == b"content-type"


async def test_an_origin_that_is_not_listed_is_refused(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": [PAGE]})
    answer = await inside.ask("GET", "/api/history", headers={"Origin": "https://evil.example"})
    assert (answer.status, answer.json()["code"].partition(":")[0]) == (403, "forbidden")
    assert cors(answer.headers) == {}


async def test_the_servers_own_pages_are_always_welcome(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": [PAGE]})
    answer = await inside.ask("GET", "/api/history", headers={"Origin": "http://test.example"})
    assert (answer.status, cors(answer.headers)) == (200, {})


async def test_a_star_lets_everybody_in(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": ["*"]})
    answer = await inside.ask("GET", "/api/history", headers={"Origin": "https://any.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "vary" not in answer.headers


async def test_errors_carry_the_headers_too(start_inside: Start) -> None:
    inside = await start_inside(settings={"cors.origins": [PAGE]})
    answer = await inside.ask("GET", "/api/history", token=None, headers={"Origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, PAGE)
