"""The whole application in the test's own loop, and a client that speaks ASGI to it.

Nothing is faked below the socket: settings, authentication, dispatch, face, engine and store are
the real ones. `Kai.user("name")` is a client with a demo token of its own.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from tests.kai.chunk_rules import parse

from dragoman.demo.app import demo_app
from dragoman.engine.app import App
from dragoman.server.asgi import Application
from dragoman.server.settings_sources import load_settings

SECONDS = 10.0
"""No wait of these tests is longer."""


class Gate:
    """A `sleep` for the demo app that lets a step pass only when the test says so."""

    def __init__(self) -> None:
        self._passes = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.wait_for(self._passes.acquire(), SECONDS)

    def let(self, steps: int = 1) -> None:
        """Let so many steps pass."""
        for _ in range(steps):
            self._passes.release()


class Reply:
    """One answer, while it comes and when it is whole."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self._left = asyncio.Event()
        self._changed = asyncio.Condition()
        self.task: asyncio.Task[None] | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """All chunks of a stream that is over."""
        return parse(self.body)

    @property
    def so_far(self) -> list[dict[str, Any]]:
        """The chunks that have come."""
        frames = self.body.decode("ascii").split("\n\n")[:-1]
        return [json.loads(f[6:]) for f in frames if f.startswith("data: {")]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true of this answer."""
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(lambda: condition() or self.ended)
        assert condition(), f"the answer ended before: {self.body!r}"

    async def until_chunk(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Wait for a chunk of this type; the latest of them."""
        await self.until(lambda: sum(chunk["type"] == kind for chunk in self.so_far) >= times)
        return [chunk for chunk in self.so_far if chunk["type"] == kind][-1]

    async def end(self) -> "Reply":
        """Wait for the whole answer."""
        assert self.task is not None
        await asyncio.wait_for(asyncio.shield(self.task), SECONDS)
        return self

    async def leave(self) -> None:
        """Go away in the middle, as a client does that closes its connection."""
        self._left.set()
        await self.end()

    async def gone(self) -> None:
        await self._left.wait()

    async def take(self, message: Any) -> None:
        """What ASGI calls `send`."""
        async with self._changed:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.body += message.get("body", b"")
                self.ended = not message.get("more_body", False)
            self._changed.notify_all()


class User:
    """A client with credentials; `browser=True` sends what a page sends."""

    def __init__(self, application: Application, headers: dict[str, str]) -> None:
        self._application = application
        self.headers = headers

    async def open(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Reply:
        """Send a request; its answer may still be coming."""
        reply = Reply()
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": content, "more_body": False}
            await reply.gone()
            return {"type": "http.disconnect"}

        told = {"host": "kai.test", **self.headers, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(query).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            "scheme": "http",
            "server": ("kai.test", 80),
            "client": ("127.0.0.1", 1234),
            "root_path": "",
        }
        reply.task = asyncio.create_task(self._application(scope, receive, reply.take))
        async with asyncio.timeout(SECONDS), reply._changed:
            await reply._changed.wait_for(lambda: reply.status != 0)
        return reply

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        """Send a request and wait for its whole answer."""
        return await (await self.open(method, path, body, **more)).end()

    async def get(self, path: str, **query: Any) -> Reply:
        return await self.call("GET", path, **query)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.call("POST", path, body, **more)

    async def say(self, chat: str, text: str, *, mount: str = "", **extra: Any) -> Reply:
        """Send a message and wait for the end of its answer."""
        return await (await self.begin(chat, text, mount=mount, **extra)).end()

    async def begin(self, chat: str, text: str, *, mount: str = "", **extra: Any) -> Reply:
        """Send a message; its answer may still be coming."""
        return await self.open("POST", f"{mount}/api/chat", message_body(chat, text, **extra))

    async def messages(self, chat: str) -> list[dict[str, Any]]:
        return (await self.get(f"/api/chat/{chat}")).json["messages"]


class Kai:
    """A started application."""

    def __init__(self, application: Application) -> None:
        self.application = application

    @property
    def services(self) -> Any:
        return self.application.services

    def user(self, name: str = "alice", *, browser: bool = False, **headers: str) -> User:
        more = {"origin": "http://kai.test", "sec-fetch-mode": "cors"} if browser else {}
        return User(self.application, {"x-storageapi-token": f"demo-{name}", **more, **headers})

    def nobody(self, **headers: str) -> User:
        return User(self.application, headers)


@asynccontextmanager
async def kai_app(
    app: App | None = None,
    *,
    clock: Callable[[], float] = time.time,
    demo: bool = True,
    data: str = ":memory:",
    **settings: Any,
) -> AsyncIterator[Kai]:
    """The application, started with these settings over the demo's."""
    made = app if app is not None else demo_app()
    loaded = load_settings(overrides=settings, app=made.settings, config=os.devnull, demo=demo, environment=False)
    application = Application(made, loaded.settings, data, demo=demo, clock=clock, announce=lambda _: None)
    await application.start()
    try:
        yield Kai(application)
    finally:
        await application.stop()


_count = 0


def fresh(prefix: str = "chat") -> str:
    """An id that no other test uses."""
    global _count
    _count += 1
    return f"{prefix}-{_count}"


def message_body(chat: str, text: str, *, message_id: str | None = None, **extra: Any) -> dict[str, Any]:
    """Form M."""
    return {
        "id": chat,
        "message": {"id": message_id or fresh("m"), "role": "user", "parts": [{"type": "text", "text": text}]},
        "selectedChatModel": "chat-model",
        "selectedVisibilityType": "private",
        **extra,
    }


def control_body(chat: str, *parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    """Forms A, B, C."""
    return {"id": chat, "message": {"id": fresh("m"), "role": role, "parts": list(parts)}}


def page_body(chat: str, *messages: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """Form U."""
    return {"id": chat, "messages": list(messages), "trigger": "submit-message", **extra}


def page_message(text: str = "", *, role: str = "user", parts: Any = None, message_id: str | None = None) -> Any:
    """One message of a page's list."""
    return {"id": message_id or fresh("m"), "role": role, "parts": parts or [{"type": "text", "text": text}]}


def word(call: str, result: Any) -> dict[str, Any]:
    """The part of form A."""
    return {"type": "tool-result", "toolCallId": call, "toolName": "create_bucket", "result": result}
