"""An answer as a stream of frames (stackspot.md 2.3).

An answer that fails before its first text is an error with a status, so the head waits for that text, though not for
long. One that fails later ends with a frame that says so, and a body that is cut: clients take a body with a proper
end for a whole answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from dragoman.server.http import EventStream
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.following import Answering, Reader, abandon
from dragoman.server.streams import CutShort
from dragoman.stackspot.translate import FrameStyle, text_frames
from dragoman.stackspot.wire import DONE, KEEP_ALIVE, error_frame

HEARTBEAT = 15.0
"""The longest silence that clients of this wire are to meet, in seconds."""

HEAD_SECONDS = 5.0
"""How long the head may wait for the first text."""

SPOILT = "The answer was interrupted and began anew; ask again for the whole of it."


async def first_text(answering: Answering, reader: Reader) -> None:
    """Wait for the answer's first text, its end, or until the head is due."""
    loop = asyncio.get_running_loop()
    due = loop.time() + HEAD_SECONDS
    while not answering.text and not answering.is_over:
        left = due - loop.time()
        if left <= 0:
            return
        try:
            answering.text += "".join(await reader.more(left))
        except TimeoutError:
            return
    if answering.fold.spoilt:  # nothing of it has been given out yet
        answering.text, answering.fold.spoilt = answering.fold.text, False


def stream(context: Context, answering: Answering, reader: Reader, style: FrameStyle) -> EventStream:
    """The answer from its begin, as far as it is known, to its end."""

    async def gone() -> None:
        await abandon(context, answering)

    beat = min(HEARTBEAT, context.services.settings.limits.heartbeat_seconds)
    source = _source(context, answering, reader, style)
    return EventStream(source, run_id=answering.run.id, heartbeat=beat, comment=KEEP_ALIVE, on_gone=gone)


async def _source(context: Context, answering: Answering, reader: Reader, style: FrameStyle) -> AsyncIterator[bytes]:
    """Frames, one at a time, so that each is sent at once."""
    try:
        first = True
        texts = [answering.text]
        while True:
            for text in texts:
                for frame in text_frames(style, text, first=first):
                    first = False
                    yield frame
            if answering.is_over:
                break
            texts = await reader.more()
            if answering.fold.spoilt:
                yield error_frame("INTERRUPTED", SPOILT)
                raise CutShort
        failure = answering.ended()
        if failure is not None:
            yield error_frame(failure.code, failure.message)
            raise CutShort
        yield style.last(answering.fold)
        yield DONE
    except CutShort:
        raise
    except Exception:
        await abandon(context, answering)  # nobody reads on
        raise
    finally:
        if answering.is_over and answering.place is not None:
            answering.place.release()
