"""The adapters of the unions, built once, when they are first used."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter

from dragoman.chatkit.types.attachments import Attachment
from dragoman.chatkit.types.events import ThreadStreamEvent
from dragoman.chatkit.types.requests import ChatKitReq
from dragoman.chatkit.types.threads import ThreadItem
from dragoman.chatkit.widgets.roots import WidgetRoot

_LATE = ConfigDict(defer_build=True)

request_adapter: TypeAdapter[ChatKitReq] = TypeAdapter(ChatKitReq, config=_LATE)
event_adapter: TypeAdapter[ThreadStreamEvent] = TypeAdapter(ThreadStreamEvent, config=_LATE)
item_adapter: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem, config=_LATE)
attachment_adapter: TypeAdapter[Attachment] = TypeAdapter(Attachment, config=_LATE)
widget_adapter: TypeAdapter[WidgetRoot] = TypeAdapter(WidgetRoot, config=_LATE)
json_adapter: TypeAdapter[Any] = TypeAdapter(Any, config=_LATE)
