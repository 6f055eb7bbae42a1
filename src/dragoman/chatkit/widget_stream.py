"""A widget, or one that changes while it is shown, as events of a thread."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from datetime import UTC, datetime

from dragoman.chatkit.diff import diff_widget
from dragoman.chatkit.store import StoreItemType, default_generate_id
from dragoman.chatkit.types import (
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    WidgetItem,
)
from dragoman.chatkit.widgets import WidgetRoot


async def stream_widget(
    thread: ThreadMetadata,
    widget: WidgetRoot | AsyncIterable[WidgetRoot],
    copy_text: str | None = None,
    generate_id: Callable[[StoreItemType], str] = default_generate_id,
) -> AsyncIterator[ThreadStreamEvent]:
    """A root is one `done` event; roots in succession are `added`, an update per difference, and `done`.

    No root at all gives no event. The source is closed when this is.
    """
    item_id = generate_id("message")

    def item(root: WidgetRoot) -> WidgetItem:
        return WidgetItem(id=item_id, thread_id=thread.id, created_at=created_at, widget=root, copy_text=copy_text)

    created_at = datetime.now(UTC)
    if not isinstance(widget, AsyncIterable):
        yield ThreadItemDoneEvent(item=item(widget))
        return
    last: WidgetRoot | None = None
    states = aiter(widget)
    try:
        async for state in states:
            if last is None:
                yield ThreadItemAddedEvent(item=item(state))
            else:
                for update in diff_widget(last, state):
                    yield ThreadItemUpdatedEvent(item_id=item_id, update=update)
            last = state
    finally:
        close = getattr(states, "aclose", None)
        if close is not None:
            await close()
    if last is not None:
        yield ThreadItemDoneEvent(item=item(last))
