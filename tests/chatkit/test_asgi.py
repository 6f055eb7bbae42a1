"""The ASGI application: routes, credentials, CORS, heartbeats, clients that leave or stall. And within other frameworks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.chatkit.asgi_calls import Call, call
from tests.chatkit.asking import Stepwise, frames, turn
from tests.chatkit.scripted import Scripted, envelope, nothing, said
from tests.chatkit.sockets import served

from dragoman.chatkit.asgi import ChatKitRequest, JSONResponse, StreamingResponse, chatkit_app, fastapi_router
from dragoman.chatkit.client import ChatKitClient
from dragoman.core.errors import Conflict, Unauthorized

CREATE = envelope("threads.create", input=said("hello"))
LIST = envelope("threads.list")
PAGE = "https://page.example"


def whose(request: ChatKitRequest) -> Any:
    return {"user_id": request.bearer} if request.bearer else None


ANN = {"authorization": "Bearer ann"}


# ---------------------------------------------------------------------------------------- routes


@pytest.mark.requirement("CHK-29", "CHK-35")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/chatkit", 200),
        ("POST", "/chatkit/", 200),
        ("POST", "/", 200),
        ("GET", "/chatkit", 405),
        ("DELETE", "/chatkit/files/x", 405),
        ("GET", "/chatkit/files/x", 501),
        ("HEAD", "/chatkit/files/x", 501),
        ("PUT", "/chatkit/files/x", 501),
        ("POST", "/chatkit/files/x", 501),
        ("POST", "/chatkit/upload", 501),
        ("GET", "/chatkit/upload", 405),
        ("GET", "/chatkit/feedback", 404),
        ("GET", "/chatkit/files/x/y", 404),
        ("POST", "/elsewhere", 404),
        ("POST", "/chatkitten", 404),
    ],
)
async def test_each_path_answers_as_it_should(method: str, path: str, status: int) -> None:
    answer = await call(chatkit_app(Scripted(nothing)), method, path, LIST)
    assert answer.status == status
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-length") == str(len(answer.body))
    assert set(answer.json()) == ({"data", "has_more"} if status == 200 else {"error"})


@pytest.mark.requirement("CHK-35")
async def test_it_may_be_mounted_below_any_path() -> None:
    app = Starlette(routes=[Mount("/help", app=chatkit_app(Scripted(nothing), path="/talk"))])
    assert (await call(app, "POST", "/help/talk", LIST)).status == 200
    assert (await call(app, "POST", "/help/", LIST)).status == 200
    assert (await call(app, "POST", "/help/chatkit", LIST)).status == 404


@pytest.mark.requirement("CHK-30", "CHK-35")
async def test_who_is_nobody_is_refused() -> None:
    async def strict(request: ChatKitRequest) -> Any:
        if request.bearer != "ann":
            raise Unauthorized("Who are you?")
        return {"user_id": "ann"}

    for context in (whose, strict):
        app = chatkit_app(Scripted(nothing), context)
        for headers in ({}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer "}):
            refused = await call(app, "POST", "/chatkit", LIST, headers)
            assert (refused.status, refused.json()["error"]["code"]) == (401, "unauthorized")
        assert (await call(app, "POST", "/chatkit", LIST, ANN)).status == 200


@pytest.mark.requirement("CHK-35")
async def test_the_context_sees_the_request_and_its_metadata() -> None:
    seen: list[Any] = []

    def context(request: ChatKitRequest) -> Any:
        seen.append((request.headers.get("X-Page"), request.query.get("a"), dict(request.metadata), request.path))
        return {}

    app = chatkit_app(Scripted(nothing), context)
    body = b'{"type": "threads.list", "params": {}, "metadata": {"page": 7}}'
    await call(app, "POST", "/chatkit", body, {"x-page": "start"}, query="a=1&a=2")
    for unreadable in (b"", b"no json", b"[1]", b'{"metadata": 7}'):
        assert (await call(app, "POST", "/chatkit", unreadable)).status == 422
    assert seen[0] == ("start", ["1", "2"], {"page": 7}, "/chatkit")
    assert [one[2] for one in seen[1:]] == [{}] * 4


@pytest.mark.requirement("CHK-29", "CHK-35")
async def test_a_context_that_fails_tells_nothing() -> None:
    def context(request: ChatKitRequest) -> Any:
        raise ZeroDivisionError("secret")

    answer = await call(chatkit_app(Scripted(nothing), context, cors=["*"]), "POST", "/chatkit", LIST, {"origin": PAGE})
    assert (answer.status, answer.json()["error"]["code"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert answer.header("access-control-allow-origin") == "*"


@pytest.mark.requirement("CHK-11", "CHK-35")
async def test_feedback_is_for_administrators() -> None:
    async def is_admin(context: Any) -> bool:
        return bool(context["user_id"] == "root")

    app = chatkit_app(Scripted(nothing), whose, is_admin=is_admin)
    assert (await call(app, "GET", "/chatkit/feedback", b"", ANN)).status == 404
    assert (await call(app, "GET", "/chatkit/feedback")).status == 401
    read = await call(app, "GET", "/chatkit/feedback", b"", {"authorization": "Bearer root"}, query="thread_id=thr_1")
    assert (read.status, read.json()) == (200, {"data": []})


@pytest.mark.requirement("CHK-29")
async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    app = chatkit_app(Scripted(nothing), max_body=100, max_transcribe_body=100)
    told = await call(app, "POST", "/chatkit", b"x", {"content-length": "101"})
    assert told.status == 413
    streamed = await call(app, "POST", "/chatkit", [b"x" * 60, b"x" * 60])
    assert streamed.status == 413
    cut = await call(app, "POST", "/chatkit", b"x", cut=True)
    assert cut.status == 400


@pytest.mark.requirement("CHK-35")
async def test_the_lifespan_ends_what_is_under_way() -> None:
    server = Stepwise()
    app = chatkit_app(server)
    one = await Call(app, "POST", "/chatkit", CREATE).until(b"text_delta")
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: list[str] = []

    async def send(message: Any) -> None:
        answers.append(message["type"])

    lifespan = asyncio.ensure_future(app({"type": "lifespan"}, told.get, send))
    told.put_nowait({"type": "lifespan.startup"})
    told.put_nowait({"type": "lifespan.shutdown"})
    await asyncio.wait_for(lifespan, 5)
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    await one.whole()
    assert one.ended
    assert app.endpoint.is_idle
    with pytest.raises(RuntimeError):
        await app({"type": "websocket"}, told.get, send)


# ------------------------------------------------------------------------------------------ CORS


@pytest.mark.requirement("CHK-31")
async def test_a_preflight_passes_for_whatever_headers_the_page_adds() -> None:
    app = chatkit_app(Scripted(nothing), whose, cors=[PAGE + "/"])
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-tenant",
    }
    for path in ("/chatkit", "/chatkit/upload", "/chatkit/files/x"):
        answer = await call(app, "OPTIONS", path, b"", asked)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("access-control-allow-origin") == PAGE
        assert answer.header("access-control-allow-headers") == "authorization,content-type,x-tenant"
        assert "PUT" in (answer.header("access-control-allow-methods") or "")
        assert answer.header("vary") == "origin"
    foreign = await call(app, "OPTIONS", "/chatkit", b"", {**asked, "origin": "https://evil.example"})
    assert foreign.header("access-control-allow-origin") is None


@pytest.mark.requirement("CHK-31")
@pytest.mark.parametrize(("cors", "allowed", "credentials"), [([PAGE], PAGE, "true"), (["*"], "*", None)])
async def test_answers_and_errors_may_be_read_by_the_page(
    cors: list[str], allowed: str, credentials: str | None
) -> None:
    app = chatkit_app(Scripted(nothing), whose, cors=cors)
    for path, body, headers, status in [
        ("/chatkit", CREATE, ANN, 200),
        ("/chatkit", LIST, ANN, 200),
        ("/chatkit", LIST, {}, 401),
        ("/chatkit", b"x", ANN, 422),
        ("/elsewhere", b"x", ANN, 404),
        ("/chatkit/files/x", b"", {}, 501),
    ]:
        answer = await call(app, "POST", path, body, {"origin": PAGE, **headers})
        assert answer.status == status, path
        assert answer.header("access-control-allow-origin") == allowed
        assert answer.header("access-control-allow-credentials") == credentials
        assert "x-dragoman-run" in (answer.header("access-control-expose-headers") or "")


@pytest.mark.requirement("CHK-31")
async def test_without_cors_nothing_is_said_of_it() -> None:
    answer = await call(chatkit_app(Scripted(nothing)), "POST", "/chatkit", LIST, {"origin": PAGE})
    assert not [name for name, _ in answer.headers if name.startswith("access-control") or name == "vary"]


# --------------------------------------------------------------------------------------- streams


@pytest.mark.requirement("CHK-31")
async def test_a_stream_is_never_compressed_and_leaves_at_once() -> None:
    server = Stepwise()
    one = Call(chatkit_app(server), "POST", "/chatkit", CREATE, {"accept-encoding": "gzip, br"})
    await one.until(b"text_delta")
    assert one.header("content-encoding") is None
    assert one.header("content-length") is None
    assert one.header("cache-control") == "no-cache, no-transform"
    assert one.header("x-accel-buffering") == "no"
    assert not one.ended
    server.go.set()
    await one.whole()
    assert [event["type"] for event in frames(one.body)][-1] == "thread.item.done"


@pytest.mark.requirement("CHK-31")
async def test_silence_is_filled_with_comments() -> None:
    server = Stepwise()
    one = Call(chatkit_app(server, heartbeat=0.01), "POST", "/chatkit", CREATE)
    await one.until(b"text_delta")
    await one.until(b"\n\n: ping\n\n: ping\n\n")
    server.go.set()
    await one.whole()
    told = frames(one.body)
    assert [event["type"] for event in told][-1] == "thread.item.done"
    assert one.sent.count(b": ping\n\n") >= 2


@pytest.mark.requirement("CHK-31")
async def test_a_heartbeat_of_zero_is_none() -> None:
    server = Stepwise()
    one = Call(chatkit_app(server, heartbeat=0, stall=0.01), "POST", "/chatkit", CREATE)
    await one.until(b"text_delta")
    for _ in range(3):
        await asyncio.wait((one.task,), timeout=0.01)
    assert not one.task.done()
    server.go.set()
    assert b": ping" not in (await one.whole()).body


@pytest.mark.requirement("CHK-19", "CHK-37")
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_client_that_leaves_ends_or_frees_the_answer(goes_on: bool) -> None:
    server = Stepwise(allow_cancel=not goes_on)
    app = chatkit_app(server)
    one = await Call(app, "POST", "/chatkit", CREATE).until(b"text_delta")
    one.left.set()
    await one.whole()
    assert not one.ended
    assert app.endpoint.is_idle is not goes_on
    server.go.set()
    await turn()
    assert (app.endpoint.is_idle, server.answered) == (True, int(goes_on))


@pytest.mark.requirement("CHK-19", "CHK-37")
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_client_that_stops_to_read_counts_as_gone(goes_on: bool) -> None:
    server = Stepwise(allow_cancel=not goes_on)
    app = chatkit_app(server, stall=0.02)
    one = await Call(app, "POST", "/chatkit", CREATE).until(b"text_delta")
    one.reads.clear()
    server.go.set()
    await one.whole()
    await turn()
    assert app.endpoint.is_idle
    thread = frames(one.body)[0]["thread"]["id"]
    stored = await server.store.load_thread_items(thread, None, 10, "asc", {})
    assert len(stored.data) >= 2


@pytest.mark.requirement("CHK-19", "CHK-37")
async def test_a_server_that_says_by_an_error_that_the_client_has_gone_is_understood() -> None:
    server = Stepwise(allow_cancel=False)
    app = chatkit_app(server)
    one = await Call(app, "POST", "/chatkit", CREATE).until(b"text_delta")

    async def broken() -> bool:
        raise ConnectionResetError

    one.reads.wait = broken  # type: ignore[method-assign,assignment]  # the next send fails
    server.go.set()
    await one.whole()
    await turn()
    assert (app.endpoint.is_idle, server.answered) == (True, 1)


# --------------------------------------------------------------------------------------- FastAPI


async def user(authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    if not authorization.startswith("Bearer "):
        raise HTTPException(401, "Who are you?")
    return {"user_id": authorization[7:]}


async def admin(context: Annotated[dict[str, str], Depends(user)]) -> None:
    if context["user_id"] != "root":
        raise HTTPException(403, "not for you")


def fastapi_app(server: Any, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(fastapi_router(server, user, is_admin=admin, **options), prefix="/help")
    return app


@pytest.mark.requirement("CHK-35")
async def test_the_router_serves_all_routes_within_fastapi() -> None:
    app = fastapi_app(Scripted(nothing), direct_upload=True, cors=[PAGE])
    made = await call(app, "POST", "/help/chatkit", CREATE, {**ANN, "origin": PAGE})
    assert (made.status, made.header("access-control-allow-origin")) == (200, PAGE)
    assert frames(made.body)[0]["type"] == "thread.created"
    listed = await call(app, "POST", "/help/chatkit", LIST, ANN)
    assert len(listed.json()["data"]) == 1
    other = await call(app, "POST", "/help/chatkit", LIST, {"authorization": "Bearer ben"})
    assert other.json()["data"] == []
    for method, path, body, headers, status in [
        ("POST", "/help/chatkit", LIST, {}, 401),
        ("POST", "/help/chatkit", b"x", ANN, 422),
        ("GET", "/help/chatkit", b"", ANN, 405),
        ("PUT", "/help/chatkit/files/x", b"", {}, 501),
        ("GET", "/help/chatkit/files/x", b"", {}, 501),
        ("POST", "/help/chatkit/upload", b"", ANN, 501),
        ("POST", "/help/chatkit/upload", b"", {}, 401),
        ("GET", "/help/chatkit/feedback", b"", ANN, 403),
        ("GET", "/help/chatkit/feedback", b"", {"authorization": "Bearer root"}, 200),
        ("OPTIONS", "/help/chatkit", b"", {"origin": PAGE, "access-control-request-method": "POST"}, 204),
    ]:
        assert (await call(app, method, path, body, headers)).status == status, (method, path)


@pytest.mark.requirement("CHK-29", "CHK-35")
async def test_the_router_has_limits_and_needs_no_context() -> None:
    app = FastAPI()
    app.include_router(fastapi_router(Scripted(nothing), max_body=100, max_transcribe_body=100))
    assert (await call(app, "POST", "/chatkit", b"x" * 101)).status == 413
    assert (await call(app, "POST", "/chatkit", b"x", {"content-length": "200"})).status == 413
    assert (await call(app, "POST", "/chatkit", LIST)).status == 200
    assert (await call(app, "GET", "/chatkit/feedback")).status == 404


@pytest.mark.requirement("CHK-35")
@pytest.mark.parametrize("has_own_lifespan", [True, False])
async def test_the_routers_answers_end_with_the_application(has_own_lifespan: bool) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        yield
        seen.append("closed")

    server = Stepwise(allow_cancel=False)
    app = FastAPI(lifespan=own) if has_own_lifespan else FastAPI()
    app.include_router(fastapi_router(server, lambda: "ann"))
    async with app.router.lifespan_context(app):
        one = await Call(app, "POST", "/chatkit", CREATE).until(b"text_delta")
        assert not one.ended
    await one.whole()
    assert (one.ended, server.answered) == (True, 0)
    assert len(seen) == int(has_own_lifespan)


@pytest.mark.requirement("CHK-35", "CHK-41")
async def test_the_router_works_behind_a_real_server() -> None:
    server = Stepwise()
    async with (
        served(fastapi_app(server)) as url,
        ChatKitClient(f"{url}/help/chatkit", "ann", stream_timeout=10) as client,
    ):
        stream = client.create("hello")
        await anext(stream)
        with pytest.raises(Conflict):
            _ = [event async for event in client.send(stream.thread_id or "", "more")]
        server.go.set()
        rest = [event.type async for event in stream]
        assert rest[-1] == "thread.item.done"


# ------------------------------------------------------------------------------ response classes


async def _events(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


@pytest.mark.requirement("CHK-35")
async def test_bytes_are_json_that_is_encoded_already() -> None:
    assert (await call(JSONResponse(b'{"a":1}'), "GET", "/")).json() == {"a": 1}
    assert (await call(JSONResponse({"a": 1}, status_code=201), "GET", "/")).status == 201


@pytest.mark.requirement("CHK-31", "CHK-35")
async def test_a_streaming_response_has_the_headers_of_event_streams_unless_given() -> None:
    response = StreamingResponse(_events(b"data: 1\n\n", b"data: 2\n\n"), headers={"cache-control": "no-store"})
    answer = await call(response, "GET", "/")
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert (answer.header("cache-control"), answer.header("x-accel-buffering")) == ("no-store", "no")
    assert answer.body == b"data: 1\n\ndata: 2\n\n"
    assert answer.sent[0] == answer.body


@pytest.mark.requirement("CHK-35")
async def test_other_content_goes_out_as_starlette_does_it() -> None:
    plain = await call(StreamingResponse(iter([b"a", b"b"]), media_type="text/plain"), "GET", "/")
    assert (plain.body, plain.header("x-accel-buffering")) == (b"ab", None)


@pytest.mark.requirement("CHK-19", "CHK-35")
async def test_a_streaming_response_closes_its_generator_when_the_client_leaves() -> None:
    ended = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    one = await Call(StreamingResponse(events()), "GET", "/").until(b"data: 1")
    one.left.set()
    await one.whole()
    assert ended.is_set()


@pytest.mark.requirement("CHK-29", "CHK-35")
async def test_what_fails_before_the_first_event_is_the_frameworks_to_answer() -> None:
    async def events() -> AsyncIterator[bytes]:
        raise ZeroDivisionError
        yield b""

    with pytest.raises(ZeroDivisionError):
        await call(StreamingResponse(events()), "GET", "/")

    async def later() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        raise ZeroDivisionError

    told = frames((await call(StreamingResponse(later()), "GET", "/")).body)
    assert [event.get("code") for event in told] == [None, "stream.error"]
