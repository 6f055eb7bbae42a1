"""Relays of users, in FastAPI and Flask, and flows run through them without a key."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage, weather
from tests.noukai.web import ask

URL = "http://app.example/agent/execute"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def anyone(request: Any) -> None:
    """Everybody may."""


def mounted(stage: Stage, client: Any, slug: str, authorize: Any = anyone, **options: Any) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    place = {"org": "demo", "project": "basics", "slug": slug}
    stage.part("adapters.relay").mount_flow_relay(app, client=client, authorize=authorize, **place, **options)
    return app


@scenario.requirement("NOU-74", since="0.5", shells=("async",))
async def a_flow_runs_through_a_relay_in_fastapi(stage: Stage) -> None:
    http = stage.http
    async with stage.client() as client:
        for slug, options, output in (
            ("two-step", {"message": "hi"}, "HI!"),
            ("echo", {"messages": [{"role": "user", "content": "turn"}]}, "turn"),
            ("weather", {"message": "Bern", "tools": TOOLS, "tool_handler": weather}, "It is 20 in Bern"),
        ):
            transport = http.ASGITransport(mounted(stage, client, slug))
            async with http.AsyncClient(transport=transport, timeout=20.0) as caller:
                flow = stage.sdk.AsyncRelayFlow(URL, client=caller)
                assert (await flow.execute(**options)).output == output
        transport = http.ASGITransport(mounted(stage, client, "weather"))
        async with http.AsyncClient(transport=transport, timeout=20.0) as caller:
            paused = await stage.sdk.AsyncRelayFlow(URL, client=caller).execute("Ulm", tools=TOOLS)
            done = await paused.resume(tool_results=weather(paused.tool_calls))
            assert done.output == "It is 20 in Ulm"


@scenario.requirement("NOU-75", since="0.5", shells=("sync",))
async def a_flow_runs_through_a_relay_in_flask(stage: Stage) -> None:
    from flask import Flask

    http, relay = stage.http, stage.part("adapters.relay")
    async with stage.client() as client:
        for slug, options, output in (
            ("two-step", {"message": "hi"}, "HI!"),
            ("weather", {"message": "Bern", "tools": TOOLS, "tool_handler": weather}, "It is 20 in Bern"),
        ):
            app = Flask("relay")
            place = {"org": "demo", "project": "basics", "slug": slug}
            blueprint = relay.flow_relay_blueprint(
                client=client,
                **place,
                path="/agent/execute",
                authorize=lambda request: None,
                bounds=relay.RelayBounds(),
            )
            app.register_blueprint(blueprint)
            with http.Client(transport=http.WSGITransport(app=app), timeout=20.0) as caller:
                flow = stage.sdk.RelayFlow(URL, client=caller)
                assert (await asyncio.to_thread(flow.execute, **options)).output == output


@scenario.requirement("NOU-76", since="0.5", shells=("async",))
async def a_relay_bounds_asks_and_passes_errors_on(stage: Stage) -> None:
    from fastapi import HTTPException

    async def nobody(request: Any) -> None:
        raise HTTPException(status_code=403, detail="not you")

    async with stage.client() as client:
        small = mounted(stage, client, "echo", max_body_bytes=100, max_messages=1)
        turns = b'{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}'
        cases = [
            (small, b"x" * 101, 413, "BODY_TOO_LARGE"),
            (small, b"[1]", 400, "INVALID_JSON"),
            (small, turns, 413, "TOO_MANY_MESSAGES"),
            (mounted(stage, client, "echo", nobody), b"{}", 403, "not you"),
        ]
        for app, body, status, word in cases:
            got = await ask(app, "/agent/execute", "POST", body)
            assert (got.status, got.json()) == (status, {"detail": word})
        failed = await ask(mounted(stage, client, "broken"), "/agent/execute", "POST", b'{"message": "hi"}')
        assert (failed.status, failed.json()["detail"]["code"]) == (500, "STEP_FAILED")
        absent = await ask(mounted(stage, client, "echo"), "/agent/execute", "POST", b"{}", traceparent=TRACEPARENT)
        assert (absent.status, absent.json()["detail"]["code"]) == (400, "MISSING_MESSAGE")
        gone = await ask(mounted(stage, client, "versions", version=77), "/agent/execute", "POST", b'{"message": "x"}')
        assert (gone.status, gone.json()["detail"]["code"]) == (404, "FLOW_VERSION_NOT_FOUND")
