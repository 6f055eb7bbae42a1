"""Two ways to a server: over real sockets in a thread of its own, and in-process as ASGI messages."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from dragoman.demo.app import demo_app
from dragoman.engine.app import App
from dragoman.server.asgi import FACES, Application, asgi
from dragoman.server.http import Answer, Face, Route
from dragoman.server.serve import Server, bind, url_of
from dragoman.server.services import Services

LONG = 10.0
QUIET = {"log.requests": False}


# --------------------------------------------------------------------------- over sockets


class Live:
    """A running server: `client` speaks HTTP to it, `connect` gives a bare socket."""

    def __init__(self, application: Application, server: Server, url: str) -> None:
        self.application = application
        self.server = server
        self.url = url
        self.client = httpx2.Client(base_url=url, timeout=LONG, headers={"authorization": "Bearer demo-you"})

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        made = socket.socket()
        made.settimeout(LONG)
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.connect((host, int(port)))
        return made

    def get(self, path: str, *, receive_buffer: int | None = None) -> socket.socket:
        """A socket that has just asked for `path`."""
        made = self.connect(receive_buffer=receive_buffer)
        made.sendall(f"GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer demo-you\r\n\r\n".encode())
        return made


@contextmanager
def served(application: Application) -> Iterator[Live]:
    sockets = bind(["127.0.0.1"], 0)
    started = threading.Event()
    server = Server(application, url=url_of(sockets), on_start=lambda url: started.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, daemon=True)
    thread.start()
    assert started.wait(LONG), application.failure
    live = Live(application, server, url_of(sockets))
    try:
        yield live
    finally:
        live.client.close()
        server.should_exit = True
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.fixture
def serve_live() -> Iterator[Callable[..., Live]]:
    """`serve_live(app=…, demo=True, settings={…})` starts a server; all end with the test."""
    with ExitStack() as stack:

        def start(app: App | None = None, *, demo: bool = True, settings: Mapping[str, Any] | None = None) -> Live:
            application = asgi(app or demo_app(), demo=demo, data=":memory:", settings={**QUIET, **(settings or {})})
            return stack.enter_context(served(application))

        yield start


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    """A demo server for all tests of one module."""
    with served(asgi(demo_app(), demo=True, data=":memory:", settings=QUIET)) as live:
        yield live.url


# --------------------------------------------------------------------------- in-process


@dataclass
class Reply:
    """A whole answer; `pieces` are the bodies as they were sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Inside:
    """An application that was started without a server."""

    def __init__(self, application: Application) -> None:
        self.application = application

    @property
    def services(self) -> Services:
        assert self.application.services is not None
        return self.application.services

    async def ask(
        self,
        method: str,
        path: str,
        value: Any = None,
        *,
        token: str | None = "demo-you",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 5000),
    ) -> Reply:
        """One exchange; the client stays until the answer is complete."""
        body = content if content is not None else b"" if value is None else json.dumps(value).encode()
        fields = {"host": "test.example", **(headers or {})}
        if token is not None:
            fields.setdefault("authorization", f"Bearer {token}")
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), text.encode()) for name, text in fields.items()],
            "client": client,
            "server": ("127.0.0.1", 8080),
        }
        reply, asked, done = Reply(), False, asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): text.decode() for name, text in message["headers"]}
            else:
                reply.pieces.append(message["body"])

        async with asyncio.timeout(LONG):
            await self.application(scope, receive, send)
        done.set()
        return reply


@pytest.fixture
async def start_inside() -> AsyncIterator[Callable[..., Awaitable[Inside]]]:
    """`await start_inside(app=…, demo=True, settings={…}, clock=…)`; all are stopped with the test."""
    started: list[Application] = []

    async def start(app: App | None = None, *, settings: Mapping[str, Any] | None = None, **options: Any) -> Inside:
        given = {"demo": True, "data": ":memory:", **options}
        application = asgi(app or demo_app(), settings={**QUIET, **(settings or {})}, **given)
        await application.start()
        started.append(application)
        return Inside(application)

    yield start
    for application in started:
        await application.stop()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`probe(route, …)` registers a face of these routes; its name is for the setting `faces`."""

    def register(*routes: Route, **options: Any) -> str:
        def encode(error: Any, surface: str) -> Answer:
            return Answer.json(
                {"probe": error.code, "text": error.message, "id": error.request_id, "surface": surface},
                error.status or 500,
            )

        monkeypatch.setitem(FACES, "probe", lambda services: Face("probe", routes, encode, **options))
        return "probe"

    return register
