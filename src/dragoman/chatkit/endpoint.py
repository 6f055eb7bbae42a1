"""The one endpoint of ChatKit as values in and values out; no framework, no sockets.

`Endpoint` takes a request's body and the caller's context and gives a `Reply`. It holds what a bare
`ChatKitServer.process` leaves to whoever serves it: statuses for errors, limits, one answer at a time per
thread, what a lost connection means, files. Adapters: `dragoman.chatkit.asgi`, `dragoman.chatkit.wsgi`, and
the face of the Dragoman server. It does not authenticate; the context says who calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from typing_extensions import TypeVar

from dragoman.chatkit.errors import NotSupported
from dragoman.chatkit.logger import logger
from dragoman.chatkit.server import (
    DEFAULT_ERROR_MESSAGE,
    DEFAULT_PAGE_SIZE,
    ChatKitServer,
    NonStreamingResult,
    StreamingResult,
)
from dragoman.chatkit.serving.answers import Reply, error_event, error_reply, json_reply, stream_reply
from dragoman.chatkit.serving.leases import Lease, Leases
from dragoman.chatkit.serving.options import Busy, EndpointOptions, OnDisconnect
from dragoman.chatkit.serving.streams import OutgoingStream
from dragoman.chatkit.serving.uploads import DEFAULT_TYPE, file_reply, incoming_file, spooled
from dragoman.chatkit.store import owner_of
from dragoman.chatkit.types import (
    AttachmentCreateParams,
    AttachmentsCreateReq,
    AttachmentsDeleteReq,
    ClientToolCallItem,
    InputTranscribeReq,
    ItemsListReq,
    ThreadMetadata,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ThreadsCustomActionReq,
    ThreadsDeleteReq,
    ThreadsListReq,
    ThreadsSyncCustomActionReq,
    ThreadsUpdateReq,
    is_streaming_req,
)
from dragoman.chatkit.types.adapters import request_adapter
from dragoman.core.errors import BadRequest, Conflict, NotFound, PayloadTooLarge, Unprocessable, UsageError
from dragoman.core.ids import canonical

__all__ = ["Busy", "Endpoint", "EndpointOptions", "OnDisconnect", "Reply", "error_reply"]

TContext = TypeVar("TContext", default=Any)
ContextMetadata: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]
"""Gives the context to use, from the caller's context and the request's `metadata`."""

_RECENT = 20
"""How many of the newest items may hold a client tool call that nobody answers any more."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A valid request and who asks."""

    request: Any
    context: Any

    @property
    def thread_id(self) -> str | None:
        return getattr(self.request.params, "thread_id", None)


