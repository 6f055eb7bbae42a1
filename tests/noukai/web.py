"""Asking ASGI and WSGI applications without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

HEADERS = dict[str, str]


class Got:
    """An answer: status, headers, body, and the pieces in which it came."""

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], pieces: list[bytes]) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.pieces = pieces

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app: Any, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Got:
    """One request to an ASGI application."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("app.example", 80),
        "headers": [(b"content-type", b"application/json"), *raw],
    }
    incoming = [{"type": "http.request", "body": body}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(dict(message))

    await app(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, "exactly one answer"
    pieces = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
    named = [(name.decode(), value.decode()) for name, value in starts[0]["headers"]]
    return Got(starts[0]["status"], named, pieces)
