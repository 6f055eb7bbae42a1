"""A handler that works for one plain answer learns that its client has gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from dragoman.server.limits import ClientGone
from dragoman.server.presence import Presence

LONG = 10.0


class Line:
    """What ASGI calls `receive`, of a client that leaves when the test says so."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.body_read = False

    async def receive(self) -> dict[str, Any]:
        if not self.body_read:
            self.body_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_the_block_ends_when_the_client_goes_and_what_follows_is_not_disturbed() -> None:
    line, ended = Line(), asyncio.Event()
    asyncio.get_running_loop().call_soon(line.left.set)
    with pytest.raises(ClientGone):
        async with asyncio.timeout(LONG), Presence(line.receive):
            await ended.wait()
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_block_that_ends_by_itself_is_left_alone() -> None:
    line = Line()
    async with Presence(line.receive):
        await asyncio.sleep(0)
    line.left.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_client_that_leaves_in_the_last_moment_is_gone_all_the_same() -> None:
    line = Line()
    presence = Presence(line.receive)
    task = asyncio.current_task()
    assert task is not None
    await presence.__aenter__()
    line.left.set()
    while not task.cancelling():  # the watcher has seen it, and we have not been told yet
        await _let_others_run()
    with pytest.raises(ClientGone):
        await presence.__aexit__(None, None, None)
    await asyncio.sleep(0)
    assert task.cancelling() == 0


async def _let_others_run() -> None:
    """One turn of the loop, by work that finishes although it is cancelled."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def test_somebody_elses_cancellation_stays_a_cancellation() -> None:
    line = Line()

    async def work() -> None:
        async with Presence(line.receive):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, LONG)


async def test_an_error_of_the_block_comes_through() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with Presence(Line().receive):
            raise ValueError("mine")
