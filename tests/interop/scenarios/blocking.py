"""Lets the scenarios, which await, drive a blocking client: each call runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from typing import Any, Self

_END = object()


class Awaited:
    """A blocking client whose methods can be awaited, and its streams iterated with `async for`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._client.__enter__)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.to_thread(self._client.close)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member) or name.startswith("new_"):
            return member

        def call(*arguments: Any, **options: Any) -> Any:
            if name in _STREAMS:
                return _stream(member(*arguments, **options))
            return asyncio.to_thread(member, *arguments, **options)

        return call


_STREAMS = frozenset(
    {
        "send_message",
        "send_tool_result",
        "confirm_tool",
        "deny_tool",
        "send_tool_approval_response",
        "approve_tool",
        "reject_tool",
        "resume_stream",
        "get_all_history",
    }
)


async def _stream(events: Iterator[Any]) -> AsyncGenerator[Any, None]:
    with closing(events):
        while (event := await asyncio.to_thread(next, events, _END)) is not _END:
            yield event
