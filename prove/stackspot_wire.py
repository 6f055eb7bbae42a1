"""A client of the StackSpot wire that says plainly when the server is away.

Written against the wire alone, with no code of ours, so that a fault cannot cancel itself out. An answer that was cut
is had again, whole, by asking again under the same idempotency key.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from prove.chatkit_wire import Away, Document, Refused
from prove.reading import PATIENCE

DONE = "[DONE]"
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class StackSpot:
    """One user: `token` as `prove.app` reads it, or one that the token endpoint gave."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=20.0, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def chat(self, agent: str, text: str, *, key: str | None = None, **about: Any) -> Document:
        """A whole answer. Raises Away and Refused."""
        return dict(await self._send("POST", f"/v1/agent/{agent}/chat", _body(text, about), key))

    async def stream(
        self, agent: str, text: str, *, key: str | None = None, **about: Any
    ) -> AsyncGenerator[Document, None]:
        """The frames of an answer. Raises Refused, and Away unless it ends as it should."""
        body = _body(text, about) | {"streaming": True}
        try:
            async with self._http.stream("POST", f"/v1/agent/{agent}/chat", json=body, headers=_headers(key)) as answer:
                if answer.status_code != 200:
                    raise _refusal(answer.status_code, (await answer.aread()).decode("utf-8", "replace"))
                async for line in answer.aiter_lines():
                    if line == f"data: {DONE}":
                        return
                    if line.startswith("data: "):
                        yield json.loads(line[6:])
        except httpx2.TransportError as error:
            raise Away from error
        raise Away

    async def begin(self, slug: str, data: Any, *, key: str) -> str:
        """Start a quick command, for as long as it takes; its execution id."""
        path = f"/v1/quick-commands/create-execution/{slug}"
        return str(await self._until("POST", path, {"input_data": data}, key))

    async def look(self, execution: str) -> Document:
        """How a quick command stands."""
        return dict(await self._until("GET", f"/v1/quick-commands/callback/{execution}"))

    async def _until(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """One request that may be made twice, until the server answers. Raises Refused, and TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return await self._send(method, path, body, key)
            except Away:
                await asyncio.sleep(0.01)
        raise TimeoutError(f"{method} {path}: no answer within {PATIENCE:g} s")

    async def _send(self, method: str, path: str, body: Any, key: str | None) -> Any:
        try:
            answer = await self._http.request(method, path, json=body, headers=_headers(key))
        except httpx2.TransportError as error:
            raise Away from error
        if answer.status_code != 200:
            raise _refusal(answer.status_code, answer.text)
        return answer.json()


def _body(text: str, about: Document) -> Document:
    return {"user_prompt": text, "streaming": False, "stackspot_knowledge": "false", **about}


def _headers(key: str | None) -> dict[str, str]:
    return {"idempotency-key": key} if key is not None else {}


def _refusal(status: int, text: str) -> Exception:
    return Away() if status == 503 else Refused(status, text)


def new_conversation() -> tuple[str, str]:
    """A fresh id as this wire spells it, and as the others do."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    ulid = "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))
    return ulid, str(uuid.UUID(int=number))
