"""A caller of the StackSpot face that speaks ASGI to the whole application, in the test's own loop."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from tests.server.kai_app import SECONDS, Gate, Reply

from dragoman.demo.app import demo_app
from dragoman.engine.app import App
from dragoman.server.asgi import Application
from dragoman.server.auth import demo_user
from dragoman.server.settings_sources import load_settings
from dragoman.wire.sse import SSEDecoder, SSEEvent

SECRET = "demo-secret"
FORM = "application/x-www-form-urlencoded"

__all__ = ["FORM", "SECONDS", "SECRET", "Caller", "Gate", "Reply", "Spot", "events", "spot_app", "text_of"]


class Caller:
    """A client with an access token, or without one."""

    def __init__(self, application: Application, token: str | None = None, peer: str = "127.0.0.1") -> None:
        self._application = application
        self._headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        self._peer = peer

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request; nothing of its answer may have come yet."""
        reply = Reply()
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {"host": "localhost:8080", "accept": "*/*", "content-type": "application/json", **self._headers}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
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
            "client": (self._peer, 5000),
            "server": ("127.0.0.1", 8080),
        }
        reply.task = asyncio.create_task(self._application(scope, receive, reply.take))
        return reply

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.send("POST", path, body, **headers).end()

    def begin(self, prompt: str, *, agent: str = "demo", headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """Send a chat."""
        body = {"user_prompt": prompt, "streaming": False, "use_conversation": False, **more}
        return self.send("POST", f"/v1/agent/{agent}/chat", body, **(headers or {}))

    async def chat(self, prompt: str, **more: Any) -> Reply:
        return await self.begin(prompt, **more).end()

    async def stream(self, prompt: str, **more: Any) -> Reply:
        return await self.begin(prompt, streaming=True, **more).end()


class Spot:
    """The application, and ways to sign in."""

    def __init__(self, application: Application) -> None:
        self.application = application

    @property
    def services(self) -> Any:
        assert self.application.services is not None
        return self.application.services

    def bare(self, token: str | None = None, peer: str = "127.0.0.1") -> Caller:
        return Caller(self.application, token, peer)

    async def sign_in(
        self, client: str = "demo", secret: str = SECRET, realm: str = "demo", *, peer: str = "127.0.0.1", **form: str
    ) -> Reply:
        given = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, **form}
        body = urlencode(given).encode()
        return await self.bare(peer=peer).post(f"/{realm}/oidc/oauth/token", body, content_type=FORM)

    async def caller(self, client: str = "demo", **more: str) -> Caller:
        """A client that has signed in."""
        answer = await self.sign_in(client, **more)
        assert answer.status == 200, answer.body
        return self.bare(answer.json["access_token"])

    async def count(self, client: str, number: int) -> None:
        """Wait until a client of the demo has so many runs."""
        async with asyncio.timeout(SECONDS):
            while True:
                if len(await self.runs(demo_user(client))) >= number:
                    return
                await asyncio.sleep(0)

    def soon(self) -> asyncio.Timeout:
        """A block that must end before long."""
        return asyncio.timeout(SECONDS)

    async def runs(self, user: str) -> list[Any]:
        """The user's runs, newest first."""
        page = await self.services.store.runs("demo", owner=user)
        return list(page.rows)

    async def run(self, client: str = "demo", *status: str) -> Any:
        """The newest run of a client of the demo, as soon as it has one of these states (none: any)."""
        async with asyncio.timeout(SECONDS):
            while True:
                runs = await self.runs(demo_user(client))
                if runs and (not status or runs[0].status in status):
                    return runs[0]
                await asyncio.sleep(0)


@asynccontextmanager
async def spot_app(
    app: App | None = None,
    *,
    data: Any = ":memory:",
    gate: Gate | None = None,
    clock: Callable[[], float] = time.time,
    demo: bool = True,
    told: list[str] | None = None,
    **settings: Any,
) -> AsyncIterator[Spot]:
    """The application, started; `settings` are overrides by dotted name with `__` for the dot."""
    overrides = {name.replace("__", "."): value for name, value in settings.items()}
    made = app or (demo_app(sleep=gate.sleep) if gate is not None else demo_app())
    loaded = load_settings(overrides=overrides, app=made.settings, config=os.devnull, demo=demo, environment=False)
    announced: list[str] = told if told is not None else []
    application = Application(made, loaded.settings, data, demo=demo, clock=clock, announce=announced.append)
    await application.start()
    try:
        yield Spot(application)
    finally:
        await application.stop()


def events(reply: Reply) -> list[SSEEvent]:
    """What a stream has said so far."""
    decoder = SSEDecoder()
    return decoder.feed(reply.body)


def text_of(reply: Reply) -> str:
    """The text of a native stream."""
    told = [event.data for event in events(reply) if event.event == "message" and event.data != "[DONE]"]
    return "".join(json.loads(data)["message"] for data in told)
