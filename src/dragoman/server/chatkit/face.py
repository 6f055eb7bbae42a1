"""The ChatKit face: one endpoint, the bytes of its files, and feedback, over the app's agents or the user's own server.

All that the wire means is `dragoman.chatkit.endpoint`'s business; this module turns the server's calls into the
endpoint's values and its replies into answers, and says what the server's end means for a stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from dragoman.chatkit.endpoint import Endpoint, EndpointOptions, Reply, error_reply
from dragoman.chatkit.serving.answers import RUN_HEADER
from dragoman.chatkit.serving.streams import OutgoingStream
from dragoman.core.errors import BadRequest, DragomanError, Forbidden
from dragoman.server.chatkit.context import RequestContext, user_of
from dragoman.server.chatkit.hosting import host
from dragoman.server.closing import Closing, ServerClosing
from dragoman.server.cookies import BrowserSessions
from dragoman.server.http import Answer, Call, Cors, EventStream, Face, Route
from dragoman.server.http import Reply as HttpReply
from dragoman.server.limits import ClientGone
from dragoman.server.services import Services
from dragoman.server.settings import ChatKitSettings

PATH = "/chatkit"
PING = b": ping\n\n"
_RESTARTING = "The server is restarting. Open the conversation again in a moment."
_FAREWELL = b'data: {"type":"error","code":"custom","message":"%s","allow_retry":%s}\n\n'
_METHODS = ("GET", "POST", "PUT")
_HEADERS = ("content-type", "authorization", "accept-language")


def face(services: Services) -> Face:
    """The face over these services; its `close` ends what is under way of a user's own server."""
    hosted = host(services)
    routes = _Routes(services, Endpoint(hosted.server, _options(services), context_metadata=_with_metadata))
    settings = services.settings.chatkit
    body = max(settings.limits.body, settings.limits.transcribe_body)
    file = PATH + "/files/{file}"

    async def close() -> None:
        await routes.endpoint.aclose()
        await hosted.aclose()

    offered = [
        Route("POST", PATH, routes.post, body_limit=body, streams=True),
        Route("GET", PATH + "/feedback", routes.feedback),
        Route("GET", file, routes.download, auth="none"),
        Route("PUT", file, routes.upload, auth="none"),
        Route("POST", file, routes.upload, auth="none"),
    ]
    if settings.uploads.direct:
        offered.append(Route("POST", PATH + "/upload", routes.direct_upload))
    return Face(
        "chatkit",
        tuple(offered),
        encode_error,
        authenticate=BrowserSessions(services),
        cors=Cors(_METHODS, _HEADERS, origins=("*",) if services.demo else (), any_headers=True),
        close=close,
    )


def encode_error(error: DragomanError, surface: str) -> Answer:
    """`{"error": {"code", "message"}}`."""
    reply = error_reply(error)
    headers = dict(reply.headers)
    if reply.status == 401:
        headers["www-authenticate"] = 'Bearer error="invalid_token"'
    return Answer(reply.status, reply.body or b"", headers, error.run_id)


def _options(services: Services) -> EndpointOptions:
    settings: ChatKitSettings = services.settings.chatkit
    return EndpointOptions(
        busy=settings.busy,
        on_disconnect=settings.on_disconnect,
        enforce_status=settings.enforce_status,
        legacy_upload_url=settings.legacy_upload_url,
        persist_on_error=settings.persist_on_error,
        heartbeat=settings.heartbeat_seconds,
        stall=services.settings.limits.stall_seconds,
        max_body=settings.limits.body,
        max_transcribe_body=settings.limits.transcribe_body,
        max_attachments=settings.limits.attachments,
        direct_upload=settings.uploads.direct,
        max_upload=settings.limits.attachment,
    )


def _with_metadata(context: RequestContext, metadata: Mapping[str, Any]) -> RequestContext:
    return replace(context, metadata=metadata) if metadata else context


class _Routes:
    """The handlers."""

    def __init__(self, services: Services, endpoint: Endpoint[RequestContext]) -> None:
        self.endpoint = endpoint
        self._closing = services.closing
        self._heartbeat = services.settings.chatkit.heartbeat_seconds

    async def post(self, call: Call) -> HttpReply:
        """The one URL of the wire."""
        return self._answer(await self.endpoint.post(await call.body(), _context(call)))

    async def feedback(self, call: Call) -> HttpReply:
        """What users thought of answers; with `?thread_id=` of one thread."""
        if not call.principal.is_admin:
            raise Forbidden("Feedback is for credentials with the scope 'admin'.")
        return self._answer(await self.endpoint.feedback(_context(call), thread_id=call.query.get("thread_id")))

    async def upload(self, call: Call) -> HttpReply:
        """The bytes of a file that was announced; the URL's token says who may send them."""
        body = _Body(call)
        token = call.query.get("token", "")
        reply = await self.endpoint.upload(
            call.params["file"], token, body.chunks(), call.headers.get("content-type"), _length(call)
        )
        return body.unless_gone(self._answer(reply))

    async def direct_upload(self, call: Call) -> HttpReply:
        """A form with a file that was not announced."""
        body = _Body(call)
        kind = call.headers.get("content-type")
        reply = await self.endpoint.direct_upload(body.chunks(), kind, _context(call))
        return body.unless_gone(self._answer(reply))

    async def download(self, call: Call) -> HttpReply:
        """The bytes of a file, for whoever has the signed URL."""
        return self._answer(await self.endpoint.download(call.params["file"], call.query.get("token", "")))

    def _answer(self, reply: Reply) -> HttpReply:
        headers = {name: value for name, value in reply.headers.items() if name != RUN_HEADER}
        if reply.stream is None:
            return Answer(reply.status, reply.body or b"", headers, reply.run_id)
        if not isinstance(reply.stream, OutgoingStream):  # a file
            return EventStream(reply.stream, headers=headers, heartbeat=0.0, status=reply.status)
        source = _Outgoing(reply.stream, self._closing, goes_on=self.endpoint.server.manages_runs)
        return EventStream(source, headers=headers, run_id=reply.run_id, heartbeat=self._heartbeat, comment=PING)


class _Outgoing:
    """An answer's pieces, until its end or the server's.

    At the server's end a run of the engine goes on without its reader (`goes_on`); an answer of a user's own server
    ends here, and what it had said is put away before the process goes.
    """

    def __init__(self, stream: OutgoingStream, closing: Closing, *, goes_on: bool) -> None:
        self._stream = stream
        self._closing = closing
        self._goes_on = goes_on
        self._over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        if self._stream.is_ready:
            return await anext(self._stream)
        try:
            async with self._closing.interrupts():
                return await anext(self._stream)
        except ServerClosing:
            self._over = True
            if self._goes_on:
                self._stream.detach()
            else:
                self._stream.cancel()
            return _FAREWELL % (_RESTARTING.encode(), b"false" if self._goes_on else b"true")

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Body:
    """A request's body for an endpoint that makes an answer of every error; a client that has gone gets none."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._call.chunks():
                yield piece
        except ClientGone as gone:
            self._gone = True
            raise BadRequest("The body broke off.", status=499) from gone

    def unless_gone(self, reply: HttpReply) -> HttpReply:
        """Raises ClientGone if there is nobody to answer."""
        if self._gone:
            raise ClientGone
        return reply


def _length(call: Call) -> int | None:
    declared = call.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) <= 18 else None


def _context(call: Call) -> RequestContext:
    who = call.principal
    return RequestContext(who.tenant, user_of(who), who, call.headers, base_url=call.base_url)
