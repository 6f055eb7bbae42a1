"""The client's half of the Kai codec: calls → request bodies, answers and reads → values.

Request bodies are those of kai-client byte for byte: compact JSON in the order of the fields,
UTF-8, absent fields left out. The server's half is in `requests` (bodies decoded) and `chunks`
(events encoded); tests hold the two against each other. Knows no network.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from dragoman.core.errors import ProtocolError
from dragoman.kai.exceptions import KaiError, KaiStreamError, error_for_response
from dragoman.kai.models import ChatRequest, DecisionRequest, Vote, VoteRequest
from dragoman.resilience.retry import parse_retry_after
from dragoman.wire.http import Headers, Response
from dragoman.wire.sse import SSEDecoder

M = TypeVar("M", bound=BaseModel)

SERVICE = "kai-assistant"
"""The id under which discovery lists the service."""

_SHOWN = 200  # characters of foreign text in a message


# ----------------------------------------------------------------------------- request bodies


def encode_json(value: Any) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for NaN, infinities and lone surrogates."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def encode_request(request: ChatRequest | DecisionRequest) -> bytes:
    """The body of `POST /api/chat`, whatever its form (kai.md 3.4 and 3.8: M, A, B, C)."""
    return encode_json(request.model_dump(by_alias=True, exclude_none=True))


def encode_approval(
    tool_use_id: str,
    approved: bool,
    reason: str | None = None,
    updated_input: dict[str, Any] | None = None,
    answers: dict[str, Any] | None = None,
) -> bytes:
    """The body of `POST /api/chat/{id}/approval` (form D)."""
    optional = {"reason": reason, "updatedInput": updated_input, "answers": answers}
    given = {name: value for name, value in optional.items() if value is not None}
    return encode_json({"toolUseId": tool_use_id, "approved": approved, **given})


def encode_vote(request: VoteRequest) -> bytes:
    """The body of `PATCH /api/vote`."""
    return encode_json(request.model_dump(by_alias=True))


def respond_to_approval(
    parts: list[dict[str, Any]], approval_id: str, approved: bool, reason: str | None
) -> list[dict[str, Any]] | None:
    """A stored message's parts with a decision put in, or None if none holds this approval."""
    decision: dict[str, Any] = {"id": approval_id, "approved": approved}
    if reason is not None:
        decision["reason"] = reason
    for index, part in enumerate(parts):
        approval = part.get("approval")
        if isinstance(approval, dict) and approval.get("id") == approval_id:
            decided = {**part, "state": "approval-responded", "approval": decision}
            return [*parts[:index], decided, *parts[index + 1 :]]
    return None


def tool_names(parts: list[dict[str, Any]]) -> dict[str, str]:
    """Tool call id → tool name, of a stored message's parts."""
    names = {}
    for part in parts:
        kind, call, name = part.get("type"), part.get("toolCallId"), part.get("toolName")
        if isinstance(kind, str) and isinstance(call, str) and kind.startswith("tool-"):
            names[call] = kind.removeprefix("tool-")
        elif kind == "dynamic-tool" and isinstance(call, str) and isinstance(name, str):
            names[call] = name
    return names


# ------------------------------------------------------------------------------------ answers


def decode_answer(response: Response, model: type[M]) -> M:
    """The body as a model. Raises KaiError `http:invalid_body` for anything else."""
    try:
        return model.model_validate(response.json())
    except (ProtocolError, ValidationError) as error:
        raise _invalid_body(response, f"a {model.__name__}") from error


def decode_votes(response: Response) -> list[Vote]:
    """The body of `GET /api/vote`: a list, or an object that holds it under `votes`."""
    try:
        data = response.json()
        rows = data["votes"] if isinstance(data, dict) else data
        if isinstance(rows, list):
            return [Vote.model_validate(_vote_fields(row)) for row in rows]
    except (ProtocolError, ValidationError, KeyError) as error:
        raise _invalid_body(response, "a list of votes") from error
    raise _invalid_body(response, "a list of votes")


def decode_vote(response: Response, request: VoteRequest) -> Vote:
    """The stored vote if the answer is one, else the vote that was sent: any 2xx means success."""
    try:
        return Vote.model_validate(_vote_fields(response.json()))
    except (ProtocolError, ValidationError):
        return Vote(chat_id=request.chat_id, message_id=request.message_id, type=request.type)


def decode_service_url(response: Response, storage_api_url: str) -> str:
    """Discovery: where the service is. Raises KaiError with a `discovery:…` code."""
    if not response.ok:
        raise KaiError(
            f"service discovery failed: the Storage API answered HTTP {response.status}",
            "discovery:http_error",
            response_data=_json_or_none(response.body),
            status_code=response.status,
        )
    data = _json_or_none(response.body)
    services = data.get("services") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(services, list | None):
        raise KaiError(
            "service discovery failed: expected a JSON object with a list of services",
            "discovery:bad_response",
            status_code=response.status,
        )
    entries = [entry for entry in services or () if isinstance(entry, dict)]
    found = next((entry for entry in entries if entry.get("id") == SERVICE), None)
    if found is None:
        names = ", ".join(str(entry.get("id")) for entry in entries) or "none"
        raise KaiError(f"{SERVICE} service not found; the Storage API lists: {names}", "discovery:service_not_found")
    url = found.get("url")
    if not isinstance(url, str) or not url:
        raise KaiError(f"the Storage API lists {SERVICE} with no URL", "discovery:no_url")
    return url if urlsplit(url).netloc and urlsplit(url).scheme else urljoin(storage_api_url.rstrip("/") + "/", url)


