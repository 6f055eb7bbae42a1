"""The adapters: a scope around each request of a FastAPI, ASGI or Flask application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from flask import Flask, Response
from tests.noukai.flows import FlowServer
from tests.noukai.shells import Awaiting, Blocking, answer, refusal, scripted
from tests.noukai.web import Got, ask

from dragoman.core.errors import ConnectionFailed
from dragoman.noukai import current_session_id, trace
from dragoman.noukai.adapters.fastapi import NoukaiTraceMiddleware
from dragoman.noukai.adapters.flask import init_noukai_trace
from dragoman.transport.scripted import ScriptedIO

ECHO = "demo/basics/echo"


class Asgi:
    """A FastAPI application over a scripted server; `mode` is switched by tests."""

    name = "fastapi"

    def __init__(self, server: Any) -> None:
        self.mode = "same"
        self.client = Awaiting().client(server if isinstance(server, ScriptedIO) else ScriptedIO(server), max_retries=0)
        self.app = FastAPI()
        self.app.add_middleware(NoukaiTraceMiddleware, client=self.client)
        flow = self.client.flow(ECHO)

        @self.app.post("/grade")
        @trace
        async def grade(request: Request) -> dict[str, Any]:
            body = await request.json()
            if self.mode == "fewer":
                return {}
            result = await flow.execute(body["text"])
            if self.mode == "more":
                await flow.execute("again")
            return {"output": result.result, "session": result.session_id, "active": current_session_id()}

        @self.app.get("/stream")
        async def stream() -> StreamingResponse:
            async def pieces() -> AsyncIterator[str]:
                for step in ["a", "b"] if self.mode != "fewer" else ["a"]:
                    yield (await flow.execute(step)).result
                if self.mode == "large":
                    yield "x" * (1024 * 1024 + 1)

            return StreamingResponse(pieces())

    async def get(self, path: str, **headers: str) -> Got:
        return await ask(self.app, path, **headers)

    async def post(self, path: str, **headers: str) -> Got:
        return await ask(self.app, path, "POST", b'{"text": "hi"}', **headers)


class Wsgi:
    """A Flask application over a scripted server, with the same routes."""

    name = "flask"

    def __init__(self, server: Any) -> None:
        self.mode = "same"
        self.client = Blocking().client(server if isinstance(server, ScriptedIO) else ScriptedIO(server), max_retries=0)
        self.app = Flask(__name__)
        init_noukai_trace(self.app, client=self.client)
        flow = self.client.flow(ECHO)

        @self.app.post("/grade")
        @trace
        def grade() -> dict[str, Any]:
            if self.mode == "fewer":
                return {}
            result = flow.execute("hi")
            if self.mode == "more":
                flow.execute("again")
            return {"output": result.result, "session": result.session_id, "active": current_session_id()}

        @self.app.get("/stream")
        def stream() -> Response:
            def pieces() -> Iterator[str]:
                for step in ["a", "b"] if self.mode != "fewer" else ["a"]:
                    yield flow.execute(step).result
                if self.mode == "large":
                    yield "x" * (1024 * 1024 + 1)

            return Response(pieces())

    def _got(self, response: Any) -> Got:
        body = response.data
        response.close()
        return Got(response.status_code, list(response.headers), [body])

    async def get(self, path: str, **headers: str) -> Got:
        return self._got(self.app.test_client().get(path, headers=_named(headers)))

    async def post(self, path: str, **headers: str) -> Got:
        return self._got(self.app.test_client().post(path, json={"text": "hi"}, headers=_named(headers)))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


Site = Asgi | Wsgi


@pytest.fixture(params=[Asgi, Wsgi], ids=lambda site: site.name)
def make_site(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server() -> FlowServer:
    return FlowServer()


@pytest.mark.requirement("NOU-63", "NOU-66", "NOU-91")
async def test_a_request_is_captured_under_the_session_that_its_answer_names(
    make_site: Any, server: FlowServer
) -> None:
    site = make_site(server)
    got = await site.post("/grade")
    session = got.headers["x-noukai-session"]
    assert got.json() == {"output": "hi", "session": session, "active": session}
    assert server.requests[0].headers["x-session-id"] == session
    assert (await site.post("/grade")).headers["x-noukai-session"] != session
    assert current_session_id() is None


@pytest.mark.requirement("NOU-64", "NOU-66", "NOU-91")
@pytest.mark.usefixtures("replay_allowed")
async def test_a_request_is_replayed_without_any_live_call(make_site: Any, server: FlowServer) -> None:
    site = make_site(server)
    session = (await site.post("/grade")).headers["x-noukai-session"]
    again = await site.post("/grade", x_noukai_replay=session)
    assert again.status == 200
    assert again.json() == {"output": "hi", "session": session, "active": session}
    assert again.headers["x-noukai-session"] == session
    assert server.calls == {"execute": 1}
    assert current_session_id() is None


@pytest.mark.requirement("NOU-64", "NOU-66")
@pytest.mark.usefixtures("replay_allowed")
async def test_a_streamed_answer_is_captured_and_replayed(make_site: Any, server: FlowServer) -> None:
    site = make_site(server)
    got = await site.get("/stream")
    assert got.body == b"ab"
    again = await site.get("/stream", x_noukai_replay=got.headers["x-noukai-session"])
    assert (again.status, again.body) == (200, b"ab")
    assert server.calls == {"execute": 2}
    assert current_session_id() is None


@pytest.mark.requirement("NOU-63")
async def test_a_streamed_answer_is_passed_on_as_it_comes(server: FlowServer) -> None:
    assert [piece for piece in (await Asgi(server).get("/stream")).pieces if piece] == [b"a", b"b"]


@pytest.mark.requirement("NOU-91")
@pytest.mark.usefixtures("replay_allowed")
@pytest.mark.parametrize("path", ["/grade", "/stream"])
async def test_leftovers_become_the_answer(make_site: Any, server: FlowServer, path: str) -> None:
    site = make_site(server)
    method = site.post if path == "/grade" else site.get
    session = (await method(path)).headers["x-noukai-session"]
    site.mode = "fewer"
    got = await method(path, x_noukai_replay=session)
    assert (got.status, got.json()["error"]) == (500, "replay_error")
    assert "no call has used" in got.json()["message"]


@pytest.mark.requirement("NOU-91")
@pytest.mark.usefixtures("replay_allowed")
async def test_they_are_logged_where_the_answer_was_too_large_to_hold_back(
    make_site: Any, server: FlowServer, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(server)
    session = (await site.get("/stream")).headers["x-noukai-session"]
    server.sessions[session].append(server.sessions[session][0])
    server.runs["extra"] = {**server.runs["run-1"], "id": "extra", "index": 9}
    server.sessions[session].append("extra")
    site.mode = "large"
    got = await site.get("/stream", x_noukai_replay=session)
    assert (got.status, len(got.body)) == (200, 1024 * 1024 + 3)
    assert "no call has used" in caplog.text


@pytest.mark.requirement("NOU-65", "NOU-67")
@pytest.mark.usefixtures("replay_allowed")
async def test_a_miss_in_the_handler_becomes_the_answer(make_site: Any, server: FlowServer) -> None:
    site = make_site(server)
    session = (await site.post("/grade")).headers["x-noukai-session"]
    site.mode = "more"
    got = await site.post("/grade", x_noukai_replay=session)
    assert (got.status, got.json()["error"]) == (500, "replay_error")
    assert server.calls == {"execute": 1}


NO_SNAPSHOTS = {
    "sessionId": "s",
    "executions": [{"executionId": "r", "status": "completed", "snapshotsAvailable": False}],
}


@pytest.mark.requirement("NOU-65", "NOU-67")
@pytest.mark.usefixtures("replay_allowed")
@pytest.mark.parametrize(
    ("reply", "status", "word"),
    [
        (refusal(400, "X"), 400, "replay_invalid_session"),
        (refusal(403, "X"), 403, "replay_forbidden"),
        (refusal(404, "X"), 404, "replay_session_not_found"),
        (refusal(410, "X"), 410, "replay_session_expired"),
        (answer(NO_SNAPSHOTS), 409, "replay_no_snapshots"),
        (answer([]), 400, "replay_invalid_session"),
        (refusal(401, "X", "the key nk_secret is wrong"), 500, "replay_auth"),
        (refusal(503, "X"), 502, "replay_unavailable"),
        (ConnectionFailed("refused"), 502, "replay_unavailable"),
    ],
)
async def test_each_refusal_of_a_session_has_its_answer(make_site: Any, reply: Any, status: int, word: str) -> None:
    got = await make_site(scripted(reply)).post("/grade", x_noukai_replay="s")
    assert (got.status, got.json()["error"]) == (status, word)
    assert got.json()["message"]
    assert "nk_secret" not in got.json()["message"]
    assert got.headers["content-type"] == "application/json"


@pytest.mark.requirement("NOU-58", "NOU-63", "NOU-66")
async def test_a_header_from_outside_does_nothing_while_the_gate_is_shut(make_site: Any, server: FlowServer) -> None:
    got = await make_site(server).post("/grade", x_noukai_replay="0b1f")
    assert got.status == 200
    assert got.headers["x-noukai-session"] != "0b1f"
    assert server.calls == {"execute": 1}


@pytest.mark.requirement("NOU-63")
async def test_other_kinds_of_connections_pass() -> None:
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    middleware = NoukaiTraceMiddleware(inner, client=Awaiting().client(scripted()))
    await middleware({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # never called
    assert seen == ["lifespan"]


@pytest.mark.requirement("NOU-63", "NOU-66")
async def test_an_error_of_the_application_is_its_own(make_site: Any, server: FlowServer) -> None:
    site = make_site(server)

    def fails() -> None:
        raise KeyError("mine")

    if make_site is Asgi:
        site.app.get("/fails")(fails)
        with pytest.raises(KeyError):
            await site.get("/fails")
    else:
        site.app.get("/fails")(fails)
        assert (await site.get("/fails")).status == 500
    assert current_session_id() is None


@pytest.mark.requirement("NOU-67")
def test_an_old_style_wsgi_application_works_too() -> None:
    class App:
        """Starts its answer only when it is iterated, and writes."""

        def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            write = start_response("200 OK", [("X-Own", "1")])
            write(b"one ")
            yield b"two"

        def register_error_handler(self, kind: type[Exception], handler: Any) -> None:
            pass

    app = App()
    init_noukai_trace(app, client=Blocking().client(scripted()))
    told: list[Any] = []
    body = app.wsgi_app({}, lambda status, headers: told.append((status, dict(headers))))
    assert b"".join(body) == b"one two"
    assert told[0][0] == "200 OK"
    assert {"X-Own", "X-Noukai-Session"} == set(told[0][1])
    assert current_session_id() is None
