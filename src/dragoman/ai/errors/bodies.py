"""What an error body says, whatever its shape: message, code, type, status word, request id.

Providers agree on none of this. A manifest may say where to look; beyond that the shapes in
common use are tried in order. Reading never raises; what is not there is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.wire.json_text import read_json

_STEP = re.compile(r"[^.\[\]$'\"]+")
_TEXT_LIMIT = 200
_MESSAGE_LIMIT = 4000
_WORD_LIMIT = 200
_TAG = re.compile(r"<(script|style)\b(?:(?!<\1\b).)*?</\1>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What a body says about an error. `status` is a word such as `UNAVAILABLE`, `number` an HTTP status."""

    message: str | None = None
    code: str | None = None
    type: str | None = None
    status: str | None = None
    number: int | None = None
    param: str | None = None
    request_id: str | None = None
    retry_delay: str | None = None


def read_error(body: Any, paths: Mapping[str, Any] | None = None) -> ErrorFacts:
    """The facts of an error body: decoded JSON, text or bytes.

    `paths` are the manifest's `features.response_mapping.error` (`message_path`, `code_path` …);
    one that leads nowhere falls back to the common shapes.
    """
    body = _decoded(body)
    if isinstance(body, list) and body and isinstance(body[0], Mapping):
        body = body[0]  # some streams wrap a single error into an array
    if not isinstance(body, Mapping):
        return ErrorFacts(message=_plain_text(body))
    error = body.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, Mapping) else body
    found = {
        "message": _text(error) if isinstance(error, str) else _message(inner) or _message(body),
        "code": inner.get("code"),
        "type": inner.get("type"),
        "status": inner.get("status"),
        "param": inner.get("param"),
        "request_id": body.get("request_id") or inner.get("request_id"),
    }
    for name in found:
        value = _at(body, (paths or {}).get(f"{name}_path"))
        if value is not None:
            found[name] = value
    return _facts(found, body, inner, paths or {})


def _facts(
    found: dict[str, Any], body: Mapping[str, Any], inner: Mapping[str, Any], paths: Mapping[str, Any]
) -> ErrorFacts:
    code = _word(found["code"])
    number = next((n for n in map(_number, (code, found["status"], inner.get("status_code"))) if n is not None), None)
    kind = _word(found["type"])
    return ErrorFacts(
        message=(_text(found["message"]) or "")[:_MESSAGE_LIMIT] or None,
        code=code or _reason(_at(body, paths.get("errors_path"))),
        type=None if kind == "error" else kind,
        status=None if _number(found["status"]) is not None else _word(found["status"]),
        number=number,
        param=_word(found["param"]),
        request_id=_word(found["request_id"]),
        retry_delay=_retry_delay(_at(body, paths.get("details_path")) or inner.get("details")),
    )


def _decoded(body: Any) -> Any:
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body).decode("utf-8", errors="replace")
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
        try:
            return read_json(body)
        except ValueError:
            return body
    return body


def _message(source: Mapping[str, Any]) -> str | None:
    for name in ("message", "detail"):
        text = _text(source.get(name))
        if text:
            return text
    errors = source.get("errors")
    return _text(errors[0]) if isinstance(errors, list) and errors else None


def _text(value: Any, depth: int = 4) -> str | None:
    """A message in any of its forms: text, an object with one, a list of either."""
    if isinstance(value, str):
        return value.strip() or None
    if depth and isinstance(value, Mapping):
        found = (_text(value.get(name), depth - 1) for name in ("message", "msg", "detail"))
        return next((text for text in found if text), None)
    if depth and isinstance(value, list):
        return "; ".join(text for item in value[:5] if (text := _text(item, depth - 1))) or None
    return None


def _plain_text(body: Any) -> str | None:
    """The start of a body that is no JSON; of a page, what a reader would see."""
    if not isinstance(body, str):
        return None
    text = " ".join(_TAG.sub(" ", body[: 100 * _TEXT_LIMIT]).split())
    return text[:_TEXT_LIMIT] or None


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return str(value)[:_WORD_LIMIT] or None
    except ValueError:  # an integer of thousands of digits
        return None


def _number(value: Any) -> int | None:
    text = _word(value)
    if text is None or not (text.isascii() and text.isdigit() and len(text) == 3):
        return None
    return int(text) if 400 <= int(text) <= 599 else None


def _reason(errors: Any) -> str | None:
    first = errors[0] if isinstance(errors, list) and errors else None
    return _word(first.get("reason")) if isinstance(first, Mapping) else None


def _retry_delay(details: Any) -> str | None:
    """`"30s"` out of a list of details, one of which says when to come back."""
    if not isinstance(details, list):
        return None
    delays = (detail.get("retryDelay") for detail in details if isinstance(detail, Mapping))
    return next((delay for delay in delays if isinstance(delay, str)), None)


def _at(body: Any, path: Any) -> Any:
    """The value at a plain path (`error.message`, `$.errors[0].code`), None where it leads nowhere."""
    if not isinstance(path, str):
        return None
    for step in _STEP.findall(path):
        if isinstance(body, Mapping):
            body = body.get(step)
        elif isinstance(body, list) and step.isdecimal() and int(step) < len(body):
            body = body[int(step)]
        else:
            return None
    return body
