"""Relays on both frameworks, and the clients that go through them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from flask import Flask, abort
from tests.noukai.shells import COMPLETED, PAUSED, Awaiting, Blocking, answer, body_of, path_of, scripted
from tests.noukai.web import Got, ask

from dragoman.core.errors import ConnectionFailed, MissingExtra
from dragoman.noukai import (
    APIConnectionError,
    AsyncRelayFlow,
    InsufficientCreditsError,
    PausedResult,
    RelayExecuteTransport,
    RelayFlow,
    RelaySyncExecuteTransport,
    ToolCallLimitError,
)
from dragoman.noukai.adapters import relay
from dragoman.transport.scripted import ScriptedIO
from dragoman.wire.http import Headers, Response

PLACE = {"org": "acme", "project": "spelling", "slug": "grade-3"}
HI = b'{"message": "hi", "order": [2, 1]}'


async def by_fastapi(io: ScriptedIO, body: bytes, deny: bool = False, headers: Any = None, **options: Any) -> Got:
    async def authorize(request: Any) -> None:
        if deny:
            raise HTTPException(403, "not you")

    app = FastAPI()
    bounds = options.pop("bounds", relay.RelayBounds())
    relay.mount_flow_relay(
        app,
        client=Awaiting().client(io, max_retries=0),
        authorize=authorize,
        max_body_bytes=bounds.max_body_bytes,
        max_messages=bounds.max_messages,
        **PLACE,
        **options,
    )
    return await ask(app, options.get("path", relay.DEFAULT_RELAY_PATH), "POST", body, **(headers or {}))


async def by_flask(io: ScriptedIO, body: bytes, deny: bool = False, headers: Any = None, **options: Any) -> Got:
    def authorize(request: Any) -> None:
        if deny:
            abort(403)

    app = Flask(__name__)
    client = Blocking().client(io, max_retries=0)
    app.register_blueprint(relay.flow_relay_blueprint(client=client, authorize=authorize, **PLACE, **options))
    app.register_blueprint(
        relay.flow_relay_blueprint(client=client, authorize=authorize, **{**PLACE, "slug": "other"}, path="/other")
    )
    response = app.test_client().post(
        options.get("path", relay.DEFAULT_RELAY_PATH), data=body, headers=headers, content_type="application/json"
    )
    return Got(response.status_code, list(response.headers), [response.data])


RELAYS = pytest.mark.parametrize(
    "through",
    [
        pytest.param(by_fastapi, marks=pytest.mark.requirement("NOU-74")),
        pytest.param(by_flask, marks=pytest.mark.requirement("NOU-75")),
    ],
)
Through = Callable[..., Any]


@RELAYS
async def test_a_body_is_forwarded_with_the_key_and_the_answer_comes_back(through: Through) -> None:
    io = scripted(answer(COMPLETED))
    got = await through(io, HI, headers={"traceparent": "00-a-b-01", "cookie": "c=1", "authorization": "Bearer theirs"})
    assert (got.status, got.json()) == (200, COMPLETED)
    [request] = io.requests
    assert path_of(request) == "/seq/acme/spelling/grade-3/execute"
    assert request.headers["authorization"] == "Bearer nk_test"
    assert request.headers["traceparent"] == "00-a-b-01"
    assert "cookie" not in request.headers
    assert body_of(io) == {"message": "hi", "order": [2, 1]}


@RELAYS
@pytest.mark.parametrize(("version", "segment"), [("production", ""), ("draft", "/v0"), (4, "/v4")])
async def test_a_relay_has_one_version(through: Through, version: Any, segment: str) -> None:
    io = scripted(answer(COMPLETED))
    await through(io, HI, version=version, path="/run")
    assert path_of(io.requests[0]) == f"/seq/acme/spelling/grade-3{segment}/execute"


@RELAYS
@pytest.mark.requirement("NOU-76")
@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b'{"message": "' + b"x" * 200 + b'"}', 413, "BODY_TOO_LARGE"),
        (b"{", 400, "INVALID_JSON"),
        (b"[1]", 400, "INVALID_JSON"),
        (b"\xff", 400, "INVALID_JSON"),
        (b"[" * 190, 400, "INVALID_JSON"),
        (b'{"messages": [1, 2, 3]}', 413, "TOO_MANY_MESSAGES"),
        (b'{"toolCallMessages": [1, 2, 3]}', 413, "TOO_MANY_MESSAGES"),
    ],
)
async def test_what_is_out_of_bounds_is_not_forwarded(through: Through, body: bytes, status: int, word: str) -> None:
    io = scripted()
    got = await through(io, body, deny=True, bounds=relay.RelayBounds(max_body_bytes=200, max_messages=2))
    assert (got.status, got.json()) == (status, {"detail": word})


@RELAYS
@pytest.mark.requirement("NOU-76")
async def test_authorize_refuses_by_raising(through: Through) -> None:
    io = scripted()
    assert (await through(io, HI, deny=True)).status == 403
    assert io.requests == []


@RELAYS
@pytest.mark.requirement("NOU-76")
@pytest.mark.parametrize("status", [400, 402, 429, 500])
async def test_errors_come_through_as_they_are(through: Through, status: int) -> None:
    body = {"detail": {"code": "X", "message": "m"}}
    io = scripted(answer(body, status))
    got = await through(io, HI)
    assert (got.status, got.json()) == (status, body)


@RELAYS
@pytest.mark.requirement("NOU-76")
async def test_an_upstream_that_is_gone_or_talks_no_json(through: Through) -> None:
    got = await through(scripted(ConnectionFailed("refused")), HI)
    assert (got.status, got.json()) == (502, {"detail": "UPSTREAM_UNAVAILABLE"})
    got = await through(scripted(Response(503, Headers({}), b"<html>")), HI)
    assert (got.status, got.json()) == (503, {"detail": "UPSTREAM_NON_JSON"})


@pytest.mark.requirement("NOU-74", "NOU-75")
@pytest.mark.parametrize("version", [True, -1, "newest"])
def test_a_version_that_is_none_is_refused_at_once(version: Any) -> None:
    options: dict[str, Any] = {"authorize": print, "version": version, **PLACE}
    with pytest.raises(ValueError, match="Invalid version"):
        relay.mount_flow_relay(FastAPI(), client=Awaiting().client(scripted()), **options)
    with pytest.raises(ValueError, match="Invalid version"):
        relay.flow_relay_blueprint(client=Blocking().client(scripted()), **options)


@pytest.mark.requirement("NOU-74", "NOU-75")
def test_a_missing_framework_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"authorize": print, **PLACE}
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(MissingExtra, match=r"dragoman\[fastapi\]"):
        relay.mount_flow_relay(object(), client=Awaiting().client(scripted()), **options)
    with pytest.raises(MissingExtra, match=r"dragoman\[flask\]"):
        relay.flow_relay_blueprint(client=Blocking().client(scripted()), **options)


# -------------------------------------------------------------------------------- clients of relays

URL = "https://app.example/agent/execute"


class AwaitingRelay:
    flow = AsyncRelayFlow

    async def call(self, result: Any) -> Any:
        return await result


class BlockingRelay:
    flow = RelayFlow

    async def call(self, result: Any) -> Any:
        return result


@pytest.fixture(
    params=[
        pytest.param(AwaitingRelay, marks=pytest.mark.requirement("NOU-74")),
        pytest.param(BlockingRelay, marks=pytest.mark.requirement("NOU-75")),
    ]
)
def caller(request: pytest.FixtureRequest) -> Any:
    return request.param()


def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "tool", "toolCallId": call["id"], "content": "20"} for call in calls]


async def test_a_flow_runs_through_a_relay_without_a_key(caller: Any) -> None:
    io = scripted(answer(PAUSED), answer(COMPLETED))
    flow = caller.flow(URL, io=io)
    result = await caller.call(
        flow.execute(messages=[{"role": "user", "content": "Bern"}], parameters={"a": 1}, tool_handler=handler)
    )
    assert (result.result, result.session_id) == ("HI!", None)
    assert {request.url for request in io.requests} == {URL}
    assert all("authorization" not in request.headers for request in io.requests)
    assert body_of(io, 0)["messages"] == [{"role": "user", "content": "Bern"}]
    assert body_of(io, 1)["toolCallMessages"][-1] == {"role": "tool", "toolCallId": "call_1", "content": "20"}


async def test_a_pause_behind_a_relay_is_resumed_by_hand(caller: Any) -> None:
    io = scripted(answer(PAUSED), answer(COMPLETED))
    paused = await caller.call(caller.flow(URL, io=io).execute("Bern", tools=[]))
    assert isinstance(paused, PausedResult)
    assert (await caller.call(paused.resume(tool_results=handler(paused.tool_calls)))).status == "completed"


async def test_errors_behind_a_relay_have_their_class_but_no_headers(caller: Any) -> None:
    io = scripted(answer({"detail": "INSUFFICIENT"}, 402, x_request_id="q"), ConnectionFailed("refused"))
    flow = caller.flow(URL, io=io, timeout=3.0)
    with pytest.raises(InsufficientCreditsError, match="INSUFFICIENT") as caught:
        await caller.call(flow.execute("x"))
    assert (caught.value.request_id, caught.value.retry_after) == (None, None)
    with pytest.raises(APIConnectionError):
        await caller.call(flow.execute("x"))
    assert io.requests[0].timeouts.read == 3.0


async def test_rounds_and_arguments_are_checked_as_without_a_relay(caller: Any) -> None:
    with pytest.raises(ToolCallLimitError, match="max_tool_rounds=10"):
        await caller.call(caller.flow(URL, io=scripted(*[answer(PAUSED)] * 11)).execute("x", tool_handler=handler))
    with pytest.raises(ValueError, match="not both"):
        await caller.call(caller.flow(URL, io=scripted()).execute("x", messages=[{"role": "user"}]))


@pytest.mark.requirement("NOU-75")
def test_the_blocking_relay_flow_refuses_async_handlers() -> None:
    async def later(calls: Any) -> Any:
        return calls

    with pytest.raises(TypeError, match="async tool_handler"):
        RelayFlow(URL, io=scripted()).execute("x", tool_handler=later)  # type: ignore[arg-type]  # the mistake


@pytest.mark.requirement("NOU-74", "NOU-75")
async def test_the_execute_transports_give_status_and_body() -> None:
    io = scripted(answer({"a": 1}, 418), answer({"a": 2}, 500))
    assert await RelayExecuteTransport(URL, io=io).send({"x": None}) == (418, {"a": 1})
    assert RelaySyncExecuteTransport(URL, io=io).send({"x": 1}) == (500, {"a": 2})
    assert json.loads(io.requests[0].body or b"") == {"x": None}
