"""HTTP clients as users write them, on `requests`' own response class, that answer from a script."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3 import HTTPResponse

from dragoman.stackspot import AgentOptions
from dragoman.stackspot.http_client import AsyncHttpClient, HttpClient

URL = "https://agents.example"
FAST = AgentOptions(retry_max_retries=3, retry_initial_delay=0.001, request_timeout=7, max_workers=4)
ONCE = AgentOptions(retry_max_retries=0)
CONVERSATION = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"
ANSWER = {
    "message": "Doing it twice changes nothing.",
    "stop_reason": "stop",
    "tokens": {"user": 4, "enrichment": 0, "input": 4, "output": 6},
    "conversation_id": CONVERSATION,
    "knowledge_source_id": [],
}


@dataclass(slots=True)
class Call:
    """What a client was asked."""

    kind: str
    url: str
    body: dict[str, Any]
    headers: dict[str, str]
    timeout: Any


class Closing(requests.Response):
    """A response that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def response(status: int = 200, body: Any = None, content_type: str = "application/json", **headers: str) -> Closing:
    """A `requests.Response`; its body is JSON, or bytes as they are."""
    made = Closing()
    made.status_code = status
    made.headers["content-type"] = content_type
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    made.raw = HTTPResponse(io.BytesIO(content), preload_content=False)
    return made


def streamed(*frames: Any, end: bytes = b"data: [DONE]\n\n", content_type: str = "text/event-stream") -> Closing:
    """A streamed answer of these objects."""
    body = b"".join(f"data: {json.dumps(frame)}\n\n".encode() for frame in frames)
    return response(200, body + end, content_type)


Step = requests.Response | Exception | Callable[[Call], requests.Response]


@dataclass(slots=True)
class Script:
    """The steps, one for each call, the last one repeated; and what was asked."""

    steps: Sequence[Step]
    calls: list[Call] = field(default_factory=list)
    given: list[requests.Response] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def play(self, kind: str, url: str, data: Any, headers: dict[str, str] | None, timeout: Any) -> requests.Response:
        with self.lock:
            step = self.steps[min(len(self.calls), len(self.steps) - 1)]
            call = Call(kind, url, data, headers or {}, timeout)
            self.calls.append(call)
        if isinstance(step, Exception):
            raise step
        made = step(call) if callable(step) else step
        self.given.append(made)
        return made

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [call.body for call in self.calls]


def script(*steps: Step) -> Script:
    return Script(steps or (lambda call: response(body=ANSWER),))


class ScriptedClient(HttpClient):
    def __init__(self, script: Script) -> None:
        self.script = script

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Any = 30) -> requests.Response:
        return self.script.play("get", url, None, headers, timeout)

    def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30
    ) -> requests.Response:
        return self.script.play("post", url, data, headers, timeout)

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30
    ) -> requests.Response:
        return self.script.play("stream", url, data, headers, timeout)


class AsyncScriptedClient(AsyncHttpClient):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Any = 30) -> requests.Response:
        return self.script.play("get", url, None, headers, timeout)

    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30
    ) -> requests.Response:
        return self.script.play("post", url, data, headers, timeout)

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30
    ) -> requests.Response:
        return self.script.play("stream", url, data, headers, timeout)
