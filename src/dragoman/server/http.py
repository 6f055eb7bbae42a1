"""What a face sees of HTTP: the call it gets, the answers it gives, the routes it offers.

A face is a list of routes and one function that spells errors its wire's way. It never sees
ASGI; `dispatch` turns these values into messages. Nothing here knows a dialect.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import orjson
from pydantic_core import from_json
from starlette.datastructures import QueryParams

from dragoman.core.errors import BadRequest, DragomanError, PayloadTooLarge, Unauthorized
from dragoman.core.principal import Principal
from dragoman.server.streams import EventStream
from dragoman.wire.http import Headers

__all__ = [
    "Answer",
    "Call",
    "Cors",
    "EventStream",
    "Face",
    "Handler",
    "Reply",
    "Route",
    "encode_json",
    "is_https",
]

BodyReader: TypeAlias = Callable[[int], Awaitable[bytes]]
"""Reads the whole body; given the limit in bytes, raises PayloadTooLarge above it."""

PieceReader: TypeAlias = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Reads what comes next of the body, and tells whether there is more."""


MAX_NESTING = 200
"""Levels of a JSON body that are sure to be taken. Whatever is kept must be encoded again, and encoders are recursive."""


_MAYBE_TOO_LARGE = re.compile(rb"[eE]\+?\d{3}|\d{309}")
"""Only such numbers can be beyond a float; the parser would make them infinite, which no JSON can say."""


def is_https(url: str) -> bool:
    """Whether this is the https address of something on a host, without credentials in it."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False
    # parsers drop line ends and blanks, or read another host behind a backslash
    is_plain = url.isprintable() and not {" ", "\\"} & set(url)
    return parts.scheme == "https" and has_host and is_plain


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8; integers above 64 bits and lone surrogates, which orjson refuses, included."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


class Call:
    """One request, as a route's handler gets it.

    `path` is below the mount, `params` its decoded variables. `prefix` is the mount ("" or, say,
    "/agent"); `base_url` the public URL of that mount, without a trailing slash. `is_browser`:
    the request carries `Origin` or `Sec-Fetch-Mode`. `peer` is the client's address, if known.
    """

    __slots__ = (
        "_body",
        "_next_piece",
        "_presence",
        "_principal",
        "_query",
        "_raw_query",
        "_reader",
        "base_url",
        "body_limit",
        "headers",
        "method",
        "params",
        "path",
        "peer",
        "prefix",
        "request_id",
    )

    def __init__(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        query: str = "",
        headers: Headers | None = None,
        principal: Principal | None = None,
        request_id: str = "",
        prefix: str = "",
        base_url: str = "",
        peer: str | None = None,
        body: bytes | None = None,
        reader: BodyReader | None = None,
        next_piece: PieceReader | None = None,
        body_limit: int = 4 * 1024 * 1024,
        presence: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.params = params or {}
        self.headers = headers if headers is not None else Headers()
        self.request_id = request_id
        self.prefix = prefix
        self.base_url = base_url
        self.peer = peer
        self.body_limit = body_limit
        self._raw_query = query
        self._query: QueryParams | None = None
        self._principal = principal
        self._body = body
        self._reader = reader
        self._next_piece = next_piece
        self._presence = presence

    @property
    def query(self) -> QueryParams:
        """The query: `get(name)` gives the last value, `getlist(name)` all."""
        if self._query is None:
            self._query = QueryParams(self._raw_query)
        return self._query

    @property
    def principal(self) -> Principal:
        """Who calls. Raises Unauthorized where nobody signed in (only on `optional` and `none` routes)."""
        if self._principal is None:
            raise Unauthorized("This needs credentials.")
        return self._principal

    @principal.setter
    def principal(self, value: Principal) -> None:
        self._principal = value

    @property
    def signed_in(self) -> bool:
        """Whether the call carried valid credentials."""
        return self._principal is not None

    @property
    def is_browser(self) -> bool:
        return "origin" in self.headers or "sec-fetch-mode" in self.headers

    def while_present(self) -> AbstractAsyncContextManager[None]:
        """A block that ends with `limits.ClientGone` as soon as the client has gone; read the body before.

        Whoever catches it settles what became useless and raises it again.
        """
        return self._presence() if self._presence is not None else nullcontext()

    async def body(self) -> bytes:
        """The whole body. Raises PayloadTooLarge above the route's limit, BadRequest if it does not come."""
        if self._body is None:
            self._body = await self._reader(self.body_limit) if self._reader is not None else b""
        if len(self._body) > self.body_limit:
            raise PayloadTooLarge(f"The body is larger than {self.body_limit} bytes.")
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, for bodies larger than memory; `body_limit` does not count. Read it once.

        Raises BadRequest if nothing comes for too long.
        """
        if self._next_piece is None:
            yield await self.body()
            return
        more = True
        while more:
            piece, more = await self._next_piece()
            if piece:
                yield piece

    async def json(self) -> Any:
        """The body as JSON. Raises BadRequest if it is empty, not JSON in UTF-8, or nested without end."""
        body = await self.body()
        if not body.strip():
            raise BadRequest("Expected a JSON body, got an empty one.")
        try:
            # not orjson, which turns integers above 64 bits into floats: what comes in must come out as it was
            value = from_json(body, allow_inf_nan=False)
            if _MAYBE_TOO_LARGE.search(body):
                json.dumps(value, allow_nan=False)
        except ValueError as error:
            if "recursion limit" in str(error):
                raise BadRequest(f"The body is nested too deeply; expected at most {MAX_NESTING} levels.") from error
            raise BadRequest(f"The body is not JSON in UTF-8: {error}.") from error
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `run_id` goes out as `x-dragoman-run`."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None

    @classmethod
    def json(
        cls, value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, run_id: str | None = None
    ) -> Answer:
        """`value` as `application/json`."""
        return cls(status, encode_json(value), {"content-type": "application/json", **(headers or {})}, run_id)


Reply: TypeAlias = Answer | EventStream
Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path of a face.

    `path` is below the mount prefix; `{name}` stands for one segment, which arrives decoded in
    `call.params`. One trailing slash in a request is ignored. `auth`: `required` authenticates
    before anything else; `optional` only if there are credentials, and then they must be valid.
    `surface` is handed to `encode_error`. `streams` marks a route that answers with an
    EventStream (or tells by the call): a place is reserved before the handler runs, so that a
    refusal for too many streams changes nothing.
    """

    method: str
    path: str
    handler: Handler
    auth: Literal["required", "none", "optional"] = "required"
    surface: str = "api"
    body_limit: int | None = None
    streams: bool | Callable[[Call], bool] = False


