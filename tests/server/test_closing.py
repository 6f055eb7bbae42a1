"""How a waiting stream learns that the server closes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dragoman.core.events import Event
from dragoman.server.closing import Closing, ServerClosing, read


class SilentTail:
    """A run in which nothing happens."""

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        async with asyncio.timeout(timeout):
            await asyncio.Event().wait()
        return ()


async def test_a_wait_ends_when_the_server_closes() -> None:
    closing = Closing()
    waiting = asyncio.create_task(read(SilentTail(), closing))
    await asyncio.sleep(0)
    closing.set()
    with pytest.raises(ServerClosing) as caught:
        await waiting
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "closing", 1.0)
    assert not waiting.cancelled()


async def test_a_wait_does_not_begin_when_the_server_is_closing() -> None:
    closing = Closing()
    closing.set()
    with pytest.raises(ServerClosing):
        await read(SilentTail(), closing)


async def test_a_time_limit_is_told_from_the_end() -> None:
    closing = Closing()
    with pytest.raises(TimeoutError):
        await read(SilentTail(), closing, 0.001)
    assert closing.waiting == set()


async def test_a_cancellation_from_elsewhere_wins() -> None:
    closing = Closing()
    waiting = asyncio.create_task(read(SilentTail(), closing))
    await asyncio.sleep(0)
    closing.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_task_can_go_on_after_the_interruption() -> None:
    closing = Closing()

    async def reader() -> str:
        try:
            await read(SilentTail(), closing)
        except ServerClosing:
            await asyncio.sleep(0)
            return "said goodbye"
        return "never"

    waiting = asyncio.create_task(reader())
    await asyncio.sleep(0)
    closing.set()
    assert await waiting == "said goodbye"
    assert waiting.cancelling() == 0


async def test_what_came_in_time_is_kept() -> None:
    class Ready:
        async def next(self, timeout: float | None = None) -> Sequence[Event]:
            return ()

    closing = Closing()
    assert await read(Ready(), closing) == ()
    assert closing.waiting == set()
