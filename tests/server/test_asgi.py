"""The application's life: first start, first key, shutdown, restart, failures."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import dragoman.server
import dragoman.server.asgi as module
from dragoman.core.errors import UsageError
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.asgi import Application, asgi
from dragoman.wire.sse import SSEDecoder

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
STREAM = {"Accept": "text/event-stream"}
LONG = 10.0


async def life(application: Application, *messages: str) -> list[dict[str, Any]]:
    """What the application answers to these lifespan messages."""
    answers: list[dict[str, Any]] = []
    waiting = [{"type": f"lifespan.{message}"} for message in messages]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        answers.append(dict(message))

    await application({"type": "lifespan"}, receive, send)
    return answers


def test_the_documented_name_is_the_function() -> None:
    assert isinstance(dragoman.server.asgi(demo_app(), demo=True, data=":memory:"), Application)
    assert isinstance(module(demo_app(), demo=True, data=":memory:"), Application)


async def test_the_lifespan_starts_and_stops(tmp_path: Path) -> None:
    application = asgi(demo_app(), demo=True, data=tmp_path / "data")
    answers = await life(application, "startup", "shutdown")
    assert [answer["type"] for answer in answers] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert application.services is None
    assert (tmp_path / "data" / "dragoman.db").exists()


async def test_a_store_without_keys_gets_one_and_it_is_told_once(tmp_path: Path, start_inside: Start) -> None:
    told: list[str] = []
    options = {"demo": False, "data": tmp_path / "data", "announce": told.append}
    inside = await start_inside(App("acme", agents=demo_app().agents), **options)
    [text] = told
    token = text.split()[-1]
    me = (await inside.ask("GET", V1 + "/me", token=token)).json()
    assert (me["tenant"], me["user"], me["scopes"]) == ("acme", "admin", ["admin", "use"])
    await inside.application.stop()
    again = await start_inside(App("acme", agents=demo_app().agents), **options)
    assert told == [text]
    assert (await again.ask("GET", V1 + "/me", token=token)).status == 200


async def test_the_demo_gets_no_key(start_inside: Start) -> None:
    told: list[str] = []
    inside = await start_inside(announce=told.append)
    assert told == []
    assert not await inside.services.store.keys()


async def test_an_unknown_model_is_reported_by_the_lifespan(tmp_path: Path) -> None:
    app = App("acme", agents=[Agent("helper", model="nobody/nothing")])
    application = asgi(app, data=tmp_path / "data", announce=lambda text: None)
    [answer] = await life(application, "startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "nobody/nothing" in answer["message"]
    assert isinstance(application.failure, UsageError)
    again, _ = await life(asgi(demo_app(), demo=True, data=tmp_path / "data"), "startup", "shutdown")
    assert again["type"] == "lifespan.startup.complete"  # the failed start let go of the directory


async def test_a_directory_in_use_is_refused(tmp_path: Path, start_inside: Start) -> None:
    await start_inside(data=tmp_path / "data")
    [answer] = await life(asgi(demo_app(), demo=True, data=tmp_path / "data"), "startup")
    assert answer["type"] == "lifespan.startup.failed"


def test_an_app_without_agents_is_refused_at_once() -> None:
    with pytest.raises(
        UsageError, match=r"app 'acme' has neither agents nor flows, .*: App\('acme', agents=\[…\], flows=\[…\]\)"
    ):
        asgi(App("acme"), data=":memory:")


def test_an_unknown_face_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"no face 'kay'; known: kai, noukai, chatkit, openai, stackspot, own"):
        asgi(demo_app(), settings={"faces": ["kay"]})


async def test_faces_can_be_chosen(start_inside: Start) -> None:
    inside = await start_inside(settings={"faces": ["own"]})
    assert (await inside.ask("GET", V1 + "/me")).status == 200
    assert (await inside.ask("GET", "/ping")).status == 404
    assert (await inside.ask("GET", "/health/live")).status == 200


async def test_settings_of_the_app_count(start_inside: Start) -> None:
    app = demo_app()
    app.settings = {"limits": {"text": 5}}
    inside = await start_inside(app)
    answer = await inside.ask("POST", V1 + "/runs", {"message": {"text": "123456"}})
    assert answer.status == 400


async def test_streams_say_goodbye_and_the_run_goes_on_after_a_restart(tmp_path: Path, start_inside: Start) -> None:
    inside = await start_inside(data=tmp_path / "data")
    body = {"message": {"text": "approve: create_bucket photos"}}
    run = (await inside.ask("POST", V1 + "/runs", body)).json()["id"]
    async with asyncio.timeout(LONG):
        async for event in inside.services.engine.events(run):
            if event.type == "run.paused":
                break
        reading = asyncio.create_task(inside.ask("GET", f"{V1}/runs/{run}/events", headers=STREAM))
        while not inside.services.closing.waiting:
            await asyncio.wait([reading], timeout=0.001)
        inside.application.begin_closing()
        answer = await reading
    seen = SSEDecoder().feed(answer.body)
    assert (seen[-1].event, seen[-1].data) == ("closing", '{"type":"closing"}')
    assert answer.pieces[-1] == b""
    await inside.application.stop()
    again = await start_inside(data=tmp_path / "data")
    assert (await again.ask("GET", f"{V1}/runs/{run}")).json()["status"] == "paused"
    last = next(event.id for event in reversed(seen) if event.id)
    resumed = asyncio.create_task(
        again.ask("GET", f"{V1}/runs/{run}/events", headers={**STREAM, "Last-Event-ID": last})
    )
    await again.ask("POST", f"{V1}/runs/{run}/cancel")
    async with asyncio.timeout(LONG):
        first = SSEDecoder().feed((await resumed).body)[0]
    assert first.id == str(int(last) + 1)


async def test_a_signal_is_heard_before_the_server_waits_for_streams() -> None:
    assert threading.current_thread() is threading.main_thread()
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        application = asgi(demo_app(), demo=True, data=":memory:")
        up, down = asyncio.Event(), asyncio.Event()
        messages = [None, down]

        async def receive() -> dict[str, Any]:
            gate = messages.pop(0)
            if gate is not None:
                await gate.wait()
                return {"type": "lifespan.shutdown"}
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            up.set()

        running = asyncio.create_task(application({"type": "lifespan"}, receive, send))
        await up.wait()
        assert application.services is not None
        closing = application.services.closing
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(LONG):
            await closing.wait()
        assert heard == [signal.SIGTERM]
        down.set()
        await running
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_websockets_are_closed() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi(demo_app(), demo=True, data=":memory:")({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]
