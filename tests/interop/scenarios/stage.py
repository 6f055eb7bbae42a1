"""What a scenario plays with: clients of one package, fresh users, and words for what came back."""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.interop.scenarios.blocking import Awaited
from tests.interop.wire import Answer, Wire, fresh, user_token

SECONDS = 10.0
"""How long a scenario waits for something that happens beside it."""


class Stage:
    """The package under test and the server, for one scenario.

    `ours` is true for dragoman.kai, whose client is stricter where kai.md, section 5, says so.
    """

    def __init__(self, module: str, url: str, scratch: Path) -> None:
        name, _, shell = module.partition(":")
        self.kai: Any = importlib.import_module(name)
        self.ours = name != "kai_client"
        self.url = url
        self._scratch = scratch
        self._blocking = shell == "sync"

    @property
    def http(self) -> ModuleType:
        """The HTTP library that the package uses."""
        return importlib.import_module("httpx2" if self.ours else "httpx")

    def client(self, token: str | None = None, *, mount: str = "", **options: Any) -> Any:
        """A client of a user, a new one unless a token is given; close it with `async with`."""
        arguments = {
            "storage_api_token": user_token() if token is None else token,
            "storage_api_url": self.url,
            "base_url": self.url + mount,
            "timeout": 20.0,
            "stream_timeout": 20.0,
        }
        if self._blocking:
            return Awaited(self.kai.KaiClientSync(**(arguments | options)))
        return self.kai.KaiClient(**(arguments | options))

    async def discover(self, token: str, url: str) -> Any:
        """A client by way of the Storage API."""
        if self._blocking:
            find = partial(self.kai.KaiClientSync.from_storage_api, storage_api_token=token, storage_api_url=url)
            return Awaited(await asyncio.to_thread(find))
        return await self.kai.KaiClient.from_storage_api(storage_api_token=token, storage_api_url=url)

    async def send(self, token: str, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        """A raw request of this user."""
        return await asyncio.to_thread(partial(Wire(self.url, token).send, method, path, body, **query))

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """Keep other processes out, for what all users of the server share."""
        lock = self._scratch / what

        async def taken() -> bool:
            try:
                os.mkdir(lock)
            except FileExistsError:
                return False
            return True

        await eventually(taken, seconds=3 * SECONDS)
        try:
            yield
        finally:
            os.rmdir(lock)


# --------------------------------------------------------------------------- events


async def collect(events: Any) -> list[Any]:
    """All events of a stream."""
    async with aclosing(events) as stream:
        return [event async for event in stream]


async def ask(client: Any, chat: str, text: str, **options: Any) -> list[Any]:
    """All events of the answer to a message."""
    return await collect(client.send_message(chat, text, **options))


async def leave_after(events: Any, texts: int) -> str:
    """Read a stream until so many pieces of text have come, then close it; the text so far."""
    heard: list[str] = []
    async with aclosing(events) as stream:
        async for event in stream:
            heard += [event.text] if event.type == "text" else []
            if len(heard) >= texts:
                break
    return "".join(heard)


def text(events: list[Any]) -> str:
    return "".join(event.text for event in events if event.type == "text")


def of_type(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]


def calls(events: list[Any], state: str) -> list[Any]:
    """The tool events in this state."""
    return [event for event in events if event.type == "tool-call" and event.state == state]


def reasons(events: list[Any]) -> list[str]:
    """Why the stream finished; more than one entry is a fault of the server."""
    return [event.finish_reason for event in events if event.type == "finish"]


def chunk(event: Any) -> dict[str, Any]:
    """The raw chunk of an event that the client does not know."""
    return getattr(event, "data", None) or {}


def message_ids(events: list[Any]) -> set[Any]:
    """The ids of the answers that these streams told."""
    return {chunk(event).get("messageId") for event in events if event.type == "start"}


# --------------------------------------------------------------------------- stored chats


def said(message: Any) -> str:
    """The text of a stored message."""
    return "".join(part.get("text", "") for part in message.parts if part.get("type") == "text")


def tool_part(detail: Any) -> dict[str, Any]:
    """The one tool part of a stored chat."""
    found = [part for message in detail.messages for part in message.parts if part["type"].startswith("tool-")]
    same(len(found), 1)
    return dict(found[0])


def roles(detail: Any) -> list[str]:
    return [message.role for message in detail.messages]


ONE_TURN = ["user", "assistant"]
TWO_TURNS = [*ONE_TURN, *ONE_TURN]


# --------------------------------------------------------------------------- approvals


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call of `create_bucket` that waits for a decision, its stream over."""

    chat: str
    call: str
    tool: str
    approval: str
    events: list[Any]

    @property
    def by_call(self) -> tuple[str, str, str]:
        """The arguments of `confirm_tool` and `deny_tool`."""
        return self.chat, self.call, self.tool


def approval_of(event: Any) -> str:
    """The approval's id in a `tool-approval-request`, whether or not the client knows that event."""
    return str(getattr(event, "approval_id", None) or chunk(event)["approvalId"])


async def waiting(client: Any, name: str, chat: str | None = None) -> Waiting:
    """Ask for a bucket and read to the end; the call must be there, and must not have run."""
    chat = chat or fresh()
    events = await ask(client, chat, f"approve: create_bucket {name}")
    (call,) = calls(events, "input-available")
    same((call.tool_name, call.input), ("create_bucket", {"name": name}))
    same(calls(events, "output-available"), [])
    (request,) = of_type(events, "tool-approval-request")
    return Waiting(chat, call.tool_call_id, call.tool_name, approval_of(request), events)


# --------------------------------------------------------------------------- claims


def same(got: Any, want: Any) -> None:
    """Fail, naming both, unless they are equal."""
    assert got == want, f"got {got!r}, want {want!r}"


async def raised(error: type[Exception], call: Any) -> Any:
    """The error of this class that a call or a stream raises."""
    try:
        outcome = await collect(call) if hasattr(call, "__aiter__") else await call
    except error as fault:
        return fault
    raise AssertionError(f"not refused, want {error.__name__}; got {outcome!r}")


async def refused(error: type[Exception], call: Any, code: str = "") -> Any:
    """The same for errors of the client, which must have a text, and a code that begins so."""
    fault = await raised(error, call)
    assert isinstance(fault.code, str), f"{fault!r} has no code"
    assert fault.code.startswith(code), f"{fault!r}, want code {code}"
    assert fault.message, f"{fault!r} says nothing"
    return fault


async def eventually(condition: Callable[[], Awaitable[Any]], *, seconds: float = SECONDS) -> Any:
    """Ask until the answer is true, for so long at most."""
    end = time.monotonic() + seconds
    while not (answer := await condition()):
        assert time.monotonic() < end, f"not true within {seconds} s"
        await asyncio.sleep(0.05)
    return answer
