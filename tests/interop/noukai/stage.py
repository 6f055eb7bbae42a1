"""What a scenario plays with: clients of one package in one shell, and the same words for both shells.

Blocking calls run in threads, which share the scope of the coroutine that makes them. Clients can be
pointed at the demo server alone, as the published ones can, or through a `Faulty` proxy before it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

from tests.interop.noukai.faulty import Faulty
from tests.interop.noukai.registry import OURS, version
from tests.interop.wire import Answer, Wire

KEY = "nk_demo"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
SLOW_TO_LOAD = (
    "fastapi.responses",
    "flask",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
)
SECONDS = 20.0
"""How long a scenario waits for something that happens beside it."""
_END = object()


class Stage:
    """The package under test, one of its two shells, and the server."""

    def __init__(self, module: str, release: str, blocking: bool, url: str) -> None:
        self.sdk: Any = importlib.import_module(module)
        self.module = module
        self.release = version(release)
        self.ours = self.release == OURS
        self.blocking = blocking
        self.url = url
        for name in SLOW_TO_LOAD:  # lest one scenario stops all others while it loads
            importlib.import_module(name)

    # ------------------------------------------------------------------------------------ packages

    @property
    def http(self) -> ModuleType:
        """The HTTP library that the package uses."""
        return importlib.import_module("httpx2" if self.ours else "httpx")

    def part(self, name: str) -> ModuleType:
        """A module of the package, such as `adapters.fastapi`."""
        return importlib.import_module(f"{self.module}.{name}")

    @property
    def renamed(self) -> bool:
        """Whether scopes are called `replay…`."""
        return (0, 5) <= self.release < OURS

    @property
    def trace(self) -> Any:
        """The decorator."""
        return self.sdk.replay if self.renamed else self.sdk.trace

    # ------------------------------------------------------------------------------------- clients

    def new(self, *arguments: Any, **options: Any) -> Any:
        """A client, by exactly these arguments."""
        return (self.sdk.Noukai if self.blocking else self.sdk.AsyncNoukai)(*arguments, **options)

    @asynccontextmanager
    async def client(self, key: str = KEY, **options: Any) -> AsyncIterator[Any]:
        """A client of the demo server, closed at the end."""
        made = self.new(key, **({"env": "dev", "timeout": SECONDS} | options))
        try:
            yield made
        finally:
            await self.closed(made)

    async def closed(self, client: Any) -> None:
        await self.call(client.close if self.blocking else client.aclose)

    @asynccontextmanager
    async def flow(self, slug: str = "echo", key: str = KEY, **options: Any) -> AsyncIterator[Any]:
        """A flow of the demo's project."""
        async with self.client(key, **options) as client:
            yield client.flow(f"demo/basics/{slug}")

    @asynccontextmanager
    async def through(self, proxy: Faulty, key: str = KEY, **options: Any) -> AsyncIterator[Any]:
        """A client whose requests go through a proxy: the published ones obey the variable alone."""
        place = {"base_url": f"{proxy.url}/api/v1"} if self.ours else {"env": "dev"}
        with variables(HTTP_PROXY=None if self.ours else proxy.url):
            made = self.new(key, **({"timeout": SECONDS} | place | options))
        try:
            yield made
        finally:
            await self.closed(made)

    # --------------------------------------------------------------------------------------- calls

    async def call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """A method of a client, in its shell."""
        if self.blocking:
            return await asyncio.to_thread(method, *arguments, **options)
        return await method(*arguments, **options)

    async def all(self, stream: Any, into: list[Any] | None = None) -> list[Any]:
        """Every event of a stream; `into` has those that came before an error."""
        seen: list[Any] = [] if into is None else into
        async for event in self.each(stream):
            seen.append(event)
        return seen

    async def each(self, stream: Any) -> AsyncIterator[Any]:
        if not self.blocking:
            async for event in stream:
                yield event
            return
        events: Iterator[Any] = iter(stream)
        while (event := await asyncio.to_thread(next, events, _END)) is not _END:
            yield event

    async def resumed(self, paused: Any, results: Sequence[Any]) -> Any:
        """Answer a paused result, by the name that every release has."""
        if self.blocking:
            return await asyncio.to_thread(paused.resume_sync, tool_results=list(results))
        return await paused.resume(tool_results=list(results))

    @asynccontextmanager
    async def scope(self, **options: Any) -> AsyncIterator[Any]:
        """A scope around the calls within; a `transport` may be given as a client."""
        name = "replay_scope" if self.renamed else "trace_scope"
        if "client" in options:
            options["transport"] = options.pop("client")._transport
        if not self.blocking:
            async with getattr(self.sdk, name)(**options) as state:
                yield state
            return
        with getattr(self.sdk, f"{name}_sync")(**options) as state:
            yield state

    @asynccontextmanager
    async def replaying(self, client: Any, session_id: str) -> AsyncIterator[Any]:
        async with self.scope(replay_session_id=session_id, client=client) as state:
            assert state.mode.value == "replay"
            yield state

    @asynccontextmanager
    async def raises(self, *names: str) -> AsyncIterator[list[Any]]:
        """Claim that one of these errors of the package is raised; the list then holds it."""
        kinds = tuple(getattr(self.sdk, name) for name in names)
        caught: list[Any] = []
        try:
            yield caught
        except kinds as error:
            caught.append(error)
        assert caught, f"no {' or '.join(names)} was raised"
        assert type(caught[0]) in kinds, repr(caught[0])

    # ----------------------------------------------------------------------------------------- wire

    def wire(self, key: str | None = KEY, **headers: str) -> Wire:
        """Raw requests below `/api/v1/seq`."""
        wire = Wire(f"{self.url}/api/v1/seq")
        if key is not None:
            wire.headers["authorization"] = f"Bearer {key}"
        wire.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return wire

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = KEY, **headers: str) -> Answer:
        """One raw request."""
        return await asyncio.to_thread(self.wire(key, **headers).send, method, path, body)

    async def session(self, session_id: str, key: str = KEY) -> Any:
        """The document of a session."""
        answer = await self.ask("GET", f"/sessions/{session_id}", key=key)
        assert answer.status == 200, answer
        return answer.json


# ---------------------------------------------------------------------------------------------- words


def weather(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A tool handler: 20 degrees everywhere."""
    return [{"tool_call_id": call["id"], "output": "20"} for call in calls]


def arguments_of(call: dict[str, Any]) -> Any:
    return json.loads(call["function"]["arguments"])


def kinds(events: Sequence[Any]) -> list[str]:
    """The types of events, by their names on the wire."""
    return [event.event_type for event in events]


def fresh(prefix: str = "") -> str:
    """A text that nobody has used."""
    return f"{prefix}{uuid.uuid4()}"


def code_of(answer: Answer) -> tuple[int, str]:
    """Status and code; the answer must have the one documented shape."""
    detail = answer.json["detail"]
    assert isinstance(detail["code"], str), answer
    assert isinstance(detail["message"], str), answer
    assert answer.headers.get("x-request-id"), answer
    return answer.status, detail["code"]


async def before(deadline: float, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(deadline):
        while not await condition():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)


@contextmanager
def variables(**values: str | None) -> Iterator[None]:
    """Set variables of the environment, None unsets; nothing may be awaited meanwhile."""
    old = {name: os.environ.get(name) for name in values}
    try:
        for name, value in values.items():
            _set(name, value)
        yield
    finally:
        for name, value in old.items():
            _set(name, value)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
