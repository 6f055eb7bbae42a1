"""What the parts of the processing need of the server that they work for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from pydantic import BaseModel

from dragoman.chatkit.actions import Action
from dragoman.chatkit.processing.cleanups import Cleanups
from dragoman.chatkit.store import AttachmentStore, Store
from dragoman.chatkit.types import (
    AudioInput,
    FeedbackKind,
    StreamOptions,
    SyncCustomActionResponse,
    Thread,
    ThreadItem,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
)


class Host(Protocol):
    """`ChatKitServer`, as far as its parts know it; the hooks are documented there."""

    store: Store[Any]
    attachment_store: AttachmentStore[Any] | None
    persist_on_error: bool

    @property
    def cleanups(self) -> Cleanups: ...

    def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Any
    ) -> AsyncIterator[ThreadStreamEvent]: ...

    def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Any
    ) -> AsyncIterator[ThreadStreamEvent]: ...

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Any
    ) -> SyncCustomActionResponse: ...

    async def add_feedback(self, thread_id: str, item_ids: list[str], feedback: FeedbackKind, context: Any) -> None: ...

    async def transcribe(self, audio_input: AudioInput, context: Any) -> TranscriptionResult: ...

    def get_stream_options(self, thread: ThreadMetadata, context: Any) -> StreamOptions: ...

    async def handle_stream_cancelled(
        self, thread: ThreadMetadata, pending_items: list[ThreadItem], context: Any
    ) -> None: ...

    def _get_attachment_store(self) -> AttachmentStore[Any]: ...

    def _serialize(self, obj: BaseModel) -> bytes: ...

    def _to_thread_response(self, thread: ThreadMetadata | Thread) -> Thread: ...
