"""Events as frames of Server-Sent Events: one event, one `data:` line, one empty line.

Nearly all events of an answer are text deltas that differ in their text alone. Their frames are made of a head that
is kept per message part, the text as JSON, and a tail.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel
from pydantic_core import to_json

from dragoman.chatkit.types import (
    AssistantMessageContentPartTextDelta,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)

_END = b"\n\n"
_TAIL = b'""}}'


class FrameEncoder:
    """Encodes the events of one stream. `serialize` gives the JSON of any event."""

    def __init__(self, serialize: Callable[[BaseModel], bytes], *, prebuild: bool = True) -> None:
        """`prebuild=False` sends every event through `serialize`, as one that was overridden expects."""
        self._serialize = serialize
        self._prebuild = prebuild
        self._heads: dict[tuple[str, int], bytes] = {}

    def __call__(self, event: ThreadStreamEvent) -> bytes:
        if type(event) is ThreadItemUpdatedEvent and self._prebuild:
            update = event.update
            if type(update) is AssistantMessageContentPartTextDelta:
                head = self._heads.get((event.item_id, update.content_index))
                if head is None:
                    head = self._head(event.item_id, update.content_index)
                return head + to_json(update.delta) + b"}}\n\n"
        return b"data: " + self._serialize(event) + _END

    def _head(self, item_id: str, content_index: int) -> bytes:
        """Everything up to the text: the frame of an empty delta, less its end."""
        update = AssistantMessageContentPartTextDelta(content_index=content_index, delta="")
        whole = self._serialize(ThreadItemUpdatedEvent(item_id=item_id, update=update))
        if not whole.endswith(_TAIL):
            raise ValueError(f"expected the text of a delta to be its last field, got {whole!r}")
        head = self._heads[item_id, content_index] = b"data: " + whole[: -len(_TAIL)]
        return head
