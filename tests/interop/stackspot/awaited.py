"""An awaiting client as a blocking one: each call runs on one loop in a thread of its own.

So one list of scenarios serves both. The conversation of the calling thread goes along, as it does
where one coroutine awaits another.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any

SECONDS = 40.0


_MAKING = threading.Lock()


def loop() -> asyncio.AbstractEventLoop:
    """The loop, which runs until the process ends; one, though several threads ask for it first."""
    with _MAKING:
        return _loop()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="loop", daemon=True).start()
    return made


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it comes to."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result(SECONDS)


class Awaited:
    """An object whose coroutines are run to their end, and whose asynchronous iterators can be iterated."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._made, {"close": "aclose"}.get(name, name))
        if inspect.isasyncgen(value):
            return iterated(value)
        if not inspect.iscoroutinefunction(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            found = run(value(*arguments, **options))
            return Awaited(found) if hasattr(found, "__aiter__") else found

        return call

    def __enter__(self) -> Awaited:
        run(self._made.__aenter__())
        return self

    def __exit__(self, *exception: object) -> None:
        run(self._made.__aexit__(*exception))

    def __iter__(self) -> Iterator[Any]:
        return iterated(self._made.__aiter__())


def iterated(source: AsyncGenerator[Any, None]) -> Iterator[Any]:
    """What an asynchronous generator gives."""

    async def following() -> tuple[bool, Any]:
        try:
            return True, await anext(source)
        except StopAsyncIteration:
            return False, None

    try:
        while True:
            goes_on, value = run(following())
            if not goes_on:
                return
            yield value
    finally:
        run(source.aclose())
