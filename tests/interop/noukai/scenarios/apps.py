"""Applications of users, in FastAPI and Flask, with the adapters of their package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.scenarios.recording import EXPIRED
from tests.interop.noukai.stage import Stage, fresh
from tests.noukai.web import Got, ask


def fastapi_app(stage: Stage, client: Any) -> Any:
    """`/grade` runs a flow twice, `/once` once, `/stream` sends the outputs of steps as they come."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()
    app.add_middleware(stage.part("adapters.fastapi").NoukaiTraceMiddleware, client=client)
    flow = client.flow("demo/basics/two-step")

    @app.get("/once")
    async def once(text: str) -> dict[str, Any]:
        return {"output": (await flow.execute(text)).output}

    @app.get("/grade")
    async def grade(text: str) -> dict[str, Any]:
        return {"outputs": [(await flow.execute(text)).output, (await flow.execute(text[::-1])).output]}

    @app.get("/private")
    async def private(text: str) -> dict[str, Any]:
        return {"output": (await client.flow("demo/basics/private").execute(text)).output}

    @app.get("/stream")
    async def stream(text: str) -> StreamingResponse:
        async def outputs() -> AsyncIterator[str]:
            async for event in flow.events(text):
                if event.event_type == "step_completed":
                    yield f"{event.output}\n"

        return StreamingResponse(outputs())

    return app


def flask_app(stage: Stage, client: Any) -> Any:
    from flask import Flask

    app = Flask("grading")
    stage.part("adapters.flask").init_noukai_trace(app, client=client)
    flow = client.flow("demo/basics/two-step")

    @app.get("/once/<text>")
    def once(text: str) -> dict[str, Any]:
        return {"output": flow.execute(text).output}

    @app.get("/grade/<text>")
    def grade(text: str) -> dict[str, Any]:
        return {"outputs": [flow.execute(text).output, flow.execute(text[::-1]).output]}

    @app.get("/private/<text>")
    def private(text: str) -> dict[str, Any]:
        return {"output": client.flow("demo/basics/private").execute(text).output}

    return app


async def asked(app: Any, path: str, text: str, **headers: str) -> Got:
    """One request to a FastAPI application; the query is what FastAPI reads from the scope."""

    async def with_query(scope: dict[str, Any], receive: Any, send: Any) -> None:
        whole = [await receive()]

        async def patient() -> Any:
            if not whole:
                await asyncio.Event().wait()  # the caller stays until it has its answer
            return whole.pop()

        await app({**scope, "query_string": f"text={text}".encode()}, patient, send)

    return await ask(with_query, path, **headers)


@scenario.requirement("NOU-63", shells=("async",))
async def a_fastapi_application_records_a_session_for_each_request(stage: Stage) -> None:
    async with stage.client() as client:
        app = fastapi_app(stage, client)
        got, other = await asked(app, "/grade", "ab"), await asked(app, "/grade", "cd")
    assert got.json() == {"outputs": ["AB!", "BA!"]}
    session_id = got.headers["x-noukai-session"]
    assert session_id != other.headers["x-noukai-session"]
    found = (await stage.session(session_id))["executions"]
    assert [each["steps"][-1]["outputSnapshot"] for each in found] == ["AB!", "BA!"]


@scenario.requirement("NOU-64", shells=("async",))
async def a_fastapi_application_replays_a_session_streams_too(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        app = fastapi_app(stage, client)
        for path in ("/grade", "/stream"):
            first = await asked(app, path, "ab")
            session_id = first.headers["x-noukai-session"]
            told.clear()
            again = await asked(app, path, "edited", x_noukai_replay=session_id)
            assert again.status == 200
            assert again.body == first.body
            assert again.headers["x-noukai-session"] == session_id
            assert [each["method"] for each in told if each["phase"] == "request"] == ["GET"]


@scenario.requirement("NOU-65", shells=("async",))
async def a_fastapi_application_tells_why_it_cannot_replay(stage: Stage) -> None:
    async with stage.client() as client, stage.client(key="nk_other") as other:
        app = fastapi_app(stage, client)
        recorded = (await asked(app, "/once", "ab")).headers["x-noukai-session"]
        private = (await asked(app, "/private", "ab")).headers["x-noukai-session"]
        cases = [
            (app, "no!session", 400, "replay_invalid_session"),
            (fastapi_app(stage, other), recorded, 403, "replay_forbidden"),
            (app, fresh(), 404, "replay_session_not_found"),
            (app, private, 409, "replay_no_snapshots"),
            (app, EXPIRED, 410, "replay_session_expired"),
        ]
        for asking, session_id, status, word in cases:
            got = await asked(asking, "/once", "ab", x_noukai_replay=session_id)
            assert (got.status, got.json()["error"]) == (status, word)
            assert got.json()["message"]
        missed = await asked(app, "/grade", "ab", x_noukai_replay=recorded)
        assert (missed.status, missed.json()["error"]) == (500, "replay_error")


@scenario.requirement("NOU-66", shells=("sync",))
async def a_flask_application_records_and_replays(stage: Stage) -> None:
    told: list[dict[str, Any]] = []
    async with stage.client(log_handler=told.append) as client:
        caller = flask_app(stage, client).test_client()
        first = await asyncio.to_thread(caller.get, "/grade/ab")
        assert first.json == {"outputs": ["AB!", "BA!"]}
        session_id = first.headers["X-Noukai-Session"]
        assert len((await stage.session(session_id))["executions"]) == 2
        told.clear()
        again = await asyncio.to_thread(caller.get, "/grade/zz", headers={"X-Noukai-Replay": session_id})
        assert again.json == first.json
        assert again.headers["X-Noukai-Session"] == session_id
        assert [each["method"] for each in told if each["phase"] == "request"] == ["GET"]


@scenario.requirement("NOU-67", shells=("sync",))
async def a_flask_application_tells_why_it_cannot_replay(stage: Stage) -> None:
    async with stage.client() as client, stage.client(key="nk_other") as other:
        caller, foreign = flask_app(stage, client).test_client(), flask_app(stage, other).test_client()
        recorded = (await asyncio.to_thread(caller.get, "/once/ab")).headers["X-Noukai-Session"]
        private = (await asyncio.to_thread(caller.get, "/private/ab")).headers["X-Noukai-Session"]
        cases = [
            (caller, "no!session", 400, "replay_invalid_session"),
            (foreign, recorded, 403, "replay_forbidden"),
            (caller, fresh(), 404, "replay_session_not_found"),
            (caller, private, 409, "replay_no_snapshots"),
            (caller, EXPIRED, 410, "replay_session_expired"),
        ]
        for asking, session_id, status, word in cases:
            got = await asyncio.to_thread(asking.get, "/once/ab", headers={"X-Noukai-Replay": session_id})
            assert got.json is not None
            assert (got.status_code, got.json["error"]) == (status, word)
