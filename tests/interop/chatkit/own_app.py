"""An app with a `ChatKitServer` of its own: the text of a message names what it yields, and every hook is there.

Served by `dragoman serve own_app:app`. Who calls is whoever the bearer token says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dragoman import App
from dragoman.chatkit.actions import Action, ActionConfig
from dragoman.chatkit.errors import CustomStreamError
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    AudioInput,
    ClientEffectEvent,
    ClientToolCallItem,
    EndOfTurnItem,
    GeneratedImage,
    GeneratedImageItem,
    HiddenContextItem,
    NoticeEvent,
    ProgressUpdateEvent,
    StreamOptions,
    StructuredInputFreeform,
    StructuredInputItem,
    StructuredInputMultipleChoice,
    StructuredInputMultipleChoiceOption,
    SyncCustomActionResponse,
    TaskItem,
    ThoughtTask,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
    WidgetRootUpdated,
    Workflow,
    WorkflowItem,
)
from dragoman.chatkit.widgets import Button, Card, Text
from dragoman.server.chatkit.context import RequestContext

Events = AsyncIterator[ThreadStreamEvent]


class Server(ChatKitServer[RequestContext]):
    """One method per word; `say` is the text of an answer."""

    def _about(self, thread: ThreadMetadata, context: RequestContext, kind: Any = "message") -> dict[str, Any]:
        id = self.store.generate_item_id(kind, thread, context)
        return {"id": id, "thread_id": thread.id, "created_at": datetime.now(UTC)}

    def _said(self, thread: ThreadMetadata, context: RequestContext, text: str) -> ThreadItemDoneEvent:
        content = [AssistantMessageContent(text=text)]
        return ThreadItemDoneEvent(item=AssistantMessageItem(**self._about(thread, context), content=content))

    def get_stream_options(self, thread: ThreadMetadata, context: RequestContext) -> StreamOptions:
        return StreamOptions(allow_cancel=context.metadata.get("stop") is not False)

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: RequestContext
    ) -> Events:
        if input_user_message is None:
            newest = await self.store.load_thread_items(thread.id, after=None, limit=3, order="desc", context=context)
            yield self._said(thread, context, f"continued after {newest.data[0].type}")
            return
        word, _, rest = "".join(part.text for part in input_user_message.content).partition(" ")
        if word == "slow":
            async for event in self._slow(thread, context, int(rest)):
                yield event
        elif word == "whoami":
            told = (context.tenant, context.principal.user, context.headers.get("x-my-app"), context.metadata)
            yield self._said(thread, context, repr(told))
        elif word == "fail":
            raise CustomStreamError(rest, allow_retry=True)
        elif word == "break":
            raise RuntimeError("a secret of the server")
        elif word == "close":
            thread.title, thread.metadata["private"] = "Closed", rest
            yield self._said(thread, context, "renamed")
        else:
            for item in self._items(thread, context, word):
                yield ThreadItemDoneEvent(item=item)
            if word == "events":
                yield ProgressUpdateEvent(icon="search", text="looking")
                yield ClientEffectEvent(name="blink", data={"n": 1})
                yield NoticeEvent(level="warning", message="*careful*", title="Notice")

    async def _slow(self, thread: ThreadMetadata, context: RequestContext, count: int) -> Events:
        item = AssistantMessageItem(**self._about(thread, context), content=[])
        yield ThreadItemAddedEvent(item=item)
        text = ""
        for number in range(count):
            await asyncio.sleep(0.03)
            delta = f"{number} "
            text += delta
            update = AssistantMessageContentPartTextDelta(content_index=0, delta=delta)
            yield ThreadItemUpdatedEvent(item_id=item.id, update=update)
        yield ThreadItemDoneEvent(item=item.model_copy(update={"content": [AssistantMessageContent(text=text)]}))

    def _items(self, thread: ThreadMetadata, context: RequestContext, word: str) -> list[ThreadItem]:
        about = self._about(thread, context)
        match word:
            case "hidden":
                return [HiddenContextItem(**about, content={"for": "the model"})]
            case "form":
                options = [StructuredInputMultipleChoiceOption(value=value) for value in ("red", "blue")]
                return [
                    StructuredInputItem(
                        **about,
                        status="pending",
                        inputs=[
                            StructuredInputMultipleChoice(id="colour", question="Which?", options=options),
                            StructuredInputFreeform(id="why", question="Why?"),
                        ],
                    )
                ]
            case "call":
                call = self._about(thread, context, "tool_call")
                return [ClientToolCallItem(**call, status="pending", call_id="c-1", name="look", arguments={"n": 1})]
            case "card":
                return [WidgetItem(**about, widget=card("Count: 0"), copy_text="Count")]
            case "image":
                return [GeneratedImageItem(**about, image=GeneratedImage(id="i-1", url="https://images.example/1.png"))]
            case "workflow":
                tasks = [ThoughtTask(title="Thinking", content="about it")]
                flow = WorkflowItem(**about, workflow=Workflow(type="reasoning", tasks=tasks, expanded=True))
                task = TaskItem(**self._about(thread, context, "task"), task=ThoughtTask(content="alone"))
                return [flow, task, EndOfTurnItem(**self._about(thread, context))]
            case _:
                return [AssistantMessageItem(**about, content=[AssistantMessageContent(text=f"you said {word}")])]

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: RequestContext
    ) -> Events:
        if sender is None:
            yield self._said(thread, context, f"{action.type} of the page")
        elif action.type == "count.replace":
            widget = card(f"Count: {action.payload['n']}")
            yield ThreadItemReplacedEvent(item=sender.model_copy(update={"widget": widget}))
        else:
            update = WidgetRootUpdated(widget=card("Count: updated"))
            yield ThreadItemUpdatedEvent(item_id=sender.id, update=update)

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: RequestContext
    ) -> SyncCustomActionResponse:
        if sender is None:
            return SyncCustomActionResponse()
        return SyncCustomActionResponse(updated_item=sender.model_copy(update={"widget": card("Count: synced")}))

    async def transcribe(self, audio_input: AudioInput, context: RequestContext) -> TranscriptionResult:
        return TranscriptionResult(text=f"{len(audio_input.data)} bytes of {audio_input.media_type}")


def card(text: str) -> Card:
    count = Button(label="Count", onClickAction=ActionConfig(type="count.replace", payload={"n": 1}))
    return Card(children=[Text(id="text", value=text), count])


def authenticate(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """`Bearer TENANT.USER`."""
    tenant, dot, user = headers.get("authorization", "").removeprefix("Bearer ").partition(".")
    return {"tenant": tenant, "user": user} if dot else None


app = App(
    "own",
    chatkit=Server,
    authenticate=authenticate,
    settings={"chatkit": {"heartbeat_seconds": 0.05, "uploads": {"direct": True, "types": ["text/*", "image/png"]}}},
)
