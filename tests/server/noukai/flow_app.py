"""A caller of the Noukai face that speaks ASGI to the whole application, in the test's own loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.server.kai_app import SECONDS, Gate, Kai, Reply, kai_app

from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.testing.model import ScriptedModel
from dragoman.wire.sse import SSEDecoder

BASE = "/api/v1/seq"
DEMO = f"{BASE}/demo/basics"
NEW = "noukai-python/0.5.2 (httpx/0.28; python/3.11; Linux)"
OLD = "noukai-python/0.2.0 (httpx/0.28; python/3.11; Linux)"
OURS = "dragoman-noukai/0.1"
WEATHER_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}

__all__ = ["BASE", "DEMO", "NEW", "OLD", "OURS", "Caller", "Gate", "Noukai", "events", "noukai_app", "with_flows"]


class Caller:
    """A client with a key."""

    def __init__(self, application: Any, key: str | None, agent: str) -> None:
        self._application = application
        self._headers = {"user-agent": agent, **({"authorization": f"Bearer {key}"} if key is not None else {})}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request; nothing of its answer may have come yet."""
        reply = Reply()
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        told = {"host": "localhost:8080", "accept": "application/json", **self._headers, **named}
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": content, "more_body": False}
            await reply.gone()
            return {"type": "http.disconnect"}

        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items()],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8080),
        }
        reply.task = asyncio.create_task(self._application(scope, receive, reply.take))
        return reply

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.send("POST", path, {} if body is None else body, **headers).end()

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.send("GET", path, **headers).end()

    async def execute(self, flow: str, message: str | None = None, **more: Any) -> Reply:
        """`POST …/execute` of a demo flow; `flow` may hold a version."""
        return await self.post(f"{DEMO}/{flow}/execute", request(message, more), **more)

    async def step(self, flow: str, message: str | None = None, **more: Any) -> Reply:
        return await self.post(f"{DEMO}/{flow}/step", request(message, more), **more)

    async def job(self, flow: str, message: str | None = None, **more: Any) -> Reply:
        return await self.post(f"{DEMO}/{flow}/jobs", request(message, more), **more)

    async def job_end(self, flow: str, run: str, **headers: str) -> dict[str, Any]:
        """The state of a job once it has ended."""
        await self.get(f"{DEMO}/{flow}/runs/{run}/trace/stream")
        return dict((await self.get(f"{DEMO}/{flow}/jobs/{run}", **headers)).json)


def request(message: str | None, more: dict[str, Any]) -> dict[str, Any]:
    """A body as the published client sends it; what is left in `more` are headers."""
    body: dict[str, Any] = {"parameters": {}, "iterationsUsed": 0, "accumulatedOutputs": {}, "trace": False}
    if message is not None:
        body["message"] = message
    body |= more.pop("body", {})
    return body


class Noukai:
    """A started application."""

    def __init__(self, kai: Kai) -> None:
        self.application = kai.application
        self.services = kai.services

    def caller(self, key: str | None = "nk_demo", agent: str = OURS) -> Caller:
        return Caller(self.application, key, agent)

    async def run_status(self, run: str, *wanted: str) -> str:
        """The state of a run once it is one of these."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.services.store.run(run)
                if found is not None and found.status in wanted:
                    return str(found.status)
                await asyncio.sleep(0)


@asynccontextmanager
async def noukai_app(app: App | None = None, **options: Any) -> AsyncIterator[Noukai]:
    """The demo, or another app, with settings as `kai_app` takes them."""
    async with kai_app(app if app is not None else demo_app(), **options) as kai:
        yield Noukai(kai)


def with_flows(flows: Sequence[Any], **options: Any) -> App:
    """An app of these flows."""
    return App("demo", agents=[Agent("demo", model=ScriptedModel())], flows=list(flows), **options)


def events(body: bytes) -> list[dict[str, Any]]:
    """The frames of a stream; each has been checked for what the published client needs."""
    assert b"\r" not in body
    assert body.endswith(b"\n\n") or not body
    found = []
    for event in SSEDecoder().feed(body):
        data = json.loads(event.data)
        assert data["eventType"] == event.event
        assert data["runId"] == data["executionId"]
        found.append(data)
    return found


def kinds(body: bytes) -> list[str]:
    return [event["eventType"] for event in events(body)]


Sleep = Callable[[float], Any]
