"""How the policies wait: a clock, a sleep, and the race between the two and something else.

Knows no policy. Timeouts run on the injected sleep, so that a test's clock governs them too.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import anyio

from dragoman.core.errors import UsageError

T = TypeVar("T")
N = TypeVar("N", int, float)

Clock: TypeAlias = Callable[[], float]
"""Seconds on a clock that does not go back."""
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Random: TypeAlias = Callable[[], float]
"""Numbers in [0, 1)."""


class Late(Exception):
    """Time is up. Of its own kind, so that an operation's own timeout stays the operation's."""


async def within(seconds: float, operation: Callable[[], Awaitable[T]], sleep: Sleep) -> T:
    """The operation's value. Raises Late, the operation being cancelled, when it takes longer."""
    value: list[T] = []
    failure: list[Exception] = []
    async with anyio.create_task_group() as race:

        async def limit() -> None:
            await sleep(seconds)
            race.cancel_scope.cancel()

        race.start_soon(limit)
        try:
            value.append(await operation())
        except Exception as error:  # kept out of the task group, which would wrap it
            failure.append(error)
        race.cancel_scope.cancel()
    if failure:
        raise failure[0]
    if not value:
        raise Late
    return value[0]


async def told(observer: Callable[..., Any] | None, *args: Any) -> None:
    """Call an observer that may be a plain function or a coroutine function."""
    if observer is not None:
        answer = observer(*args)
        if inspect.isawaitable(answer):
            await answer


def from_env(name: str, kind: type[N], default: N) -> N:
    """A number from the environment, `default` when it is not set or blank. Raises UsageError for other text."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"expected a number in the environment variable {name}, got {text!r}") from None
