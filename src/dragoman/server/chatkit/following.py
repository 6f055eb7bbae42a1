"""One reader of one run: from the journal's tail to this wire's events.

The driver around `StreamTranslator`. It never changes the run; what a reader's going means is said elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from dragoman.chatkit.logger import logger
from dragoman.chatkit.processing.tail import error_event
from dragoman.chatkit.translate import StreamTranslator
from dragoman.chatkit.types import ErrorEvent, ThreadStreamEvent
from dragoman.core.errors import Unavailable
from dragoman.core.ports import Engine
from dragoman.core.ports import Store as Rows
from dragoman.core.records import Item

RESTARTING = "The server is restarting; the answer goes on. Open the conversation again in a moment."
_BURST = 50
"""Events after which others get their turn."""
_CALLS = 200
"""How many of a thread's newest items may be tool calls of a run that goes on."""


async def follow(
    engine: Engine, run: str, translator: StreamTranslator, *, after: int
) -> AsyncGenerator[ThreadStreamEvent | bytes, None]:
    """What happens in the run behind `after`, until it ends or waits for somebody."""
    burst = 0
    tail = engine.tail(run, after=after)
    while not translator.done:
        try:
            events = await tail.next()
        except Unavailable:
            translator.done = True  # who leaves now does not stop the run
            yield ErrorEvent(code="custom", message=RESTARTING, allow_retry=False)
            return
        except Exception as error:
            logger.exception("A run could not be read any further")
            yield error_event(error)
            return
        if not events:  # the run is over, or its thread deleted
            return
        for event in events:
            for told in translator.feed(event):
                yield told
            burst += 1
            if burst >= _BURST:
                await asyncio.sleep(0)
                burst = 0
        for told in translator.flush():
            yield told


async def calls_of(rows: Rows, thread: int, run: str) -> list[Item]:
    """The tool calls that a run has made, oldest first."""
    page = await rows.items(thread, limit=_CALLS, newest=True)
    return [item for item in reversed(page.rows) if item.run == run and item.kind == "tool_call"]


def is_waiting(item: Item) -> bool:
    """Whether a stored item is a tool call that waits for a human or a client."""
    state = item.body.get("state")
    return item.kind == "tool_call" and (
        state == "approval-requested" or (state == "input-available" and bool(item.body.get("client")))
    )
