"""What stands between decoder and mapper: frames in, frames out.

A transform is a synchronous incremental object (`feed`, `close`) with an async shell over it
(`transform`). One serves one stream; `fresh()` gives an unused one of the same settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from copy import copy
from typing import Any, TypeVar

from dragoman.ai.pipeline.frames import Frame

__all__ = ["Transform"]

_T = TypeVar("_T", bound="Transform")
_V = TypeVar("_V")


async def each(source: AsyncIterator[_V] | Iterable[_V]) -> AsyncIterator[_V]:
    """The values of an iterable, async or not."""
    if isinstance(source, Iterable):
        for value in source:
            yield value
    else:
        async for value in source:
            yield value


class Transform:
    """Frames in, frames out; the base class lets them pass."""

    def feed(self, frame: Frame) -> list[Any]:
        """What becomes of one frame, in order."""
        return [frame]

    def close(self) -> list[Any]:
        """What is left when no more frames come."""
        return []

    def fresh(self: _T) -> _T:
        """An unused transform of the same settings."""
        return copy(self)

    async def transform(self, frames: AsyncIterator[Frame] | Iterable[Frame]) -> AsyncIterator[Any]:
        """The same over a stream of frames."""
        async for frame in each(frames):
            for made in self.feed(frame):
                yield made
        for made in self.close():
            yield made
