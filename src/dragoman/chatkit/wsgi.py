"""ChatKit behind a server that blocks: the same bytes from a plain iterator.

All coroutines run in one event loop in a thread of its own, which begins with the first call and lasts as
long as the process; so stores that belong to a loop, as `SQLiteStore` does, work behind any number of
threads. A process that was forked gets a loop of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from dragoman.chatkit.server import DEFAULT_ERROR_MESSAGE, ChatKitServer, NonStreamingResult, StreamingResult
from dragoman.chatkit.serving.answers import STREAM_HEADERS, error_event
from dragoman.chatkit.serving.streams import OutgoingStream
from dragoman.core.errors import UsageError

__all__ = ["STREAM_HEADERS", "iter_events", "process", "run"]

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""The loop of each process, by its id: a fork inherits the table, and not the thread."""


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="dragoman-chatkit", daemon=True).start()
            _loops.clear()
            _loops[os.getpid()] = loop
        return loop


def run(operation: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the loop of this module, and wait for its result.

    Raises UsageError in a thread that runs an event loop itself: that loop would stand still.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run_coroutine_threadsafe(operation, _loop()).result()
    operation.close()
    raise UsageError("this thread runs an event loop; await the coroutine there instead")


def process(
    server: ChatKitServer[Any], request: str | bytes | bytearray, context: Any
) -> StreamingResult | NonStreamingResult:
    """`server.process`, blocking; give a streaming result to `iter_events`."""
    return run(server.process(request, context))


def iter_events(result: StreamingResult) -> Iterator[bytes]:
    """The events of a result from a blocking iterator; each piece is one whole event or several.

    Closing it, as WSGI servers do when the client has gone, cancels the answer and waits for its cleanup.
    What fails before the first event is raised at the first step.
    """

    async def begin() -> OutgoingStream:
        stream = OutgoingStream(
            aiter(result.json_events),
            on_disconnect="cancel",
            last_words=lambda error: error_event(error, DEFAULT_ERROR_MESSAGE),
        )
        await stream.begin()
        return stream

    async def following(stream: OutgoingStream) -> bytes | None:
        return await anext(stream, None)

    stream = run(begin())
    try:
        while (piece := run(following(stream))) is not None:
            yield piece
    finally:
        run(stream.aclose())