class Endpoint(Generic[TContext]):
    """Serves one `ChatKitServer`. Use it in one event loop; `aclose` ends what is under way."""

    def __init__(
        self,
        server: ChatKitServer[TContext],
        options: EndpointOptions | None = None,
        *,
        context_metadata: ContextMetadata | None = None,
    ) -> None:
        self.server = server
        self.options = options if options is not None else EndpointOptions()
        self._context_metadata = context_metadata
        self._leases = Leases(cleanup_seconds=self.options.cleanup_seconds, queue_seconds=self.options.queue_seconds)
        self._streams: set[OutgoingStream] = set()
        if self.options.persist_on_error:
            server.persist_on_error = True

    # ---------------------------------------------------------------------------- the one URL

    async def post(self, body: bytes, context: TContext) -> Reply:
        """Answer one request envelope. Every failure before the first event is a reply with its status."""
        try:
            request = self._decode(body)
            if self._context_metadata is not None:
                context = self._context_metadata(context, request.metadata or {})
            asked = _Asked(request, context)
            if is_streaming_req(request):
                return await self._stream(asked)
            return await self._answer(asked)
        except Exception as error:
            return error_reply(error)

    def _decode(self, body: bytes) -> Any:
        """Raises Unprocessable, PayloadTooLarge."""
        if len(body) > max(self.options.max_body, self.options.max_transcribe_body):
            raise PayloadTooLarge(f"The body is larger than {self.options.max_transcribe_body} bytes.")
        try:
            request = request_adapter.validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            where = f" at {place}" if place else ""
            raise Unprocessable(f"The request is not valid{where}: {first['msg']}.", code="invalid_request") from error
        limit = self.options.max_transcribe_body if isinstance(request, InputTranscribeReq) else self.options.max_body
        if len(body) > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
        return request

    # ------------------------------------------------------------------------------ JSON answers

    async def _answer(self, asked: _Asked) -> Reply:
        request = asked.request
        self._clamp(request)
        match request:
            case AttachmentsCreateReq() | AttachmentsDeleteReq() if self.server.attachment_store is None:
                raise NotSupported("This server takes no attachments.")
            case AttachmentsDeleteReq():  # whose it is, only the store knows: the place of the bytes need not ask
                await self.server.store.load_attachment(request.params.attachment_id, context=asked.context)
            case ThreadsUpdateReq() if len(request.params.title) > self.options.max_title:
                raise Unprocessable(
                    f"The title has {len(request.params.title)} characters; expected at most {self.options.max_title}.",
                    code="title_too_long",
                )
            case ThreadsDeleteReq():
                await self._thread(asked)
                await self._end_answer(asked)
            case ThreadsSyncCustomActionReq() if self.options.enforce_status:
                self._check_status(await self._thread(asked))
            case _:
                pass
        result = await self._process(asked)
        if not isinstance(result, NonStreamingResult):
            raise TypeError(f"{request.type} must have one JSON answer, got {type(result).__name__}")
        if isinstance(request, AttachmentsCreateReq):
            return json_reply(self._with_upload_url(result.json))
        return json_reply(result.json)

    def _clamp(self, request: Any) -> None:
        """A page has at least one row and at most `max_items_limit`."""
        if isinstance(request, ThreadsListReq | ItemsListReq):
            wanted = request.params.limit or DEFAULT_PAGE_SIZE
            request.params.limit = max(1, min(wanted, self.options.max_items_limit))

    async def _process(self, asked: _Asked) -> StreamingResult | NonStreamingResult:
        """Through the server's `process`, without parsing again what is parsed already."""
        server = self.server
        if type(server).process is not ChatKitServer.process:
            return await server.process(asked.request.model_dump_json(by_alias=True), asked.context)
        return await server.process_request(asked.request, asked.context)

    async def _thread(self, asked: _Asked) -> ThreadMetadata:
        """The thread that is asked for. Raises NotFoundError."""
        if asked.thread_id is None:
            raise NotFound("no thread is named")
        return await self.server.store.load_thread(asked.thread_id, context=asked.context)

    async def _end_answer(self, asked: _Asked) -> None:
        """End what is under way in a thread that is about to go, so that it writes nothing into it any more."""
        holder = self._leases.holder(self._key(asked.context, asked.thread_id))
        if isinstance(holder, OutgoingStream):
            holder.cancel()
            await holder.settled(self.options.cleanup_seconds)

    def _check_status(self, thread: ThreadMetadata) -> None:
        if thread.status.type != "active":
            raise Conflict(f"The thread is {thread.status.type}.", code=f"thread_{thread.status.type}")

    def _with_upload_url(self, attachment: bytes) -> bytes:
        """The attachment, with the field that older front ends look for."""
        if not self.options.legacy_upload_url:
            return attachment
        told = from_json(attachment)
        descriptor = told.get("upload_descriptor")
        return to_json({**told, "upload_url": descriptor["url"]}) if descriptor else attachment

    # ---------------------------------------------------------------------------------- streams

    async def _stream(self, asked: _Asked) -> Reply:
        self._refuse_early(asked.request)
        lease = await self._lease(asked)
        try:
            await self._prepare(asked)
            result = await self._process(asked)
            if not isinstance(result, StreamingResult):
                raise TypeError(f"{asked.request.type} must stream, got {type(result).__name__}")
            stream = OutgoingStream(
                result.json_events,
                on_disconnect=self.options.on_disconnect,
                last_words=_last_words,
                cleanup_seconds=self.options.cleanup_seconds,
            )
        except BaseException:
            if lease is not None:
                lease.release()
            raise
        self._watch(stream, lease)
        first = await stream.begin()
        if first is not None and isinstance(asked.request, ThreadsCreateReq):
            self._lease_created(asked, first, stream)
        return stream_reply(stream, result.run_id)

    def _refuse_early(self, request: Any) -> None:
        """What can be refused without a look at the thread."""
        if isinstance(request, ThreadsCustomActionReq) and type(self.server).action is ChatKitServer.action:
            raise NotSupported("This server does not react to actions.")
        attachments = getattr(getattr(request.params, "input", None), "attachments", ())
        if len(attachments) > self.options.max_attachments:
            raise Unprocessable(
                f"The message has {len(attachments)} attachments; expected at most {self.options.max_attachments}.",
                code="too_many_attachments",
            )

    def _key(self, context: Any, thread_id: str | None) -> Hashable:
        """What a lease is for: the thread, of whoever owns it where the context tells."""
        try:
            owner = owner_of(context)
        except UsageError:
            owner = ""
        return owner, canonical(thread_id or "")

    async def _lease(self, asked: _Asked) -> Lease | None:
        """Take the thread; None for a new one, or where the server watches over its runs itself."""
        if asked.thread_id is None or self.server.manages_runs:
            return None
        key = self._key(asked.context, asked.thread_id)
        lease = self._leases.take(key)
        if lease is not None:
            return lease
        await self._thread(asked)  # whose it is not must not learn that it is busy
        return await self._leases.acquire(key, self.options.busy)

    async def _prepare(self, asked: _Asked) -> None:
        """What the thread must be like, and what a new message leaves behind."""
        if self.options.enforce_status and asked.thread_id is not None:
            self._check_status(await self._thread(asked))
        if isinstance(asked.request, ThreadsAddUserMessageReq) and not self.server.manages_runs:
            await self._drop_pending_calls(asked)

    async def _drop_pending_calls(self, asked: _Asked) -> None:
        """A call that the client never answered is given up with the next message."""
        store, thread_id = self.server.store, asked.request.params.thread_id
        newest = await store.load_thread_items(
            thread_id, after=None, limit=_RECENT, order="desc", context=asked.context
        )
        for item in newest.data:
            if isinstance(item, ClientToolCallItem) and item.status == "pending":
                await store.delete_thread_item(thread_id, item.id, context=asked.context)

    def _watch(self, stream: OutgoingStream, lease: Lease | None) -> None:
        """Keep the stream until its cleanup is done, and the thread as long."""
        self._streams.add(stream)
        if lease is not None:
            lease.holder = stream

        def ended() -> None:
            self._streams.discard(stream)
            if lease is not None:
                lease.release()

        stream.when_ended(ended)

    def _lease_created(self, asked: _Asked, first: bytes, stream: OutgoingStream) -> None:
        """A thread that was just made is taken by the answer that made it."""
        if self.server.manages_runs or stream.is_done:
            return
        created = from_json(first[6:])
        if created.get("type") != "thread.created":
            return
        lease = self._leases.take(self._key(asked.context, created["thread"]["id"]))
        if lease is not None:
            lease.holder = stream
            stream.when_ended(lease.release)

    # --------------------------------------------------------------------------------- feedback

    async def feedback(self, context: TContext, thread_id: str | None = None) -> Reply:
        """All feedback that the store kept, for whoever may see it; the adapter has checked that."""
        load = getattr(self.server.store, "load_feedback", None)
        try:
            if load is None:
                raise NotSupported("The store keeps no feedback.")
            return json_reply(to_json({"data": await load(context, thread_id=thread_id)}))
        except Exception as error:
            return error_reply(error)

    # ------------------------------------------------------------------------------------ files

    def _files(self, what: str) -> Any:
        """The attachment store's method for moving bytes. Raises NotSupported without one."""
        found = getattr(self.server.attachment_store, what, None)
        if found is None:
            raise NotSupported("This server moves no files itself.")
        return found

    async def upload(
        self,
        id: str,
        token: str,
        chunks: AsyncIterator[bytes],
        content_type: str | None = None,
        length: int | None = None,
    ) -> Reply:
        """Take the bytes of an attachment: raw, or the field `file` of a form. The token says who may."""
        try:
            receive = self._files("receive")
            file = await incoming_file(chunks, content_type)
            is_raw = file.chunks is chunks
            await receive(id, token, file.chunks, content_type=file.content_type, length=length if is_raw else None)
            return json_reply(b"{}")
        except Exception as error:
            return error_reply(error)

    async def download(self, id: str, token: str) -> Reply:
        """The bytes of an attachment, for whoever has its signed URL."""
        try:
            return file_reply(await self._files("send")(id, token))
        except Exception as error:
            return error_reply(error)

    async def direct_upload(self, chunks: AsyncIterator[bytes], content_type: str | None, context: TContext) -> Reply:
        """One form with the field `file` makes an attachment and brings its bytes; gives the attachment.

        The size is not known before the bytes have come, so they wait in a temporary file.
        """
        try:
            if not self.options.direct_upload:
                raise NotSupported("This server takes no direct uploads.")
            receive = self._files("receive")
            file = await incoming_file(chunks, content_type)
            if file.chunks is chunks:
                raise BadRequest("Expected a form (multipart/form-data) with the field 'file'.", code="bad_upload")
            spool = await spooled(file.chunks, self.options.max_upload)
            try:
                name, kind = file.name or "file", file.content_type or DEFAULT_TYPE
                return await self._place(receive, spool.chunks(), spool.size, name, kind, context)
            finally:
                spool.close()
        except Exception as error:
            return error_reply(error)

    async def _place(
        self, receive: Any, chunks: AsyncIterator[bytes], size: int, name: str, kind: str, context: TContext
    ) -> Reply:
        """Both phases of an upload in one."""
        server = self.server
        files = server._get_attachment_store()
        params = AttachmentCreateParams(name=name, size=size, mime_type=kind)
        made = await files.create_attachment(params, context)
        await server.store.save_attachment(made, context=context)
        if made.upload_descriptor is None:
            raise NotSupported("The attachment store takes no bytes through this server.")
        token = parse_qs(urlsplit(str(made.upload_descriptor.url)).query).get("token", [""])[0]
        try:
            await receive(made.id, token, chunks, content_type=kind, length=size)
        except BaseException:
            await files.delete_attachment(made.id, context)
            await server.store.delete_attachment(made.id, context=context)
            raise
        stored = await server.store.load_attachment(made.id, context=context)
        if stored.upload_descriptor is not None:  # nobody has to bring it again
            stored = stored.model_copy(update={"upload_descriptor": None})
            await server.store.save_attachment(stored, context=context)
        return json_reply(server._serialize(stored))

    # ----------------------------------------------------------------------------------- ending

    @property
    def is_idle(self) -> bool:
        """Whether no answer is under way, detached ones and cleanups included."""
        return not self._streams

    async def aclose(self) -> None:
        """End what is under way: answers of the server's own are cancelled and put away, runs of an engine go on."""
        streams = tuple(self._streams)
        for stream in streams:
            if self.server.manages_runs:
                stream.detach()
            else:
                stream.cancel()
        if streams and not self.server.manages_runs:
            await asyncio.gather(*(stream.settled(self.options.cleanup_seconds) for stream in streams))
            late = sum(not stream.is_done for stream in streams)
            if late:
                logger.warning("%d ChatKit streams did not end in time", late)


def _last_words(error: Exception) -> bytes:
    return error_event(error, DEFAULT_ERROR_MESSAGE)
