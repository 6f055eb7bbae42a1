"""One exchange of a ChatKit client: the envelope, the answer, typed events, and errors by status.

Knows no particular operation; `dragoman.chatkit.client` makes them. Raises the errors of
`dragoman.core.errors` and no others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from urllib.parse import urljoin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from dragoman.chatkit import types
from dragoman.core.errors import ProtocolError, RemoteError, class_for_status
from dragoman.resilience.retry import parse_retry_after
from dragoman.transport.drivers import DEFAULTS, AsyncDriver
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.options import ClientOptions
from dragoman.transport.streams import error_body
from dragoman.wire.http import Headers, Request, Response, Timeouts
from dragoman.wire.sse import SSEDecoder

DEFAULT_TIMEOUT = 60.0
DEFAULT_STREAM_TIMEOUT = 600.0


@dataclass(slots=True)
class Session:
    """Who asks whom, and how patiently. `headers` go with every request to the endpoint."""

    url: str
    token: str | None = field(default=None, repr=False)
    given_io: IO | None = None
    timeout: float = DEFAULT_TIMEOUT
    stream_timeout: float = DEFAULT_STREAM_TIMEOUT
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    driver: AsyncDriver | None = None
    options: ClientOptions = DEFAULTS

    def io(self) -> IO:
        if self.given_io is not None:
            return self.given_io
        if self.driver is None:
            self.driver = AsyncDriver(options=self.options)
        return self.driver

    async def close(self) -> None:
        driver, self.driver = self.driver, None
        if driver is not None:
            await driver.aclose()

    def request(self, body: bytes | None, *, accept: str = "application/json") -> Request:
        """A POST to the endpoint, or a GET of it without a body."""
        return self.request_to("", body, content_type="application/json", accept=accept)

    def request_to(
        self, below: str, body: bytes | None, *, content_type: str, accept: str = "application/json"
    ) -> Request:
        headers = [*self.headers.items(), ("accept", accept)]
        if self.token is not None:
            headers.append(("authorization", f"Bearer {self.token}"))
        if body is not None:
            headers.append(("content-type", content_type))
        seconds = self.stream_timeout if accept == "text/event-stream" else self.timeout
        method = "GET" if body is None else "POST"
        return Request(method, self.url + below, Headers(headers), body, Timeouts.all(seconds))

    async def bring(self, attachment: types.AttachmentUploadDescriptor, content_type: str, body: bytes) -> None:
        """Send an attachment's bytes where its descriptor says; no credentials of ours go with them."""
        headers = [(name, value) for name, value in attachment.headers.items() if name.lower() != "content-type"]
        declared = next((v for n, v in attachment.headers.items() if n.lower() == "content-type"), content_type)
        headers.append(("content-type", content_type if attachment.method == "POST" else declared))
        url = urljoin(self.url, str(attachment.url))
        check(
            await self.io().send(
                Request(attachment.method, url, Headers(headers), body, Timeouts.all(self.stream_timeout))
            )
        )


def envelope(type: str, params: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> bytes:
    """The JSON of a request; parameters that are None are left out, but for a tool's result."""
    kept = {name: value for name, value in params.items() if value is not None or name == "result"}
    told: dict[str, Any] = {"type": type, "params": kept}
    if metadata:
        told["metadata"] = metadata
    return to_json(told, by_alias=True, exclude_none=False)


def check(response: Response) -> Response:
    """The response if it is none of an error. Raises RemoteError's subclass for its status."""
    if response.ok:
        return response
    raise error_of(response.status, response.headers, response.body)


def error_of(status: int, headers: Headers, body: bytes) -> RemoteError:
    """The error that an answer means, whoever wrote it."""
    told: Any
    try:
        told = from_json(body)
    except ValueError:
        told = body.decode("utf-8", "replace")[:2000]
    inner = told.get("error") if isinstance(told, dict) else None
    inner = inner if isinstance(inner, dict) else {}
    wait = headers.get("retry-after")
    return class_for_status(status)(
        str(inner.get("message") or f"the server answered {status}"),
        code=inner.get("code") if isinstance(inner.get("code"), str) else None,
        status=status,
        retry_after=parse_retry_after(wait, 0.0) if wait is not None and wait.isdigit() else None,
        run_id=headers.get("x-dragoman-run"),
        body=told,
    )


@cache
def event_adapter() -> TypeAdapter[Any]:
    return TypeAdapter(types.ThreadStreamEvent)


def decode_event(data: bytes) -> types.ThreadStreamEvent | None:
    """One event; None for a type that this version does not know. Raises ProtocolError for what is no event."""
    try:
        event: types.ThreadStreamEvent = event_adapter().validate_json(data)
        return event
    except ValidationError as error:
        kind = error.errors(include_url=False, include_context=False, include_input=False)[0]["type"]
        if kind == "union_tag_invalid":
            return None
        raise ProtocolError(f"the server sent no valid event: {data[:120]!r}") from error


class ChatKitStream:
    """The events of one answer; nothing is sent before the first iteration.

    Leaving the loop early leaves the answer running until the stream is closed: use it as
    `async with client.create("hi") as events:`, or read it to its end. `run_id` and `thread_id` are known
    from the first event on, where the server tells them.
    """

    def __init__(self, session: Session, body: bytes, thread_id: str | None = None) -> None:
        self._session = session
        self._body = body
        self._stream: ByteStream | None = None
        self._source: AsyncIterator[types.ThreadStreamEvent] | None = None
        self.thread_id = thread_id
        self.run_id: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> types.ThreadStreamEvent:
        if self._source is None:
            self._source = self._events()
        try:
            return await anext(self._source)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Let go of the answer; the server takes it for a press of the stop button."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _events(self) -> AsyncIterator[types.ThreadStreamEvent]:
        decoder = SSEDecoder()
        async for read in await self._open():
            for data in decoder.feed_data(read):
                event = decode_event(data)
                if event is None:
                    continue
                if isinstance(event, types.ThreadCreatedEvent):
                    self.thread_id = event.thread.id
                yield event

    async def _open(self) -> ByteStream:
        """The head of the answer. Raises as `check` does."""
        request = self._session.request(self._body, accept="text/event-stream")
        self._stream = stream = await self._session.io().stream(request)
        if not 200 <= stream.status < 300:
            raise error_of(stream.status, stream.headers, await error_body(stream))
        kind = stream.headers.get("content-type", "")
        if not kind.lower().startswith("text/event-stream"):
            raise ProtocolError(f"expected an event stream, got HTTP {stream.status} with content type {kind!r}")
        self.run_id = stream.headers.get("x-dragoman-run")
        return stream
