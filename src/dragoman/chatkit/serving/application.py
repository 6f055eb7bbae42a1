"""ChatKit as a plain ASGI application: one URL, files, feedback, CORS, and errors that browsers may read.

No framework. It may be served by itself, or be mounted in another application. Routes, below the place
where it is mounted, and below `path` as well:

    POST                      the endpoint
    GET, PUT, POST files/{id} bytes of attachments, by signed URL
    POST upload               direct uploads, where the options allow them
    GET feedback              for administrators, where `is_admin` is given
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

from pydantic_core import from_json

from dragoman.chatkit.endpoint import Endpoint, EndpointOptions, Reply, error_reply
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.serving.answers import RUN_HEADER
from dragoman.chatkit.serving.sending import Pairs, Scope, send_reply
from dragoman.core.errors import BadRequest, MethodNotAllowed, NotFound, PayloadTooLarge, Unauthorized
from dragoman.transport.sending import Receive, Send
from dragoman.wire.http import Headers

CORS_MAX_AGE = "600"


class ChatKitRequest:
    """What a `context` callable gets to see: headers, query, and the envelope's `metadata`.

    `metadata` is empty if there is none, and while the body cannot be read as an envelope.
    """

    __slots__ = ("_body", "headers", "method", "path", "query", "scope")

    def __init__(self, scope: Scope, path: str, body: bytes = b"") -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path = path
        self.headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
        self.query: Mapping[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        self._body = body

    @property
    def metadata(self) -> Mapping[str, Any]:
        try:
            told = from_json(self._body) if self._body else {}
        except ValueError:
            return {}
        found = told.get("metadata") if isinstance(told, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer`, if there is one."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if kind.lower() == "bearer" else None


ContextOf: TypeAlias = Callable[[ChatKitRequest], Any]
"""Gives the context of a request, awaitable or not; None, or core's Unauthorized, answers 401."""


def chatkit_app(
    server: ChatKitServer[Any],
    context: ContextOf | None = None,
    *,
    path: str = "/chatkit",
    cors: Sequence[str] = (),
    is_admin: Callable[[Any], bool | Awaitable[bool]] | None = None,
    **options: Any,
) -> ChatKitApp:
    """`server` as an ASGI application.

    `context` makes the context of each request from a `ChatKitRequest`; without it every request has an
    empty dict of its own. `cors` lists origins that may call, `["*"]` for all. `is_admin` says of a context
    whether it may read everybody's feedback. `options` are those of `EndpointOptions`.
    """
    return ChatKitApp(Endpoint(server, EndpointOptions(**options)), context, path=path, cors=cors, is_admin=is_admin)


