"""`ChatKitClient`: talks to a ChatKit endpoint, ours or anybody's. For tests, bots and scripts.

Each method is one operation of the wire. Answers and events come as the types of
`dragoman.chatkit.types`; events of a type that this version does not know are left out. Errors are those
of `dragoman.core.errors`, by status; an `error` event in a stream is an event.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from dragoman.chatkit import exchange, types
from dragoman.chatkit.exchange import ChatKitStream, Session, check, envelope
from dragoman.core.errors import ProtocolError, UsageError
from dragoman.transport.drivers import taped
from dragoman.transport.io import IO
from dragoman.transport.options import ClientOptions, Record, Tape
from dragoman.wire.multipart import encode_file

__all__ = ["ChatKitClient", "ChatKitStream"]

M = TypeVar("M")
Order = Literal["asc", "desc"]
_DEFAULT_TYPE = "application/octet-stream"


@cache
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)


class ChatKitClient:
    """A client of the endpoint at `url`.

    `token` goes as `Authorization: Bearer`, `headers` with every request. `io` is an I/O port to use instead
    of an own one (see `dragoman.transport`); it is never closed here. Times are in seconds; `stream_timeout`
    is the longest pause between two reads of a stream. `record` is a file that everything is recorded to,
    `replay` one that everything is answered from.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        io: IO | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = exchange.DEFAULT_TIMEOUT,
        stream_timeout: float = exchange.DEFAULT_STREAM_TIMEOUT,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        port = io if io is None else taped(io, record=record, replay=replay)
        self._session = Session(url.rstrip("/"), token, port, timeout, stream_timeout, dict(headers or {}))
        self._session.options = ClientOptions(tape=Tape.of(record, replay))

    def __repr__(self) -> str:
        return f"ChatKitClient({self._session.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones."""
        await self._session.close()

    # -------------------------------------------------------------------------------- streams

    def create(
        self,
        input: str | types.UserMessageInput,
        attachments: Sequence[str | types.AttachmentBase] = (),
        *,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ChatKitStream:
        """Begin a thread with a message, and read the answer as it comes.

        `attachments` are those that `upload` gave, or their ids. `options` are further fields of the message:
        `quoted_text`, `inference_options`.
        """
        return self._stream("threads.create", {"input": _message(input, attachments, options)}, metadata)

    def send(
        self,
        thread_id: str,
        input: str | types.UserMessageInput,
        attachments: Sequence[str | types.AttachmentBase] = (),
        *,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ChatKitStream:
        """Go on with a thread; otherwise as `create`."""
        params = {"thread_id": thread_id, "input": _message(input, attachments, options)}
        return self._stream("threads.add_user_message", params, metadata)

    def add_client_tool_output(self, thread_id: str, result: Any) -> ChatKitStream:
        """Answer the pending client tool call, and read what follows."""
        return self._stream("threads.add_client_tool_output", {"thread_id": thread_id, "result": result})

    def add_structured_input(
        self,
        thread_id: str,
        item_id: str,
        answers: Mapping[str, Sequence[str] | None] | None = None,
        *,
        submission: types.StructuredInputSubmission | None = None,
    ) -> ChatKitStream:
        """Answer the questions of an item by their ids, None for one that is skipped; without answers skip it all."""
        if submission is not None:
            given = submission.model_dump(mode="json")
        elif answers is None:
            given = {"status": "skipped", "answers": {}}
        else:
            told = {
                question: {"values": list(values or ()), "skipped": values is None}
                for question, values in answers.items()
            }
            given = {"status": "answered", "answers": told}
        params = {"thread_id": thread_id, "item_id": item_id, "input": given}
        return self._stream("threads.add_structured_input", params)

    def retry(self, thread_id: str, item_id: str) -> ChatKitStream:
        """Have a user's message answered anew; all that came after it goes."""
        return self._stream("threads.retry_after_item", {"thread_id": thread_id, "item_id": item_id})

    def action(
        self, thread_id: str, action: types.Action[Any, Any] | Mapping[str, Any], item_id: str | None = None
    ) -> ChatKitStream:
        """Do what a widget's element would do, `item_id` being the widget; the action is `{type, payload}`."""
        params = {"thread_id": thread_id, "item_id": item_id, "action": _action(action)}
        return self._stream("threads.custom_action", params)

    def _stream(self, type: str, params: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> ChatKitStream:
        return ChatKitStream(self._session, envelope(type, params, metadata), params.get("thread_id"))

    # ---------------------------------------------------------------------------- JSON operations

    async def sync_action(
        self, thread_id: str, action: types.Action[Any, Any] | Mapping[str, Any], item_id: str | None = None
    ) -> types.SyncCustomActionResponse:
        """Like `action`, with one answer: the widget as it is now, if it changed."""
        params = {"thread_id": thread_id, "item_id": item_id, "action": _action(action)}
        return await self._ask("threads.sync_custom_action", params, types.SyncCustomActionResponse)

    async def get(self, thread_id: str) -> types.Thread:
        """A thread with its oldest items."""
        return await self._ask("threads.get_by_id", {"thread_id": thread_id}, types.Thread)

    async def rename(self, thread_id: str, title: str) -> types.Thread:
        """Set the title."""
        return await self._ask("threads.update", {"thread_id": thread_id, "title": title}, types.Thread)

    async def delete(self, thread_id: str) -> None:
        """Delete a thread with all that hangs on it."""
        await self._ask("threads.delete", {"thread_id": thread_id}, dict[str, Any])

    async def feedback(self, thread_id: str, item_ids: str | Sequence[str], kind: types.FeedbackKind) -> None:
        """Say that items were good (`positive`) or not (`negative`)."""
        ids = [item_ids] if isinstance(item_ids, str) else list(item_ids)
        await self._ask("items.feedback", {"thread_id": thread_id, "item_ids": ids, "kind": kind}, dict[str, Any])

    async def transcribe(self, audio: bytes, mime_type: str) -> str:
        """The text that was spoken."""
        params = {"audio_base64": base64.b64encode(audio).decode("ascii"), "mime_type": mime_type}
        return (await self._ask("input.transcribe", params, types.TranscriptionResult)).text

    async def threads_page(
        self, *, limit: int | None = None, order: Order = "desc", after: str | None = None
    ) -> types.Page[types.Thread]:
        """One page of the user's threads, without items."""
        params = {"limit": limit, "order": order, "after": after}
        return await self._ask("threads.list", params, types.Page[types.Thread])

    async def items_page(
        self, thread_id: str, *, limit: int | None = None, order: Order = "desc", after: str | None = None
    ) -> types.Page[types.ThreadItem]:
        """One page of a thread's items."""
        params = {"thread_id": thread_id, "limit": limit, "order": order, "after": after}
        return await self._ask("items.list", params, types.Page[types.ThreadItem])

    async def threads(self, *, order: Order = "desc", page: int = 20) -> AsyncIterator[types.Thread]:
        """All threads of the user, fetched `page` at a time."""
        after: str | None = None
        while True:
            found = await self.threads_page(limit=page, order=order, after=after)
            for thread in found.data:
                yield thread
            after = _next_cursor(found, after)
            if after is None:
                return

    async def items(self, thread_id: str, *, order: Order = "asc", page: int = 20) -> AsyncIterator[types.ThreadItem]:
        """All items of a thread, fetched `page` at a time."""
        after: str | None = None
        while True:
            found = await self.items_page(thread_id, limit=page, order=order, after=after)
            for item in found.data:
                yield item
            after = _next_cursor(found, after)
            if after is None:
                return

    async def _ask(self, type: str, params: Mapping[str, Any], wanted: type[M] | Any) -> M:
        response = check(await self._session.io().send(self._session.request(envelope(type, params))))
        found: M = _decoded(response.body, wanted)
        return found

    # -------------------------------------------------------------------------------- attachments

    async def upload(
        self, content: str | Path | bytes, *, name: str | None = None, mime_type: str | None = None
    ) -> types.Attachment:
        """Bring a file, by its path or as bytes with a name, and get the attachment to send with a message."""
        body, name, mime_type = await _file(content, name, mime_type)
        params = {"name": name, "size": len(body), "mime_type": mime_type}
        made: types.Attachment = await self._ask("attachments.create", params, types.Attachment)
        if made.upload_descriptor is None:
            raise ProtocolError("the server did not say where to bring the attachment")
        if made.upload_descriptor.method == "POST":
            kind, form = encode_file("file", name, mime_type, body)
            await self._session.bring(made.upload_descriptor, kind, form)
        else:
            await self._session.bring(made.upload_descriptor, mime_type, body)
        return made

    async def upload_direct(
        self, content: str | Path | bytes, *, name: str | None = None, mime_type: str | None = None
    ) -> types.Attachment:
        """Bring a file in one request, to a server that takes direct uploads below its endpoint."""
        body, name, mime_type = await _file(content, name, mime_type)
        kind, form = encode_file("file", name, mime_type, body)
        request = self._session.request_to("/upload", form, content_type=kind)
        response = check(await self._session.io().send(request))
        made: types.Attachment = _decoded(response.body, types.Attachment)
        return made

    async def delete_attachment(self, attachment_id: str) -> None:
        """Delete an attachment and its bytes."""
        await self._ask("attachments.delete", {"attachment_id": attachment_id}, dict[str, Any])


def _decoded(body: bytes, wanted: Any) -> Any:
    try:
        return _adapter(wanted).validate_json(body)
    except ValidationError as error:
        raise ProtocolError(f"the server's answer is not what was expected: {body[:120]!r}") from error


def _next_cursor(page: types.Page[Any], last: str | None) -> str | None:
    """Where the next page begins; None after the last. Raises ProtocolError for pages that go in circles."""
    if not page.has_more:
        return None
    if page.after is None or page.after == last:
        raise ProtocolError("the server says that there is more, and not where it begins")
    return page.after


def _message(
    input: str | types.UserMessageInput,
    attachments: Sequence[str | types.AttachmentBase],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The message as JSON values."""
    told: dict[str, Any]
    if isinstance(input, str):
        told = {"content": [{"type": "input_text", "text": input}], "attachments": [], "inference_options": {}}
    else:
        told = input.model_dump(mode="json", by_alias=True, exclude_none=True)
    told["attachments"] = [
        *told.get("attachments", ()),
        *(one if isinstance(one, str) else one.id for one in attachments),
    ]
    for name, value in options.items():
        if name not in ("quoted_text", "inference_options"):
            raise UsageError(f"a message has no field {name!r}; expected quoted_text or inference_options")
        told[name] = value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
    return told


def _action(action: types.Action[Any, Any] | Mapping[str, Any]) -> Mapping[str, Any]:
    return action.model_dump(mode="json", by_alias=True) if isinstance(action, BaseModel) else action


async def _file(content: str | Path | bytes, name: str | None, mime_type: str | None) -> tuple[bytes, str, str]:
    """Bytes, name and type of what is to be uploaded."""
    if isinstance(content, bytes):
        if name is None:
            raise UsageError("an upload of bytes needs a name")
        body = content
    else:
        path = Path(content)
        name = name if name is not None else path.name
        body = await asyncio.to_thread(path.read_bytes)
    return body, name, mime_type or mimetypes.guess_type(name)[0] or _DEFAULT_TYPE