@dataclass(frozen=True, slots=True)
class Cors:
    """What a face's wire lets pages of other origins send and read.

    `origins` are added to the setting `cors.origins`; `"*"` is any. Without origins CORS is off. `any_headers`: pages
    may send headers of their own beside the listed ones.
    """

    methods: tuple[str, ...] = ("GET", "POST", "PATCH", "DELETE")
    headers: tuple[str, ...] = ("content-type", "authorization", "x-storageapi-token", "x-storageapi-url")
    expose: tuple[str, ...] = ("retry-after", "x-request-id", "x-dragoman-run")
    origins: tuple[str, ...] = ()
    any_headers: bool = False


@dataclass(frozen=True, slots=True)
class Face:
    """The routes of one wire.

    `encode_error(error, surface)` spells any DragomanError; `error.request_id` is set.
    `prefixes` are mount points: every route exists below each of them. A path that no route
    knows is answered by the face whose routes share most leading segments with it.
    `authenticate` takes the place of the application's own where a wire has a way of its own to
    sign in; `close` lets go, at shutdown, of what the face opened.
    """

    name: str
    routes: tuple[Route, ...]
    encode_error: Callable[[DragomanError, str], Answer]
    prefixes: tuple[str, ...] = ("",)
    cors: Cors = Cors()
    authenticate: Callable[[Call], Awaitable[Principal]] | None = None
    close: Callable[[], Awaitable[None]] | None = None