class ChatKitApp:
    """The application; `endpoint` is what it serves. Made by `chatkit_app`."""

    def __init__(
        self,
        endpoint: Endpoint[Any],
        context: ContextOf | None,
        *,
        path: str,
        cors: Sequence[str],
        is_admin: Callable[[Any], bool | Awaitable[bool]] | None,
    ) -> None:
        self.endpoint = endpoint
        self._context = context
        self._path = "/" + path.strip("/")
        self._origins = frozenset(origin.rstrip("/") for origin in cors)
        self._is_admin = is_admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"ChatKit speaks HTTP, not {scope['type']}")
        more = self.cors_headers(scope)
        try:
            reply = await self._answer(scope, receive)
        except Exception as error:
            reply = error_reply(error)
        options = self.endpoint.options
        await send_reply(reply, receive, send, more=more, heartbeat=options.heartbeat, stall=options.stall)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.endpoint.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ---------------------------------------------------------------------------------- routing

    def _place(self, scope: Scope) -> tuple[str, ...]:
        """The segments below the endpoint's own URL."""
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        if path == self._path or path.startswith(self._path + "/"):
            path = path[len(self._path) :]
        return tuple(segment for segment in path.split("/") if segment)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        method: str = scope["method"]
        match (method, self._place(scope)):
            case ("OPTIONS", _):
                return Reply(204, {})
            case ("POST", ()):
                return await self._post(scope, receive)
            case ("GET" | "HEAD", ("files", id)):
                return await self.endpoint.download(unquote(id), _token(scope))
            case ("PUT" | "POST", ("files", id)):
                return await receive_file(self.endpoint, scope, receive, unquote(id))
            case ("POST", ("upload",)):
                context = await self._context_of(scope, b"")
                kind = _header(scope, b"content-type")
                return await self.endpoint.direct_upload(body_chunks(receive), kind, context)
            case ("GET", ("feedback",)) if self._is_admin is not None:
                return await self._feedback(scope, self._is_admin)
            case (_, () | ("files", _) | ("upload",)):
                raise MethodNotAllowed(f"{method} is not possible here.")
            case _:
                raise NotFound("no such path")

    async def _post(self, scope: Scope, receive: Receive) -> Reply:
        body = await read_body(receive, self.endpoint.options, _header(scope, b"content-length"))
        return await self.endpoint.post(body, await self._context_of(scope, body))

    async def _feedback(self, scope: Scope, is_admin: Callable[[Any], bool | Awaitable[bool]]) -> Reply:
        context = await self._context_of(scope, b"")
        allowed = is_admin(context)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not allowed:
            raise NotFound("not for this caller")
        thread = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("thread_id", [None])[-1]
        return await self.endpoint.feedback(context, thread)

    async def _context_of(self, scope: Scope, body: bytes) -> Any:
        if self._context is None:
            return {}
        made = self._context(ChatKitRequest(scope, scope["path"], body))
        if inspect.isawaitable(made):
            made = await made
        if made is None:
            raise Unauthorized("This needs credentials.")
        return made

    # ------------------------------------------------------------------------------------- CORS

    def cors_headers(self, scope: Scope) -> Pairs:
        """What the browser needs to hand the answer, an error too, to a page of another origin."""
        return cors_headers(self._origins, scope)


def cors_headers(origins: frozenset[str], scope: Scope) -> list[tuple[str, str]]:
    """The headers of an answer to this request; for a preflight those of the preflight as well."""
    if not origins:
        return []
    origin = _header(scope, b"origin")
    pairs = [] if "*" in origins else [("vary", "origin")]
    if origin is None or not ("*" in origins or origin in origins):
        return pairs
    pairs.append(("access-control-allow-origin", "*" if "*" in origins else origin))
    if "*" not in origins:
        pairs.append(("access-control-allow-credentials", "true"))  # for cookie sessions
    wanted = _header(scope, b"access-control-request-method")
    if scope["method"] != "OPTIONS" or wanted is None:
        pairs.append(("access-control-expose-headers", f"{RUN_HEADER}, retry-after"))
        return pairs
    # whatever headers the page's own fetch adds
    asked = _header(scope, b"access-control-request-headers") or "authorization, content-type"
    pairs.append(("access-control-allow-methods", "GET, POST, PUT, OPTIONS"))
    pairs.append(("access-control-allow-headers", asked))
    pairs.append(("access-control-max-age", CORS_MAX_AGE))
    return pairs


# ------------------------------------------------------------------------------------------ bodies


def _header(scope: Scope, name: bytes) -> str | None:
    for found, value in scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _token(scope: Scope) -> str:
    query: str = scope.get("query_string", b"").decode("latin-1")
    return parse_qs(query).get("token", [""])[-1]


def _length(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) < 20 else None


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BadRequest if the client leaves before its end."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The body was cut off.", code="cut")
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece


async def read_body(receive: Receive, options: EndpointOptions, length: str | None) -> bytes:
    """The whole body of an envelope. Raises PayloadTooLarge before it is read where its length is told."""
    limit = max(options.max_body, options.max_transcribe_body)
    pieces, size = [], 0
    if (_length(length) or 0) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    async for piece in body_chunks(receive):
        size += len(piece)
        if size > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def receive_file(endpoint: Endpoint[Any], scope: Scope, receive: Receive, id: str) -> Reply:
    """The bytes of an attachment, raw or as a form."""
    length = _length(_header(scope, b"content-length"))
    kind = _header(scope, b"content-type")
    return await endpoint.upload(id, _token(scope), body_chunks(receive), kind, length)
