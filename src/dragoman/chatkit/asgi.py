"""ChatKit behind a web framework: a plain ASGI application, a FastAPI router, and two response classes.

The classes are for code that calls `process` itself and returns its result; the application and the router
do more: statuses for errors, limits, one answer per thread at a time, files. This is the only module of the
room that imports Starlette.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dragoman.chatkit.endpoint import Endpoint, EndpointOptions, Reply, error_reply
from dragoman.chatkit.server import DEFAULT_ERROR_MESSAGE, ChatKitServer
from dragoman.chatkit.serving.answers import STREAM_HEADERS, error_event
from dragoman.chatkit.serving.application import (
    ChatKitApp,
    ChatKitRequest,
    chatkit_app,
    cors_headers,
    read_body,
    receive_file,
)
from dragoman.chatkit.serving.sending import Pairs, send_reply
from dragoman.chatkit.serving.streams import OutgoingStream
from dragoman.core.errors import DragomanError, MissingExtra

try:
    from starlette import responses
    from starlette.requests import Request
except ImportError as error:
    raise MissingExtra("dragoman.chatkit.asgi", "server") from error

if TYPE_CHECKING:  # for annotations only: FastAPI is an extra of its own
    from fastapi import APIRouter
    from starlette.background import BackgroundTask
    from starlette.types import Receive, Scope, Send

__all__ = ["ChatKitApp", "ChatKitRequest", "JSONResponse", "StreamingResponse", "chatkit_app", "fastapi_router"]


class JSONResponse(responses.JSONResponse):
    """Starlette's, but bytes are taken for JSON that is encoded already, as `NonStreamingResult.json` is."""

    def render(self, content: Any) -> bytes:
        return bytes(content) if isinstance(content, bytes | bytearray) else super().render(content)


class StreamingResponse(responses.StreamingResponse):
    """Starlette's, for event streams: with their headers, heartbeats, and a generator that is closed at once.

    Events that are ready together leave together. When the client goes, the generator is cancelled and its
    cleanup awaited. Content that is no async iterator goes out as Starlette does it.
    """

    heartbeat = 15.0
    stall = 60.0

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = "text/event-stream",
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type, background)
        self._content = content
        if self.media_type == "text/event-stream":
            for name, value in STREAM_HEADERS.items():
                self.headers[name] = self.headers[name] if name in (headers or {}) else value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.media_type != "text/event-stream" or not hasattr(self._content, "__aiter__"):
            await super().__call__(scope, receive, send)
            return
        stream = OutgoingStream(
            aiter(self._content),
            on_disconnect="cancel",
            last_words=lambda error: error_event(error, DEFAULT_ERROR_MESSAGE),
        )
        await stream.begin()  # what fails before the first event is the framework's to answer
        reply = Reply(self.status_code, dict(self.headers.items()), None, stream)
        await send_reply(reply, receive, send, heartbeat=self.heartbeat, stall=self.stall)
        if self.background is not None:
            await self.background()


class _ReplyResponse(responses.Response):
    """A `Reply` for Starlette."""

    def __init__(self, reply: Reply, options: EndpointOptions, more: Pairs) -> None:
        super().__init__(status_code=reply.status)
        self._reply = reply
        self._options = options
        self._more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        options = self._options
        await send_reply(self._reply, receive, send, more=self._more, heartbeat=options.heartbeat, stall=options.stall)


def _nobody() -> Any:
    """The context of callers about whom nothing is known."""
    return {}


def fastapi_router(
    server: ChatKitServer[Any],
    context: Callable[..., Any] | None = None,
    *,
    path: str = "/chatkit",
    cors: Sequence[str] = (),
    is_admin: Callable[..., Any] | None = None,
    **options: Any,
) -> APIRouter:
    """`server` as a router to be included in a FastAPI application.

    `context` is a dependency whose value is the context of each request; it refuses callers by raising
    HTTPException, as all dependencies do. Without it every request has an empty dict of its own. `is_admin`
    is a dependency too: what it lets through may read everybody's feedback. `cors` and `options` are as in
    `chatkit_app`; what a dependency refuses has CORS headers only with FastAPI's own middleware.
    """
    try:
        from fastapi import APIRouter, Depends
    except ImportError as error:
        raise MissingExtra("fastapi_router", "fastapi") from error

    endpoint = Endpoint(server, EndpointOptions(**options))
    origins = frozenset(origin.rstrip("/") for origin in cors)
    made = Depends(context if context is not None else _nobody)

    def answer(request: Request, reply: Reply) -> responses.Response:
        return _ReplyResponse(reply, endpoint.options, cors_headers(origins, request.scope))

    async def post(request: Request, context: Any = made) -> responses.Response:
        try:
            body = await read_body(request.receive, endpoint.options, request.headers.get("content-length"))
        except DragomanError as error:
            return answer(request, error_reply(error))
        return answer(request, await endpoint.post(body, context))

    async def files(request: Request, id: str, token: str = "") -> responses.Response:
        if request.method in ("GET", "HEAD"):
            return answer(request, await endpoint.download(id, token))
        return answer(request, await receive_file(endpoint, request.scope, request.receive, id))

    async def upload(request: Request, context: Any = made) -> responses.Response:
        kind = request.headers.get("content-type")
        return answer(request, await endpoint.direct_upload(request.stream(), kind, context))

    async def feedback(request: Request, context: Any = made, thread_id: str | None = None) -> responses.Response:
        return answer(request, await endpoint.feedback(context, thread_id))

    async def preflight(request: Request) -> responses.Response:
        return answer(request, Reply(204, {}))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        await endpoint.aclose()

    router = APIRouter(lifespan=lifespan)
    shown: dict[str, Any] = {"include_in_schema": False}
    router.add_api_route(path, post, methods=["POST"], response_model=None, name="chatkit")
    router.add_api_route(f"{path}/files/{{id}}", files, methods=["GET", "PUT", "POST"], response_model=None, **shown)
    if endpoint.options.direct_upload:
        router.add_api_route(f"{path}/upload", upload, methods=["POST"], response_model=None, **shown)
    if is_admin is not None:
        guard = [Depends(is_admin)]
        router.add_api_route(f"{path}/feedback", feedback, methods=["GET"], dependencies=guard, **shown)
    if origins:
        router.add_api_route(path, preflight, methods=["OPTIONS"], response_model=None, **shown)
        router.add_api_route(f"{path}/files/{{id}}", preflight, methods=["OPTIONS"], response_model=None, **shown)
        router.add_api_route(f"{path}/upload", preflight, methods=["OPTIONS"], response_model=None, **shown)
    return router