def decode_error(status: int, headers: Headers, body: bytes) -> KaiError:
    """The error that an answer other than 2xx means; a redirect is one, since none is followed."""
    data = _json_or_none(body)
    content_type = headers.get("content-type", "").lower()
    text = "" if data is not None or "html" in content_type else body[:_SHOWN].decode("utf-8", "replace").strip()
    if status < 400:
        location = headers.get("location")
        text = f"the server answered with HTTP status {status}" + (f" and points to {location!r}" if location else "")
        data = None
    return error_for_response(
        data,
        status,
        text=f"HTTP {status}: {text}" if text and status >= 400 else text,
        retry_after=_retry_after(headers),
        request_id=headers.get("x-request-id"),
        run_id=headers.get("x-dragoman-run"),
    )


def _vote_fields(row: Any) -> Any:
    """The vote object, with `type` made from `isUpvoted` where only that is sent."""
    if isinstance(row, dict) and "type" not in row and isinstance(row.get("isUpvoted"), bool):
        return {**row, "type": "up" if row["isUpvoted"] else "down"}
    return row


def _invalid_body(response: Response, wanted: str) -> KaiError:
    return KaiError(
        f"expected {wanted} in the answer with HTTP status {response.status}, got {response.text[:_SHOWN]!r}",
        "http:invalid_body",
        response_data=_json_or_none(response.body),
        status_code=response.status,
    )


def _json_or_none(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        return None


def _retry_after(headers: Headers) -> float | None:
    """Seconds to wait. A date counts from the server's own `Date`, so no clock is needed here."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return parse_retry_after(value, 0.0)
    try:
        return parse_retry_after(value, parsedate_to_datetime(headers.get("date", "")).timestamp()) if value else None
    except ValueError:
        return None


# ------------------------------------------------------------------------------------- chunks


class ChunkDecoder:
    """Reads of a stream → decoded chunks; any split of the same bytes gives the same chunks.

    `[DONE]` and events without data are dropped. Data lines that only make sense one by one are
    one chunk each, since some servers end an event with a single line end. A chunk that is no
    JSON raises KaiStreamError, after the chunks before it were returned: `error` holds it, and
    every later call raises it.

    Whoever wants no list of chunks between its own and the bytes takes `payloads`, decodes each by
    itself, and comes back with those that are no JSON for a `second_look`.
    """

    __slots__ = ("_frames", "error")

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self.error: KaiStreamError | None = None

    def feed(self, data: bytes) -> list[Any]:
        """The chunks that these bytes complete."""
        return self._chunks(self.payloads(data))

    def end(self) -> list[Any]:
        """The connection is over: the last event needs no blank line."""
        return self.feed(b"\n\n")

    def payloads(self, data: bytes) -> list[bytes]:
        """The data of the events that these bytes complete."""
        if self.error is not None:
            raise self.error
        try:
            return self._frames.feed_data(data)
        except ProtocolError as error:
            raise self._failed(str(error), error) from error

    def second_look(self, payload: bytes, error: ValueError) -> list[Any]:
        """The chunks of a payload that is no JSON at first sight; none, and `error` is set, if it is beyond help."""
        chunks: list[Any] = []
        if not self._lenient(payload, chunks):
            shown = payload[:_SHOWN].decode("utf-8", "replace")
            self._failed(f"failed to parse a server-sent event: expected JSON, got {shown!r}", error)
        return chunks

    def _chunks(self, payloads: list[bytes]) -> list[Any]:
        chunks: list[Any] = []
        for payload in payloads:
            try:
                chunks.append(from_json(payload))
            except ValueError as error:
                chunks += self.second_look(payload, error)
                if self.error is not None:
                    break
        return chunks

    def _failed(self, message: str, cause: Exception) -> KaiStreamError:
        self.error = KaiStreamError(message, "stream:bad_event", cause=str(cause))
        self.error.__cause__ = cause
        return self.error

    def _lenient(self, payload: bytes, chunks: list[Any]) -> bool:
        """Take what is JSON only on a second look; False if the payload is beyond help."""
        found: list[Any] = []
        try:
            found.append(_loads(payload))
        except (ValueError, RecursionError):
            try:
                found += [_loads(line) for line in payload.split(b"\n") if line.strip() not in (b"", b"[DONE]")]
            except (ValueError, RecursionError):
                return False
        chunks += found
        return True


def _loads(payload: bytes) -> Any:
    """JSON with what strict decoders refuse: control characters, no UTF-8, halves of surrogate pairs."""
    return _whole(json.loads(payload.decode("utf-8", "replace"), strict=False))


def _whole(value: Any) -> Any:
    """The value with U+FFFD for lone surrogates, which no later step could encode."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_whole(inner) for inner in value]
        case dict():
            return {_whole(key): _whole(inner) for key, inner in value.items()}
        case _:
            return value
