"""What is asked of a running driver from outside, and how the answers come back.

Nobody who asks waits for ever: each request is answered behind the commit that it led to, or
refused when that commit failed or the driver stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dragoman.core.errors import RemoteError, Unavailable
from dragoman.core.turns import Decision

Channel: TypeAlias = Literal["reply", "side", "system"]

Decisions: TypeAlias = tuple[tuple[str, Decision], ...]
"""Decisions by tool call."""


@dataclass(slots=True)
class Asked:
    """A request that wants to know what became of it; its course knows what `what` may be. None only waits."""

    what: Any
    reply: asyncio.Future[Any]
    by: str | None = None
    channel: Channel = "side"


Answer: TypeAlias = tuple[asyncio.Future[Any], Any]
"""Who waits, and for what: a value, or an exception to raise."""


def settle(answers: Iterable[Answer]) -> None:
    """Give each its answer."""
    for reply, value in answers:
        if reply.done():  # whoever asked has given up
            continue
        if isinstance(value, Exception):
            reply.set_exception(value)
        else:
            reply.set_result(value)


def refuse(batch: Iterable[object], error: BaseException) -> None:
    """Tell all who asked that it is not their fault, and that they may ask again."""
    if isinstance(error, asyncio.CancelledError):
        told: Exception = Unavailable("the server is shutting down; ask again", code="closing", retry_after=1.0)
    elif isinstance(error, RemoteError):
        told = error
    else:
        told = Unavailable("the server had a fault while doing this; ask again", retry_after=1.0)
    settle([(given.reply, told) for given in batch if isinstance(given, Asked)])
