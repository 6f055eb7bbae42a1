"""What the tests of the OpenAI face share: an app in front of a provider, and a caller that may leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.ai.wires.speak import Speaker, speaker_of

from dragoman import Agent, App, provider_model
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core.messages import ModelRequest
from dragoman.testing.model import ScriptedModel

CHAT = "/v1/chat/completions"
LONG = 10.0
LOADER = ProtocolLoader()
"""Shared, so that each manifest is read once."""


def app_of(url: str = "", family: str = "openai_chat", **options: Any) -> App:
    """An app with the model `far`, of a provider at this address, and `near`, scripted."""
    models: dict[str, Any] = {"near": ScriptedModel(name="near")}
    if url:
        speaker: Speaker = speaker_of(family)
        options = {"loader": LOADER, "api_key": "sk-secret", "base_url": url + speaker.base, **options}
        models["far"] = provider_model(speaker.model, **options)
    return App("acme", agents=[Agent("helper", model="near")], models=models)


def asking(text: str = "hi", model: str = "far", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def frames(body: bytes) -> list[Any]:
    """The payloads of a stream, `[DONE]` as it is; comments are left out."""
    payloads = [frame[6:] for frame in body.split(b"\n\n") if frame.startswith(b"data: ")]
    return ["[DONE]" if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


def text_of(chunks: list[Any]) -> str:
    said = [
        chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk != "[DONE]" and chunk.get("choices")
    ]
    return "".join(piece for piece in said if piece)


class Caller:
    """One request under way; `left()` is the client's going away."""

    def __init__(self, application: Any, body: Any, headers: Mapping[str, str]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self._arrived = asyncio.Condition()
        self._gone = asyncio.Event()
        self._flow = asyncio.Event()
        self._flow.set()
        fields = {"host": "test.example", "authorization": "Bearer demo-you", **headers}
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": CHAT,
            "raw_path": CHAT.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8080),
        }
        content, asked = json.dumps(body).encode(), False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": content, "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            await self._flow.wait()
            async with self._arrived:
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                    self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                else:
                    self.pieces.append(message["body"])
                self._arrived.notify_all()

        self.task = asyncio.ensure_future(application(scope, receive, send))

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def until(self, words: bytes) -> None:
        """Until this has arrived."""
        async with asyncio.timeout(LONG), self._arrived:
            await self._arrived.wait_for(lambda: words in self.body)

    async def head(self) -> None:
        """Until the status is known."""
        async with asyncio.timeout(LONG), self._arrived:
            await self._arrived.wait_for(lambda: self.status)

    def stop_reading(self) -> None:
        self._flow.clear()

    def read_on(self) -> None:
        self._flow.set()

    async def leave(self) -> None:
        """Go away, and wait until the server has noticed."""
        self._gone.set()
        self._flow.set()
        async with asyncio.timeout(LONG):
            await asyncio.wait([self.task])

    async def end(self) -> None:
        async with asyncio.timeout(LONG):
            await self.task


@asynccontextmanager
async def calling(inside: Any, body: Any, **headers: str) -> AsyncIterator[Caller]:
    caller = Caller(inside.application, body, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        yield caller
    finally:
        await caller.leave()


class Waiting:
    """A model that says one word, then waits until it is let go on; `asked` counts its calls."""

    name = "waiting"

    def __init__(self) -> None:
        self.asked = 0
        self.begun, self.over = asyncio.Event(), asyncio.Event()
        self.go_on = asyncio.Event()

    async def stream(self, request: ModelRequest) -> AsyncIterator[str]:
        self.asked += 1
        self.begun.set()
        try:
            yield "one"
            await self.go_on.wait()
            yield " two"
        finally:
            self.over.set()
