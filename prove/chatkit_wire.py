"""A client of ChatKit's wire that says plainly when the server is away, and how to read the cards that it gets.

Written against the wire alone, with no code of ours, so that a fault cannot cancel itself out. A broken stream of
this wire cannot be taken up again: whoever was cut looks what is stored.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx2

from prove.reading import PATIENCE

Document = dict[str, Any]
PAGE = 100
"""What the wire gives at most of a list."""


class Away(Exception):
    """The server was not there, or went while it was answering."""


class Refused(Exception):
    """The server said no before anything happened."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:200]}")
        self.status = status


class ChatKit:
    """One user: `token` as `prove.app` reads it. `runs` are those that answered this user, as their streams named them."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=20.0, trust_env=False
        )
        self.runs: dict[str, None] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def stream(self, op: str, params: Document) -> AsyncGenerator[Document, None]:
        """The events of one request. Raises Away and Refused."""
        body = {"type": op, "params": params}
        try:
            async with self._http.stream("POST", "/chatkit", json=body) as answer:
                if answer.status_code != 200:
                    text = (await answer.aread()).decode("utf-8", "replace")
                    raise Away if answer.status_code == 503 else Refused(answer.status_code, text)
                if run := answer.headers.get("x-dragoman-run"):
                    self.runs[run] = None
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line[6:])
        except httpx2.TransportError as error:
            raise Away from error

    async def ask(self, op: str, **params: Any) -> Document:
        """One request that may be made twice, until the server answers. Raises Refused, and TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                answer = await self._http.post("/chatkit", json={"type": op, "params": params})
                if answer.status_code == 200:
                    return dict(answer.json())
                if answer.status_code != 503:
                    raise Refused(answer.status_code, answer.text)
            await asyncio.sleep(0.01)
        raise TimeoutError(f"{op}: no answer within {PATIENCE:g} s")

    async def items(self, thread: str) -> list[Document]:
        """All items of a thread, the oldest first."""
        return [item async for item in self._pages("items.list", thread_id=thread, order="asc")]

    async def threads(self) -> list[Document]:
        """All threads of the user, the oldest first."""
        return [thread async for thread in self._pages("threads.list", order="asc")]

    async def _pages(self, op: str, **params: Any) -> AsyncIterator[Document]:
        after: str | None = None
        while True:
            page = await self.ask(op, limit=PAGE, **({"after": after} if after else {}), **params)
            for row in page["data"]:
                yield row
            after = page.get("after")
            if not page["has_more"]:
                return


# --------------------------------------------------------------------------- items


def said(text: str, model: str | None = None) -> Document:
    """The input of a user's message; `model` names the agent."""
    options = {"model": model} if model else {}
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": options}


def text_of(item: Document) -> str:
    """What a user or an assistant said."""
    return "".join(part.get("text", "") for part in item.get("content", ()))


def actions_of(item: Document) -> dict[str, Document]:
    """Type → action of everything that can be clicked or sent on a card, wherever it stands."""
    found: dict[str, Document] = {}
    for node in _nodes(item.get("widget")):
        for name in ("onClickAction", "onSubmitAction"):
            if isinstance(action := node.get(name), dict):
                found[action["type"]] = action
    return found


def _nodes(value: Any) -> Iterator[Document]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def filled(action: Document, **fields: Any) -> Document:
    """The action as a browser sends it: the values of the form's fields lie in its payload."""
    return {"type": action["type"], "payload": {**fields, **(action.get("payload") or {})}}
