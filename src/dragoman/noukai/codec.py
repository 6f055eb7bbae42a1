"""Bytes ⇄ documents and events of the Noukai wire.

Client and server share it. Bodies leave out top-level fields that are null and keep nulls further
in; a stream is decoded by `dragoman.wire.sse`, and a frame that cannot be used is counted, warned of
once and passed over. Knows no network and no calls.
"""

from __future__ import annotations

import hashlib
import json
import logging
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from dragoman.core.errors import ProtocolError
from dragoman.noukai.events import KINDS, Event, StreamEvent
from dragoman.noukai.exceptions import FlowExecutionError, NoukaiError, ReplayError, error_for_answer
from dragoman.noukai.models import ExecuteRequest, ExecuteResult, PausedResult, StepRequest
from dragoman.noukai.types import REQUEST_ID_HEADER
from dragoman.resilience.retry import parse_retry_after
from dragoman.wire.http import Headers, Response
from dragoman.wire.sse import SSEDecoder, encode_event

M = TypeVar("M", bound=BaseModel)

_LOG = logging.getLogger("dragoman.noukai")
_PASSED_OVER = frozenset({"step_progress", "loop_completed"})


# ------------------------------------------------------------------------------------- documents


def encode_request(request: ExecuteRequest | StepRequest) -> dict[str, Any]:
    """The body as JSON-like values; nulls on the top level are left out, others stay."""
    body = request.model_dump(by_alias=True)
    if request.messages is not None:
        body["messages"] = [turn.model_dump(by_alias=True, exclude_none=True) for turn in request.messages]
    return {name: value for name, value in body.items() if value is not None}


def decode_request(body: Any, kind: type[M]) -> M:
    """The request that a body means. Raises pydantic's ValidationError."""
    return kind.model_validate(body)


def input_hash(request: ExecuteRequest | StepRequest) -> str:
    """`sha256:` and the digest of what a flow is given: message, messages, parameters, attachments.

    Recorded with a run, so that a replay can tell apart calls that overlapped.
    """
    given = encode_request(request)
    names = ("message", "messages", "parameters", "attachments")
    text = json.dumps([given.get(name) for name in names], sort_keys=True, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8. Raises ValueError for a value that JSON has no word for."""
    return to_json(value, by_alias=True)


def decode_json(body: bytes) -> Any:
    """The decoded body, its text where it is no JSON, None where it is empty."""
    if not body:
        return None
    try:
        return from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def decode_answer(body: Any, kind: type[M], *, request_id: str | None = None) -> M:
    """The document of an answer. Raises FlowExecutionError, code `INVALID_ANSWER`, if it is none."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise FlowExecutionError(
            f"the server's answer is no {kind.__name__}: {error.errors()[0]['msg']}",
            code="INVALID_ANSWER",
            request_id=request_id,
            response_body=body,
        ) from error


def decode_result(body: Any, *, request_id: str | None = None) -> ExecuteResult | PausedResult:
    """What `execute` was answered with."""
    if isinstance(body, dict) and body.get("status") == "tool_calls_required":
        return decode_answer(body, PausedResult, request_id=request_id)
    return decode_answer(body, ExecuteResult, request_id=request_id)


def decode_retry_after(headers: Headers) -> float | None:
    """Seconds to wait. A date counts from the server's own `Date`, so no clock is needed here."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        now = 0.0 if value.isdigit() else parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return None
    return parse_retry_after(value, now)


def decode_error(response: Response, *, kinds: dict[int, type[ReplayError]] | None = None) -> NoukaiError:
    """The error that an answer means; `kinds` are classes that go before those of the status."""
    headers: Headers = response.headers
    return error_for_answer(
        response.status,
        decode_json(response.body),
        request_id=headers.get(REQUEST_ID_HEADER),
        retry_after=decode_retry_after(headers),
        www_authenticate=headers.get("www-authenticate"),
        kinds=kinds,
    )


# ---------------------------------------------------------------------------------------- events


def encode_stream_event(event: Event, *, id: str | None = None) -> bytes:
    """One frame: the event's name, and its fields as one line of JSON."""
    return encode_event(to_json(event, by_alias=True), event=event.event_type, id=id)


def decode_stream_event(data: bytes, name: bytes = b"") -> StreamEvent | None:
    """The event of one frame's data; None for a kind that clients pass over.

    The kind is the frame's own `event:` where there is one, else its `eventType`. Raises ProtocolError
    for what is no event.
    """
    try:
        fields = from_json(data)
    except ValueError as error:
        raise ProtocolError(f"a frame is no JSON: {data[:80]!r}") from error
    word = name.decode("utf-8", "replace") or (fields.get("eventType") if isinstance(fields, dict) else None)
    if not isinstance(word, str) or not isinstance(fields, dict):
        raise ProtocolError(f"a frame names no eventType: {data[:80]!r}")
    kind = KINDS.get(word)
    if kind is None:
        if word not in _PASSED_OVER:
            _LOG.debug("an event of an unknown kind was passed over: %r", word)
        return None
    try:
        return cast(StreamEvent, kind.model_validate({**fields, "eventType": word}))
    except ValidationError as error:
        first = error.errors()[0]
        raise ProtocolError(f"a frame {word!r} cannot be used: {first['loc']}: {first['msg']}") from error


class EventDecoder:
    """Bytes in, events out, at any split. `dropped` counts the frames that could not be used."""

    def __init__(self) -> None:
        self.dropped = 0
        self._frames = SSEDecoder()

    @property
    def last_event_id(self) -> str:
        """The id of the latest frame that had one."""
        return self._frames.last_event_id

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that these bytes complete. Raises ProtocolError for a frame without end."""
        return [event for frame in self._frames.feed_named(data) if (event := self._event(*frame)) is not None]

    def end(self) -> list[StreamEvent]:
        """The event that the end of the connection completes, where its blank line is missing."""
        return self.feed(b"\n\n")

    def _event(self, frame: bytes, name: bytes) -> StreamEvent | None:
        try:
            return decode_stream_event(frame, name)
        except ProtocolError as error:
            self.dropped += 1
            if self.dropped == 1:
                _LOG.warning("a frame of an event stream was dropped, as will be others like it: %s", error)
            return None
