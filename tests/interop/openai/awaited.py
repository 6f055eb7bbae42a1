"""The awaiting client as a blocking one: each call runs on one loop in a thread of its own.

So one list of scenarios serves both. What the client's package makes is wrapped as it comes out; values are not.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from tests.interop.stackspot.awaited import iterated, run

VALUES = "openai.types"


def wrapped(value: Any) -> Any:
    """A blocking stand-in for an object of the package; anything else as it is."""
    place = type(value).__module__
    is_object = place.startswith("openai.") and not place.startswith(VALUES) and not isinstance(value, BaseException)
    if is_object or hasattr(value, "__aiter__"):
        return Awaited(value)
    return value


class Awaited:
    """An object of the package; what must be awaited is."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._made, name)
        if not callable(value) or isinstance(value, type):
            return wrapped(value)

        def call(*arguments: Any, **options: Any) -> Any:
            found = value(*arguments, **options)
            return wrapped(run(_of(found)) if inspect.isawaitable(found) else found)

        return call

    def __enter__(self) -> Any:
        return wrapped(run(self._made.__aenter__()))

    def __exit__(self, *exception: object) -> None:
        run(self._made.__aexit__(*exception))

    def __iter__(self) -> Iterator[Any]:
        return iterated(self._made.__aiter__())


async def _of(found: Any) -> Any:
    return await found
