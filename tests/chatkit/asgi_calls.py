"""Requests to an ASGI application without a server; the test decides when the client leaves or stops to read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any


class Call:
    """One request under way."""

    def __init__(
        self,
        app: Any,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        headers: dict[str, str] | None = None,
        *,
        query: str = "",
        root_path: str = "",
        cut: bool = False,
    ) -> None:
        pieces = [body] if isinstance(body, bytes) else list(body)
        self._pieces = pieces
        self._cut = cut
        self.left = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.sent: list[bytes] = []
        self.ended = False
        self._news = asyncio.Event()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": root_path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "scheme": "http",
            "server": ("chat.example", 80),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._pieces:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or self._cut}
        if not self._cut:
            await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        assert not self.ended, message
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
        else:
            self.sent.append(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        self._news.set()

    async def whole(self) -> Call:
        """Wait for the end."""
        await asyncio.wait_for(self.task, 5)
        return self

    async def until(self, text: bytes) -> Call:
        """Wait for a body that has this in it."""
        async with asyncio.timeout(5):
            while text not in self.body:
                self._news.clear()
                await self._news.wait()
        return self

    @property
    def body(self) -> bytes:
        return b"".join(self.sent)

    def header(self, name: str) -> str | None:
        found = [value for given, value in self.headers if given == name]
        assert len(found) <= 1, found
        return found[0] if found else None

    def json(self) -> Any:
        return json.loads(self.body)


async def call(app: Any, method: str, path: str, *arguments: Any, **named: Any) -> Call:
    """A whole request."""
    return await Call(app, method, path, *arguments, **named).whole()
